"""Bring series from a PACS into the BASEMOUNT, and say of each whether all of it is here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from pypx.actions.counting import counted, with_counts
from pypx.actions.echo import echo
from pypx.actions.parallel import side_by_side
from pypx.actions.plan import Request, Wanted, missing_series, requests
from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.repack import RepackResult, Source, pack, resume
from pypx.actions.verdict import MoveResult, Verdict, described, has_all, judge
from pypx.basemount.incoming import IncomingDirectory
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk import dimse, getscu, movescu
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Retrieval, Transfer
from pypx.dcmtk.process import Processes
from pypx.dicom.node import Node
from pypx.dicom.status import MOVE_DESTINATION_UNKNOWN
from pypx.errors import (
    AssociationRejected,
    ConnectionLost,
    ConnectionRefused,
    HostUnknown,
    MoveDestinationUnknown,
    PeerTimeout,
    PortInUse,
    PypxError,
    RetrieveIncomplete,
    ServiceNotOffered,
)

logger = logging.getLogger(__name__)

#: Failures that may be gone a moment later, of a PACS that was there a moment ago.
_PASSING = (ConnectionLost, ConnectionRefused, PeerTimeout, RetrieveIncomplete)

_OTHER_WAY = (
    "The PACS may have the images in a form that C-GET does not bring: try --receivePort, or ask the PACS"
    " administrator what its log says of this moment."
)

#: Failures that every further request would meet just the same.
_GENERAL = (AssociationRejected, ConnectionRefused, HostUnknown, PortInUse, ServiceNotOffered)

#: Seconds before the first retry; doubled before each further one.
FIRST_PAUSE = 1.0

DEFAULT_TIMEOUT = 60.0


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
        C-MOVE to ourselves on this port; None for C-GET.
    jobs : int
        Associations side by side; with a receive_port there is one.
    retries : int
        How often what is missing is asked for again.
    timeout : float
        Seconds without progress (not in all) after which the PACS is taken as hung.
    force : bool
        Ask for what is here already, too.
    binaries : Binaries
    templates : TreeTemplates
        Names of what is stored.
    """

    node: Node
    wanted: tuple[Wanted, ...]
    whole_studies: Collection[str] = ()
    receive_port: int | None = None
    jobs: int = 2
    retries: int = 3
    timeout: float = DEFAULT_TIMEOUT
    force: bool = False
    binaries: Binaries = field(default_factory=Binaries)
    templates: TreeTemplates = field(default_factory=TreeTemplates)


