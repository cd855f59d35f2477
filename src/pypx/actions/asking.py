"""Ask a PACS at one level of the information model, and keep what fits (C-FIND, PS3.4, C.4.1)."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pypx.actions.answers import Sieve, Values, looks_like_a_limit, said_count, some
from pypx.actions.parallel import side_by_side
from pypx.actions.progress import Progress, Step
from pypx.dcmtk import dimse, findscu
from pypx.dcmtk.caller import Caller
from pypx.dicom.query import Query
from pypx.dicom.status import CANCELLED, Status
from pypx.errors import (
    AssociationRejected,
    ConnectionLost,
    ConnectionRefused,
    PypxError,
    RequestFailed,
    ResultsCapped,
)

logger = logging.getLogger(__name__)

#: Studies for which one more association pays.
_STUDIES_A_JOB = 10

#: Seconds that a PACS gets to forget associations, before those that it had no room for are asked for again.
_RECOVERY = 1.0

#: What a PACS does that has no room for one more association.
_REFUSALS = (AssociationRejected, ConnectionLost, ConnectionRefused)

#: By how much more answers are asked for when too few of the first ones fit.
WIDENING = 8


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking at one level.

    Parameters
    ----------
    values : mapping of str to sequence of mapping
        The answers that fit: at series level by the UID of the study, at study level under "".
    unchecked : tuple of str
        Keys of which it could not be seen whether the answers match them.
    notes : tuple of str
        What a reader should know.
    error : PypxError or None
        Why answers are missing, if some are.
    returncode : int
        Of findscu.
    keys_ignored : bool
        Whether the PACS said that it does not support some of the keys.
    is_cut : bool
        Whether there may be more, which were not to be asked for.
    """

    values: Mapping[str, Sequence[Values]]
    unchecked: tuple[str, ...]
    notes: tuple[str, ...]
    error: PypxError | None
    returncode: int
    keys_ignored: bool
    is_cut: bool = False


def ask_studies(caller: Caller, query: Query, limit: int | None, progress: Progress) -> Answered:
    """Ask for studies, over one association.

    Parameters
    ----------
    caller : Caller
    query : Query
        At study level.
    limit : int or None
        How many are enough. Of a PACS that ignores a key, more are asked for until so many fit.
    progress : callable
        Told of studies found.

    Raises
    ------
    PypxError
        When the PACS could not be asked, or refused to answer.
    """
    cancel_at = limit
    while True:
        sieve = Sieve("StudyInstanceUID", "study", query.matching)
        arrived = 0

        def take(answer: findscu.Answer, sieve: Sieve = sieve) -> None:
            nonlocal arrived
            arrived += 1
            sieve.take(filled(answer.values, query))
            progress(Step("Studies found", sieve.count, None))

        outcome = findscu.find(caller, [query], take, cancel_at)
        sieve.settle()
        was_cut = cancel_at is not None and outcome.finals[0].is_cancelled and arrived >= cancel_at
        if limit is None or cancel_at is None or not was_cut or sieve.count >= limit:
            break
        logger.info("Of %d studies %d match; asking for more", arrived, sieve.count)
        cancel_at *= WIDENING
    progress(Step("Studies found", sieve.count, sieve.count))
    error = outcome.error or _status_error(caller, outcome, was_cut, arrived)
    if error and not arrived:
        raise error
    notes = []
    is_cut = limit is not None and (was_cut or sieve.count > limit)
    if looks_like_a_limit(arrived) and not error and not is_cut:
        notes.append(
            f"Exactly {arrived} studies: perhaps a limit of the PACS."
            " Narrow the query to be sure that none is missing."
        )
    return Answered(
        {"": sieve.kept()[:limit]},
        tuple(sieve.unchecked),
        (*sieve.notes(), *notes),
        error,
        outcome.returncode,
        outcome.keys_ignored,
        is_cut,
    )


def _status_error(caller: Caller, outcome: findscu.Outcome, was_cut: bool, arrived: int) -> PypxError | None:
    final = outcome.finals[0].status
    if final is None or final.is_success or was_cut:
        return None
    if _is_capped(final):
        return ResultsCapped(f"{caller.node} stopped the study query after {arrived} matches: {final}")
    return dimse.request_failed(caller.node, "study query", final)


def _is_capped(final: Status) -> bool:
    return final.code == CANCELLED or final.code & 0xFF00 == 0xA700


def filled(values: Values, query: Query) -> dict[str, str]:
    """An answer with all that was asked for; what the PACS did not return is empty."""
    asked = {name: values.get(name, "") for name in query.returning}
    return asked | {name: value for name, value in values.items() if name not in asked}


def ask_series(
    caller: Caller,
    studies: Sequence[Values],
    query_of: Callable[[str], Query],
    jobs: int,
    progress: Progress,
) -> Answered:
    """Ask for the series of studies, over a few associations side by side.

    Parameters
    ----------
    caller : Caller
    studies : sequence of mapping
        At least one.
    query_of : callable
        From the UID of a study to the query for its series; all of them look for the same.
    jobs : int
        Associations at a time.
    progress : callable
        Told of the studies whose series are known.
    """
    return _SeriesQueries(caller, studies, query_of, progress).answered(jobs)


