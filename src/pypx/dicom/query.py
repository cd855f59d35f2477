"""Queries: what is asked at a level of the study root model (PS3.4, C.6.2), and how it is written."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct, pack

from pypx.dicom.attributes import Attribute, attribute


class Level(enum.Enum):
    """A level of the study root query/retrieve information model."""

    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


#: Attributes that are asked for at study level whatever is looked for.
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

#: The other keys of the study level (PS3.4, tables C.6-2 and C.6-3).
_MORE_OF_STUDY = (
    "AdmittingDiagnosesDescription",
    "AnatomicRegionsInStudyCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "NameOfPhysiciansReadingStudy",
    "NumberOfPatientRelatedInstances",
    "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedStudies",
    "OtherStudyNumbers",
    "PhysiciansOfRecord",
    "ProcedureCodeSequence",
    "ReferencedStudySequence",
    "SOPClassesInStudy",
)
_STUDY_LEVEL = frozenset((*STUDY_KEYWORDS, *_MORE_OF_STUDY))

#: Patient, study as RIS know it, and visit (PS3.6, 6).
_STUDY_GROUPS = frozenset({0x0010, 0x0032, 0x0038})


def belongs_to_study(asked: Attribute) -> bool:
    """Whether an attribute is one of a study or its patient rather than of a series."""
    return asked.keyword in _STUDY_LEVEL or asked.tag.group in _STUDY_GROUPS


#: VRs of numbers in binary.
_NUMBERS = {
    "US": Struct("<H"),
    "SS": Struct("<h"),
    "UL": Struct("<L"),
    "SL": Struct("<l"),
    "UV": Struct("<Q"),
    "SV": Struct("<q"),
    "FL": Struct("<f"),
    "FD": Struct("<d"),
}


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

    def encoded(self) -> bytes:
        """The identifier as a data set in implicit VR little endian (PS3.5, A.1).

        Values outside ASCII are sent as UTF-8 (ISO_IR 192). A query in plain ASCII only asks for the
        character set of the answers, as some PACS reject a query in a character set that they do not know.
        """
        keys = {attribute(name): self.matching.get(name, "") for name in (*self.returning, *self.matching)}
        plain = all(value.isascii() for value in keys.values())
        elements = {int(asked.tag): _element(asked, value) for asked, value in keys.items()}
        character_set = attribute("SpecificCharacterSet")
        elements[int(character_set.tag)] = _element(character_set, "" if plain else "ISO_IR 192")
        level = attribute("QueryRetrieveLevel")
        elements[int(level.tag)] = _element(level, self.level.value)
        return b"".join(elements[tag] for tag in sorted(elements))


def _element(asked: Attribute, value: str) -> bytes:
    written = _numbers(asked.vr, value) if asked.vr in _NUMBERS else value.encode()
    if len(written) % 2:
        # A UID is padded with zero, all other text with space (PS3.5, 6.2).
        written += b"\0" if asked.vr == "UI" else b" "
    return pack("<HHL", asked.tag.group, asked.tag.element, len(written)) + written


def _numbers(vr: str, value: str) -> bytes:
    kind = float if vr in ("FL", "FD") else int
    return b"".join(_NUMBERS[vr].pack(kind(part)) for part in value.split("\\") if part)
