"""What CUBE demands of a registration, in both generations of its API."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, TypeAlias

#: What of an object storage starts with a text, or of a directory lies below it.
Names: TypeAlias = Callable[[str], list[str]]


class Interface(enum.Enum):
    """The generation of the API: what is posted, once a series or once a file."""

    SERIES = "pacsseries"
    FILE = "pacsfiles"


class Refused(Exception):
    """A request that is answered with 400: what is wrong, by the field that it is wrong with."""

    def __init__(self, faults: Mapping[str, list[str]]) -> None:
        super().__init__(json.dumps(faults))
        self.faults = faults

    @classmethod
    def whole(cls, fault: str) -> Refused:
        """One that is about no field in particular."""
        return cls({"non_field_errors": [fault]})


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: Literal["text", "date", "number"] = "text"
    longest: int = 0
    is_required: bool = False
    choices: tuple[str, ...] = ()


_ATTRIBUTES = {
    "PatientID": _Rule(longest=100, is_required=True),
    "PatientName": _Rule(longest=150),
    "PatientBirthDate": _Rule("date"),
    "PatientAge": _Rule("number"),
    "PatientSex": _Rule(choices=("M", "F", "O")),
    "StudyDate": _Rule("date", is_required=True),
    "AccessionNumber": _Rule(longest=100),
    "Modality": _Rule(longest=15),
    "ProtocolName": _Rule(longest=64),
    "StudyInstanceUID": _Rule(longest=100, is_required=True),
    "StudyDescription": _Rule(longest=400),
    "SeriesInstanceUID": _Rule(longest=100, is_required=True),
    "SeriesDescription": _Rule(longest=400),
    "pacs_name": _Rule(longest=20, is_required=True),
}

_FIELDS = {
    Interface.SERIES: {
        **_ATTRIBUTES,
        "path": _Rule(longest=1024, is_required=True),
        "ndicom": _Rule("number", is_required=True),
    },
    Interface.FILE: {**_ATTRIBUTES, "path": _Rule(longest=512, is_required=True)},
}


def checked(interface: Interface, said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a request, each as it is kept.

    Raises
    ------
    Refused
        When one is missing or cannot be what it is for.
    """
    faults: dict[str, list[str]] = {}
    kept: dict[str, Any] = {}
    for name, rule in _FIELDS[interface].items():
        try:
            kept[name] = _value(rule, said[name]) if name in said else _absent(rule)
        except ValueError as error:
            faults[name] = [str(error)]
    if faults:
        raise Refused(faults)
    kept["path"] = kept["path"].strip("/ ")
    for name in ("path", "pacs_name"):
        if "," in kept[name] or (name == "pacs_name" and "/" in kept[name]):
            raise Refused({name: ["It holds a comma or a slash."]})
    if interface is Interface.SERIES and kept["ndicom"] < 1:
        raise Refused({"ndicom": ["It is not positive."]})
    if not kept["path"].startswith(f"SERVICES/PACS/{kept['pacs_name']}/"):
        raise Refused.whole(f"The path does not start with SERVICES/PACS/{kept['pacs_name']}/.")
    return kept


def _absent(rule: _Rule) -> str | None:
    if rule.is_required:
        raise ValueError("It is required.")
    return "" if rule.kind == "text" else None


def _value(rule: _Rule, value: object) -> str | int | None:
    if value is None:
        if rule.kind == "text" or rule.is_required:
            raise ValueError("It may not be null.")
        return None
    if rule.kind == "date":
        return _date(value)
    return _number(value) if rule.kind == "number" else _text(rule, value)


def _date(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError("It is not a date, YYYY-MM-DD.")
    return date.fromisoformat(value).isoformat()


def _number(value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}", str(value)):
        raise ValueError("It is not a whole number.")
    return int(str(value))


def _text(rule: _Rule, value: object) -> str:
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    text = str(value).strip() if is_text else "\0"
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("It holds what a database does not take.")
    if rule.is_required and not text:
        raise ValueError("It may not be blank.")
    if rule.longest and len(text) > rule.longest:
        raise ValueError(f"It has more than {rule.longest} characters.")
    if rule.choices and text and text not in rule.choices:
        raise ValueError(f"It is not one of {', '.join(rule.choices)}.")
    return text
