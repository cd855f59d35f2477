"""The port: connections wait here, at no cost, until it is seen what the peer wants."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from dataclasses import dataclass

from pypx.actions.receiving.admission import plain_address
from pypx.actions.receiving.bell import Bell
from pypx.dicom.association import ASSOCIATE_RQ, REQUEST_HEAD, length_of_request
from pypx.errors import PortInUse

logger = logging.getLogger(__name__)

#: Seconds in which a peer that has connected must begin to ask for an association.
PATIENCE = 30.0

#: Connections that may wait at a time; then the one that has waited longest goes.
MOST_WAITING = 256

_BACKLOG = 128

#: Of a request for an association, bytes that must be here before anybody is kept busy with it. It may be
#: longer than what the kernel keeps for us.
_MOST_AWAITED = 16384


@dataclass(slots=True)
class Visitor:
    """A connection, and the first bytes that came over it: they are still to be read from it.

    Parameters
    ----------
    connection : socket.socket
    address : str
        The peer's.
    deadline : float
        By the monotonic clock.
    head : bytes
        At most REQUEST_HEAD bytes; b"" from a peer that has said nothing.
    came : int
        How many bytes are here to be read, as far as they were looked at.
    has_spoken : bool
        Whether all is here that is waited for.
    """

    connection: socket.socket
    address: str
    deadline: float
    head: bytes = b""
    came: int = 0
    has_spoken: bool = False


class Door:
    """Listens on a port of all addresses of this host, IPv4 and IPv6.

    Parameters
    ----------
    port : int
        0 for a free one.

    Raises
    ------
    PortInUse
        When the port is taken, or not for us.
    """

    def __init__(self, port: int) -> None:
        self._socket = _listen(port)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ, self._accept)
        self._bell = Bell()
        self._selector.register(self._bell, selectors.EVENT_READ, _nobody)
        self._waiting: dict[socket.socket, Visitor] = {}

    def ring(self) -> None:
        """Have :meth:`visitors` wait no more; for another thread than the one that waits."""
        self._bell.ring()

    def close(self) -> None:
        """Listen no more, and send those away who wait."""
        self._selector.close()
        self._bell.close()
        self._socket.close()
        for connection in self._waiting:
            connection.close()
        self._waiting.clear()

    def visitors(self, seconds: float) -> list[Visitor]:
        """Those who have said what they want, or had their time; waits so long for the first."""
        ready: list[Visitor] = []
        for key, _ in self._selector.select(seconds):
            if not isinstance(key.data, Visitor):
                key.data()
            elif self._is_ready(key.data):
                ready.append(key.data)
        now = time.monotonic()
        ready += [one for one in self._waiting.values() if one.deadline <= now and one not in ready]
        if not ready and len(self._waiting) > MOST_WAITING:
            ready.append(next(iter(self._waiting.values())))
        for visitor in ready:
            self._hand_over(visitor)
        return ready

    def _accept(self) -> None:
        try:
            connection, address = self._socket.accept()
        except OSError as error:
            # Out of file descriptors, or the peer is gone already: others must still be served.
            logger.warning("A connection could not be taken (%s)", error.strerror)
            time.sleep(0.1)
            return
        connection.setblocking(False)
        visitor = Visitor(connection, plain_address(address[0]), time.monotonic() + PATIENCE)
        self._waiting[connection] = visitor
        self._selector.register(connection, selectors.EVENT_READ, visitor)

    @staticmethod
    def _is_ready(visitor: Visitor) -> bool:
        """Look at what came; whether there is nothing more to wait for."""
        try:
            said = visitor.connection.recv(_MOST_AWAITED, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            said = b""
        came_before, visitor.came, visitor.head = visitor.came, len(said), said[:REQUEST_HEAD]
        awaited = min(length_of_request(said), _MOST_AWAITED)
        visitor.has_spoken = len(said) >= awaited or said[:1] != bytes([ASSOCIATE_RQ])
        if visitor.has_spoken:
            return True
        # The kernel tells of the connection again once there is enough, or no more will come.
        visitor.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, awaited)
        return bool(came_before) and len(said) == came_before

    def _hand_over(self, visitor: Visitor) -> None:
        self._selector.unregister(visitor.connection)
        del self._waiting[visitor.connection]
        visitor.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        visitor.connection.setblocking(True)


def _nobody() -> None:
    """Nothing to accept: it was the bell."""


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)
    except (OSError, ValueError):
        pass  # no IPv6 here; what else is wrong, IPv4 tells as well
    try:
        return socket.create_server(("", port), backlog=_BACKLOG)
    except OSError as error:
        # What Python says of it ends with how it went about it.
        reason = os.strerror(error.errno) if error.errno else error.strerror
        raise PortInUse(
            f"Port {port} cannot be opened to receive on ({reason})",
            "Choose another port (and tell the PACS), or end the program that holds it.",
        ) from error
