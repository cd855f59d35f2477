"""How images come from a PACS: C-GET, C-MOVE to a receiver of our own, C-MOVE to another AE title."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from pypx.actions.echo import echo
from pypx.actions.parallel import side_by_side
from pypx.actions.plan import Request
from pypx.actions.receiving.admission import Admission
from pypx.actions.receiving.receiver import Association, Observer, Receiver
from pypx.actions.repack import RepackResult, Source, pack
from pypx.basemount.incoming import IncomingDirectory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk import dimse, getscu, movescu
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Retrieval, Transfer
from pypx.dicom.status import MOVE_DESTINATION_UNKNOWN
from pypx.errors import (
    AssociationRejected,
    ConnectionLost,
    ConnectionRefused,
    HostUnknown,
    MoveDestinationUnknown,
    PypxError,
    RetrieveIncomplete,
    ServiceNotOffered,
)

#: Failures that every further request would meet just the same.
_GENERAL = (AssociationRejected, ConnectionRefused, HostUnknown, ServiceNotOffered)

#: Seconds in which images may still arrive after the PACS said that it has sent all.
LATE = 5.0

_TICK = 0.05


@dataclass(frozen=True, slots=True)
class Place:
    """Where the images go.

    Parameters
    ----------
    basemount, catalogue, templates
    on_packed : callable
        Gets the result of each heap that is packed.
    """

    basemount: Basemount
    catalogue: Catalogue
    templates: TreeTemplates
    on_packed: Callable[[RepackResult], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request ended, after what it brought is packed."""

    request: Request
    retrieval: Retrieval


class Way(ABC):
    """One way; what it opens, it closes at the end of its ``with`` block.

    Parameters
    ----------
    caller : Caller
    jobs : int
        Requests side by side.
    """

    #: The service, for people.
    name: str
    #: What to try one after another for images that the PACS would not send; see getscu.PREFERENCES.
    preferences: tuple[str, ...] = ()

    def __init__(self, caller: Caller, jobs: int) -> None:
        self.was_there = False
        self._caller = caller
        self._jobs = jobs
        self._lock = threading.Lock()
        self._given_up: PypxError | None = None

    def __enter__(self) -> Way:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    @abstractmethod
    def bring(
        self, asked: Sequence[Request], on_images: Callable[[int], None], preference: str = ""
    ) -> Generator[Answer, None, None]:
        """Run requests side by side.

        Parameters
        ----------
        asked : sequence of Request
        on_images : callable
            Gets the number of images that are new, as they arrive, from any thread.
        preference : str
            One of ``preferences``, or "".
        """

    @abstractmethod
    def settle(self, is_complete: Callable[[], bool]) -> None:
        """Wait for images that may still be on their way, after the last answer."""

    @abstractmethod
    def hint(self, transfer: Transfer) -> str:
        """What to do when the PACS answers like this."""

    def error_of(self, answer: Answer) -> PypxError | None:
        """What went wrong with a request."""
        node, transfer = self._caller.node, answer.retrieval.transfer
        if transfer.status is None:
            return answer.retrieval.error or ConnectionLost(f"{node} gave no final response")
        if transfer.status.code == MOVE_DESTINATION_UNKNOWN:
            return MoveDestinationUnknown(f"{node} does not know the move destination", self.hint(transfer))
        if transfer.status.is_failure:
            return dimse.request_failed(node, self.name, transfer.status, self.hint(transfer))
        if left := (transfer.failed or 0) + (transfer.remaining or 0):
            return RetrieveIncomplete(f"{node} could not send {left} images", self.hint(transfer))
        return None

    def _run(self, request: Request, run: Callable[[], Retrieval]) -> Answer:
        """Run one request, unless an earlier one met what every further one would meet, too."""
        if self._given_up:
            return Answer(request, Retrieval(Transfer(), self._given_up))
        retrieval = run()
        if retrieval.transfer.status is not None or isinstance(retrieval.error, ConnectionLost):
            self.was_there = True
        if isinstance(retrieval.error, _GENERAL):
            with self._lock:
                self._given_up = self._given_up or self._explained(retrieval.error)
            retrieval = Retrieval(retrieval.transfer, self._given_up)
        return Answer(request, retrieval)

    def _explained(self, error: PypxError) -> PypxError:
        """getscu does not say why an association was rejected; echoscu does."""
        if type(error) is AssociationRejected:
            try:
                echo(self._caller.node, self._caller.timeout, self._caller.binaries)
            except AssociationRejected as told:
                return told
            except PypxError:
                pass  # the first answer stands
        return error


