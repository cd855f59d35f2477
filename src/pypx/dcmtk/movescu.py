"""C-MOVE (PS3.4, C.4.2) through DCMTK's movescu: the PACS sends the images to an AE title that it knows.

movescu could receive them by itself; each of its requests would then take a second longer, and there could be
only one at a time. Its log at "debug" is read, as only there the responses' counts stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pypx.dcmtk import association, dimse, identifier
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Retrieval, Transfer
from pypx.dcmtk.scratch import scratch
from pypx.dicom.node import Node
from pypx.dicom.query import Query
from pypx.dicom.status import Status

#: Seconds of silence that movescu lets pass where we see by ourselves whether the PACS still sends.
_LONGEST_SILENCE = 86_400.0

_RESPONSE = re.compile(r"I: Received (?:Final )?Move Response.*")
_COUNT = re.compile(r"D: (?P<what>\w+) Suboperations\s*: (?P<number>\d+)")
_STATUS = re.compile(r"D: DIMSE Status\s*: (?P<status>.+)")
_END = re.compile(r"D: =+ END DIMSE MESSAGE =+")


def argv(binary: str, node: Node, query: str, destination: str, timeout: float) -> tuple[str, ...]:
    """The command line that has the PACS send what one identifier names.

    Parameters
    ----------
    binary : str
        Path of movescu.
    node : Node
        The PACS.
    query : str
        Path of the identifier's file.
    destination : str
        AE title that the PACS shall send to.
    timeout : float
        Seconds to wait for each message.
    """
    return (
        binary,
        "-d",
        "-S",
        *association.titles(node),
        *("-aem", destination),
        *association.patience(timeout),
        *association.protection(node),
        *association.address(node),
        query,
    )


class Reader:
    """Follows movescu's log.

    Parameters
    ----------
    on_progress : callable
        Gets the number of images that the PACS says it has sent, with each of its responses.
    """

    def __init__(self, on_progress: Callable[[int], None]) -> None:
        self._on_progress = on_progress
        self._in_response = False
        self._status: Status | None = None
        self._counts: dict[str, int] = {}

    def take(self, line: str) -> None:
        if _RESPONSE.fullmatch(line):
            self._in_response, self._counts = True, {}
        elif not self._in_response:
            return
        elif count := _COUNT.fullmatch(line):
            self._counts[count["what"]] = int(count["number"])
        elif status := _STATUS.fullmatch(line):
            self._status = dimse.status(status["status"])
        elif _END.fullmatch(line):
            self._in_response = False
            self._on_progress(self._counts.get("Completed", 0))

    def transfer(self) -> Transfer:
        """What the final response said."""
        if self._in_response or self._status is None or self._status.is_pending:
            return Transfer()
        return Transfer.of_counts(self._status, self._counts)


def move(
    caller: Caller,
    query: Query,
    destination: str,
    on_progress: Callable[[int], None],
    hangs: Callable[[], bool] | None = None,
) -> Retrieval:
    """Have the PACS send what one query names.

    Parameters
    ----------
    caller : Caller
    query : Query
        A C-MOVE identifier: unique keys only (PS3.4, C.4.2.1.4).
    destination : str
        AE title that the PACS shall send to.
    on_progress : callable
        Gets the number of images that the PACS says it has sent.
    hangs : callable, optional
        Asked when the PACS has said nothing for the caller's time-out: not each tells how far it is, and
        whoever sees the images arrive knows better.

    Raises
    ------
    BinaryMissing
    """
    reader = Reader(on_progress)
    with scratch() as directory_of_query:
        file = identifier.write(query, directory_of_query / "query.dcm")
        patience = caller.timeout if hangs is None else _LONGEST_SILENCE
        ended = caller.run(
            "movescu",
            lambda binary, node: argv(binary, node, file, destination, patience),
            reader.take,
            hangs=hangs or (lambda: True),
        )
    transfer = reader.transfer()
    error = None if transfer.status else association.failure_or_unknown(caller.node, ended)
    return Retrieval(transfer, error)
