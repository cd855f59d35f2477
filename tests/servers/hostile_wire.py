"""A connection on which a peer misbehaves: at the PDU that one names, in the way that one names."""

from __future__ import annotations

import enum
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from servers.hostile_pdus import DATA_SET_TYPE, NO_DATA_SET, Command, Pdu, command_of, fragments_of, pdu


class Misdeed(enum.Enum):
    """What a peer does in place of sending a PDU."""

    ABORT = "sends an A-ABORT"
    RESET = "resets the connection"
    CLOSE = "closes the connection"
    HALF = "sends half of it, and closes the connection"
    SILENCE = "says nothing any more"
    DRIP = "sends it a byte a second"
    HUGE = "says that it has 4 GB, and begins"
    UNKNOWN = "sends one of a type that there is not"


@dataclass(frozen=True, slots=True)
class Fault:
    """A misdeed at one PDU, counted from 0 over all connections of a peer."""

    misdeed: Misdeed
    at: int


class Gone(Exception):
    """The connection has ended, as it was to, or because the other side has ended it."""


class Counter:
    """Counts the PDUs that a peer sends, over all its connections."""

    def __init__(self) -> None:
        self.sent = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        with self._lock:
            self.sent += 1
            return self.sent - 1


class Connection:
    """One connection, from the side of the peer that misbehaves.

    Parameters
    ----------
    connection : socket.socket
    counter : Counter
    fault : Fault or None
    ending : threading.Event
        Set when the test is over.
    """

    def __init__(
        self, connection: socket.socket, counter: Counter, fault: Fault | None, ending: threading.Event
    ) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._counter = counter
        self._fault = fault
        self._ending = ending
        self._reader = connection.makefile("rb")

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def send(self, *pdus: bytes, pause: float = 0.0) -> None:
        """Send PDUs, with a pause before each, one of them perhaps not as it should be.

        Raises
        ------
        Gone
        """
        for one in pdus:
            if pause and self._ending.wait(pause):
                raise Gone
            is_at_fault = self._counter.next() == (self._fault.at if self._fault else -1)
            if is_at_fault and self._fault:
                self._misbehave(self._fault.misdeed, one)
            else:
                self._write(one)

    def read_pdu(self) -> tuple[int, bytes]:
        """The type and the body of the next PDU.

        Raises
        ------
        Gone
        """
        try:
            head = self._reader.read(6)
            if len(head) < 6:
                raise Gone
            body = self._reader.read(int.from_bytes(head[2:]))
        except (OSError, ValueError) as error:
            raise Gone from error
        return head[0], body

    def read_command(self) -> Command:
        """The next command with its data set; what else comes is answered as it should be, or ends it.

        Raises
        ------
        Gone
        """
        command, data = b"", b""
        elements: dict[int, bytes] = {}
        while True:
            kind, body = self.read_pdu()
            if kind == Pdu.RELEASE_RQ:
                self.send(pdu(Pdu.RELEASE_RP))
                raise Gone
            if kind != Pdu.DATA:
                raise Gone
            for context, flags, piece in fragments_of(body):
                if flags & 1:
                    command += piece
                    elements = command_of(command) if flags & 2 else {}
                else:
                    data += piece
                has_no_data = int.from_bytes(elements.get(DATA_SET_TYPE, b""), "little") == NO_DATA_SET
                if elements and (has_no_data or (not flags & 1 and flags & 2)):
                    return Command(context, elements, data)

    def _write(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Gone from error

    def _misbehave(self, misdeed: Misdeed, one: bytes) -> None:
        _WAYS[misdeed](self, one)
        raise Gone

    def _abort(self, _one: bytes) -> None:
        self._write(pdu(Pdu.ABORT))
        self._hang_up()

    def _reset(self, _one: bytes) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _close(self, _one: bytes) -> None:
        self._hang_up()

    def _half(self, one: bytes) -> None:
        self._write(one[: len(one) // 2])
        self._hang_up()

    def _silence(self, _one: bytes) -> None:
        self._listen_on(None)

    def _drip(self, one: bytes) -> None:
        for byte in one * 1000:
            self._write(bytes([byte]))
            if self._ending.wait(1.0):
                return

    def _huge(self, one: bytes) -> None:
        self._write(pdu(one[0], one[6:], length=0xFFFFFFFF))
        self._listen_on(None)

    def _unknown(self, _one: bytes) -> None:
        self._write(pdu(0x42, b"\x1b]52;c;cHduZWQ=\x07"))
        self._listen_on(1.0)

    def _hang_up(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            # The other side was faster.
            raise Gone from error
        # Closing with something unread would reset the connection.
        self._listen_on(1.0)

    def _listen_on(self, seconds: float | None) -> None:
        """Take what still comes, until the other side hangs up, or the time or the test is over."""
        deadline = None if seconds is None else time.monotonic() + seconds
        self._socket.settimeout(0.1)
        while not self._ending.is_set() and (deadline is None or time.monotonic() < deadline):
            try:
                if not self._socket.recv(65536):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


_WAYS: dict[Misdeed, Callable[[Connection, bytes], None]] = {
    Misdeed.ABORT: Connection._abort,
    Misdeed.RESET: Connection._reset,
    Misdeed.CLOSE: Connection._close,
    Misdeed.HALF: Connection._half,
    Misdeed.SILENCE: Connection._silence,
    Misdeed.DRIP: Connection._drip,
    Misdeed.HUGE: Connection._huge,
    Misdeed.UNKNOWN: Connection._unknown,
}
