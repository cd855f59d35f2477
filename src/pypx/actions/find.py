"""Ask a PACS what it has: studies, then the series of each (C-FIND, PS3.4, C.4.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Thread
from typing import Any

from pypx.actions.answers import some, unchecked_notes
from pypx.actions.asking import WIDENING, Answered, ask_series, ask_studies
from pypx.actions.found import ANY_STUDY, Found, FoundSeries, FoundStudy
from pypx.actions.progress import Progress, ignore_progress
from pypx.dcmtk import findscu
from pypx.dcmtk.binaries import Binaries, Feature
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Processes
from pypx.dicom.attributes import attribute
from pypx.dicom.fitting import fits
from pypx.dicom.node import Node
from pypx.dicom.query import SERIES_KEYWORDS, STUDY_KEYWORDS, Level, Query, belongs_to_study
from pypx.dicom.uid import is_uid
from pypx.errors import AnswerUnreadable, PypxError, RequestFailed

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
        return Query(
            Level.SERIES,
            {"StudyInstanceUID": study_uid, **matching},
            _distinct(SERIES_KEYWORDS, self.series_returning(), matching),
        )

    def series_returning(self) -> tuple[str, ...]:
        """What is asked of the series beside the usual."""
        return tuple(name for name in self.returning if not belongs_to_study(attribute(name)))


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
        No match is a success with no studies. When the PACS stopped before the end, or failed a part: what it
        sent, and the error.

    Raises
    ------
    UnknownAttribute
    PypxError
        When the PACS could not be asked, or refused to answer.
    """
    by_keyword = {attribute(name).keyword: value for name, value in request.matching.items()}
    request = replace(request, matching=by_keyword)
    with Processes() as processes, _looked_at(request.binaries):
        caller = Caller(request.node, request.binaries, processes, request.timeout)
        request, not_looked_up = _with_study_uids(request, caller)
        logger.info("Asking %s for studies by %s", request.node, _keys(request.study_matching()))
        logger.debug("By hand: %s", _typed(request, request.study_query()))
        found = _asked(request, caller, progress)
    if not_looked_up:
        found = replace(found, error=not_looked_up)
    for note in found.notes:
        logger.warning("%s", note)
    logger.info("Studies found: %d, series: %d", len(found.studies), len(found.series))
    return found


def _asked(request: FindRequest, caller: Caller, progress: Progress) -> Found:
    """Ask at both levels; where series decide which studies match, for more of them until enough do."""
    enough = request.limit
    while True:
        studies = ask_studies(caller, request.study_query(), enough, progress)
        series = None
        if studies.values[""] and _goes_on(request, studies):
            series = ask_series(caller, studies.values[""], request.series_query, request.jobs, progress)
        found = _found(request, studies, series)
        if enough is None or not studies.is_cut or found.error or len(found.studies) == request.limit:
            return found
        logger.info("Of %d studies %d have such series; asking for more", enough, len(found.studies))
        enough *= WIDENING


@contextmanager
def _looked_at(binaries: Binaries) -> Iterator[None]:
    """Find out what findscu can do while the PACS looks for the studies, not after that."""

    def look() -> None:
        try:
            binaries.can(Feature.SEVERAL_FINDS)
        except PypxError:
            pass  # whoever needs to know is told

    looking = Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        looking.join()


def _typed(request: FindRequest, query: Query) -> str:
    return findscu.typed(request.binaries.path("findscu"), request.node, query)


def _keys(matching: Mapping[str, str]) -> str:
    return ", ".join(matching) or "nothing in particular"


def _goes_on(request: FindRequest, studies: Answered) -> bool:
    """Whether the series are asked for: to be listed, or because studies are looked for by them."""
    reachable = studies.error is None or isinstance(studies.error, (RequestFailed, AnswerUnreadable))
    return reachable and (not request.study_only or bool(request.series_matching()))


