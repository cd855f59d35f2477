"""Peers that misbehave: one that never answers, and a wire that is cut or counted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from demo.server import HOST


class _Listener:
    """Accepts connections on a free loopback port and hands each to a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self.connections = 0
        self._open: list[socket.socket] = []
        self._has_ended = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            self.keep(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def keep(self, connection: socket.socket) -> None:
        """Have this connection closed at the end; at once where that has come."""
        with self._lock:
            self._open.append(connection)
            if self._has_ended:
                _hang_up(connection)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # shutdown() wakes the thread in accept(); close() alone would leave it there.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            self._has_ended = True
            for connection in self._open:
                _hang_up(connection)
        self._thread.join(5)


def _hang_up(connection: socket.socket) -> None:
    # close() alone would leave a thread in recv() there, and the other side without a word.
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class SilentPeer(_Listener):
    """Takes every connection and all that is sent, and never says a word."""

    def serve(self, connection: socket.socket) -> None:
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass


class Wire(_Listener):
    """Stands between a client and a server on loopback; cut after so many bytes from the server.

    Parameters
    ----------
    port : int
        The server's; how many bytes it answered is in ``answered``.
    cut_after : int or None
        Bytes of all answers together after which every connection is cut; None for never.
    heals : bool
        Whether it is cut only once.
    cuts_requests : bool
        Whether it is the bytes to the server that are counted.
    host : str
        The server's address.
    """

    def __init__(
        self,
        port: int,
        cut_after: int | None = None,
        heals: bool = False,
        cuts_requests: bool = False,
        host: str = HOST,
    ) -> None:
        super().__init__()
        self._target = (host, port)
        self._cuts_requests = cuts_requests
        self._left = cut_after
        self._heals = heals
        self.answered = 0

    def serve(self, connection: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target)
        except OSError:
            connection.close()
            return
        self.keep(server)
        try:
            for end in (connection, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # The end has come meanwhile.
            return
        threading.Thread(
            target=self._copy, args=(connection, server, self._cuts_requests), daemon=True
        ).start()
        self._copy(server, connection, not self._cuts_requests)

    def _meter(self, part: bytes) -> tuple[bytes, bool]:
        """What passes of this part, and whether the wire is cut after it."""
        with self._lock:
            cut = self._left is not None and len(part) >= self._left
            if self._left is not None:
                part = part[: self._left]
                self._left = None if cut and self._heals else self._left - len(part)
            self.answered += len(part)
        return part, cut

    def _copy(self, source: socket.socket, sink: socket.socket, metered: bool) -> None:
        cut = False
        try:
            while not cut and (part := source.recv(65536)):
                if metered:
                    part, cut = self._meter(part)
                sink.sendall(part)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Dam(Wire):
    """A wire on which no more comes from the server as soon as there is enough, until it is opened.

    Who retrieves through it cannot have come to the end before the test has done what it is to do meanwhile.

    Parameters
    ----------
    port : int
        The server's.
    is_enough : callable
        Asked again and again while something passes.
    """

    def __init__(self, port: int, is_enough: Callable[[], bool]) -> None:
        super().__init__(port)
        self._is_enough = is_enough
        self.is_shut = threading.Event()
        self._opened = threading.Event()
        self._next_look = 0.0

    def open(self) -> None:
        """Let pass what comes."""
        self._opened.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        super().__exit__(kind, error, trace)

    def _meter(self, part: bytes) -> tuple[bytes, bool]:
        if not self._opened.is_set() and time.monotonic() > self._next_look:
            if self._is_enough():
                self.is_shut.set()
                self._opened.wait()
            self._next_look = time.monotonic() + 0.02
        return super()._meter(part)
