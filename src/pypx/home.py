"""Paths as people write them, who may begin them with a ~."""

from __future__ import annotations

import os
from pathlib import Path

from pypx.errors import InvalidValue


def at_home(path: str | Path) -> Path:
    """The path with a home directory in place of its ~, as a shell has it.

    That of a user who is not known here stays as it is, and is no such file.

    Raises
    ------
    InvalidValue
        When it holds a NUL or half a character: no path can, but JSON may.
    """
    try:
        is_path = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        is_path = False
    if not is_path:
        raise InvalidValue(f"{str(path)!r} cannot be a path", "Correct it where it stands.")
    # pathlib would raise, for an unknown user, what is no OSError.
    return Path(os.path.expanduser(path))  # noqa: PTH111
