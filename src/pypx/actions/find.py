"""Ask a PACS what it has: studies, then the series of each (C-FIND, PS3.4, C.4.1)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pypx.actions import answers
from pypx.actions.answers import Values
from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.actions.parallel import side_by_side
from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.dcmtk import dimse, findscu
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Processes
from pypx.dicom.attributes import attribute
from pypx.dicom.node import Node
from pypx.dicom.query import SERIES_KEYWORDS, STUDY_KEYWORDS, Level, Query, belongs_to_study
from pypx.dicom.status import CANCELLED, Status
from pypx.dicom.uid import is_uid
from pypx.errors import PypxError, RequestFailed, ResultsCapped

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 120.0

#: Studies for which one more association pays.
_STUDIES_A_JOB = 10


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
    limit : int or None
        Stop after so many studies.
    jobs : int
        Associations side by side for the series of many studies.
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
    limit: int | None = None
    jobs: int = 2
    timeout: float = DEFAULT_TIMEOUT
    binaries: Binaries = field(default_factory=Binaries)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def study_matching(self) -> dict[str, str]:
        """The study's and patient's part of what is looked for."""
        return {name: value for name, value in self.matching.items() if belongs_to_study(attribute(name))}

    def series_matching(self) -> dict[str, str]:
        """The series' part of what is looked for."""
        return {name: value for name, value in self.matching.items() if not belongs_to_study(attribute(name))}

    def study_query(self) -> Query:
        """The query at study level."""
        matching = self.study_matching()
        extra = (name for name in self.returning if belongs_to_study(attribute(name)))
        return Query(Level.STUDY, matching, _distinct(STUDY_KEYWORDS, extra, matching))

    def series_query(self, study_uid: str) -> Query:
        """The query for the series of one study."""
        matching = self.series_matching()
        extra = (name for name in self.returning if not belongs_to_study(attribute(name)))
        return Query(
            Level.SERIES,
            {"StudyInstanceUID": study_uid, **matching},
            _distinct(SERIES_KEYWORDS, extra, matching),
        )


def _distinct(*names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(attribute(name).keyword for group in names for name in group))


def find(request: FindRequest, progress: Progress = ignore_progress) -> Found:
    """Find studies and their series.

    One association for the study level, and for the series of all studies one or, where they are many, a few.

    Parameters
    ----------
    request : FindRequest
    progress : callable
        Told of studies found, and of studies whose series are known.

    Returns
    -------
    Found
        No match is a success with no studies. When the PACS stopped before the end: what it sent, and the
        error.

    Raises
    ------
    UnknownAttribute
    PypxError
        When the PACS could not be asked, or failed a query.
    """
    with Processes() as processes:
        caller = Caller(request.node, request.binaries, processes, request.timeout)
        finding = _Finding(_with_study_uids(request, caller), caller, progress)
        studies = finding.studies()
        series = {} if request.study_only or not studies else finding.series(studies)
    for note in finding.notes:
        logger.warning("%s", note)
    return finding.found(studies, series)


def _with_study_uids(request: FindRequest, caller: Caller) -> FindRequest:
    """Name the studies, where only series are named by their UIDs.

    The study level knows nothing of series: without this, it would be asked for all that the PACS has. A
    series level query without its study is a relational one (PS3.4, C.4.1.2.2.1), which not every PACS takes.
    """
    uids = request.matching.get("SeriesInstanceUID", "")
    if not uids or request.study_matching():
        return request
    queries = [
        Query(Level.SERIES, {"SeriesInstanceUID": uid}, ("StudyInstanceUID",)) for uid in uids.split("\\")
    ]
    studies: dict[str, None] = {}

    def take(answer: findscu.Answer) -> None:
        same = answer.values.get("SeriesInstanceUID") == queries[answer.query].matching["SeriesInstanceUID"]
        if same and is_uid(answer.values.get("StudyInstanceUID", "")):
            studies[answer.values["StudyInstanceUID"]] = None

    outcome = findscu.find(caller, queries, take)
    if not studies and not all(final.is_success for final in outcome.finals):
        raise RequestFailed(
            f"{request.node} does not look up a series by its UID alone",
            "Give --StudyInstanceUID or --PatientID besides.",
        )
    # A series that is nowhere is looked for in a study of its own UID, which is nowhere either.
    return replace(request, matching={**request.matching, "StudyInstanceUID": "\\".join(studies) or uids})


