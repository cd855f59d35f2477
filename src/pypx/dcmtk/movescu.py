"""C-MOVE (PS3.4, C.4.2) through DCMTK's movescu, which can receive the images by itself.

Its log at "debug" is read, as only there the final responses' counts stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.dcmtk import association, dimse, identifier
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Retrieval, Transfer
from pypx.dicom.node import Node
from pypx.dicom.query import Query
from pypx.dicom.status import Status
from pypx.errors import PortInUse

_STORED = re.compile(r"I: Received Store Request.*")
_FINAL = "I: Received Final Move Response"
_COUNT = re.compile(r"D: (?P<what>\w+) Suboperations\s*: (?P<number>\d+)")
_STATUS = re.compile(r"D: DIMSE Status\s*: (?P<status>.+)")
_END = re.compile(r"D: =+ END DIMSE MESSAGE =+")


def argv(
    binary: str,
    node: Node,
    queries: Sequence[str],
    destination: str,
    timeout: float,
    receive_port: int,
) -> tuple[str, ...]:
    """The command line that has the PACS send what these identifiers name to movescu itself.

    The images are written into the working directory, one file each: release 3.6.7 pays no attention to an
    output directory when it keeps them byte for byte.

    Parameters
    ----------
    binary : str
        Path of movescu.
    node : Node
        The PACS.
    queries : sequence of str
        Paths of the identifiers' files.
    destination : str
        AE title that the PACS shall send to: ours.
    timeout : float
        Seconds to wait for each message.
    receive_port : int
        Port on which the images arrive.
    """
    return (
        binary,
        "-d",
        "-S",
        *association.titles(node),
        *("-aem", destination),
        *association.patience(timeout),
        *("+P", str(receive_port)),
        "+xa",  # in whatever transfer syntax the PACS has them
        "+B",  # written to disk as they arrive, byte for byte as they were sent
        *association.address(node),
        *queries,
    )


class Reader:
    """Follows movescu's log.

    Parameters
    ----------
    on_stored : callable
        Called each time that an image arrives.
    """

    def __init__(self, on_stored: Callable[[], None]) -> None:
        self.transfers: list[Transfer] = []
        self._on_stored = on_stored
        self._in_final = False
        self._status: Status | None = None
        self._counts: dict[str, int] = {}

    def take(self, line: str) -> None:
        if line.startswith(_FINAL):
            self._in_final = True
        elif not self._in_final:
            if _STORED.fullmatch(line):
                self._on_stored()
        elif count := _COUNT.fullmatch(line):
            self._counts[count["what"]] = int(count["number"])
        elif status := _STATUS.fullmatch(line):
            self._status = dimse.status(status["status"])
        elif _END.fullmatch(line):
            self._settle()

    def _settle(self) -> None:
        self.transfers.append(
            Transfer(
                self._status,
                completed=self._counts.get("Completed"),
                failed=self._counts.get("Failed"),
                warning=self._counts.get("Warning"),
                remaining=self._counts.get("Remaining"),
            )
        )
        self._in_final, self._status, self._counts = False, None, {}


def receive(
    caller: Caller,
    queries: Sequence[Query],
    receive_port: int,
    directory: Path,
    on_stored: Callable[[], None],
    keep_open: Sequence[int] = (),
) -> Retrieval:
    """Have the PACS send what these queries name, and receive it into a directory.

    One association for all of them, and one program that listens: the PACS knows one port of ours.

    Parameters
    ----------
    caller : Caller
        The PACS sends to our AE title, which it must know together with this host and the port.
    queries : sequence of Query
        C-MOVE identifiers: unique keys only (PS3.4, C.4.2.1.4).
    receive_port : int
    directory : pathlib.Path
        Where the images are written.
    on_stored : callable
        Called each time that an image arrives.
    keep_open : sequence of int, optional
        File descriptors that movescu holds for as long as it may write.

    Raises
    ------
    BinaryMissing
    """
    binary, node = caller.binaries.path("movescu"), caller.node
    reader = Reader(on_stored)
    with TemporaryDirectory(prefix="px-move-") as scratch:
        files = [
            identifier.write(query, Path(scratch) / f"{number:04d}.dcm")
            for number, query in enumerate(queries)
        ]
        ended = caller.run(
            argv(binary, node, files, node.calling_ae_title, caller.timeout, receive_port),
            reader.take,
            keep_open,
            directory,
        )
    missing = len(queries) - len(reader.transfers)
    error = association.failure_or_unknown(node, ended) if missing else None
    if isinstance(error, PortInUse):
        error = PortInUse(f"Port {receive_port}: {error.message}")
    return Retrieval((*reader.transfers, *(Transfer(),) * missing), error)
