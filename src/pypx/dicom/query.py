"""Queries: what is asked at a level of the study root model (PS3.4, C.6.2), and what comes back."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pydicom.dataset import Dataset

from pypx.dicom.attributes import Attribute, attribute
from pypx.dicom.uid import is_uid
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

_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)


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
        Keyword (or gggg,eeee) to the value that answers must match; see :func:`matching_value`.
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


def matching_value(name: str, text: str, today: date) -> str:
    """A value as a person gives it, as the value that a query sends (PS3.4, C.2.2.2).

    Parameters
    ----------
    name : str
        Keyword or gggg,eeee of the attribute.
    text : str
        For dates YYYYMMDD, YYYY/MM/DD, YYYY-MM-DD, ranges of them with a dash, today, yesterday, last-N-days.
        For UIDs one or several, with commas or backslashes between.
    today : datetime.date
        What "today" means.

    Raises
    ------
    InvalidValue, UnknownAttribute
    """
    asked = attribute(name)
    if any(character < " " or character == "\x7f" for character in text):
        raise InvalidValue(
            f"{asked.keyword} cannot hold a control character", "Write ? for a character you cannot type."
        )
    if asked.vr == "UI":
        return _uids(asked, text)
    if asked.vr == "DA":
        return _dates(asked, text, today)
    return text


def _uids(asked: Attribute, text: str) -> str:
    uids = [part.strip() for part in text.replace("\\", ",").split(",") if part.strip()]
    for uid in uids:
        if not is_uid(uid):
            raise InvalidValue(
                f"{asked.keyword} {uid!r} is not a UID", "A UID is digits and dots, 64 at most."
            )
    return "\\".join(uids)


def _dates(asked: Attribute, text: str, today: date) -> str:
    words = {"today": 0, "yesterday": 1}
    text = text.strip()
    if text in words:
        return f"{today - timedelta(days=words[text]):%Y%m%d}"
    if text.startswith("last-") and text.endswith("-days") and text[5:-5].isdigit():
        return f"{today - timedelta(days=int(text[5:-5])):%Y%m%d}-"
    begin, dash, end = _split_range(text)
    return f"{_date(asked, begin)}{dash}{_date(asked, end)}"


def _split_range(text: str) -> tuple[str, str, str]:
    """Begin, dash and end of a range whose dates may have dashes of their own."""
    if text.count("-") in (1, 5):
        middle = text.index("-") if text.count("-") == 1 else [i for i, c in enumerate(text) if c == "-"][2]
        return text[:middle], "-", text[middle + 1 :]
    if text.count("-") == 3 and text.startswith("-"):
        return "", "-", text[1:]
    if text.count("-") == 3 and text.endswith("-"):
        return text[:-1], "-", ""
    return text, "", ""


def _date(asked: Attribute, text: str) -> str:
    digits = text.strip().replace("-", "").replace("/", "").replace(".", "")
    if not digits:
        return ""
    written = _DATE.fullmatch(digits)
    try:
        if written:
            return f"{date(int(written[1]), int(written[2]), int(written[3])):%Y%m%d}"
    except ValueError:
        pass  # as 20200231: no such day, the same to say as for what is no date at all
    raise InvalidValue(
        f"{asked.keyword} {text!r} is not a date",
        "Write YYYYMMDD, YYYY-MM-DD, a range as 20200101-20201231, or today, yesterday, last-7-days.",
    )