class _Finding:
    """One find while it goes on: what it asks, and what it has to say besides the answers."""

    def __init__(self, request: FindRequest, caller: Caller, progress: Progress) -> None:
        self.notes: list[str] = []
        self._request = request
        self._caller = caller
        self._progress = progress
        self._error: PypxError | None = None
        self._study_query = request.study_query()
        self._counting = threading.Lock()
        self._answered = 0

    def studies(self) -> list[Values]:
        """The studies that match."""
        arrived: list[Values] = []

        def take(answer: findscu.Answer) -> None:
            arrived.append(answer.values)
            self._progress(Step("Studies found", len(arrived), None))

        limit = self._request.limit
        outcome = findscu.find(self._caller, [self._study_query], take, limit)
        final = outcome.finals[0]
        reached = limit is not None and len(arrived) >= limit
        if not (final.is_success or (reached and final.code == CANCELLED)):
            self._error = self._failure(final, "study query", len(arrived))
        self._see_unreadable(outcome, "study query")
        kept, notes = answers.distinct(arrived, "StudyInstanceUID", "studies")
        fits, more_notes = answers.fitting(kept, self._request.study_matching(), "studies")
        self.notes += notes + more_notes
        if reached:
            self.notes.append(f"Stopped after {limit} studies, as --limit says; there may be more.")
            return fits[:limit]
        self.notes += answers.limit_note(len(kept), "studies")
        return fits

    def series(self, studies: Sequence[Values]) -> dict[str, list[Values]]:
        """The series that match, of each study."""
        uids = [values["StudyInstanceUID"] for values in studies]
        jobs = max(1, min(self._request.jobs, len(uids) // _STUDIES_A_JOB))
        parts = [uids[place::jobs] for place in range(jobs)]
        found: dict[str, list[Values]] = {}
        work = [self._part(part, len(uids)) for part in parts]
        for series in side_by_side(self._caller.processes, jobs, work):
            found |= series
        self._check_series(studies, found)
        return self._fitting(found)

    def _part(self, uids: Sequence[str], total: int) -> Callable[[], dict[str, list[Values]]]:
        return lambda: self._series_of(uids, total)

    def _series_of(self, uids: Sequence[str], total: int) -> dict[str, list[Values]]:
        """The series of these studies as the PACS answers them, over one association."""
        queries = [self._request.series_query(uid) for uid in uids]
        arrived: dict[str, list[Values]] = {uid: [] for uid in uids}
        last = -1

        def take(answer: findscu.Answer) -> None:
            nonlocal last
            arrived[uids[answer.query]].append(answer.values)
            if answer.query != last:
                self._count(answer.query - last, total)
                last = answer.query

        outcome = findscu.find(self._caller, queries, take)
        self._count(len(uids) - 1 - last, total)
        self._see_unreadable(outcome, "series query")
        for uid, final in zip(uids, outcome.finals, strict=True):
            if not final.is_success:
                error = self._failure(final, "series query", len(arrived[uid]))
                self._error = self._error or error
        return arrived

    def _count(self, more: int, total: int) -> None:
        with self._counting:
            self._answered += more
            self._progress(Step("Studies answered", self._answered, total))

    def _check_series(self, studies: Sequence[Values], found: dict[str, list[Values]]) -> None:
        """Drop what is foreign or twice, and see whether there are as many series as the PACS says it has."""
        foreign = 0
        short = 0
        complete = not self._request.series_matching()
        for values in studies:
            uid = values["StudyInstanceUID"]
            own, others = answers.of_study(found.get(uid, []), uid)
            found[uid], notes = answers.distinct(own, "SeriesInstanceUID", "series")
            foreign += others
            self.notes += notes
            said = values.get("NumberOfStudyRelatedSeries", "")
            short += complete and said.isascii() and said.isdigit() and int(said) > len(found[uid])
        if foreign:
            self.notes.append(f"{foreign} series left out: they are of another study than the one asked for.")
        if short:
            self.notes.append(
                f"{short} studies have more series than the PACS returned; perhaps it has a limit."
            )

    def _fitting(self, found: Mapping[str, list[Values]]) -> dict[str, list[Values]]:
        matching = self._request.series_matching()
        everything = [values for series in found.values() for values in series]
        fits, notes = answers.fitting(everything, matching, "series")
        self.notes += notes
        kept = {id(values) for values in fits}
        return {uid: [values for values in series if id(values) in kept] for uid, series in found.items()}

    def _failure(self, final: Status, what: str, arrived: int) -> PypxError:
        """The error for a final status that is not success: raised, or kept where something had arrived."""
        node = self._request.node
        if arrived and (final.code == CANCELLED or final.code & 0xFF00 == 0xA700):
            return ResultsCapped(f"{node} stopped the {what} after {arrived} matches: {final}")
        raise dimse.request_failed(node, what, final)

    def _see_unreadable(self, outcome: findscu.Outcome, what: str) -> None:
        if outcome.unreadable:
            raise RequestFailed(
                f"{outcome.unreadable} answers of {self._request.node} to the {what} could not be read",
                "Run again with --verbosity 3 to see what DCMTK says of them.",
            )

    def found(self, studies: Sequence[Values], series: Mapping[str, Sequence[Values]]) -> Found:
        """The result, each answer with all that was asked for; what the PACS did not return is empty."""
        request = self._request
        series_query = request.series_query(studies[0]["StudyInstanceUID"]) if series else None
        whole = [
            FoundStudy(
                _filled(values, self._study_query),
                tuple(
                    FoundSeries(_filled(one, series_query))
                    for one in series.get(values["StudyInstanceUID"], ())
                    if series_query
                ),
            )
            for values in studies
        ]
        if request.series_matching() and not request.study_only:
            whole = [study for study in whole if study.series]
        everything = [*(study.values for study in whole), *(one.values for s in whole for one in s.series)]
        binary = request.binaries.path("findscu")
        return Found(
            tuple(whole),
            {name: attribute(name).number for values in everything for name in values},
            request.arguments,
            findscu.typed(binary, request.node, self._study_query),
            findscu.typed(binary, request.node, series_query) if series_query else "",
            notes=tuple(self.notes),
            error=self._error,
        )


def _filled(values: Values, query: Query) -> dict[str, str]:
    asked = {name: values.get(name, "") for name in query.returning}
    return asked | {name: value for name, value in values.items() if name not in asked}
