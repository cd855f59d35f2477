"""Whose files are: the patients, studies or series that they tell of."""

from __future__ import annotations

from pypx.actions.sources import SourceFiles
from pypx.dicom.header import read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom


def identifiers_of(named: SourceFiles, keyword: str) -> list[str]:
    """The values that an attribute has in files, each once.

    Parameters
    ----------
    named : SourceFiles
        What is damaged, or something else than DICOM, is left out, unless it is the one file that is named.
    keyword : str
        PatientID, StudyInstanceUID or SeriesInstanceUID.

    Raises
    ------
    NotDicom, FileDamaged, FileUnreadable
        When the one file that is named tells of nothing, or what is named is not there.
    """
    values: dict[str, None] = {}
    for file in named.files():
        try:
            values[read_header(file, (keyword,)).values.get(keyword, "")] = None
        except (NotDicom, FileDamaged, FileUnreadable):
            if named.is_one:
                raise
    return list(values)
