"""A dictionary for a program that passes data sets on as they are.

DCMTK's own has 5,000 attributes, and reading them is half of what storescp does before its first answer.
"""

from __future__ import annotations

from functools import cache

from pydicom._dicom_dict import DicomDictionary

#: Elements of commands (PS3.7, annex E) and of file meta information (PS3.10, 7.1).
_GROUPS = (0x0000, 0x0002)


@cache
def of_messages() -> str:
    """What DCMTK reads under the name in ``DCMDICTPATH`` (its dcmdata/docs/datadict.txt)."""
    return "".join(
        f"({tag >> 16:04x},{tag & 0xFFFF:04x})\t{vr}\t{keyword}\t{multiplicity}\tDICOM\n"
        for tag, (vr, multiplicity, _, _, keyword) in DicomDictionary.items()
        if tag >> 16 in _GROUPS
    )
