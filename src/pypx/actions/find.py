"""Ask a PACS what it has: studies, then the series of each (C-FIND, PS3.4, C.4.1)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.dcmtk import dimse, findscu
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Processes
from pypx.dicom.attributes import attribute
from pypx.dicom.node import Node
from pypx.dicom.query import SERIES_KEYWORDS, STUDY_KEYWORDS, Level, Query, belongs_to_study
from pypx.dicom.uid import is_uid
from pypx.errors import RequestFailed

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class FindRequest:
    """What to look for, and where.

    Parameters
    ----------
    node : Node
        The PACS.
    matching : mapping of str to str
        Keyword (or gggg,eeee) to the value that answers must match, as of
        :func:`pypx.dicom.matching.matching_value`.
    returning : sequence of str
        Keywords to ask for beside the usual ones.
    study_only : bool
        Leave the series level out.
    timeout : float
        Seconds of silence after which the PACS is taken as hung.
    binaries : Binaries
    arguments : mapping of str to object
        The options as given, for the result's ``args``; no secret among them.
    """

    node: Node
    matching: Mapping[str, str]
    returning: Sequence[str] = ()
    study_only: bool = False
    timeout: float = DEFAULT_TIMEOUT
    binaries: Binaries = field(default_factory=Binaries)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def study_query(self) -> Query:
        """The query at study level: the study's and patient's part of what is looked for."""
        matching = {name: value for name, value in self.matching.items() if belongs_to_study(attribute(name))}
        extra = (name for name in self.returning if belongs_to_study(attribute(name)))
        return Query(Level.STUDY, matching, _distinct(STUDY_KEYWORDS, extra, matching))

    def series_query(self, study_uid: str) -> Query:
        """The query for the series of one study that fit what is looked for."""
        wanted = self.series_matching()
        extra = (name for name in self.returning if not belongs_to_study(attribute(name)))
        return Query(
            Level.SERIES, {"StudyInstanceUID": study_uid, **wanted}, _distinct(SERIES_KEYWORDS, extra, wanted)
        )

    def series_matching(self) -> dict[str, str]:
        """The series' part of what is looked for."""
        return {name: value for name, value in self.matching.items() if not belongs_to_study(attribute(name))}


def _distinct(*names: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in names for name in group))


def find(
    request: FindRequest, progress: Progress = ignore_progress, processes: Processes | None = None
) -> Found:
    """Find studies and their series.

    Two associations: one for the study level, one for the series queries of all studies.

    Parameters
    ----------
    request : FindRequest
    progress : callable
        Told of studies found, and of studies whose series are known.
    processes : Processes, optional
        To run in, where somebody else ends what runs.

    Returns
    -------
    Found
        No match is a success with no studies.

    Raises
    ------
    PypxError
        When the PACS could not be asked, or did not answer every query to its end.
    """
    with processes or Processes() as running:
        request = _with_study_uids(request, running)
        studies, command, notes = _studies(request, running, progress)
        asked = request.study_query()
        filled = [_filled(study, asked) for study in studies]
        if request.study_only:
            return Found(
                tuple(FoundStudy(values) for values in filled),
                _tags(filled),
                request.arguments,
                command,
                notes=tuple(notes),
            )
        series_by_study, series_command = _series(
            request, [v["StudyInstanceUID"] for v in filled], running, progress
        )
    with_series = tuple(
        FoundStudy(values, series_by_study.get(values["StudyInstanceUID"], ())) for values in filled
    )
    if request.series_matching():
        with_series = tuple(study for study in with_series if study.series)
    return Found(
        with_series,
        _tags([*filled, *(series.values for study in with_series for series in study.series)]),
        request.arguments,
        command,
        series_command,
        notes=tuple(notes),
    )


