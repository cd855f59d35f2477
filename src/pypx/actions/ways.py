"""How images come from a PACS: what every way has in common, and C-GET."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from pypx.actions.echo import explained
from pypx.actions.parallel import side_by_side
from pypx.actions.plan import Request
from pypx.actions.receiving.stream import LEAST_RATE
from pypx.actions.repack import RepackResult, Source, pack
from pypx.basemount.incoming import IncomingDirectory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk import dimse, getscu
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
from pypx.wording import counted

#: Failures that every further request would meet just the same.
_GENERAL = (AssociationRejected, ConnectionRefused, HostUnknown, ServiceNotOffered)

#: Seconds between two looks at how much a running transfer has brought.
_SIZE_INTERVAL = 0.5

#: Called with a request, and how many images and bytes are new, from any thread.
Arrived: TypeAlias = Callable[[Request, int, int], None]


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
        self, asked: Sequence[Request], arrived: Arrived, preference: str = ""
    ) -> Generator[Answer, None, None]:
        """Run requests side by side.

        Parameters
        ----------
        asked : sequence of Request
        arrived : callable
            Told of what is new, as it arrives.
        preference : str
            One of ``preferences``, or "".
        """

    @abstractmethod
    def settle(self, is_complete: Callable[[], bool]) -> None:
        """Wait for images that may still be on their way, after the last answer.

        Raises
        ------
        PypxError
            When what came cannot be stored.
        """

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
            images = counted(left, "image", "images")
            return RetrieveIncomplete(f"{node} could not send {images}", self.hint(transfer))
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
                self._given_up = self._given_up or explained(retrieval.error, self._caller)
            retrieval = Retrieval(retrieval.transfer, self._given_up)
        return Answer(request, retrieval)


class Get(Way):
    """C-GET: the images come over the association that asks for them."""

    name = "C-GET"
    preferences = getscu.PREFERENCES

    def __init__(self, caller: Caller, jobs: int, place: Place) -> None:
        super().__init__(caller, jobs)
        self._place = place
        self._owned: list[IncomingDirectory] = []

    def bring(
        self, asked: Sequence[Request], arrived: Arrived, preference: str = ""
    ) -> Generator[Answer, None, None]:
        self._given_up = None
        work = [partial(self._get, request, arrived, preference) for request in asked]
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

    def _get(self, request: Request, arrived: Arrived, preference: str) -> tuple[Answer, IncomingDirectory]:
        incoming = self._place.basemount.claim_incoming("get")
        self._owned.append(incoming)
        # The PACS names the files.
        path, lock = incoming.part("images"), incoming.lock
        known, next_look = 0, time.monotonic() + _SIZE_INTERVAL

        def look() -> int:
            nonlocal known, next_look
            size, next_look = _size_of(path), time.monotonic() + _SIZE_INTERVAL
            more, known = max(0, size - known), max(size, known)
            return more

        def stored() -> None:
            self.was_there = True
            arrived(request, 1, look() if time.monotonic() >= next_look else 0)

        growth = _Growth(path, LEAST_RATE * self._caller.timeout)
        answer = self._run(
            request,
            lambda: getscu.get(
                self._caller, request.query, path, stored, (lock,), preference, growth.has_stopped
            ),
        )
        arrived(request, 0, look())
        return answer, incoming

    def _pack(self, incoming: IncomingDirectory) -> None:
        place = self._place
        with incoming:
            files = incoming.files()
            packed = pack(files, place.basemount, place.catalogue, place.templates, source=Source.TAKE)
            place.on_packed(packed)
            packed.raise_if_stopped()

    def settle(self, is_complete: Callable[[], bool]) -> None:
        """Nothing is on its way: the answer comes after the last image, over the same association."""

    def hint(self, _transfer: Transfer) -> str:
        return (
            "The PACS may have the images in a form that C-GET does not bring: try --receivePort, or ask the"
            " PACS administrator what its log says of this moment."
        )


class _Growth:
    """Whether something still arrives in a directory.

    Parameters
    ----------
    directory : pathlib.Path
    least : float
        Bytes that must have come since it was asked before.
    """

    def __init__(self, directory: Path, least: float) -> None:
        self._directory = directory
        self._least = least
        self._known = 0

    def has_stopped(self) -> bool:
        before, self._known = self._known, _size_of(self._directory)
        return self._known - before < self._least


def _size_of(directory: Path) -> int:
    """Bytes of the files in a directory, some of which may be going."""
    size = 0
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_size
    return size
