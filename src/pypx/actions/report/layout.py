"""Which attributes a report shows, and where."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pypx.actions.report.outcomes import SERIES_STATUS, STATUS, VERDICTS
from pypx.actions.report.studies import PACS, Reported
from pypx.errors import UnknownAttribute, UsageError

_log = logging.getLogger("pypx.report")

#: Shown of each study unless other attributes are asked for.
STUDY_TAGS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientAge",
    "PatientSex",
    "StudyDate",
    "StudyDescription",
    "AccessionNumber",
    "ModalitiesInStudy",
    "StudyInstanceUID",
)

#: Shown of each series unless other attributes are asked for.
SERIES_TAGS = (
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "NumberOfSeriesRelatedInstances",
    "SeriesInstanceUID",
)

#: Made by the report itself where the PACS does not return them, and what of.
_COMPUTED = {"PatientAge": {"PatientBirthDate", "StudyDate"}, "ModalitiesInStudy": {"Modality"}}

_OURS = frozenset({PACS, SERIES_STATUS, *STATUS, *VERDICTS})

_NUMBER = re.compile(r"\(?([0-9A-Fa-f]{4},[0-9A-Fa-f]{4})\)?")
_LISTED = re.compile(rf"\s*({_NUMBER.pattern}|[^,]*?)\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked to see, as it was written; empty means the default.

    Parameters
    ----------
    study, header_series, series : tuple of str
        Keywords or tags: of the study in its header, of its series in its header, of each series.
    status_column : bool
        Whether each series ends with its status in one cell.
    """

    study: tuple[str, ...] = ()
    header_series: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    status_column: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """The attributes of a report, by keyword.

    Parameters
    ----------
    study : tuple of str
        Of the study, in its header.
    header_series : tuple of str
        Of the series, in the study's header: each value that occurs among them.
    series : tuple of str
        Of each series, in its row.
    optional : frozenset of str
        Those that nobody asked for by name: a report for eyes leaves them out where they do not fit.
    absent : frozenset of str
        Those that nobody returned.
    """

    study: tuple[str, ...] = STUDY_TAGS
    header_series: tuple[str, ...] = ()
    series: tuple[str, ...] = SERIES_TAGS
    optional: frozenset[str] = field(default_factory=frozenset)
    absent: frozenset[str] = field(default_factory=frozenset)

    def shown(self, tags: Iterable[str]) -> tuple[str, ...]:
        """These tags without those that nobody asked for and nobody returned."""
        return tuple(tag for tag in tags if not (tag in self.optional and tag in self.absent))


def tag_list(text: str) -> tuple[str, ...]:
    """Split "PatientID,0010,0010" into keywords and tags, though a tag has a comma of its own."""
    return tuple(match[1] for match in _LISTED.finditer(text) if match[1])


def from_json(text: str) -> Asked:
    """Read a layout: {"header": {"study": [tags], "series": [tags]}, "body": {"series": [tags]}}.

    Raises
    ------
    UsageError
        When it is something else.
    """
    try:
        layout = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"The layout is not JSON ({error})", _LAYOUT_CURE) from error
    if not isinstance(layout, dict):
        raise UsageError("The layout is not a JSON object", _LAYOUT_CURE)
    header, body = _part(layout, "header", {"study", "series"}), _part(layout, "body", {"series"})
    if unknown := sorted(set(layout) - {"header", "body"}):
        raise UsageError(f"The layout has no part {unknown[0]!r}", _LAYOUT_CURE)
    return Asked(header.get("study", ()), header.get("series", ()), body.get("series", ()))


_LAYOUT_CURE = (
    'Write it as {"header": {"study": ["PatientName"], "series": []}, "body": {"series": ["Modality"]}}.'
)


def _part(layout: Mapping[str, object], name: str, levels: Collection[str]) -> dict[str, tuple[str, ...]]:
    part = layout.get(name, {})
    if not isinstance(part, dict):
        raise UsageError(f"The layout's {name!r} is not a JSON object", _LAYOUT_CURE)
    tags: dict[str, tuple[str, ...]] = {}
    for level, listed in part.items():
        if level not in levels:
            raise UsageError(f"The layout's {name!r} has no level {level!r}", _LAYOUT_CURE)
        if not isinstance(listed, list) or not all(isinstance(tag, str) for tag in listed):
            raise UsageError(f"The layout's {name}.{level} is not a list of keywords or tags", _LAYOUT_CURE)
        tags[level] = tuple(listed)
    return tags


def for_report(asked: Asked, reported: Reported) -> Layout:
    """The layout of this report: what was asked for, and the default for what was not.

    What was asked for and nobody returned is shown empty, and said once.

    Raises
    ------
    UnknownAttribute
        When a name is no keyword, no tag, and nothing that the documents hold.
    """
    returned = reported.names()
    several_pacs = (PACS,) if PACS in returned else ()
    study = _keywords(asked.study, reported, returned) or (*STUDY_TAGS, *several_pacs)
    header_series = _keywords(asked.header_series, reported, returned)
    series = _keywords(asked.series, reported, returned) or _default_series(returned, asked.status_column)
    if asked.status_column and SERIES_STATUS not in series:
        series = (*series, SERIES_STATUS)
    by_name = set(header_series)
    by_name.update(study if asked.study else ())
    by_name.update(series if asked.series else ())
    by_name.update({SERIES_STATUS} if asked.status_column else ())
    absent = frozenset({*study, *header_series, *series} - returned - _computable(returned))
    if missing := sorted(absent & by_name):
        what = "it is" if len(missing) == 1 else "they are"
        _log.warning("Nobody returned %s: %s shown empty.", ", ".join(missing), what)
    optional = frozenset({*study, *series} - by_name)
    return Layout(study, header_series, series, optional, absent)


def _computable(returned: frozenset[str]) -> set[str]:
    computable = {tag for tag, sources in _COMPUTED.items() if sources <= returned}
    return computable | ({SERIES_STATUS} if returned.intersection(STATUS) else set())


def _default_series(returned: frozenset[str], status_column: bool) -> tuple[str, ...]:
    done = tuple(name for name in (*VERDICTS, *STATUS) if name in returned)
    if status_column:
        done = tuple(name for name in done if name not in STATUS)
    *described, uid = SERIES_TAGS
    return (*described, *done, uid)


def _keywords(names: Iterable[str], reported: Reported, returned: frozenset[str]) -> tuple[str, ...]:
    # A dictionary rather than a set: it keeps the order in which they were asked for.
    return tuple({_keyword(name.strip(), reported, returned): None for name in names if name.strip()})


def _keyword(name: str, reported: Reported, returned: frozenset[str]) -> str:
    if name in returned or name in _OURS:
        return name
    from pypx.dicom.attributes import attribute

    try:
        known = attribute(name)
    except UnknownAttribute as error:
        message = f"The report is to show {name!r}, which is not a DICOM keyword"
        raise UnknownAttribute(message, error.hint) from error
    for keyword, number in reported.tags.items():
        if number.upper() == known.number:
            return keyword
    return known.keyword
