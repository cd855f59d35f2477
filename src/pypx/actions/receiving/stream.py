"""What arrives on a connection, and whether that will ever come to an end."""

from __future__ import annotations

import socket
import time

from pypx.dcmtk import storescp

#: Bytes a second; a peer that sends less does not mean to come to an end.
LEAST_RATE = 100


class Stream:
    """A connection that somebody else reads from.

    Parameters
    ----------
    connection : socket.socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._since = time.monotonic()
        self._received = storescp.bytes_received(connection) or 0

    @property
    def silence(self) -> float:
        """Seconds in which less arrived than is worth waiting for."""
        received = storescp.bytes_received(self._connection)
        if received is None:
            return 0.0
        now = time.monotonic()
        if received - self._received > LEAST_RATE * (now - self._since):
            self._since, self._received = now, received
        return max(now - self._since, storescp.seconds_of_silence(self._connection))
