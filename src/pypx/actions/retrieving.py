"""A retrieve while it goes on: what is missing is asked for, and again, and each series gets its verdict."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from pypx.actions.counting import listed, missing_kinds, with_counts
from pypx.actions.following import Following
from pypx.actions.plan import Request, Wanted, missing_series, requests
from pypx.actions.progress import Progress
from pypx.actions.verdict import Verdict, has_all, judge, judge_sent
from pypx.actions.ways import Way
from pypx.backoff import doubled
from pypx.basemount.history import events_of
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Transfer
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsSettings
from pypx.errors import (
    ConnectionLost,
    ConnectionRefused,
    PeerTimeout,
    PypxError,
    RequestFailed,
    RetrieveIncomplete,
    TlsNotSpoken,
)

logger = logging.getLogger(__name__)

#: Failures that may be gone a moment later, of a PACS that was there a moment ago.
_PASSING = (ConnectionLost, ConnectionRefused, PeerTimeout, RetrieveIncomplete, TlsNotSpoken)

#: Seconds before a retry; doubled before each further one, up to the longest, as long as nothing new comes.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

#: How often a PACS is asked again that answers, but says that it cannot send something.
_RETRIES_OF_REFUSED = 2

DEFAULT_TIMEOUT = 60.0

#: SeriesInstanceUID to what the PACS said last of it, and what went wrong.
_Answers: TypeAlias = dict[str, tuple[Transfer, PypxError | None]]


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """What to bring here, and how.

    Parameters
    ----------
    node : Node
        The PACS.
    wanted : tuple of Wanted
        The series.
    whole_studies : collection of str
        UIDs of the studies of which all series are wanted: one request brings each of them.
    receive_port : int or None
        C-MOVE to ourselves, received on this port.
    destination : str
        C-MOVE to this AE title, which is another program's; C-GET where neither this nor a port is given.
    jobs : int
        Associations side by side.
    retries : int
        How often in a row what is missing is asked for again without that anything new comes; 0 for never.
    timeout : float
        Seconds without progress (not in all) after which the PACS is taken as hung.
    force : bool
        Ask for what is here already, too.
    binaries : Binaries
    templates : TreeTemplates
        Names of what is stored.
    receive_tls : TlsSettings or None
        How what comes to ``receive_port`` must be protected; None where it must not.
    """

    node: Node
    wanted: tuple[Wanted, ...]
    whole_studies: Collection[str] = ()
    receive_port: int | None = None
    destination: str = ""
    jobs: int = 2
    retries: int = 5
    timeout: float = DEFAULT_TIMEOUT
    force: bool = False
    binaries: Binaries = field(default_factory=Binaries)
    templates: TreeTemplates = field(default_factory=TreeTemplates)
    receive_tls: TlsSettings | None = None


def pause_after(fruitless: int) -> float:
    """Seconds until what did not come is asked for again.

    Parameters
    ----------
    fruitless : int
        How many retries in a row have brought nothing new.
    """
    return doubled(FIRST_PAUSE, fruitless, LONGEST_PAUSE)


class Retrieve:
    """One retrieve.

    Parameters
    ----------
    request : MoveRequest
    caller : Caller
    way : Way
        On which the images come.
    catalogue : Catalogue
    is_here : bool
        Whether they come into the BASEMOUNT of this catalogue.
    progress : callable
    """

    def __init__(
        self,
        request: MoveRequest,
        caller: Caller,
        way: Way,
        catalogue: Catalogue,
        is_here: bool,
        progress: Progress,
    ) -> None:
        self._request = request
        self._caller = caller
        self._way = way
        self._catalogue = catalogue
        self._is_here = is_here
        self._progress = progress
        self._disagreeing: set[str] = set()
        #: Of series that the PACS has listed: how many images are here that it does not have.
        self._foreign: dict[str, int] = {}

    def run(self) -> list[Verdict]:
        """Ask for what is missing, and again for what did not come, and judge."""
        wanted = {series.series_uid: series for series in with_counts(self._caller, self._request.wanted)}
        before = self._held(wanted)
        missing = missing_series(wanted.values(), before, self._request.force)
        if suspect := self._failed_before(uid for uid in wanted if uid not in missing):
            # As many as there should be, of which the last retrieve knew that some are others.
            self._hold_against_list(wanted, suspect)
            missing = missing_series(wanted.values(), self._held(wanted), self._request.force)
            # Those that are whole all the same did not fail in the end.
            self._record_requested([wanted[uid] for uid in suspect if uid not in missing])
        verdicts = {
            uid: judge(series, before[uid], before[uid], None, None)
            for uid, series in wanted.items()
            if uid not in missing
        }
        self._record_requested([wanted[uid] for uid in missing])
        held, fruitless, is_again = sum(before.values()), 0, False
        while missing:
            verdicts |= self._attempt(wanted, missing, before, is_again)
            missing = {uid for uid in missing if isinstance(verdicts[uid].error, _PASSING)}
            if not missing or not self._way.was_there or not self._request.retries:
                break
            now_held = sum(self._held(wanted).values())
            # The first attempt is no retry; and what brought something new is worth going on with.
            fruitless = fruitless + 1 if is_again and now_held <= held else 0
            if fruitless >= self._most_fruitless(verdicts[uid].error for uid in missing):
                break
            held, is_again = now_held, True
            self._pause(fruitless, len(missing))
        verdicts = self._with_strays(self._of_right_studies(self._with_reasons(verdicts)))
        self._record_failed(verdicts.values())
        return [verdicts[uid] for uid in wanted]

    def _held(self, uids: Collection[str]) -> dict[str, int]:
        """How many images of each series are here; none of those that go somewhere else."""
        if not self._is_here:
            return dict.fromkeys(uids, 0)
        counts = self._catalogue.held_counts(uids)
        return {uid: count - self._foreign.get(uid, 0) for uid, count in counts.items()}

    def _failed_before(self, uids: Iterable[str]) -> list[str]:
        """Those series whose last retrieve from this PACS, and nothing since, went wrong."""
        if not self._is_here:
            return []
        known = self._catalogue.series_status(list(uids))
        failed = [uid for uid, record in known.items() if record.failure]
        pacs = self._request.node.called_ae_title
        return [
            uid for uid, events in events_of(self._catalogue, failed).items() if events[-1].target == pacs
        ]

    def _hold_against_list(self, wanted: dict[str, Wanted], doubtful: Sequence[str]) -> None:
        """Find out which images series have, as far as the PACS lists them, and count those alone."""
        for uid, instances in listed(self._caller, [wanted[uid] for uid in doubtful]).items():
            wanted[uid] = replace(wanted[uid], expected=len(instances))
            if self._is_here:
                self._foreign[uid] = len(self._catalogue.held_instances(uid) - instances)

    def _attempt(
        self, wanted: dict[str, Wanted], missing: Collection[str], before: Mapping[str, int], again: bool
    ) -> dict[str, Verdict]:
        """Ask once for the missing series; the verdict on each. Better counts find their way into wanted."""
        lacking = self._lacking([wanted[uid] for uid in missing])
        whole = self._request.whole_studies
        asked = requests(wanted.values(), whole, missing, lacking, self._request.jobs)
        answers = self._ask(asked, "Retrieving again" if again else "Retrieving")
        one_by_one = self._ask_one_by_one(wanted, asked, answers)
        answers |= one_by_one
        series = [wanted[uid] for uid in missing]
        if self._is_here:
            self._way.settle(lambda: not missing_series(series, self._held(missing), force=False))
        held = self._held(missing)
        doubtful = [uid for uid in missing if self._is_doubtful(wanted[uid], held[uid], answers[uid][0])]
        self._hold_against_list(wanted, doubtful)
        if not self._is_here:
            together = [request for request in asked if one_by_one.keys().isdisjoint(request.series_uids)]
            for uids in (*(request.series_uids for request in together), *((uid,) for uid in one_by_one)):
                answers |= self._with_unsent([wanted[uid] for uid in uids], answers)
            return {uid: judge_sent(wanted[uid], *answers[uid]) for uid in missing}
        held = self._held(missing)
        whole_answers = [*(request.series for request in asked), *((wanted[uid],) for uid in one_by_one)]
        for of_request in whole_answers:
            answers |= self._with_shortage([wanted[one.series_uid] for one in of_request], held, answers)
        return {
            uid: judge(wanted[uid], max(0, before[uid] - self._foreign.get(uid, 0)), held[uid], *answers[uid])
            for uid in missing
        }

    def _is_doubtful(self, series: Wanted, held: int, transfer: Transfer) -> bool:
        """Whether the PACS's count of a series does not go with what is here, or what it said it has sent."""
        if series.expected is None:
            return transfer.status is not None
        if series.series_uid in self._disagreeing:
            return True
        return self._is_here and transfer.all_sent != (held >= series.expected)

    def _with_unsent(self, series: Sequence[Wanted], answers: _Answers) -> _Answers:
        """The answers for the series of one request, of which the PACS says that it sent fewer images."""
        transfer, error = answers[series[0].series_uid]
        expected = sum(one.expected or 0 for one in series)
        if error or not transfer.all_sent or transfer.told is None or transfer.told >= expected:
            return {}
        of = f"the series {series[0].series_uid}" if len(series) == 1 else f"{len(series)} series"
        error = RetrieveIncomplete(
            f"{self._caller.node} sent {transfer.told} of the {expected} images of {of}"
        )
        return {one.series_uid: (transfer, error) for one in series}

    def _with_shortage(
        self, series: Sequence[Wanted], held: Mapping[str, int], answers: _Answers
    ) -> _Answers:
        """The answers for series that nobody can count, of a request that brought less than was said."""
        uncounted = [one.series_uid for one in series if one.expected is None]
        if not uncounted:
            return {}
        transfer, _ = answers[uncounted[0]]
        here = sum(held[one.series_uid] for one in series)
        if not transfer.all_sent or transfer.told is None or transfer.told <= here:
            return {}
        told = f"{transfer.told} images that {self._caller.node} says it sent"
        error = RetrieveIncomplete(f"Here are {here} of the {told}")
        return dict.fromkeys(uncounted, (transfer, error))

    def _lacking(self, missing: Sequence[Wanted]) -> dict[str, set[str]]:
        """The instances that are not here, of series of which some are and the PACS lists them."""
        if self._request.force or not self._is_here:
            return {}
        held = self._held([series.series_uid for series in missing])
        parts = [one for one in missing if 0 < held[one.series_uid] < (one.expected or 0)]
        return {
            uid: instances - self._catalogue.held_instances(uid)
            for uid, instances in listed(self._caller, parts).items()
        }

    def _ask(self, asked: Sequence[Request], words: str, preference: str = "") -> _Answers:
        """Run the requests, and say how each series was answered: the worst answer of several."""
        self._disagreeing = set()
        following = Following(words, asked, self._progress)
        answers: _Answers = {}
        with closing(self._way.bring(asked, following.arrived, preference)) as brought:
            for answer in brought:
                following.ended(answer.request)
                transfer, error = answer.retrieval.transfer, self._way.error_of(answer)
                uids = [series.series_uid for series in answer.request.series]
                if (
                    None not in (transfer.told, answer.request.expected)
                    and transfer.told != answer.request.expected
                ):
                    self._disagreeing.update(uids)
                for uid in uids:
                    known = answers.get(uid)
                    if known is None or known[1] is None:
                        answers[uid] = (transfer, error)
        return answers

    def _ask_one_by_one(
        self, wanted: Mapping[str, Wanted], asked: Sequence[Request], answers: _Answers
    ) -> _Answers:
        """Ask again for series that the PACS refused in part: each by itself, then each in compressed form.

        One image that a PACS cannot send must not cost the other series of its study. It fails those, too,
        that it has in a transfer syntax that was not agreed on, and its status does not tell why.
        """
        otherwise = {one.series_uid for request in asked if not request.is_narrow for one in request.series}
        better: _Answers = {}
        for preference in ("", *self._way.preferences):
            latest = answers | better
            held = self._held(latest)
            refused = [
                uid
                for uid, (transfer, _) in latest.items()
                if transfer.is_partial
                and not (self._is_here and has_all(wanted[uid], held[uid], transfer))
                and (preference or uid in otherwise)
            ]
            if refused:
                logger.info("%d series were refused in part; asking again %s", len(refused), preference)
                alone = requests(wanted.values(), (), refused)
                better |= self._ask(alone, "Retrieving one by one", preference)
        return better

    def _most_fruitless(self, errors: Iterable[PypxError | None]) -> int:
        """A PACS that is away is waited for longer than one that says that it cannot."""
        is_away = any(not isinstance(error, RetrieveIncomplete) for error in errors)
        return self._request.retries if is_away else min(self._request.retries, _RETRIES_OF_REFUSED)

    def _pause(self, fruitless: int, missing: int) -> None:
        pause = pause_after(fruitless)
        logger.warning("%d series are not complete; asking again in %g s", missing, pause)
        time.sleep(pause)

    def _with_reasons(self, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
        """The verdicts; those on series that came in part tell what kinds of images are missing."""
        if not self._is_here:
            return verdicts
        refused = [
            verdict.series
            for verdict in verdicts.values()
            if isinstance(verdict.error, RequestFailed | RetrieveIncomplete)
        ]
        kinds = missing_kinds(self._caller, refused, self._catalogue.held_instances)
        return {uid: verdict.with_missing(kinds.get(uid, {})) for uid, verdict in verdicts.items()}

    def _of_right_studies(self, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
        """The verdicts; a series is not complete with images that are of another study."""
        good = [uid for uid, verdict in verdicts.items() if verdict.is_good and self._is_here]
        known = self._catalogue.series_status(good)
        wrong = [uid for uid in good if known[uid].study_uid != verdicts[uid].series.study_uid]
        return verdicts | {uid: verdicts[uid].of_other_study(known[uid].study_uid) for uid in wrong}

    def _with_strays(self, verdicts: dict[str, Verdict]) -> dict[str, Verdict]:
        """The verdicts; those on series that are not complete tell of images that are of somebody else."""
        failed = [uid for uid, verdict in verdicts.items() if verdict.error and self._is_here]
        known = self._catalogue.series_status(failed)
        return verdicts | {uid: verdicts[uid].with_strays(record.strays) for uid, record in known.items()}

    def _record_requested(self, wanted: Iterable[Wanted]) -> None:
        self._catalogue.record(
            Event(
                series.series_uid,
                "requested",
                series.study_uid,
                series.expected,
                target=self._request.node.called_ae_title,
            )
            for series in wanted
        )

    def _record_failed(self, verdicts: Iterable[Verdict]) -> None:
        self._catalogue.record(
            Event(
                verdict.series.series_uid,
                "failed",
                verdict.series.study_uid,
                target=self._request.node.called_ae_title,
                detail=verdict.error.message,
            )
            for verdict in verdicts
            if verdict.error
        )
