"""Names of objects that come from outside: parts with slashes between, which never lead anywhere else."""

from __future__ import annotations

import re

from pypx.errors import InvalidValue

#: What a storage takes (Swift's max_object_name_length), in bytes of UTF-8.
LONGEST_NAME = 1024

#: A part becomes a file's name where the storage is a filesystem.
_LONGEST_PART = 255

#: C0 and C1 controls and DEL: nothing that names anything.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def checked_name(name: str) -> str:
    """An object's name, as it is.

    Raises
    ------
    InvalidValue
        When it is empty or too long, starts or ends with a slash, has an empty part or one that is ``.`` or
        ``..``, or holds control characters.
    """
    if not name:
        raise InvalidValue("The name of an object is empty", "Name the object.")
    _check_text(name)
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise InvalidValue(
                f"{name!r} is not the name of an object: it has a part {part!r}",
                "Write parts with one slash between, none of them empty, . or ..",
            )
    return name


def checked_prefix(prefix: str) -> str:
    """A text that names of objects start with; may be empty.

    Raises
    ------
    InvalidValue
        When no name can start so.
    """
    if prefix:
        _check_text(prefix)
        *parts, last = prefix.split("/")
        if any(part in ("", ".", "..") for part in parts) or last in (".", ".."):
            raise InvalidValue(
                f"No name of an object starts with {prefix!r}",
                "Write it without a slash before, and without ..",
            )
    return prefix


def _check_text(name: str) -> None:
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{name!r} is not text", "Write the name in UTF-8.") from error
    too_long = len(encoded) > LONGEST_NAME or any(len(part) > _LONGEST_PART for part in encoded.split(b"/"))
    if too_long:
        raise InvalidValue(
            f"The name of an object starting with {name[:40]!r} is too long",
            f"At most {LONGEST_NAME} bytes in all, and {_LONGEST_PART} in each part.",
        )
    if _CONTROL.search(name):
        raise InvalidValue(f"{name!r} has control characters in it", "Leave them out.")
