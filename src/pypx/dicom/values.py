"""Element values as text: whole, decoded, without padding; never a failure because a value is odd.

pydicom converts a value to the type of its VR and raises or warns where a PACS sent something that the VR
does not allow. Queries, names in the tree and the catalogue need the text as it was sent, so this works on
the raw element and asks pydicom for its character sets.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import TypeAlias

from pydicom.charset import convert_encodings, decode_bytes, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.valuerep import TEXT_VR_DELIMS

#: A value as it is written: the VR beside it (b"" where the encoding has none), and its bytes.
RawValue: TypeAlias = tuple[bytes, bytes]

SPECIFIC_CHARACTER_SET = 0x00080005

#: VRs whose text is subject to SpecificCharacterSet (PS3.5, 6.1.2.2). UN is in the list because implicit VR
#: gives it to what the dictionary lacks.
_ENCODED_VRS = frozenset({b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT", b"UN"})

#: VRs of plain ASCII text.
_ASCII_VRS = frozenset({b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI", b"UR"})

#: VRs of numbers in binary, and how the struct module names them (PS3.5, 6.2).
_NUMBERS = {
    b"US": "H",
    b"SS": "h",
    b"UL": "L",
    b"SL": "l",
    b"UV": "Q",
    b"SV": "q",
    b"FL": "f",
    b"FD": "d",
}

#: VRs that have no text.
BULK_VRS = frozenset({b"SQ", b"OB", b"OD", b"OF", b"OL", b"OV", b"OW"})

#: Those that are taken by their word; of others the dictionary says what they are.
_KNOWN_VRS = (_ENCODED_VRS | _ASCII_VRS | BULK_VRS | _NUMBERS.keys() | {b"AT"}) - {b"UN"}

#: Most of what is in the files of a series is in each of them: so many values, up to so many bytes long, are
#: not decoded again.
_REMEMBERED = 4096
_LONGEST_REMEMBERED = 64

#: What pydicom makes of the defined terms. Its default, for ASCII and for terms that it does not know, would
#: take any byte for Latin-1; and a data set may name any codec that Python has, some of them slow.
_CODECS = frozenset(python_encoding.values()) - {default_encoding}

#: Latin-1 and its Turkish variant: UTF-8 looks like capital letters followed by signs there, which make no
#: word. In other single-byte sets some words do look like UTF-8.
_NEVER_LIKE_UTF_8 = frozenset({"latin_1", "iso_ir_148"})

_ESCAPE = b"\x1b"

#: What of a SpecificCharacterSet is looked at: more terms than there are that go together, each of 16
#: characters (PS3.5, 6.2). Text with escape sequences takes time for each of them, at each of its sequences.
_MOST_TERMS = 16
_LONGEST_DECLARED = 512

#: Filters of warnings belong to the process: threads that set and restore them at once leave the wrong ones.
_warnings_lock = Lock()


def character_sets(declared: bytes) -> tuple[str, ...]:
    """The Python codecs that a SpecificCharacterSet (0008,0005) names; UTF-8 for ASCII and unknown ones."""
    return _character_sets(declared[:_LONGEST_DECLARED])


@lru_cache(maxsize=64)
def _character_sets(declared: bytes) -> tuple[str, ...]:
    terms = [term.strip(" \0") for term in declared.decode("ascii", "replace").split("\\")][:_MOST_TERMS]
    if terms == [""]:
        return ("utf-8",)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            codecs = convert_encodings(terms)
        except (LookupError, ValueError):
            return ("utf-8",)
    return tuple(codec if codec in _CODECS else "utf-8" for codec in codecs)


def decode(value: bytes, encodings: Sequence[str]) -> str:
    """Text of a data set in its declared character sets, else as UTF-8, else as Latin-1.

    A PACS that declares one character set and sends another is common. Most often it says Latin-1 and sends
    UTF-8, and bytes beyond ASCII that are valid UTF-8 are practically never Latin-1.
    """
    if _ESCAPE in value:
        text = _decode_code_extensions(value, encodings)
        if text is not None:
            return text
    elif value.isascii():
        return value.decode("ascii")
    preferred = (encodings[0], "utf-8")
    for encoding in reversed(preferred) if encodings[0] in _NEVER_LIKE_UTF_8 else preferred:
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            pass
    return value.decode("latin-1")


def _decode_code_extensions(value: bytes, encodings: Sequence[str]) -> str | None:
    """Text with escape sequences (PS3.5, 6.1.2.5); None where it is not what it was declared to be."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            text = decode_bytes(value, list(encodings), TEXT_VR_DELIMS)
        except (UnicodeError, LookupError):
            return None
    return None if "\ufffd" in text else text


def texts_of(
    elements: Mapping[int, RawValue], names: Mapping[int, str], *, little_endian: bool = True
) -> dict[str, str]:
    """The values of attributes as text; several values of one are joined by a backslash.

    Parameters
    ----------
    elements : mapping of int to RawValue
        Of one data set, by tag.
    names : mapping of int to str
        Tag and name of each attribute that is asked for.
    little_endian : bool
        How numbers are written.

    Returns
    -------
    dict of str to str
        Name to text, without what is not there. A sequence and bulk data have the text "".
    """
    _, declared = elements.get(SPECIFIC_CHARACTER_SET, (b"", b""))
    encodings = character_sets(declared)
    return {
        names[tag]: text_of(tag, vr, value, encodings, little_endian)
        for tag, (vr, value) in elements.items()
        if tag in names
    }


def text_of(tag: int, vr: bytes, value: bytes, encodings: tuple[str, ...], little_endian: bool) -> str:
    """The value of one attribute as text, as :func:`texts_of` has it.

    Parameters
    ----------
    tag : int
    vr, value : bytes
        As written.
    encodings : tuple of str
        Of the data set, as of :func:`character_sets`.
    little_endian : bool
        How numbers are written.
    """
    if len(value) > _LONGEST_REMEMBERED:
        return _text(tag, vr, value, encodings, little_endian)
    return _remembered_text(tag, vr, value, encodings, little_endian)


def _text(tag: int, vr: bytes, value: bytes, encodings: tuple[str, ...], little_endian: bool) -> str:
    if vr not in _KNOWN_VRS:
        vr = _dictionary_vr(tag)
    if vr in _ASCII_VRS:
        return value.decode("ascii", "replace").strip(" \0")
    if vr in _ENCODED_VRS:
        return decode(value, encodings).rstrip(" \0")
    return _numbers_text(value, vr, "<" if little_endian else ">")


_remembered_text = lru_cache(maxsize=_REMEMBERED)(_text)


def _numbers_text(value: bytes, vr: bytes, byte_order: str) -> str:
    """Numbers as decimal text, tags as (gggg,eeee); bytes that are left over are left out."""
    if vr == b"AT":
        pairs = struct.iter_unpack(f"{byte_order}HH", value[: len(value) // 4 * 4])
        return "\\".join(f"({group:04X},{element:04X})" for group, element in pairs)
    if vr not in _NUMBERS:
        return ""
    form = byte_order + _NUMBERS[vr]
    whole = len(value) // struct.calcsize(form) * struct.calcsize(form)
    return "\\".join(str(number) for (number,) in struct.iter_unpack(form, value[:whole]))


@lru_cache(maxsize=1024)
def _dictionary_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag)[:2].encode("ascii")
    except KeyError:
        return b"UN"
