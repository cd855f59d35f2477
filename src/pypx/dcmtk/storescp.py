"""C-STORE as a provider (PS3.4, annex B) through DCMTK's storescp: one program for each association.

Whoever listens hands over the socket, as inetd does (``--inetd``). The program then has no output: it logs
into a pipe.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pypx.dcmtk import dictionary
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Ended, Pipe, Processes

#: Seconds for which a peer may say nothing within an association.
IDLE_TIMEOUT = 300

#: Seconds of silence after which storescp itself must hang: it has not seen its own time-outs.
HUNG = IDLE_TIMEOUT + 60.0

#: The largest PDU that DCMTK takes: fewer messages for an image.
_PDU = "131072"

_LOG_CONFIGURATION = """\
log4cplus.rootLogger = INFO, file
log4cplus.logger.dcmtk.apps.storescp.progress = WARN
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = {file}
log4cplus.appender.file.ImmediateFlush = true
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %P: %m%n
"""

#: Kinds of problems that are kept of one association.
_MOST_PROBLEMS = 5

#: Where the kernel's struct tcp_info has tcpi_last_data_recv, in milliseconds, and tcpi_bytes_received
#: (linux/tcp.h).
_LAST_RECEIVED = 8 + 11 * 4
_BYTES_RECEIVED = 8 + 24 * 4 + 3 * 8

_STORE = "I: Received Store Request"
_END = re.compile(r"I: Association (?P<end>Release|Aborted)")


def argv(binary: str, directory: str, log_configuration: str, ae_title: str) -> tuple[str, ...]:
    """The command line that serves one association on the socket that is its standard input.

    Parameters
    ----------
    binary : str
        Path of storescp.
    directory : str
        Where the images are written, one file each under a unique name.
    log_configuration : str
        Path of the file that says where to log.
    ae_title : str
        Ours, for the answer to the association request.
    """
    return (
        binary,
        "--inetd",
        *("-lc", log_configuration),
        *("-aet", ae_title),
        *("-ts", str(IDLE_TIMEOUT), "-ta", "30", "-td", str(IDLE_TIMEOUT)),
        *("-pdu", _PDU),
        "-dhl",  # no look-up of the peer's name, which can take as long as the resolver likes
        "+xa",  # all transfer syntaxes
        "-pm",  # and SOP classes that DCMTK does not know
        "+B",  # written to disk as they arrive, byte for byte as they were sent
        "+uf",  # the same image may come twice, and in two associations at once
        *("-od", directory),
    )


@dataclass(frozen=True, slots=True)
class Served:
    """One association, after its end.

    Parameters
    ----------
    images : int
        C-STORE requests.
    released : bool
        Whether the peer ended it as it should.
    problems : tuple of (str, int)
        What storescp complained about, and how often.
    """

    images: int
    released: bool
    problems: tuple[tuple[str, int], ...] = ()


class Reader:
    """Follows the log of one association."""

    def __init__(self) -> None:
        self._images = 0
        self._released = False
        self._problems: Counter[str] = Counter()

    def take(self, line: str) -> None:
        if line.startswith(_STORE):
            self._images += 1
        elif end := _END.fullmatch(line):
            self._released = end["end"] == "Release"
        elif line.startswith(("E:", "F:")):
            # A peer that makes up problems fills no memory with them.
            text = line[2:].strip()[:200]
            if text in self._problems or len(self._problems) < _MOST_PROBLEMS:
                self._problems[text] += 1

    def served(self, ended: Ended) -> Served:
        """What there is to tell at its end."""
        if ended.silent:
            self._problems["it said nothing for too long, and was ended"] += 1
        elif ended.returncode < 0 and ended.returncode != -signal.SIGTERM:
            self._problems[f"storescp was ended by signal {-ended.returncode}"] += 1
        return Served(self._images, self._released, tuple(self._problems.most_common()))


def serve(
    processes: Processes,
    binaries: Binaries,
    connection: socket.socket,
    directory: Path,
    ae_title: str,
    keep_open: Sequence[int] = (),
    longest_silence: Callable[[], float] = lambda: HUNG,
) -> Served:
    """Serve one association to its end.

    Parameters
    ----------
    processes : Processes
        To run storescp in.
    binaries : Binaries
    connection : socket.socket
        On which the peer's A-ASSOCIATE-RQ waits to be read.
    directory : pathlib.Path
        Where the images are written.
    ae_title : str
        Ours.
    keep_open : sequence of int, optional
        File descriptors that storescp holds for as long as it may write.
    longest_silence : callable
        Seconds after which an association on which nothing arrives is ended; asked again and again.

    Raises
    ------
    BinaryMissing
    """
    reader = Reader()
    with (
        Pipe() as log,
        _in_memory("storescp-log", _LOG_CONFIGURATION.format(file=log.path)) as configuration,
        _in_memory("storescp-dictionary", dictionary.of_messages()) as attributes,
    ):
        ended = processes.serve(
            argv(binaries.path("storescp"), str(directory), _name_of(configuration), ae_title),
            connection,
            log,
            (configuration.fileno(), attributes.fileno(), *keep_open),
            reader.take,
            lambda: seconds_of_silence(connection) > longest_silence(),
            {"DCMDICTPATH": _name_of(attributes)},
        )
    return reader.served(ended)


def _in_memory(name: str, text: str) -> BinaryIO:
    """A file where no disk can be full."""
    file = os.fdopen(os.memfd_create(name), "w+b")
    file.write(text.encode())
    file.flush()
    return file


def _name_of(file: BinaryIO) -> str:
    """What storescp, which has it from us, can open."""
    return f"/dev/fd/{file.fileno()}"


def seconds_of_silence(connection: socket.socket) -> float:
    """How long ago something arrived on a connection, whoever reads it (tcp(7), TCP_INFO)."""
    return (_told(connection, "=I", _LAST_RECEIVED) or 0) / 1000


def bytes_received(connection: socket.socket) -> int | None:
    """How much arrived on a connection, whoever reads it; None where the kernel does not tell."""
    return _told(connection, "=Q", _BYTES_RECEIVED)


def _told(connection: socket.socket, form: str, place: int) -> int | None:
    try:
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, place + struct.calcsize(form))
        number: int = struct.unpack_from(form, told, place)[0]
    except (OSError, struct.error):
        return None
    return number
