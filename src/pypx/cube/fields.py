"""The fields of a registration, made from the attributes of a series as CUBE takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pypx.dicom.dates import age_in_days, days_between, iso_date
from pypx.errors import AttributeMissing, InvalidValue

#: Where CUBE has the images of PACS.
SERVICES = "SERVICES/PACS"

#: Characters that CUBE takes of each text.
_LONGEST = {
    "PatientID": 100,
    "PatientName": 150,
    "AccessionNumber": 100,
    "Modality": 15,
    "ProtocolName": 64,
    "StudyInstanceUID": 100,
    "StudyDescription": 400,
    "SeriesInstanceUID": 100,
    "SeriesDescription": 400,
}
LONGEST_NAME = 20
LONGEST_SERIES_PATH = 1024
LONGEST_FILE_PATH = 512

#: Without these CUBE takes nothing; cut, they would name something else.
_REQUIRED = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")

_SEXES = ("M", "F", "O")

#: What is needed of a series. Dates and ages as DICOM has them.
ATTRIBUTES = (*_LONGEST, "PatientBirthDate", "PatientAge", "PatientSex", "StudyDate")


@dataclass(frozen=True, slots=True)
class Fields:
    """What is sent for a series, apart from its path.

    Parameters
    ----------
    values : mapping
        By the names that CUBE has for them.
    notes : tuple of str
        What could not be sent as it is, for a person; no value stands in them.
    """

    values: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def fields_of(values: Mapping[str, str]) -> Fields:
    """What CUBE is told of a series.

    Parameters
    ----------
    values : mapping of str to str
        Keyword to text, those of ATTRIBUTES.

    Returns
    -------
    Fields
        Texts that are missing are empty; a date or an age that is missing is left out.

    Raises
    ------
    AttributeMissing
        When one is missing, or unusable, without which CUBE takes nothing.
    """
    notes: list[str] = []
    fields: dict[str, Any] = {}
    for keyword, longest in _LONGEST.items():
        text = _text(values.get(keyword, ""))
        if keyword in _REQUIRED and not 0 < len(text) <= longest:
            fault = f"has more than {longest} characters" if text else "is missing"
            raise AttributeMissing(f"{keyword} {fault}")
        if len(text) > longest:
            notes.append(f"{keyword} cut to {longest} characters")
            text = text[:longest].rstrip()
        fields[keyword] = text
    study_date = iso_date(values.get("StudyDate", ""))
    if study_date is None:
        raise AttributeMissing(f"StudyDate {'is no date' if values.get('StudyDate') else 'is missing'}")
    fields["StudyDate"] = study_date
    fields |= _person(values, notes)
    return Fields(fields, tuple(notes))


def _person(values: Mapping[str, str], notes: list[str]) -> dict[str, Any]:
    birth = iso_date(values.get("PatientBirthDate", ""))
    sex = values.get("PatientSex", "").strip().upper()
    age = age_in_days(values.get("PatientAge", ""))
    if age is None:
        age = days_between(values.get("PatientBirthDate", ""), values.get("StudyDate", ""))
    for keyword, is_told in (("PatientBirthDate", birth is not None), ("PatientSex", sex in _SEXES)):
        if values.get(keyword, "").strip() and not is_told:
            notes.append(f"{keyword} left out: it is nothing that CUBE takes")
    return {
        "PatientSex": sex if sex in _SEXES else "",
        **({} if birth is None else {"PatientBirthDate": birth}),
        **({} if age is None else {"PatientAge": age}),
    }


def _text(value: str) -> str:
    """A text as CUBE's database takes it: no NUL, no lone surrogate, no space around it."""
    return value.encode("utf-8", "replace").decode().replace("\0", "").strip()


def check_pacs_name(name: str) -> None:
    """See whether CUBE takes a name for a PACS.

    Raises
    ------
    InvalidValue
    """
    cure = (
        f"Choose another one with --swiftServicesPACS, for px-push too: 1 to {LONGEST_NAME} characters"
        " without / and comma."
    )
    if not name.strip():
        raise InvalidValue("The name of the PACS is empty", cure)
    if len(name) > LONGEST_NAME:
        raise InvalidValue(f"The name of the PACS {name!r} has more than {LONGEST_NAME} characters", cure)
    for sign, what in (("/", "a slash"), (",", "a comma")):
        if sign in name:
            raise InvalidValue(f"The name of the PACS {name!r} holds {what}", cure)
    if name != name.strip() or not name.isprintable() or name in (".", ".."):
        raise InvalidValue(f"{name!r} cannot be the name of a PACS", cure)


def pacs_name_of(path: str) -> str:
    """The name of the PACS in an object's path.

    Raises
    ------
    InvalidValue
        When the path is not below SERVICES/PACS/, or CUBE does not take the name.
    """
    parts = path.split("/")
    if "/".join(parts[:2]) != SERVICES or len(parts) < 4 or not all(parts):
        raise InvalidValue(
            f"{path!r} is not where CUBE has images of a PACS",
            f"They are below {SERVICES}/<name of the PACS>/; px-push puts them there.",
        )
    check_pacs_name(parts[2])
    return parts[2]


def check_path(path: str, longest: int) -> None:
    """See whether CUBE takes a path below SERVICES/PACS/.

    Parameters
    ----------
    path : str
        Of a series' folder or of a file, whichever is registered.
    longest : int
        Characters that CUBE takes.

    Raises
    ------
    InvalidValue
    """
    cure = "Choose other naming templates for px-push, and push it again."
    if "," in path:
        raise InvalidValue(f"{path!r} holds a comma", cure)
    if len(path) > longest:
        raise InvalidValue(f"A path in storage has more than {longest} characters: {path!r}", cure)
    # CUBE takes spaces and slashes off both ends.
    if path != path.strip(" /") or not path.isprintable():
        raise InvalidValue(f"{path!r} begins or ends with a space, or holds control characters", cure)
