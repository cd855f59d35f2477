"""C-STORE as a provider (PS3.4, annex B) through DCMTK's storescp: one program for each association.

Whoever listens hands over the socket, as inetd does (``--inetd``). The program then has no output: it logs
into a file.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.process import Processes

#: Seconds for which a peer may say nothing within an association.
IDLE_TIMEOUT = 300

#: The largest PDU that DCMTK takes: fewer messages for an image.
_PDU = "131072"

_LOG_CONFIGURATION = """\
log4cplus.rootLogger = INFO, file
log4cplus.appender.file = log4cplus::FileAppender
log4cplus.appender.file.File = {file}
log4cplus.appender.file.ImmediateFlush = true
log4cplus.appender.file.layout = log4cplus::PatternLayout
log4cplus.appender.file.layout.ConversionPattern = %P: %m%n
"""

_STORE = re.compile(r"I: Received Store Request.*")
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
        Path of the file of :func:`write_log_configuration`.
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


def write_log_configuration(file: Path, log: Path) -> None:
    """Write the configuration that has storescp log into a file."""
    # A backslash or a ${ in the path would mean something to log4cplus; a BASEMOUNT may be named anything.
    file.write_text(_LOG_CONFIGURATION.format(file=str(log).replace("\\", "\\\\")), "utf-8")


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


def read_log(lines: Iterable[str]) -> Served:
    """Read the log of one association."""
    images, released = 0, False
    problems: Counter[str] = Counter()
    for line in lines:
        if _STORE.fullmatch(line):
            images += 1
        elif end := _END.fullmatch(line):
            released = end["end"] == "Release"
        elif line.startswith(("E:", "F:")):
            problems[line[2:].strip()[:200]] += 1
    return Served(images, released, tuple(problems.most_common(5)))


def serve(
    processes: Processes,
    binaries: Binaries,
    connection: socket.socket,
    directory: Path,
    scratch: Path,
    ae_title: str,
    keep_open: Sequence[int] = (),
) -> Served:
    """Serve one association to its end.

    Parameters
    ----------
    processes : Processes
        To run storescp in.
    binaries : Binaries
    connection : socket.socket
        On which the peer's A-ASSOCIATE-RQ waits to be read. Closed here as soon as storescp has it.
    directory : pathlib.Path
        Where the images are written.
    scratch : pathlib.Path
        An empty directory for the log.
    ae_title : str
        Ours.
    keep_open : sequence of int, optional
        File descriptors that storescp holds for as long as it may write.

    Raises
    ------
    BinaryMissing
    """
    configuration, log = scratch / "log.cfg", scratch / "storescp.log"
    write_log_configuration(configuration, log)
    command = argv(binaries.path("storescp"), str(directory), str(configuration), ae_title)
    processes.serve(command, connection, keep_open)
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            return read_log(line.rstrip("\n") for line in lines)
    except FileNotFoundError:
        return Served(0, released=False, problems=(("storescp could not be started", 1),))
