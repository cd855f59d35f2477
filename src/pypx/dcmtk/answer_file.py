"""Answers to C-FIND as findscu writes them (``-X``): DICOM files, whole and in the PACS's own characters."""

from __future__ import annotations

from pathlib import Path

from pydicom.tag import BaseTag

from pypx.dicom.attributes import of_tag
from pypx.dicom.fileformat import opened
from pypx.dicom.values import SPECIFIC_CHARACTER_SET, RawValue, texts_of
from pypx.errors import FileDamaged, FileUnreadable, NotDicom


def read_answer(path: Path) -> dict[str, str] | None:
    """The values of one answer, keyword (or gggg,eeee) to text; None where the file is none.

    The character set stays out: it is undone in the values.
    """
    try:
        with opened(path) as file:
            elements: dict[int, RawValue] = {
                tag: (vr, file.source.bytes_at(start, end - start))
                for tag, vr, _, start, end in file.elements()
            }
    except (NotDicom, FileUnreadable, FileDamaged):
        return None
    names = {tag: of_tag(BaseTag(tag)).keyword for tag in elements if tag != SPECIFIC_CHARACTER_SET}
    return texts_of(elements, names, little_endian=file.encoding.little_endian)
