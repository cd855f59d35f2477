"""What a find found, and its JSON: the document that the tools of the suite hand to each other.

The shape of the JSON is a contract (see the manual's page on it): keys may be added, none taken away.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pypx.dicom.numbers import whole_number
from pypx.dicom.uid import is_uid
from pypx.errors import InvalidInput, PypxError

#: Members of a study or series that are not attributes of the PACS's answer.
_NOT_ATTRIBUTES = frozenset({"uid", "series", "label", "command", "status"})

#: Stands for a study's UID in the command line that asks for its series.
ANY_STUDY = "STUDY_INSTANCE_UID"

#: What may stand between two documents.
_SPACE = " \t\r\n\ufeff"


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """One series as the PACS described it: keyword to text."""

    values: Mapping[str, str]

    @property
    def study_uid(self) -> str:
        return self.values.get("StudyInstanceUID", "")

    @property
    def uid(self) -> str:
        return self.values.get("SeriesInstanceUID", "")

    @property
    def instances(self) -> int | None:
        """How many instances the PACS says it has; None where it does not say."""
        return whole_number(self.values.get("NumberOfSeriesRelatedInstances", ""))


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """One study as the PACS described it, and its series."""

    values: Mapping[str, str]
    series: tuple[FoundSeries, ...] = ()

    @property
    def uid(self) -> str:
        return self.values.get("StudyInstanceUID", "")

    @property
    def patient_id(self) -> str:
        return self.values.get("PatientID", "")

    @property
    def instances(self) -> int | None:
        """How many instances the PACS says it has; None where it does not say."""
        return whole_number(self.values.get("NumberOfStudyRelatedInstances", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one find.

    Parameters
    ----------
    studies : tuple of FoundStudy
        In the order in which the PACS sent them.
    tags : mapping of str to str
        Keyword to tag, as "0010,0020".
    arguments : mapping of str to object
        The options that the find was called with, names without dashes; no secret among them.
    command : str
        DCMTK's command line, quoted as a shell would need it.
    series_command : str
        The same for the series of the study :data:`ANY_STUDY`.
    returncode : int
        Of the DCMTK program.
    notes : tuple of str
        What a reader should know: answers left out, results that seem capped.
    then : mapping
        What verbs did with it, as JSON; empty where none were asked for.
    error : PypxError or None
        Why it, or a verb, failed, if one did.
    """

    studies: tuple[FoundStudy, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    series_command: str = ""
    returncode: int = 0
    notes: tuple[str, ...] = ()
    then: Mapping[str, Any] = field(default_factory=dict)
    error: PypxError | None = None

    def to_json(self) -> dict[str, Any]:
        """The find's JSON document."""
        return to_json(self)

    @property
    def series(self) -> tuple[FoundSeries, ...]:
        return tuple(series for study in self.studies for series in study.series)

    @property
    def studies_alone(self) -> tuple[str, ...]:
        """Studies of which the series were not asked for: all of each is meant.

        A study may have no series for another reason, such as a filter between two tools; of that one
        nothing is meant.
        """
        if not self.arguments.get("StudyOnly"):
            return ()
        return tuple(study.uid for study in self.studies if not study.series)


def to_json(found: Found) -> dict[str, Any]:
    """The find's JSON document."""
    studies = [_study_json(found, index, study) for index, study in enumerate(found.studies)]
    return {**_head(found), "data": studies, **_tail(found)}


def json_pieces(found: Found, indent: int | None = None) -> Iterator[str]:
    """The text of :func:`to_json`, a study at a time: memory does not grow with a second form of all of it.

    Parameters
    ----------
    found : Found
    indent : int or None
        Spaces a level; None for all on one line.
    """
    line, margin = ("\n", " " * indent) if indent else ("", "")
    separator = "," + (line or " ")
    yield "{" + line
    for name, value in _head(found).items():
        yield f"{margin}{_member_text(name, value, indent)}{separator}"
    yield f'{margin}"data": ['
    for index, study in enumerate(found.studies):
        text = json.dumps(_study_json(found, index, study), ensure_ascii=False, indent=indent)
        yield (separator if index else line) + _indented(text, 2 * margin)
    yield (line + margin if found.studies else "") + "]"
    for name, value in _tail(found).items():
        yield f"{separator}{margin}{_member_text(name, value, indent)}"
    yield f"{line}}}"


def _member_text(name: str, value: object, indent: int | None) -> str:
    text = json.dumps({name: value}, ensure_ascii=False, indent=indent)
    return text[1:-1].strip()


def _indented(text: str, margin: str) -> str:
    # Not textwrap.indent: it takes letters for line breaks that stand within values.
    return margin + text.replace("\n", f"\n{margin}") if margin else text


def _head(found: Found) -> dict[str, Any]:
    return {
        "status": "error" if found.error else "success",
        "command": found.command,
        "returncode": found.returncode,
        "args": dict(found.arguments),
    }


def _tail(found: Found) -> dict[str, Any]:
    tail: dict[str, Any] = {"notes": list(found.notes)} if found.notes else {}
    if found.then:
        tail["then"] = dict(found.then)
    return {**tail, "error": found.error.to_json()} if found.error else tail


def _study_json(found: Found, index: int, study: FoundStudy) -> dict[str, Any]:
    return {
        "uid": _member(0, index, "uid"),
        **_attributes_json(found, study.values),
        "series": [_series_json(found, place, series) for place, series in enumerate(study.series)],
    }


def _series_json(found: Found, index: int, series: FoundSeries) -> dict[str, Any]:
    return {
        "uid": _member(0, index, "uid"),
        **_attributes_json(found, series.values),
        "label": _member(0, "SERIES", "RetrieveLevel"),
        "command": _member(0, _command_for(found, series), "command"),
        "status": _member(0, "success", "status"),
    }


def _command_for(found: Found, series: FoundSeries) -> str:
    # What is no UID could be anything in a shell.
    return found.series_command.replace(ANY_STUDY, series.study_uid) if is_uid(series.study_uid) else ""


def _attributes_json(found: Found, values: Mapping[str, str]) -> dict[str, Any]:
    return {keyword: _member(found.tags.get(keyword, ""), text, keyword) for keyword, text in values.items()}


def _member(tag: str | int, value: str | int, label: str) -> dict[str, str | int]:
    return {"tag": tag, "value": value, "label": label}


def from_json(document: object) -> Found:
    """Read a find's JSON document.

    Raises
    ------
    InvalidInput
        When it is not one, or is one of a find that failed.
    """
    if not isinstance(document, dict) or "status" not in document:
        raise InvalidInput("This is JSON, but not that of px-find")
    # A tool that failed early has no data to write. Verbs are begun once all is found: where one failed, the
    # find did not.
    if document["status"] == "error" and "then" not in document:
        told = document.get("error")
        message = told.get("message") if isinstance(told, dict) else None
        raise InvalidInput(
            f"The px-find before this failed ({message or 'it did not say why'})",
            "Run the px-find by itself until it succeeds.",
        )
    if not isinstance(document.get("data"), list):
        raise InvalidInput("This is JSON, but not that of px-find")
    tags: dict[str, str] = {}
    studies = tuple(_study_from_json(study, tags) for study in document["data"])
    arguments = document.get("args")
    return Found(
        studies=studies,
        tags=tags,
        arguments=arguments if isinstance(arguments, dict) else {},
        command=str(document.get("command", "")),
    )


def _study_from_json(study: object, tags: dict[str, str]) -> FoundStudy:
    if not isinstance(study, dict) or not isinstance(study.get("series", []), list):
        raise InvalidInput('A member of "data" is not a study as px-find writes it')
    values = _values_from_json(study, tags)
    series = tuple(FoundSeries(_values_from_json(one, tags)) for one in study.get("series", []))
    return FoundStudy(values, series)


def _values_from_json(members: object, tags: dict[str, str]) -> dict[str, str]:
    if not isinstance(members, dict):
        raise InvalidInput('A member of "series" is not a series as px-find writes it')
    values: dict[str, str] = {}
    for keyword, member in members.items():
        if keyword in _NOT_ATTRIBUTES:
            continue
        if not isinstance(member, dict) or "value" not in member:
            raise InvalidInput(f"The member {keyword!r} has no value as px-find writes it")
        values[keyword] = _text_from_json(keyword, member["value"])
        tags.setdefault(keyword, str(member.get("tag", "")))
    return values


def _text_from_json(keyword: str, value: object) -> str:
    if isinstance(value, (list, dict)):
        raise InvalidInput(f"The value of {keyword!r} is no text as px-find writes it")
    return "" if value is None else str(value)


def read_documents(text: str) -> Iterator[object]:
    """Every JSON document of a text that holds one or several, one after another.

    Raises
    ------
    InvalidInput
        When it is empty or not JSON.
    """
    decoder = json.JSONDecoder()
    position = _skip_space(text, 0)
    if position == len(text):
        raise InvalidInput("The input is empty")
    while position < len(text):
        try:
            document, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"The input is not JSON ({error})") from error
        yield document
        position = _skip_space(text, position)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def read_stream(lines: Iterable[str]) -> Iterator[object]:
    """Every JSON document of a stream, each as soon as it is whole.

    Parameters
    ----------
    lines : iterable of str
        Such as standard input; no more than one document and one line is held.

    Raises
    ------
    InvalidInput
        When it is empty or not JSON.
    """
    held: list[str] = []
    size = next_try = 0
    nothing_yet = True
    try:
        for line in lines:
            if not held and not line.strip(_SPACE):
                continue
            held.append(line)
            size += len(line)
            # What is printed over several lines ends with a brace at the left edge; the doubling keeps a text
            # in which that is often so from being read over and over.
            if size < next_try or not (line.startswith("}") or (len(held) == 1 and line.startswith("{"))):
                continue
            try:
                documents = list(read_documents("".join(held)))
            except InvalidInput:
                next_try = 2 * size
                continue
            yield from documents
            held, size, next_try, nothing_yet = [], 0, 0, False
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The input is not UTF-8 text ({error.reason} at byte {error.start})") from error
    rest = "".join(held)
    if nothing_yet or rest.strip(_SPACE):
        yield from read_documents(rest)
