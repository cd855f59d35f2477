"""Attributes by keyword or tag, from pydicom's copy of the dictionary (PS3.6)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.tag import BaseTag, Tag

from pypx.errors import UnknownAttribute

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)?")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Parameters
    ----------
    keyword : str
        As in the dictionary ("PatientID"); for a tag without one, the tag as "gggg,eeee".
    tag : pydicom.tag.BaseTag
    vr : str
        The first of its value representations; "UN" where the dictionary does not know it.
    """

    keyword: str
    tag: BaseTag
    vr: str

    @property
    def number(self) -> str:
        """The tag as "0010,0020"."""
        return f"{self.tag.group:04X},{self.tag.element:04X}"


@lru_cache(maxsize=1024)
def attribute(name: str) -> Attribute:
    """Look up a keyword or a tag written gggg,eeee.

    Raises
    ------
    UnknownAttribute
        With the nearest keywords, when there is none of this name.
    """
    written = _TAG.fullmatch(name)
    # Some entries of the dictionary have no keyword.
    number = int(written[1] + written[2], 16) if written else tag_for_keyword(name) if name else None
    if number is None:
        raise UnknownAttribute(f"{name!r} is not a DICOM keyword", _suggestion(name))
    return of_tag(Tag(number))


@lru_cache(maxsize=1024)
def of_tag(tag: BaseTag) -> Attribute:
    """The attribute of this tag, in the dictionary or not."""
    try:
        vr = dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        vr = "UN"
    return Attribute(keyword_for_tag(tag) or f"{tag.group:04X},{tag.element:04X}", tag, vr)


def _suggestion(name: str) -> str:
    by_lower = {entry[4].lower(): entry[4] for entry in DicomDictionary.values() if entry[4]}
    close = [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, n=3)]
    if not close:
        return "Use a keyword of the DICOM dictionary (PatientID) or a tag (0010,0020)."
    return f"Did you mean {', '.join(close)}?"
