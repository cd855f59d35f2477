"""What was done with a series, as px-status, px-move and the ``then`` of a find tell it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from pypx.actions.found import Found
from pypx.errors import InvalidInput

#: Counts that px-status and px-move give of each series, in the order in which things happen.
COUNTS = ("expected", "requested", "received", "held", "packed", "pushed", "registered")

#: All that they say of each series.
STATUS = (*COUNTS, "state", "error")

#: Verbs of ``then`` whose verdict is shown; "status" is there as :data:`STATUS`.
VERDICTS = ("retrieve", "push", "register")

#: The column of ``--seriesSpecial seriesStatus``: the whole status in one cell.
SERIES_STATUS = "seriesStatus"


@dataclass(frozen=True, slots=True)
class SeriesOutcome:
    """What is said of one series, name to text."""

    study_uid: str
    series_uid: str
    values: dict[str, str]


def has_rows(document: object) -> TypeGuard[dict[str, Any]]:
    """Whether this is JSON of px-status or px-move: its series are plain values, not members with tags."""
    if not isinstance(document, dict):
        return False
    data = document.get("data")
    return isinstance(data, list) and bool(data) and _is_row(data[0])


def _is_row(row: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(row, dict) and isinstance(row.get("SeriesInstanceUID"), str)


def of_rows(document: dict[str, Any]) -> Iterator[SeriesOutcome]:
    """Each series of a document that has rows.

    Raises
    ------
    InvalidInput
        When one of them is something else.
    """
    for row in document["data"]:
        if not _is_row(row):
            raise InvalidInput('A member of "data" is not a series as px-status and px-move write it')
        values = {name: _text(value) for name, value in row.items()}
        yield SeriesOutcome(values.get("StudyInstanceUID", ""), row["SeriesInstanceUID"], values)


def verb_of(document: dict[str, Any]) -> str:
    """The verb of ``then`` that tells the same as a document that has rows."""
    return "retrieve" if "held" in document["data"][0] else "status"


def of_then(document: object, found: Found) -> Iterator[SeriesOutcome]:
    """What the verbs of ``then`` did with each series of this find.

    Raises
    ------
    InvalidInput
        When the part is not as px-find and px-do write it.
    """
    then = document.get("then") if isinstance(document, dict) else None
    if then is None:
        return
    if not isinstance(then, dict):
        raise InvalidInput('"then" is not as px-find writes it')
    for step, told in then.items():
        verb = step.partition("-")[2]
        if verb == "status" or verb in VERDICTS:
            yield from _of_verb(verb, told, found)


def _of_verb(verb: str, told: object, found: Found) -> Iterator[SeriesOutcome]:
    studies = told.get("study") if isinstance(told, dict) else None
    if not isinstance(studies, list) or not all(isinstance(study, dict) for study in studies):
        raise InvalidInput(f'"then" does not tell of {verb} as px-find writes it')
    series_of = {study.uid: [series.uid for series in study.series] for study in found.studies}
    for study in studies:
        for study_uid, results in study.items():
            if not isinstance(results, list):
                raise InvalidInput(f'"then" does not tell of {verb} as px-find writes it')
            # Results stand in the order of the series; one that names its series is taken at its word.
            for series_uid, result in zip(series_of.get(study_uid, []), results, strict=False):
                if isinstance(result, dict):
                    named = result.get("SeriesInstanceUID")
                    uid = named if isinstance(named, str) and named else series_uid
                    yield SeriesOutcome(study_uid, uid, _values(verb, result))


def _values(verb: str, result: dict[str, Any]) -> dict[str, str]:
    if verb == "status":
        return {name: _text(result[name]) for name in STATUS if name in result}
    words = (_text(result.get("state", result.get("status"))), _text(result.get("error")))
    return {verb: ": ".join(word for word in words if word)}


def _text(value: object) -> str:
    """A value for one cell; of an error, what happened."""
    if isinstance(value, dict):
        value = value.get("message")
    return "" if value is None or isinstance(value, dict | list) else str(value)