class _SeriesQueries:
    """The queries for the series of studies, and what becomes of them."""

    def __init__(
        self,
        caller: Caller,
        studies: Sequence[Values],
        query_of: Callable[[str], Query],
        progress: Progress,
    ) -> None:
        self._caller = caller
        self._progress = progress
        self._series_said = {
            values["StudyInstanceUID"]: said_count(values, "NumberOfStudyRelatedSeries") for values in studies
        }
        self._queries = {uid: query_of(uid) for uid in self._series_said}
        keys = next(iter(self._queries.values())).matching
        self._matching = {name: value for name, value in keys.items() if name != "StudyInstanceUID"}
        self._sieve = Sieve("SeriesInstanceUID", "series", self._matching)
        self._arrived = dict.fromkeys(self._queries, 0)
        self._statuses: dict[str, Status] = {}
        self._errors: list[PypxError] = []
        self._returncode = 0
        self._keys_ignored = False
        self._lock = threading.Lock()

    def answered(self, jobs: int) -> Answered:
        uids = list(self._queries)
        jobs = max(1, min(jobs, len(uids) // _STUDIES_A_JOB))
        logger.info("Asking for their series; studies: %d, associations: %d", len(uids), jobs)
        work = [self._part(uids[place::jobs]) for place in range(jobs)]
        for _ in side_by_side(self._caller.processes, jobs, work):
            pass
        if jobs > 1:
            self._ask_those_left()
        self._sieve.settle()
        kept = {uid: self._sieve.kept(uid) for uid in uids}
        return Answered(
            kept,
            tuple(self._sieve.unchecked),
            (*self._sieve.notes(), *self._notes_on_numbers(kept)),
            self._error(),
            self._returncode,
            self._keys_ignored,
        )

    def _part(self, uids: Sequence[str]) -> Callable[[], None]:
        return lambda: self._ask(uids)

    def _ask(self, uids: Sequence[str]) -> None:
        """Ask for the series of these studies over one association."""

        def take(answer: findscu.Answer) -> None:
            uid = uids[answer.query]
            values = filled(answer.values, self._queries[uid])
            with self._lock:
                self._sieve.take(values, uid)
                self._arrived[uid] += 1

        def end(query: int, status: Status) -> None:
            with self._lock:
                self._statuses[uids[query]] = status
                self._progress(Step("Studies answered", len(self._statuses), len(self._queries)))

        outcome = findscu.find(self._caller, [self._queries[uid] for uid in uids], take, on_final=end)
        with self._lock:
            self._errors += [outcome.error] if outcome.error else []
            self._returncode = outcome.returncode or self._returncode
            self._keys_ignored = self._keys_ignored or outcome.keys_ignored

    def _ask_those_left(self) -> None:
        """Ask once more over one association: some PACS take but one at a time."""
        left = [uid for uid in self._queries if uid not in self._statuses]
        refused = [error for error in self._errors if isinstance(error, _REFUSALS)]
        if not left or not refused:
            return
        logger.info("%s; asking for %d studies again", refused[0].message, len(left))
        self._errors = [error for error in self._errors if error not in refused]
        time.sleep(_RECOVERY)
        self._ask(left)

    def _notes_on_numbers(self, kept: Mapping[str, Sequence[Values]]) -> list[str]:
        """Series that the PACS has and does not send, as far as that can be seen."""
        notes = []
        if not self._matching:
            short = sum((said or 0) > len(kept[uid]) for uid, said in self._series_said.items())
            if short:
                notes.append(
                    f"The PACS returned fewer series than it says it has of {some(short, 'study')};"
                    " perhaps it has a limit."
                )
        unsaid = (uid for uid, said in self._series_said.items() if said is None or self._matching)
        capped = sum(looks_like_a_limit(self._arrived[uid]) for uid in unsaid)
        if capped:
            notes.append(f"A round number of series, perhaps a limit of the PACS: {some(capped, 'study')}.")
        uids = Counter(values["SeriesInstanceUID"] for series in kept.values() for values in series)
        several = sum(times > 1 for times in uids.values())
        if several:
            notes.append(
                f"Listed in several studies: {some(several, 'series')}; the PACS does not say whose they are."
            )
        return notes

    def _error(self) -> PypxError | None:
        """Why series are missing, and of how many studies."""
        failed = {uid: status for uid, status in self._statuses.items() if not status.is_success}
        unanswered = len(self._queries) - len(self._statuses)
        if not failed and not unanswered:
            return self._errors[0] if self._errors else None
        of_all = f"{len(failed) + unanswered} of {len(self._queries)} studies"
        if failed:
            status = next(iter(failed.values()))
            kind: type[PypxError] = ResultsCapped if _is_capped(status) else RequestFailed
            return kind(f"{self._caller.node} did not answer in full for the series of {of_all}: {status}")
        first = self._errors[0]
        return type(first)(f"{first.message} (the series of {of_all} are missing)", first.hint)