def _with_study_uids(request: FindRequest, processes: Processes) -> FindRequest:
    """Name the studies, where only series are named by their UIDs.

    The study level knows nothing of series: without this, it would be asked for all that the PACS has. A
    series level query without its study is a relational one (PS3.4, C.4.1.2.2.1), which not every PACS takes.
    """
    uids = request.matching.get("SeriesInstanceUID", "")
    if not uids or any(belongs_to_study(attribute(name)) for name in request.matching):
        return request
    queries = [
        Query(Level.SERIES, {"SeriesInstanceUID": uid}, ("StudyInstanceUID",)) for uid in uids.split("\\")
    ]
    studies: dict[str, None] = {}

    def take(answer: findscu.Answer) -> None:
        same = answer.values.get("SeriesInstanceUID") == queries[answer.query].matching["SeriesInstanceUID"]
        if same and is_uid(answer.values.get("StudyInstanceUID", "")):
            studies[answer.values["StudyInstanceUID"]] = None

    outcome = findscu.find(processes, request.binaries, request.node, queries, request.timeout, take)
    if not studies and not all(final.is_success for final in outcome.finals):
        raise RequestFailed(
            f"{request.node} does not look up a series by its UID alone",
            "Give --StudyInstanceUID or --PatientID besides.",
        )
    return replace(request, matching={**request.matching, "StudyInstanceUID": "\\".join(studies) or uids})


def _studies(
    request: FindRequest, processes: Processes, progress: Progress
) -> tuple[list[dict[str, str]], str, list[str]]:
    query = request.study_query()
    binary = request.binaries.path("findscu")
    studies: dict[str, dict[str, str]] = {}
    without_uid = 0

    def take(answer: findscu.Answer) -> None:
        nonlocal without_uid
        uid = answer.values.get("StudyInstanceUID", "")
        if is_uid(uid):
            studies.setdefault(uid, dict(answer.values))
        else:
            without_uid += 1
        progress(Step("Studies found", len(studies), None))

    outcome = findscu.find(processes, request.binaries, request.node, [query], request.timeout, take)
    _raise_for(request.node, outcome, "study query")
    notes = []
    if without_uid:
        notes.append(
            f"{without_uid} studies were left out: the PACS gave no valid StudyInstanceUID for them."
        )
        logger.warning("%s", notes[-1])
    return list(studies.values()), findscu.typed(binary, request.node, query), notes


def _series(
    request: FindRequest, study_uids: Sequence[str], processes: Processes, progress: Progress
) -> tuple[Mapping[str, tuple[FoundSeries, ...]], str]:
    queries = [request.series_query(uid) for uid in study_uids]
    if not queries:
        return {}, ""
    found: dict[str, dict[str, FoundSeries]] = defaultdict(dict)

    def take(answer: findscu.Answer) -> None:
        study = study_uids[answer.query]
        values = _filled(answer.values, queries[answer.query]) | {"StudyInstanceUID": study}
        series = FoundSeries(values)
        if is_uid(series.uid):
            found[study].setdefault(series.uid, series)
        progress(Step("Studies answered", answer.query, len(study_uids)))

    outcome = findscu.find(processes, request.binaries, request.node, queries, request.timeout, take)
    _raise_for(request.node, outcome, "series query")
    progress(Step("Studies answered", len(study_uids), len(study_uids)))
    by_study = {study: tuple(series.values()) for study, series in found.items()}
    return by_study, findscu.typed(request.binaries.path("findscu"), request.node, queries[0])


def _filled(values: Mapping[str, str], query: Query) -> dict[str, str]:
    """The answer with all that was asked for, in that order; what the PACS did not return is empty."""
    return {name: values.get(name, "") for name in query.returning} | {
        name: value for name, value in values.items() if name not in query.returning
    }


def _tags(answers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: attribute(name).number for values in answers for name in values}


def _raise_for(node: Node, outcome: findscu.Outcome, what: str) -> None:
    for final in outcome.finals:
        if not final.is_success:
            raise dimse.request_failed(node, what, final)
    if outcome.unreadable:
        raise RequestFailed(
            f"{outcome.unreadable} answers of {node} to the {what} could not be read",
            "Run again with --verbosity 3; the PACS sends data sets that DCMTK cannot write.",
        )
