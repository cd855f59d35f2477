"""Queries: what is asked at a level of the study root model (PS3.4, C.6.2), and what comes back."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from pypx.dicom.attributes import Attribute, attribute
from pypx.errors import InvalidValue


class Level(enum.Enum):
    """A level of the study root query/retrieve information model."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


#: Attributes that describe a patient or study; all others are asked for at series level.
STUDY_KEYWORDS = (
    "AccessionNumber",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientAge",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "StudyInstanceUID",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
SERIES_KEYWORDS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesDate",
    "Modality",
    "ProtocolName",
    "AcquisitionProtocolName",
    "AcquisitionProtocolDescription",
    "PerformedStationAETitle",
    "NumberOfSeriesRelatedInstances",
)
_STUDY_LEVEL = frozenset(STUDY_KEYWORDS)


def belongs_to_study(asked: Attribute) -> bool:
    """Whether an attribute is one of a study or its patient rather than of a series."""
    return asked.keyword in _STUDY_LEVEL or asked.tag.group == 0x0010


@dataclass(frozen=True, slots=True)
class Query:
    """One C-FIND, C-MOVE or C-GET identifier.

    Parameters
    ----------
    level : Level
    matching : mapping of str to str
        Keyword (or gggg,eeee) to the value that answers must match, as
        :func:`pypx.dicom.matching.matching_value` gives it.
    returning : sequence of str
        Keywords of the attributes that answers shall hold besides.
    """

    level: Level
    matching: Mapping[str, str]
    returning: Sequence[str] = ()

    def data_set(self) -> Dataset:
        """The identifier as a data set.

        Values outside ASCII are sent as UTF-8 (ISO_IR 192). A query in plain ASCII only asks for the
        character set of the answers, as some PACS reject a query in a character set that they do not know.
        """
        wanted = Dataset()
        plain = all(value.isascii() for value in self.matching.values())
        wanted.SpecificCharacterSet = None if plain else "ISO_IR 192"
        wanted.QueryRetrieveLevel = self.level.value
        for name in (*self.returning, *self.matching):
            asked = attribute(name)
            value = self.matching.get(name, "")
            if asked.vr == "SQ":
                wanted.add_new(asked.tag, "SQ", [])
            elif asked.vr in ("US", "UL", "SS", "SL", "FL", "FD", "AT", "OB", "OW", "UN"):
                wanted.add_new(asked.tag, asked.vr, _number(asked, value))
            else:
                wanted.add_new(asked.tag, asked.vr, value)
        return wanted


def _number(asked: Attribute, value: str) -> int | float | None:
    if not value:
        return None
    try:
        return float(value) if asked.vr in ("FL", "FD") else int(value)
    except ValueError as error:
        raise InvalidValue(f"{asked.keyword} takes a number, not {value!r}") from error
