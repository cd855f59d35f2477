"""The options that say what to look for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import click

#: The comma of a tag does not end it.
_TAG_OR_WORD = re.compile(r"\s*\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?\s*(?=,|$)|[^,]+")

#: Query option to what its help says; the option's name is the attribute's keyword.
QUERY_OPTIONS: Mapping[str, str] = {
    "PatientID": "Patient ID; * and ? match as in DICOM.",
    "PatientName": "Patient name, as Family^Given; * and ? match.",
    "PatientBirthDate": "Date or range of dates.",
    "PatientSex": "M, F or O.",
    "AccessionNumber": "Accession number.",
    "StudyDate": "YYYYMMDD, YYYY-MM-DD, a range 20200101-20201231, today, yesterday, last-7-days.",
    "StudyDescription": "Description of the study.",
    "StudyInstanceUID": "UID of the study; several with commas between.",
    "ModalitiesInStudy": "A modality that the study has a series of.",
    "SeriesInstanceUID": "UID of the series; several with commas between.",
    "SeriesDescription": "Description of the series.",
    "Modality": "Modality of the series: CT, MR, …",
    "PerformedStationAETitle": "AE title of the station that made the series.",
    "ProtocolName": "Protocol of the series.",
    "AcquisitionProtocolName": "Acquisition protocol of the series.",
    "AcquisitionProtocolDescription": "Description of the acquisition protocol.",
}

_NAMING_A_PATIENT = ("PatientID", "PatientName")

#: What ``--query`` looks for in the patient (group 0010), by keyword or tag.
_OF_PATIENT = re.compile(r"\s*(?:Other|Patient|\(?0010,?)", re.IGNORECASE)


def query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One option for each of QUERY_OPTIONS."""
    for name in reversed(list(QUERY_OPTIONS)):
        command = click.option(f"--{name}", name, metavar="VALUE", help=QUERY_OPTIONS[name])(command)
    return click.option(
        "--query",
        "query",
        multiple=True,
        metavar="KEYWORD=VALUE",
        help="Any other attribute, by keyword or gggg,eeee. May be given several times.",
    )(command)


def matching_of(options: Mapping[str, Any]) -> dict[str, str]:
    """What the options look for: keyword to value, checked.

    Raises
    ------
    InvalidValue, UnknownAttribute
    """
    from datetime import date

    from pypx.dicom.attributes import attribute
    from pypx.dicom.matching import matching_value
    from pypx.errors import InvalidValue

    given = [(name, str(options[name])) for name in QUERY_OPTIONS if options.get(name) not in (None, "")]
    for text in options.get("query") or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidValue(
                f"--query {text!r} is not KEYWORD=VALUE", "Write it as --query BodyPartExamined=HEAD."
            )
        given.append((attribute(name.strip()).keyword, value))
    today = date.today()
    matching: dict[str, str] = {}
    for name, value in given:
        wanted = matching_value(name, value, today)
        if matching.setdefault(name, wanted) != wanted:
            raise InvalidValue(f"{name} is given two different values to look for", "Give one of them.")
    return matching


def patients_named(options: Mapping[str, Any]) -> list[str]:
    """The names and the IDs of patients among the values that the options look for."""
    queried = (str(text).partition("=") for text in options.get("query") or ())
    return [
        *(str(options[name]) for name in _NAMING_A_PATIENT if options.get(name)),
        *(value for name, _, value in queried if _OF_PATIENT.match(name)),
    ]


def returning_of(options: Mapping[str, Any]) -> list[str]:
    """The keywords that ``--QueryReturnTags A,B`` asks for; a tag gggg,eeee may stand among them.

    Raises
    ------
    InvalidValue, UnknownAttribute
    """
    from pypx.dicom.matching import returned_attribute

    names = _TAG_OR_WORD.findall(options.get("QueryReturnTags") or "")
    return [returned_attribute(name.strip()).keyword for name in names if name.strip()]