def move(request: MoveRequest, basemount: Basemount, progress: Progress = ignore_progress) -> MoveResult:
    """Retrieve series; store, catalogue and count what arrives.

    What is here already is not asked for. What does not arrive in full is asked for again, and what an
    earlier run left in incoming/ when it was killed is taken up first.

    Parameters
    ----------
    request : MoveRequest
    basemount : Basemount
        Where the images go.
    progress : callable
        Told of images that arrived.

    Returns
    -------
    MoveResult
        A verdict for each series.

    Raises
    ------
    PypxError
        When nothing could be begun: BASEMOUNT or catalogue unusable, a DCMTK program missing.
    """
    begun = time.monotonic()
    request.binaries.path("movescu" if request.receive_port else "getscu")
    basemount.prepare()
    with Catalogue.open(basemount) as catalogue, Processes() as processes:
        resumed = resume(basemount, catalogue, request.templates)
        caller = Caller(request.node, request.binaries, processes, request.timeout)
        retrieve = _Retrieve(request, basemount, catalogue, caller, progress)
        verdicts = retrieve.run()
        packed = [*([resumed] if resumed else []), *retrieve.packed]
    return MoveResult(described(verdicts, packed), tuple(packed), time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """What one run of getscu or movescu brought: the directory is owned until it is packed."""

    requests: Sequence[Request]
    retrieval: Retrieval
    incoming: IncomingDirectory | None


#: SeriesInstanceUID to what the PACS said last of it, and what went wrong.
_Answers: TypeAlias = dict[str, tuple[Transfer, PypxError | None]]


class _Retrieve:
    """One retrieve while it goes on."""

    def __init__(
        self,
        request: MoveRequest,
        basemount: Basemount,
        catalogue: Catalogue,
        caller: Caller,
        progress: Progress,
    ) -> None:
        self.packed: list[RepackResult] = []
        self._request = request
        self._basemount = basemount
        self._catalogue = catalogue
        self._caller = caller
        self._owned: list[IncomingDirectory] = []
        self._progress = progress
        self._counting = threading.Lock()
        self._was_there = False
        self._given_up: PypxError | None = None

    def run(self) -> list[Verdict]:
        """Ask for what is missing, and again for what did not come, and judge."""
        wanted = {series.series_uid: series for series in with_counts(self._caller, self._request.wanted)}
        before = self._catalogue.held_counts(wanted)
        missing = missing_series(wanted.values(), before, self._request.force)
        verdicts = {
            uid: judge(series, before[uid], before[uid], None, None)
            for uid, series in wanted.items()
            if uid not in missing
        }
        self._record_requested([wanted[uid] for uid in missing])
        for attempt in range(self._request.retries + 1):
            if not missing:
                break
            if attempt:
                self._pause(attempt, len(missing))
            verdicts |= self._attempt(wanted, missing, before, again=attempt > 0)
            missing = {uid for uid in missing if isinstance(verdicts[uid].error, _PASSING)}
            if not self._was_there:
                break
        self._record_failed(verdicts.values())
        return [verdicts[uid] for uid in wanted]

    def _attempt(
        self, wanted: dict[str, Wanted], missing: Collection[str], before: Mapping[str, int], again: bool
    ) -> dict[str, Verdict]:
        """Ask once for the missing series; the verdict on each. Better counts find their way into wanted."""
        self._given_up = None
        asked = requests(wanted.values(), self._request.whole_studies, missing)
        answers = self._ask(asked, "Retrieving again" if again else "Retrieving")
        answers |= self._ask_one_by_one(wanted, asked, answers)
        held = self._catalogue.held_counts(missing)
        doubtful = [
            wanted[uid]
            for uid in missing
            if answers[uid][0].all_sent and (wanted[uid].expected or 0) > held[uid]
        ]
        wanted |= {series.series_uid: series for series in counted(self._caller, doubtful)}
        return {uid: judge(wanted[uid], before[uid], held[uid], *answers[uid]) for uid in missing}

    def _ask(self, asked: Sequence[Request], words: str, preference: str = "") -> _Answers:
        """Run the requests, pack what they bring, and say how each series was answered."""
        answers: _Answers = {}
        with closing(self._retrieve(asked, words, preference)) as arrivals:
            for arrival in arrivals:
                for request, transfer in zip(arrival.requests, arrival.retrieval.transfers, strict=True):
                    error = self._error(transfer, arrival.retrieval.error)
                    uids = (series.series_uid for series in request.series)
                    answers |= dict.fromkeys(uids, (transfer, error))
        return answers

    def _ask_one_by_one(
        self, wanted: Mapping[str, Wanted], asked: Sequence[Request], answers: _Answers
    ) -> _Answers:
        """Ask again for series that the PACS refused in part: each by itself, then each in compressed form.

        One image that a PACS cannot send must not cost the other series of its study. It fails those, too,
        that it has in a transfer syntax that was not agreed on, and its status does not tell why.
        """
        together = {
            series.series_uid for request in asked if len(request.series) > 1 for series in request.series
        }
        better: _Answers = {}
        for preference in ("", *(() if self._request.receive_port else getscu.PREFERENCES)):
            latest = answers | better
            held = self._catalogue.held_counts(latest)
            refused = [
                uid
                for uid, (transfer, _) in latest.items()
                if transfer.is_partial
                and not has_all(wanted[uid], held[uid], transfer)
                and (preference or uid in together)
            ]
            if refused:
                logger.info("%d series were refused in part; asking again %s", len(refused), preference)
                alone = requests(wanted.values(), (), refused)
                better |= self._ask(alone, "Retrieving one by one", preference)
        return better

    def _retrieve(
        self, asked: Sequence[Request], words: str, preference: str
    ) -> Generator[_Arrival, None, None]:
        """Run the requests and pack what they bring."""
        counts = [request.expected for request in asked]
        total = None if None in counts else sum(count for count in counts if count is not None)
        arrived = 0
        self._progress(Step(words, 0, total))

        def stored() -> None:
            nonlocal arrived
            self._was_there = True
            with self._counting:
                arrived += 1
                self._progress(Step(words, arrived, total))

        port = self._request.receive_port
        if port:
            work = [partial(self._receive, asked, port, stored)]
        else:
            work = [partial(self._get, one, stored, preference) for one in asked]
        try:
            # Closed before the directories are released: then no thread is left that writes there.
            with closing(side_by_side(self._caller.processes, self._request.jobs, work)) as arrivals:
                for arrival in arrivals:
                    if arrival.incoming:
                        self._pack(arrival.incoming)
                    yield arrival
        finally:
            for incoming in self._owned:
                incoming.release()

    def _get(self, request: Request, stored: Callable[[], None], preference: str) -> _Arrival:
        if self._given_up:
            return _Arrival((request,), Retrieval((Transfer(),), self._given_up), None)
        incoming = self._claim("get")
        retrieval = getscu.get(
            self._caller, request.query, incoming.path, stored, (incoming.lock,), preference
        )
        return _Arrival((request,), self._seen(retrieval), incoming)

    def _receive(self, asked: Sequence[Request], port: int, stored: Callable[[], None]) -> _Arrival:
        incoming = self._claim("move")
        queries = [request.query for request in asked]
        retrieval = movescu.receive(self._caller, queries, port, incoming.path, stored, (incoming.lock,))
        return _Arrival(asked, self._seen(retrieval), incoming)

    def _seen(self, retrieval: Retrieval) -> Retrieval:
        """The retrieval, its error explained; what it tells of the requests that follow is kept in mind."""
        answered = any(transfer.status is not None for transfer in retrieval.transfers)
        if answered or isinstance(retrieval.error, ConnectionLost):
            self._was_there = True
        if not isinstance(retrieval.error, _GENERAL):
            return retrieval
        with self._counting:
            self._given_up = self._given_up or self._explained(retrieval.error)
        return replace(retrieval, error=self._given_up)

    def _claim(self, purpose: str) -> IncomingDirectory:
        incoming = self._basemount.claim_incoming(purpose)
        self._owned.append(incoming)
        return incoming

    def _pack(self, incoming: IncomingDirectory) -> None:
        with incoming:
            self.packed.append(
                pack(
                    incoming.files(),
                    self._basemount,
                    self._catalogue,
                    self._request.templates,
                    source=Source.TAKE,
                )
            )

    def _error(self, transfer: Transfer, error: PypxError | None) -> PypxError | None:
        """What went wrong with one request, in its own words or those of the run."""
        node, port = self._request.node, self._request.receive_port
        if transfer.status is None:
            return error or ConnectionLost(f"{node} gave no final response")
        if transfer.status.code == MOVE_DESTINATION_UNKNOWN:
            return MoveDestinationUnknown(
                f"{node} does not know the move destination {node.calling_ae_title!r}",
                f"Ask the PACS administrator to add AE title {node.calling_ae_title} at this host,"
                f" port {port}, or use --get.",
            )
        if transfer.status.is_failure and port:
            known = (
                f"Make sure that the PACS knows AE title {node.calling_ae_title} at this host, port {port}."
            )
            return dimse.request_failed(node, "C-MOVE", transfer.status, "" if transfer.completed else known)
        if transfer.status.is_failure:
            return dimse.request_failed(node, "C-GET", transfer.status, _OTHER_WAY)
        if transfer.failed or transfer.remaining:
            return RetrieveIncomplete(
                f"{node} could not send {(transfer.failed or 0) + (transfer.remaining or 0)} images"
            )
        return None

    def _explained(self, error: PypxError) -> PypxError:
        """getscu does not say why an association was rejected; echoscu does."""
        if type(error) is AssociationRejected:
            try:
                echo(self._request.node, self._request.timeout, self._request.binaries)
            except AssociationRejected as told:
                return told
            except PypxError:
                pass  # the first answer stands
        return error

    def _pause(self, attempt: int, missing: int) -> None:
        pause = FIRST_PAUSE * 2 ** (attempt - 1)
        logger.warning("%d series are not complete; asking again in %g s", missing, pause)
        time.sleep(pause)

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
