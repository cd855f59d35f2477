"""A C-STORE provider of our own: accepts associations, hands each to a storescp, packs what they write."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pypx.actions.receiving.admission import Admission
from pypx.actions.receiving.door import Door, Visitor
from pypx.actions.receiving.entrance import TlsEntrance, is_tls, plainly
from pypx.actions.receiving.packer import Packer
from pypx.actions.receiving.stream import Stream
from pypx.actions.repack import RepackResult
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk import storescp
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Processes
from pypx.dicom.association import AssociationRequest, Refusal, read_request
from pypx.dicom.tls import TlsSettings
from pypx.errors import DiskFull, InternalError, Interrupted, PeerTimeout, PypxError, TlsFailed
from pypx.wording import counted

logger = logging.getLogger(__name__)

#: Seconds in which a peer that is refused may read why.
_FAREWELL = 5.0

#: Seconds between two looks at how much space is free, while something is received.
_SPACE_INTERVAL = 0.02

#: Seconds of silence after which an association is taken as idle, once it is to stop.
_IDLE_AT_END = 10.0


@dataclass(frozen=True, slots=True)
class Association:
    """One association, after its end.

    Parameters
    ----------
    address : str
        Of the peer.
    request : AssociationRequest or None
        None where the peer sent something else.
    served : storescp.Served or None
        None where it was refused.
    refusal : str
        Why it was refused, in words; "" as well where the peer never said a word.
    """

    address: str
    request: AssociationRequest | None
    served: storescp.Served | None = None
    refusal: str = ""

    @property
    def peer(self) -> str:
        """The peer, as far as it said who it is."""
        return f"{self.request.calling_ae_title}@{self.address}" if self.request else self.address

    @property
    def outcome(self) -> str:
        """What came of it, in words."""
        if not self.served:
            return self.refusal or "no word"
        images = counted(self.served.images, "image", "images")
        return f"{images}, {'released' if self.served.released else 'not released'}"


@dataclass(frozen=True, slots=True)
class Observer:
    """Who is told what happens; each is called from another thread, and must be quick."""

    on_association: Callable[[Association], None]
    on_packed: Callable[[RepackResult], None]
    on_problem: Callable[[PypxError], None]


class Receiver:
    """Receives on one port until it is closed.

    Parameters
    ----------
    port : int
        To listen on, all addresses of this host; 0 for a free one.
    admission : Admission
    basemount, catalogue, templates
        Where the images go.
    binaries : Binaries
    observer : Observer
    tls : TlsSettings, optional
        How peers must protect their associations; they must not where not given.

    Raises
    ------
    PortInUse
        When the port is taken, or not for us.
    BinaryMissing, BasemountUnusable
    """

    def __init__(
        self,
        port: int,
        admission: Admission,
        basemount: Basemount,
        catalogue: Catalogue,
        templates: TreeTemplates,
        binaries: Binaries,
        observer: Observer,
        tls: TlsSettings | None = None,
    ) -> None:
        binaries.path("storescp")
        self._admission = admission
        self._binaries = binaries
        self._observer = observer
        self._tls = TlsEntrance(tls) if tls else None
        self._trees = (basemount.data, basemount.incoming)
        self._processes = Processes()
        self._running: set[threading.Thread] = set()
        self._associations = 0
        self._streams: set[Stream] = set()
        self._failure: PypxError | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._closed = threading.Event()
        self._door = Door(port)
        self.port = self._door.port
        try:
            self._packer = Packer(basemount, catalogue, templates, observer.on_packed, observer.on_problem)
        except BaseException:
            self._door.close()
            raise
        self._threads = [
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True)
            for work in (self._accept, self._watch_space)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def associations(self) -> int:
        """How many are open."""
        return self._associations

    @property
    def silence(self) -> float:
        """Seconds in which next to nothing arrived on an association that is open; infinite where none is."""
        with self._lock:
            return min((stream.silence for stream in self._streams), default=float("inf"))

    @property
    def waiting(self) -> int:
        """How many complete files are not packed yet."""
        return self._packer.waiting

    @property
    def problem(self) -> PypxError | None:
        """Why what arrived cannot be packed at the moment."""
        return self._packer.problem

    @property
    def left(self) -> PypxError | None:
        """Why not all that arrived is packed, once it is closed, if it is not."""
        return self._packer.left

    @property
    def failure(self) -> PypxError | None:
        """Why it does not receive any more, if it does not."""
        return self._failure or self._packer.failure

    def close(self, grace: float | None = None, hurry: Callable[[], bool] = lambda: False) -> None:
        """Take no more associations, let those that are open come to their end, and pack all they brought.

        Parameters
        ----------
        grace : float, optional
            Seconds after which open associations are ended; they may take their time where not given, for as
            long as something arrives.
        hurry : callable
            Asked again and again; True ends them at once.
        """
        self._closing.set()
        self._door.ring()
        self._threads[0].join()
        if self._tls:
            self._tls.close()
        deadline = None if grace is None else time.monotonic() + grace
        while running := self._serving():
            if (deadline is not None and time.monotonic() >= deadline) or hurry():
                break
            running[0].join(0.05)
        self._processes.end()
        for thread in self._serving():
            thread.join()
        self._closed.set()
        self._threads[1].join()
        self._packer.drain()

    def _serving(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._running)

    def _accept(self) -> None:
        try:
            while not self._closing.is_set():
                for visitor in self._door.visitors(0.2):
                    thread = threading.Thread(target=self._serve, args=(visitor,), daemon=True)
                    with self._lock:
                        self._running.add(thread)
                    self._start(thread, visitor)
        except Exception as error:
            logger.debug("internal error", exc_info=True)
            self._failure = InternalError(f"{type(error).__name__}: {error}")
        finally:
            self._door.close()

    def _start(self, thread: threading.Thread, visitor: Visitor) -> None:
        try:
            thread.start()
        except RuntimeError as error:
            # The system gives no more threads: this peer has to come again.
            with self._lock:
                self._running.discard(thread)
            visitor.connection.close()
            self._observer.on_problem(_cannot_serve(visitor, error))

    def _watch_space(self) -> None:
        """End what is received before the disk is full.

        storescp sees that an image could not be written, but not that of its last few kilobytes: a small one
        would be acknowledged, and lost. So it must not come to that.
        """
        least = self._admission.min_free // 2
        while not self._closed.wait(_SPACE_INTERVAL if self._associations else _SPACE_INTERVAL * 10):
            if self._associations and self._free() < least:
                self._processes.end_running()
                self._observer.on_problem(
                    DiskFull(
                        f"Less than {least} bytes are free where images arrive; open associations were ended",
                        "Make space: peers keep what was not acknowledged, and are let in again then.",
                    )
                )
                self._closed.wait(1.0)

    def _serve(self, visitor: Visitor) -> None:
        try:
            with visitor.connection:
                association = self._through_tls(visitor) if self._tls else self._associate(visitor)
            logger.info("%s: %s", association.peer, association.outcome)
            self._observer.on_association(association)
        except Interrupted:
            pass  # it came at the last moment
        except PypxError as error:
            self._observer.on_problem(error)
        except OSError as error:
            self._observer.on_problem(_cannot_serve(visitor, error))
        except Exception as error:
            # Nothing that one association does may be felt by another.
            logger.debug("internal error", exc_info=True)
            self._observer.on_problem(
                InternalError(
                    f"An association of {visitor.address} ended with {type(error).__name__}: {error}"
                )
            )
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())

    def _through_tls(self, visitor: Visitor) -> Association:
        assert self._tls is not None  # noqa: S101  (who calls this has looked)
        if request := read_request(visitor.head):
            _refuse(visitor.connection, Refusal.WITHOUT_TLS, _FAREWELL)
            return Association(visitor.address, request, refusal=Refusal.WITHOUT_TLS.words)
        if not is_tls(visitor.head):
            return Association(visitor.address, None, refusal=_what_else(visitor.head))
        try:
            inside = self._tls.enter(visitor)
        except (PeerTimeout, TlsFailed) as error:
            return Association(visitor.address, None, refusal=error.message)
        with inside.connection:
            return self._associate(inside)

    def _associate(self, visitor: Visitor) -> Association:
        request = read_request(visitor.head)
        if request is None:
            return Association(visitor.address, None, refusal=_what_else(visitor.head))
        if not visitor.has_spoken:
            # It would keep one of the places.
            return Association(visitor.address, request, refusal="its request for an association has no end")
        free = self._free()
        with self._lock:
            refusal = self._admission.refuse(request, visitor.address, free, self._associations)
            if refusal:
                is_crowded = len(self._running) - self._associations > self._admission.most_associations
            else:
                self._associations += 1
        if refusal:
            _refuse(visitor.connection, refusal, 0.0 if is_crowded else _FAREWELL)
            return Association(visitor.address, request, refusal=refusal.words)
        try:
            return Association(visitor.address, request, self._receive(visitor))
        finally:
            with self._lock:
                self._associations -= 1

    def _receive(self, visitor: Visitor) -> storescp.Served:
        with (
            self._packer.held_directory() as (directory, lock),
            plainly(visitor) as connection,
            self._watched(connection),
        ):
            return storescp.serve(
                self._processes,
                self._binaries,
                connection,
                directory,
                self._admission.ae_title,
                (lock,),
                lambda: _IDLE_AT_END if self._closing.is_set() else storescp.HUNG,
            )

    @contextmanager
    def _watched(self, connection: socket.socket) -> Iterator[None]:
        """Count the silence of a connection."""
        stream = Stream(connection)
        with self._lock:
            self._streams.add(stream)
        try:
            yield
        finally:
            with self._lock:
                self._streams.discard(stream)

    def _free(self) -> int:
        """Bytes free where images arrive and where they go; of what is not there for the moment, none."""
        return min((_free_in(tree) for tree in self._trees if tree.is_dir()), default=0)


def _cannot_serve(visitor: Visitor, error: Exception) -> InternalError:
    """The system gives no more files, or no more threads; the peer has to come again."""
    return InternalError(
        f"{visitor.address} cannot be served now ({error})",
        "Should that go on, raise what this process may have (ulimit -n, ulimit -u; of a systemd unit"
        " LimitNOFILE= and TasksMax=).",
    )


def _free_in(tree: Path) -> int:
    try:
        space = os.statvfs(tree)
    except OSError:
        return 0
    return space.f_bavail * space.f_frsize


def _what_else(head: bytes) -> str:
    if not head:
        return ""
    if is_tls(head):
        return "the peer speaks TLS, and this port does not"
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "):
        return "the peer speaks HTTP, and this is a DICOM port"
    return "what the peer sent is not DICOM"


def _refuse(connection: socket.socket, refusal: Refusal, seconds: float) -> None:
    """Send a refusal, and give the peer so long to read it."""
    deadline = time.monotonic() + seconds
    try:
        connection.settimeout(_FAREWELL)
        connection.sendall(refusal.pdu())
        connection.shutdown(socket.SHUT_WR)
        # The request is read, or closing would reset the connection before the peer has our answer.
        while time.monotonic() < deadline and connection.recv(65536):
            pass
    except OSError:
        pass  # it is gone, as it was to be
