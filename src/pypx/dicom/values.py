"""Element values as text: whole, decoded, without padding; never a failure because a value is odd.

pydicom converts a value to the type of its VR and raises or warns where a PACS sent something that the VR
does not allow. Queries, names in the tree and the catalogue need the text as it was sent, so this works on
the raw element and asks pydicom for its character sets.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from pydicom.charset import convert_encodings, decode_bytes
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


def character_sets(dataset: Dataset) -> list[str]:
    """The Python codecs that SpecificCharacterSet (0008,0005) names; UTF-8 where it names none we know."""
    element: RawDataElement | DataElement | None = dataset.get_item(_SPECIFIC_CHARACTER_SET)
    declared = element.value if element is not None else None
    if isinstance(declared, bytes):
        declared = declared.decode("ascii", "replace")
    if isinstance(declared, str):
        declared = [part.strip(" \0") for part in declared.split("\\")]
    if not declared:
        return ["utf-8"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return convert_encodings(list(declared))
        except LookupError:
            return ["utf-8"]


def decode(value: bytes, encodings: list[str]) -> str:
    """Text of a data set in its declared character sets, else as UTF-8, else as Latin-1.

    A PACS that declares one character set and sends another is common, and bytes beyond ASCII that are
    valid UTF-8 are practically never anything else.
    """
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return decode_bytes(value, encodings, TEXT_VR_DELIMS)
        except (UnicodeError, LookupError, UserWarning):
            pass
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


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
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        vr = element.VR or _dictionary_vr(tag)
        if vr in _ASCII_VRS:
            return value.decode("ascii", "replace").strip(" \0")
        if vr in _ENCODED_VRS:
            return decode(value, encodings).rstrip(" \0")
    if value is None or value == b"":
        return ""
    return _converted_text(dataset, tag)


def _dictionary_vr(tag: BaseTag) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return "UN"


def _converted_text(dataset: Dataset, tag: BaseTag) -> str:
    """Numbers in binary VRs, and elements that something has converted already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            element = dataset[tag]
        except (ValueError, TypeError, KeyError, NotImplementedError):
            return ""
    if element.VR in ("SQ", "OB", "OW", "OF", "OD", "OL", "OV"):
        return ""
    if element.VM > 1:
        return "\\".join(str(part) for part in element.value)
    return str(element.value) if element.value is not None else ""


def texts_of(dataset: Dataset, tags: Iterable[tuple[str, BaseTag]]) -> dict[str, str]:
    """The attributes that are there, as keyword to text, in the order asked for."""
    encodings = character_sets(dataset)
    found = ((keyword, text_of(dataset, tag, encodings)) for keyword, tag in tags)
    return {keyword: text for keyword, text in found if text is not None}