class Get(Way):
    """C-GET: the images come over the association that asks for them."""

    name = "C-GET"
    preferences = getscu.PREFERENCES

    def __init__(self, caller: Caller, jobs: int, place: Place) -> None:
        super().__init__(caller, jobs)
        self._place = place
        self._owned: list[IncomingDirectory] = []

    def bring(
        self, asked: Sequence[Request], on_images: Callable[[int], None], preference: str = ""
    ) -> Generator[Answer, None, None]:
        self._given_up = None
        work = [partial(self._get, request, on_images, preference) for request in asked]
        try:
            # Closed before the directories are released: then no thread is left that writes there.
            with closing(side_by_side(self._caller.processes, self._jobs, work)) as arrivals:
                for answer, incoming in arrivals:
                    self._pack(incoming)
                    yield answer
        finally:
            for incoming in self._owned:
                incoming.release()
            self._owned.clear()

    def _get(
        self, request: Request, on_images: Callable[[int], None], preference: str
    ) -> tuple[Answer, IncomingDirectory]:
        incoming = self._place.basemount.claim_incoming("get")
        self._owned.append(incoming)
        path, lock = incoming.path, incoming.lock

        def stored() -> None:
            self.was_there = True
            on_images(1)

        answer = self._run(
            request, lambda: getscu.get(self._caller, request.query, path, stored, (lock,), preference)
        )
        return answer, incoming

    def _pack(self, incoming: IncomingDirectory) -> None:
        place = self._place
        with incoming:
            files = incoming.files()
            place.on_packed(
                pack(files, place.basemount, place.catalogue, place.templates, source=Source.TAKE)
            )

    def settle(self, is_complete: Callable[[], bool]) -> None:
        """Nothing is on its way: the answer comes after the last image, over the same association."""

    def hint(self, _transfer: Transfer) -> str:
        return (
            "The PACS may have the images in a form that C-GET does not bring: try --receivePort, or ask the"
            " PACS administrator what its log says of this moment."
        )


class Receive(Way):
    """C-MOVE to ourselves: a receiver of our own listens for as long as this lasts.

    Raises
    ------
    PortInUse, BinaryMissing
    """

    name = "C-MOVE"

    def __init__(self, caller: Caller, jobs: int, place: Place, port: int) -> None:
        super().__init__(caller, jobs)
        self._place = place
        self._on_images: Callable[[int], None] = lambda _: None
        self._problem: PypxError | None = None
        self._last = time.monotonic()
        self._receiver = Receiver(
            port,
            Admission(caller.node.calling_ae_title),
            place.basemount,
            place.catalogue,
            place.templates,
            caller.binaries,
            Observer(self._ended, self._packed, self._failed),
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is open now has had its time: the answers are in, and settle() has waited.
        self._receiver.close(grace=0.0)

    def bring(
        self, asked: Sequence[Request], on_images: Callable[[int], None], preference: str = ""
    ) -> Generator[Answer, None, None]:
        del preference
        self._given_up = None
        self._on_images = on_images
        work = [partial(self._move, request) for request in asked]
        with closing(side_by_side(self._caller.processes, self._jobs, work)) as answers:
            for answer in answers:
                if self._problem:
                    raise self._problem
                yield answer

    def _move(self, request: Request) -> Answer:
        own_title = self._caller.node.calling_ae_title
        return self._run(
            request, lambda: movescu.move(self._caller, request.query, own_title, lambda _: None)
        )

    def settle(self, is_complete: Callable[[], bool]) -> None:
        while self._receiver.associations or self._receiver.waiting or not self._is_quiet(0.2):
            if self._is_quiet(self._caller.timeout):
                return
            time.sleep(_TICK)
        while not is_complete() and not self._is_quiet(LATE):
            time.sleep(_TICK * 4)

    def _is_quiet(self, seconds: float) -> bool:
        with self._lock:
            return time.monotonic() - self._last >= seconds

    def _ended(self, _association: Association) -> None:
        with self._lock:
            self._last = time.monotonic()

    def _packed(self, result: RepackResult) -> None:
        with self._lock:
            self._last = time.monotonic()
        self._place.on_packed(result)
        self._on_images(result.stored + result.duplicates + result.conflicts)

    def _failed(self, error: PypxError) -> None:
        self._problem = error

    def hint(self, transfer: Transfer) -> str:
        if transfer.completed:
            return ""
        node, port = self._caller.node, self._receiver.port
        return (
            f"Make sure that the PACS knows AE title {node.calling_ae_title} at this host, port {port},"
            " and that no firewall is between; or use --get."
        )


class Send(Way):
    """C-MOVE to another AE title: a px-listen on this BASEMOUNT, or a node that has nothing to do with it."""

    name = "C-MOVE"

    def __init__(self, caller: Caller, jobs: int, destination: str) -> None:
        super().__init__(caller, jobs)
        self._destination = destination

    def bring(
        self, asked: Sequence[Request], on_images: Callable[[int], None], preference: str = ""
    ) -> Generator[Answer, None, None]:
        del preference
        self._given_up = None
        work = [partial(self._move, request, on_images) for request in asked]
        with closing(side_by_side(self._caller.processes, self._jobs, work)) as answers:
            yield from answers

    def _move(self, request: Request, on_images: Callable[[int], None]) -> Answer:
        sent = 0

        def progressed(completed: int) -> None:
            nonlocal sent
            on_images(max(0, completed - sent))
            sent = max(sent, completed)

        return self._run(
            request, lambda: movescu.move(self._caller, request.query, self._destination, progressed)
        )

    def settle(self, is_complete: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LATE
        while not is_complete() and time.monotonic() < deadline:
            time.sleep(_TICK * 4)

    def hint(self, transfer: Transfer) -> str:
        if transfer.completed:
            return ""
        return f"Make sure that the PACS knows AE title {self._destination} and can reach it."
