"""How images come by C-MOVE: to a receiver of our own, or to another AE title."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from functools import partial
from types import TracebackType

from pypx.actions.parallel import side_by_side
from pypx.actions.plan import Request
from pypx.actions.receiving.admission import Admission
from pypx.actions.receiving.receiver import Association, Observer, Receiver
from pypx.actions.receiving.state import listeners
from pypx.actions.repack import RepackResult
from pypx.actions.ways import Answer, Arrived, Place, Way
from pypx.basemount.layout import Basemount
from pypx.dcmtk import movescu
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Transfer
from pypx.dicom.tls import TlsSettings
from pypx.errors import PypxError

logger = logging.getLogger(__name__)

#: Seconds in which images may still arrive after the PACS said that it has sent all.
LATE = 5.0

_TICK = 0.05


class Receive(Way):
    """C-MOVE to ourselves: a receiver of our own listens for as long as this lasts.

    Raises
    ------
    PortInUse, BinaryMissing
    """

    name = "C-MOVE"

    def __init__(self, caller: Caller, jobs: int, place: Place, port: int, tls: TlsSettings | None) -> None:
        super().__init__(caller, jobs)
        self._place = place
        self._arrived: Arrived = lambda *_: None
        self._requests: Mapping[str, Request] = {}
        self._last = time.monotonic()
        self._came = 0
        self._told = 0
        self._receiver = Receiver(
            port,
            Admission(caller.node.calling_ae_title),
            place.basemount,
            place.catalogue,
            place.templates,
            caller.binaries,
            Observer(self._ended, self._packed, self._failed),
            tls,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is open now has had its time: the answers are in, and settle() has waited.
        self._receiver.close(grace=0.0)

    def bring(
        self, asked: Sequence[Request], arrived: Arrived, preference: str = ""
    ) -> Generator[Answer, None, None]:
        del preference
        self._given_up = None
        self._arrived = arrived
        self._requests = {series.series_uid: request for request in asked for series in request.series}
        with self._lock:
            self._came = self._told = 0
            self._last = time.monotonic()
        work = [partial(self._move, request) for request in asked]
        with closing(side_by_side(self._caller.processes, self._jobs, work)) as answers:
            for answer in answers:
                self._raise_problem()
                transfer = answer.retrieval.transfer
                self._told += (transfer.completed or 0) + (transfer.warning or 0)
                yield answer

    def _move(self, request: Request) -> Answer:
        own_title = self._caller.node.calling_ae_title
        return self._run(
            request,
            lambda: movescu.move(self._caller, request.query, own_title, lambda _: None, self._hangs),
        )

    def _hangs(self) -> bool:
        """Whether nothing arrives any more, either."""
        timeout = self._caller.timeout
        return self._is_quiet(timeout) and self._receiver.silence >= timeout

    def settle(self, is_complete: Callable[[], bool]) -> None:
        while self._receiver.associations or self._receiver.waiting or not self._is_quiet(_TICK * 2):
            self._raise_problem()
            if self._hangs():
                return
            time.sleep(_TICK)
        while not self._has_what_was_told() and not is_complete() and not self._is_quiet(LATE):
            self._raise_problem()
            time.sleep(_TICK * 4)

    def _has_what_was_told(self) -> bool:
        with self._lock:
            return 0 < self._told <= self._came

    def _raise_problem(self) -> None:
        if problem := self._receiver.failure or self._receiver.problem:
            raise problem

    def _is_quiet(self, seconds: float) -> bool:
        with self._lock:
            return time.monotonic() - self._last >= seconds

    def _ended(self, association: Association) -> None:
        # Whoever looks whether the port is open brings nothing.
        if association.served and association.served.images:
            with self._lock:
                self._last = time.monotonic()

    def _packed(self, result: RepackResult) -> None:
        counts = {one.series.get("SeriesInstanceUID", ""): sum(one.counts.values()) for one in result.series}
        images = sum(counts.values())
        with self._lock:
            self._last = time.monotonic()
            self._came += images
            self.was_there = True
        self._place.on_packed(result)
        for uid, count in counts.items():
            # A batch says how large it is, not how large its parts are.
            if request := self._requests.get(uid):
                self._arrived(request, count, result.bytes * count // images)

    def _failed(self, error: PypxError) -> None:
        logger.info("%s", error.message)

    def hint(self, transfer: Transfer) -> str:
        if transfer.completed:
            return ""
        node, port = self._caller.node, self._receiver.port
        return (
            f"Make sure that the PACS knows AE title {node.calling_ae_title} at this host, port {port},"
            " and that no firewall is between; or use --get."
        )


class Send(Way):
    """C-MOVE to another AE title: a px-listen on this BASEMOUNT, or a node that has nothing to do with it.

    Parameters
    ----------
    caller : Caller
    jobs : int
    destination : str
    basemount : Basemount
        On which px-listen may run.
    """

    name = "C-MOVE"

    def __init__(self, caller: Caller, jobs: int, destination: str, basemount: Basemount) -> None:
        super().__init__(caller, jobs)
        self._destination = destination
        self._basemount = basemount

    def bring(
        self, asked: Sequence[Request], arrived: Arrived, preference: str = ""
    ) -> Generator[Answer, None, None]:
        del preference
        self._given_up = None
        work = [partial(self._move, request, arrived) for request in asked]
        with closing(side_by_side(self._caller.processes, self._jobs, work)) as answers:
            yield from answers

    def _move(self, request: Request, arrived: Arrived) -> Answer:
        sent = 0

        def progressed(completed: int) -> None:
            nonlocal sent
            arrived(request, max(0, completed - sent), 0)
            sent = max(sent, completed)

        return self._run(
            request, lambda: movescu.move(self._caller, request.query, self._destination, progressed)
        )

    def settle(self, is_complete: Callable[[], bool]) -> None:
        waiting, deadline = 0, time.monotonic() + LATE
        while not is_complete() and time.monotonic() < deadline:
            time.sleep(_TICK * 4)
            before, waiting = (
                waiting,
                self._waiting_there(),
            )
            if waiting and waiting != before:
                # px-listen has them, and they are on their way into the catalogue.
                deadline = time.monotonic() + max(LATE, self._caller.timeout)

    def _waiting_there(self) -> int:
        """How many images px-listen has that are not in the catalogue yet."""
        return sum(one.waiting for one in listeners(self._basemount) if one.aet == self._destination)

    def hint(self, transfer: Transfer) -> str:
        if transfer.completed:
            return ""
        title = self._destination
        if any(one.aet == title for one in listeners(self._basemount)):
            return (
                f"Ask px-listen --status what the matter is, and the PACS whether it knows AE title {title}."
            )
        return (
            f"Make sure that the PACS knows AE title {title} and can reach it. No px-listen of that title"
            " runs on this BASEMOUNT: start it, if that is where the images are to come."
        )
