"""Carries associations between DCMTK's programs that have no TLS and peers that have nothing else.

Such a program speaks to 127.0.0.1 of this host, in a connection that is taken from no other user.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from pypx.dcmtk import tls_connection
from pypx.dcmtk.local_peer import is_of_our_user
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsSettings
from pypx.errors import PypxError

logger = logging.getLogger(__name__)

_HERE = "127.0.0.1"

#: Bytes that are read at a time.
_CHUNK = 65536

#: Seconds in which a side has to take the last bytes of the other.
_FAREWELL = 5.0

_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _Direction:
    """From one socket to the other. What was read is sent before more is read: nothing is left at its end."""

    def __init__(self, source: socket.socket, target: socket.socket, begun: bytes = b"") -> None:
        self._source = source
        self._target = target
        self._pending = memoryview(begun)
        self.has_ended = False
        self.has_moved = False

    def move(self) -> bool:
        """Move what can be moved without waiting; whether that was something."""
        try:
            if not self._pending:
                self._pending = memoryview(self._source.recv(_CHUNK))
                self.has_ended = not self._pending
            if self.has_ended:
                return False
            self._pending = self._pending[self._target.send(self._pending) :]
            self.has_moved = True
        except _NOT_NOW:
            return False
        return True

    @property
    def waits_for(self) -> tuple[socket.socket, int]:
        """What has to happen before something can be moved."""
        return (self._target, select.POLLOUT) if self._pending else (self._source, select.POLLIN)


def relay(plain: socket.socket, secure: ssl.SSLSocket, begun: bytes = b"") -> bool:
    """Carry bytes in both directions until one side has no more.

    Parameters
    ----------
    plain, secure : socket.socket
        Left open.
    begun : bytes
        What was read from the secure side already.

    Returns
    -------
    bool
        Whether anything came from the secure side.

    Raises
    ------
    ssl.SSLError
        When the other side broke off TLS.
    """
    plain.setblocking(False)
    secure.setblocking(False)
    inward, outward = _Direction(secure, plain, begun), _Direction(plain, secure)
    directions = inward, outward
    with contextlib.suppress(ConnectionError):
        while True:
            moved = [direction.move() for direction in directions]
            if any(direction.has_ended for direction in directions):
                break
            if not any(moved):
                _wait(direction.waits_for for direction in directions)
        with contextlib.suppress(OSError, ValueError):
            secure.unwrap()
    return inward.has_moved


def _wait(awaited: Iterable[tuple[socket.socket, int]]) -> None:
    events: dict[int, int] = {}
    for waited_for, event in awaited:
        events[waited_for.fileno()] = events.get(waited_for.fileno(), 0) | event
    poll = select.poll()
    for descriptor, event in events.items():
        poll.register(descriptor, event)
    poll.poll()


class _Relaying(threading.Thread):
    """Relays in a thread of its own, which ends soon after the plain side has."""

    def __init__(self, plain: socket.socket, secure: ssl.SSLSocket, begun: bytes = b"") -> None:
        super().__init__(name="tls-relay", daemon=True)
        self._plain = plain
        self._secure = secure
        self._begun = begun

    def run(self) -> None:
        with self._plain:
            try:
                relay(self._plain, self._secure, self._begun)
            except OSError as error:
                logger.debug("%s", error)

    def end(self) -> None:
        self.join(_FAREWELL)
        if self.is_alive():
            cut(self._secure)
            self.join()


def cut(secure: ssl.SSLSocket) -> None:
    """End a connection that another thread uses."""
    with contextlib.suppress(OSError):
        # Not its own shutdown(): that would first leave TLS.
        socket.socket.shutdown(secure, socket.SHUT_RDWR)


@contextmanager
def decrypted(secure: ssl.SSLSocket, begun: bytes) -> Iterator[socket.socket]:
    """A connection over which a program has without TLS what the peer has with it.

    Parameters
    ----------
    secure : ssl.SSLSocket
    begun : bytes
        What was read from it already.
    """
    ours, theirs = _pair()
    relaying = _Relaying(ours, secure, begun)
    relaying.start()
    try:
        with theirs:
            yield theirs
    finally:
        relaying.end()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets; of TCP, since DCMTK's programs take no others."""
    with socket.create_server((_HERE, 0)) as server:
        one = socket.create_connection(server.getsockname())
        while True:
            other, address = server.accept()
            if address == one.getsockname():
                break
            other.close()  # somebody else was faster
    for end in (one, other):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


class Bridge:
    """The way of one program to a PACS; a context manager.

    Parameters
    ----------
    node : Node
        The PACS.
    tls : TlsSettings
    """

    def __init__(self, node: Node, tls: TlsSettings) -> None:
        self._node = node
        self._tls = tls
        self._secure: ssl.SSLSocket | None = None
        self._server = socket.create_server((_HERE, 0))
        self._thread = threading.Thread(target=self._carry, name="tls-bridge", daemon=True)
        self.failure: PypxError | None = None

    @property
    def node(self) -> Node:
        """The PACS as the program is to call it."""
        return replace(self._node, host=_HERE, port=self._server.getsockname()[1], tls=None)

    def __enter__(self) -> Bridge:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._thread.join(_FAREWELL)
        if self._secure:
            cut(self._secure)
        self._server.close()

    def _carry(self) -> None:
        """One association after the other, as the program asks for them."""
        while True:
            try:
                plain, _ = self._server.accept()
            except OSError:
                return  # it was closed
            with plain:
                if is_of_our_user(plain):
                    self._carry_one(plain)
                else:
                    logger.warning("Another user connected to %s, and was sent away", self.node)

    def _carry_one(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with tls_connection.connect(self._node, self._tls) as secure:
                self._secure = secure
                has_answered = relay(plain, secure)
            if not has_answered:
                self.failure = tls_connection.explained(self._node, self._tls)
        except PypxError as error:
            self.failure = error
        except ssl.SSLError as error:
            # In TLS 1.3, one that does not like our certificate says so only after we are done.
            self.failure = tls_connection.failure(str(self._node), self._tls, error)
