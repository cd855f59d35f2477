"""A C-STORE provider of our own: accepts associations, hands each to a storescp, packs what they write."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.actions.receiving.admission import Admission, plain_address
from pypx.actions.receiving.packer import Packer
from pypx.actions.repack import RepackResult
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk import storescp
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Processes
from pypx.dicom.association import REQUEST_HEAD, AssociationRequest, Refusal, read_request
from pypx.errors import PortInUse, PypxError

logger = logging.getLogger(__name__)

#: Seconds in which a peer that has connected must begin to ask for an association.
_PATIENCE = 30.0

_BACKLOG = 128


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
        Why it was refused, in words.
    """

    address: str
    request: AssociationRequest | None
    served: storescp.Served | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Observer:
    """Who is told what happens; each is called from another thread, and must be quick."""

    on_association: Callable[[Association], None]
    on_packed: Callable[[RepackResult], None]
    on_problem: Callable[[PypxError], None]


class Receiver:
    """Receives on one port for as long as its ``with`` block lasts.

    Parameters
    ----------
    port : int
        To listen on, all addresses of this host; 0 for a free one.
    admission : Admission
    basemount, catalogue, templates
        Where the images go.
    binaries : Binaries
    observer : Observer

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
    ) -> None:
        binaries.path("storescp")
        self._admission = admission
        self._binaries = binaries
        self._observer = observer
        self._data = basemount.data
        self._processes = Processes()
        self._running: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self._packer = Packer(basemount, catalogue, templates, observer.on_packed, observer.on_problem)
        self._acceptor = threading.Thread(target=self._accept, name="acceptor", daemon=True)
        self._acceptor.start()

    @property
    def associations(self) -> int:
        """How many are open."""
        with self._lock:
            return len(self._running)

    @property
    def waiting(self) -> int:
        """How many complete files are not packed yet."""
        return self._packer.waiting

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(grace=0.0 if kind else None)

    def close(self, grace: float | None = None) -> None:
        """Take no more associations, let those that are open come to their end, and pack all they brought.

        Parameters
        ----------
        grace : float, optional
            Seconds after which open associations are ended; they may take their time where not given.
        """
        self._closing.set()
        self._acceptor.join()
        self._socket.close()
        deadline = None if grace is None else time.monotonic() + grace
        for thread in list(self._running):
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        self._processes.end()
        for thread in list(self._running):
            thread.join()
        self._packer.drain()

    def _accept(self) -> None:
        while not self._closing.is_set():
            if not _is_readable(self._socket, 0.2):
                continue
            try:
                connection, address = self._socket.accept()
            except OSError as error:
                # Out of file descriptors, or the peer is gone already: others must still be served.
                logger.warning("A connection could not be taken (%s)", error.strerror)
                self._closing.wait(0.1)
                continue
            thread = threading.Thread(target=self._serve, args=(connection, address[0]), daemon=True)
            with self._lock:
                self._running.add(thread)
            thread.start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            with connection:
                self._observer.on_association(self._associate(connection, plain_address(address)))
        except PypxError as error:
            self._observer.on_problem(error)
        finally:
            with self._lock:
                self._running.discard(threading.current_thread())

    def _associate(self, connection: socket.socket, address: str) -> Association:
        head = _peek(connection, REQUEST_HEAD, _PATIENCE, self._closing)
        request = read_request(head)
        if request is None:
            return Association(address, None, refusal=_what_else(head))
        refusal = self._admission.refuse(request, address, self._free(), self.associations - 1)
        if refusal:
            _refuse(connection, refusal)
            return Association(address, request, refusal=refusal.words)
        incoming = self._packer.incoming
        with TemporaryDirectory(prefix="px-listen-") as scratch:
            served = storescp.serve(
                self._processes,
                self._binaries,
                connection,
                incoming.path,
                Path(scratch),
                self._admission.ae_title,
                keep_open=(incoming.lock,),
            )
        return Association(address, request, served)

    def _free(self) -> int:
        try:
            space = os.statvfs(self._data)
        except OSError:
            return 0
        return space.f_bavail * space.f_frsize


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    except (OSError, ValueError):
        pass  # no IPv6 here; what else is wrong, IPv4 tells as well
    try:
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        raise PortInUse(
            f"Port {port} cannot be opened to receive on ({error.strerror})",
            "Choose another port (and tell the PACS), or end the program that holds it.",
        ) from error


def _peek(connection: socket.socket, size: int, patience: float, closing: threading.Event) -> bytes:
    """The first bytes that the peer sends, left in the connection; fewer where it sends no more in time."""
    deadline = time.monotonic() + patience
    head = b""
    while len(head) < size and time.monotonic() < deadline and not closing.is_set():
        if not _is_readable(connection, 0.2):
            continue
        try:
            seen = connection.recv(size, socket.MSG_PEEK)
        except OSError:
            return b""
        if not seen:
            break
        if len(seen) == len(head):
            time.sleep(0.02)  # the rest is on its way, and select() returns at once for what is there
        head = seen
        if head[0] != 0x01:
            break
    return head


def _is_readable(connection: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _what_else(head: bytes) -> str:
    if not head:
        return "the peer sent nothing"
    if head[:2] == b"\x16\x03":
        return "the peer speaks TLS, and this port does not"
    if head[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI"):
        return "the peer speaks HTTP, and this is a DICOM port"
    return "what the peer sent is not DICOM"


def _refuse(connection: socket.socket, refusal: Refusal) -> None:
    try:
        connection.settimeout(5.0)
        connection.sendall(refusal.pdu())
        connection.shutdown(socket.SHUT_WR)
        # The request is read, or closing would reset the connection before the peer has our answer.
        while connection.recv(65536):
            pass
    except OSError:
        pass  # it is gone, as it was to be
