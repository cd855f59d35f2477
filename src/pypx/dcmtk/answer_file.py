"""Answers to C-FIND as findscu writes them (``-X``): DICOM files, whole and in the PACS's own characters."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pypx.dicom.attributes import of_tag
from pypx.dicom.elements import VRS
from pypx.dicom.fileformat import opened
from pypx.dicom.values import texts_of
from pypx.errors import FileDamaged, FileUnreadable, NotDicom

_SPECIFIC_CHARACTER_SET = 0x00080005


def read_answer(path: Path) -> dict[str, str] | None:
    """The values of one answer, keyword (or gggg,eeee) to text; None where the file is none.

    The character set stays out: it is undone in the values.
    """
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    try:
        with opened(path) as file:
            little_endian = file.encoding.little_endian
            for number, vr, length, start, end in file.elements():
                tag = BaseTag(number)
                name = vr.decode() if vr in VRS else None
                value = file.source.bytes_at(start, end - start)
                elements[tag] = RawDataElement(tag, name, length, value, start, not vr, little_endian)
    except (NotDicom, FileUnreadable, FileDamaged):
        return None
    asked = [(of_tag(tag).keyword, tag) for tag in elements if tag != _SPECIFIC_CHARACTER_SET]
    return texts_of(Dataset(elements), asked)
