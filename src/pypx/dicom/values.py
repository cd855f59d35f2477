"""Element values as text: whole, decoded, without padding; never a failure because a value is odd.

pydicom converts a value to the type of its VR and raises or warns where a PACS sent something that the VR
does not allow. Queries, names in the tree and the catalogue need the text as it was sent, so this works on
the raw element and asks pydicom for its character sets.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterable
from functools import lru_cache
from threading import Lock

from pydicom.charset import convert_encodings, decode_bytes, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

_SPECIFIC_CHARACTER_SET = BaseTag(0x00080005)

#: VRs whose text is subject to SpecificCharacterSet (PS3.5, 6.1.2.2). UN is in the list because implicit VR
#: gives it to what the dictionary lacks.
_ENCODED_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT", "UN"})

#: VRs of plain ASCII text.
_ASCII_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})


#: VRs of numbers in binary, and how the struct module names them (PS3.5, 6.2).
_NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}

_BULK_VRS = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW"})

_KNOWN_VRS = _ENCODED_VRS | _ASCII_VRS | _BULK_VRS | _NUMBERS.keys() | {"AT"}

#: What pydicom makes of the defined terms. Its default, for ASCII and for terms that it does not know, would
#: take any byte for Latin-1; and a data set may name any codec that Python has, some of them slow.
_CODECS = frozenset(python_encoding.values()) - {default_encoding}

#: Latin-1 and its Turkish variant: UTF-8 looks like capital letters followed by signs there, which make no
#: word. In other single-byte sets some words do look like UTF-8.
_NEVER_LIKE_UTF_8 = frozenset({"latin_1", "iso_ir_148"})

_ESCAPE = b"\x1b"

#: Filters of warnings belong to the process: threads that set and restore them at once leave the wrong ones.
_warnings_lock = Lock()


def character_sets(dataset: Dataset) -> list[str]:
    """The Python codecs that SpecificCharacterSet (0008,0005) names; UTF-8 for ASCII and unknown ones."""
    element: RawDataElement | DataElement | None = dataset.get_item(_SPECIFIC_CHARACTER_SET)
    declared = element.value if element is not None else None
    if isinstance(declared, bytes):
        declared = declared.decode("ascii", "replace")
    if isinstance(declared, str):
        declared = declared.split("\\")
    return list(_codecs(tuple(part.strip(" \0") for part in declared))) if declared else ["utf-8"]


@lru_cache(maxsize=256)
def _codecs(declared: tuple[str, ...]) -> tuple[str, ...]:
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            codecs = convert_encodings(list(declared))
        except (LookupError, ValueError):
            return ("utf-8",)
    return tuple(codec if codec in _CODECS else "utf-8" for codec in codecs)


def decode(value: bytes, encodings: list[str]) -> str:
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


def _decode_code_extensions(value: bytes, encodings: list[str]) -> str | None:
    """Text with escape sequences (PS3.5, 6.1.2.5); None where it is not what it was declared to be."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            text = decode_bytes(value, encodings, TEXT_VR_DELIMS)
        except (UnicodeError, LookupError):
            return None
    return None if "\ufffd" in text else text


def text_of(dataset: Dataset, tag: BaseTag, encodings: list[str]) -> str | None:
    """One attribute's value as text; several values joined by a backslash; None where it is not there.

    Parameters
    ----------
    dataset : pydicom.dataset.Dataset
        As read from a file, its elements still raw.
    tag : pydicom.tag.BaseTag
        The attribute. A sequence has the text "".
    encodings : list of str
        What :func:`character_sets` gave for this data set.
    """
    element: RawDataElement | DataElement | None = dataset.get_item(tag)
    if element is None:
        return None
    if isinstance(element, RawDataElement):
        return _raw_text(element, tag, encodings)
    if element.VR in _BULK_VRS or element.value is None:
        return ""
    values = element.value if element.VM > 1 else [element.value]
    return "\\".join(str(value) for value in values)


def _raw_text(element: RawDataElement, tag: BaseTag, encodings: list[str]) -> str:
    value = element.value
    if not isinstance(value, bytes):
        return ""
    vr = element.VR
    if vr is None or vr == "UN" or vr not in _KNOWN_VRS:
        vr = _dictionary_vr(tag)
    if vr in _ASCII_VRS:
        return value.decode("ascii", "replace").strip(" \0")
    if vr in _ENCODED_VRS:
        return decode(value, encodings).rstrip(" \0")
    return _numbers_text(value, vr, "<" if element.is_little_endian else ">")


def _numbers_text(value: bytes, vr: str, byte_order: str) -> str:
    """Numbers as decimal text, tags as (gggg,eeee); bytes that are left over are left out."""
    if vr == "AT":
        pairs = struct.iter_unpack(f"{byte_order}HH", value[: len(value) // 4 * 4])
        return "\\".join(f"({group:04X},{element:04X})" for group, element in pairs)
    if vr not in _NUMBERS:
        return ""
    form = byte_order + _NUMBERS[vr]
    whole = len(value) // struct.calcsize(form) * struct.calcsize(form)
    return "\\".join(str(number) for (number,) in struct.iter_unpack(form, value[:whole]))


@lru_cache(maxsize=1024)
def _dictionary_vr(tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return "UN"


def texts_of(dataset: Dataset, tags: Iterable[tuple[str, BaseTag]]) -> dict[str, str]:
    """The attributes that are there, as keyword to text, in the order asked for."""
    encodings = character_sets(dataset)
    found = ((keyword, text_of(dataset, tag, encodings)) for keyword, tag in tags)
    return {keyword: text for keyword, text in found if text is not None}