def _with_study_uids(request: FindRequest, caller: Caller) -> tuple[FindRequest, PypxError | None]:
    """Name the studies, where only series are named by their UIDs; and why that is not all of them, if so.

    The study level knows nothing of series: without this, it would be asked for all that the PACS has. A
    series level query without its study is a relational one (PS3.4, C.4.1.2.2.1), which not every PACS takes.
    """
    uids = request.matching.get("SeriesInstanceUID", "")
    if not uids or request.study_matching():
        return request, None
    queries = [
        Query(Level.SERIES, {"SeriesInstanceUID": uid}, ("StudyInstanceUID",)) for uid in uids.split("\\")
    ]
    studies: dict[str, None] = {}

    def take(answer: findscu.Answer) -> None:
        same = answer.values.get("SeriesInstanceUID") == queries[answer.query].matching["SeriesInstanceUID"]
        if same and is_uid(answer.values.get("StudyInstanceUID", "")):
            studies[answer.values["StudyInstanceUID"]] = None

    outcome = findscu.find(caller, queries, take)
    error = None
    if failed := sum(not final.is_success for final in outcome.finals):
        error = _not_looked_up(request, outcome, failed)
        if not studies:
            raise error
    # A series that is nowhere is looked for in a study of its own UID, which is nowhere either.
    matching = {**request.matching, "StudyInstanceUID": "\\".join(studies) or uids}
    return replace(request, matching=matching), error


def _not_looked_up(request: FindRequest, outcome: findscu.Outcome, failed: int) -> PypxError:
    of_all = f"{failed} of {len(outcome.finals)} series"
    if outcome.error:
        words = f"{outcome.error.message} ({of_all} could not be looked up)"
        return type(outcome.error)(words, outcome.error.hint)
    return RequestFailed(
        f"{request.node} does not look up {of_all} by the UID alone",
        "Give --StudyInstanceUID or --PatientID besides.",
    )


def _found(request: FindRequest, studies: Answered, series: Answered | None) -> Found:
    """The result of both levels."""
    listed = series.values if series else {}
    whole = [
        FoundStudy(values, tuple(FoundSeries(one) for one in listed.get(values["StudyInstanceUID"], ())))
        for values in studies.values[""]
    ]
    if request.series_matching():
        # One whose series are not known, for a failure, is not said to have them.
        whole = [study for study in whole if study.series]
    unchecked = list(studies.unchecked)
    notes = list(studies.notes)
    if "ModalitiesInStudy" in unchecked and series and _tells_modality(request, series):
        unchecked.remove("ModalitiesInStudy")
        whole, more_notes = _of_modality(request.matching["ModalitiesInStudy"], whole)
        notes += more_notes
    limit = request.limit
    if limit is not None and (len(whole) > limit or (len(whole) == limit and studies.is_cut)):
        whole = whole[:limit]
        notes.append(f"Stopped after {some(limit, 'study')}, as --limit says; there may be more.")
    notes += unchecked_notes(unchecked, "study")
    if series:
        notes += [*series.notes, *unchecked_notes(series.unchecked, "series")]
    if studies.keys_ignored or (series and series.keys_ignored):
        notes.append("The PACS says that it does not support all keys of the query.")
    if request.study_only:
        if of_series := _distinct(request.series_returning()):
            notes.append(f"With --StudyOnly nothing is told of series; left out: {', '.join(of_series)}.")
        whole = [FoundStudy(study.values) for study in whole]
    return Found(
        tuple(whole),
        _tags(whole),
        request.arguments,
        _typed(request, request.study_query()),
        _typed(request, request.series_query(ANY_STUDY)) if series else "",
        (series.returncode if series else 0) or studies.returncode,
        tuple(notes),
        error=studies.error or (series.error if series else None),
    )


def _tells_modality(request: FindRequest, series: Answered) -> bool:
    """Whether all series of the studies are known, with their modalities."""
    told = any(one.get("Modality") for of_study in series.values.values() for one in of_study)
    return told and series.error is None and not request.series_matching()


def _of_modality(asked: str, studies: Sequence[FoundStudy]) -> tuple[list[FoundStudy], list[str]]:
    """The studies with a series of the modality asked for, where the PACS does not tell ModalitiesInStudy."""
    kept = [
        study
        for study in studies
        if any(fits("Modality", asked, one.values.get("Modality", "")) for one in study.series)
    ]
    left_out = len(studies) - len(kept)
    note = f"{some(left_out, 'study')} left out for having no series of the modality asked for."
    return kept, [note] if left_out else []


def _tags(studies: Sequence[FoundStudy]) -> dict[str, str]:
    """The tag of each attribute that occurs."""
    names: dict[str, None] = {}
    for study in studies:
        names.update(dict.fromkeys(study.values))
        for series in study.series:
            names.update(dict.fromkeys(series.values))
    return {name: attribute(name).number for name in names}
