"""C-GET (PS3.4, C.4.3) through DCMTK's getscu: the images come back over the same association.

One request a run: release 3.6.7 crashes after the last of several.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pypx.dcmtk import association, confinement, dimse, identifier
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dimse import Retrieval, Transfer
from pypx.dcmtk.scratch import scratch
from pypx.dicom.node import Node
from pypx.dicom.query import Query
from pypx.dicom.status import Status

#: Options that propose a compressed transfer syntax beside the uncompressed ones, the common ones first. A
#: PACS accepts one transfer syntax for each SOP class and association; images that it has in another one, and
#: will not convert, it does not send.
PREFERENCES = (
    "+xs",  # JPEG lossless, first order prediction
    "+xv",  # JPEG 2000 lossless
    "+xt",  # JPEG-LS lossless
    "+xr",  # RLE lossless
    "+xy",  # JPEG baseline
    "+xw",  # JPEG 2000
    "+xx",  # JPEG extended, 12 bit
    "+xu",  # JPEG-LS near lossless
    "+xd",  # deflated
    "+x2",  # MPEG-4 AVC/H.264 level 4.2, 2D
    "+xn",  # MPEG-4 AVC/H.264 level 4.1
    "+xh",  # MPEG-2 main profile, high level
    "+xm",  # MPEG-2 main profile, main level
    "+x4",  # HEVC/H.265 main profile
)

_STORED = "I: Sending C-STORE Response (Success)"
_RESPONSE = re.compile(r"I: Received C-GET Response \((?P<status>.+)\)")
_COUNT = re.compile(r"I:   Number of (?P<what>\w+) Suboperations\s*: (?P<number>\d+)")


def argv(
    binary: str,
    node: Node,
    query: str,
    directory: str,
    timeout: float,
    preference: str = "",
    *,
    as_sent: bool = True,
) -> tuple[str, ...]:
    """The command line that retrieves what one identifier names.

    Parameters
    ----------
    binary : str
        Path of getscu.
    node : Node
        The PACS.
    query : str
        Path of the identifier's file.
    directory : str
        Where the images are written, one file each.
    timeout : float
        Seconds to wait for each message.
    preference : str
        One of PREFERENCES; "" proposes the uncompressed transfer syntaxes alone.
    as_sent : bool
        Whether images are written to disk as they arrive, byte for byte. The peer then names the files, as
        it likes: only for a program that is confined to its directory.
    """
    return (
        binary,
        "-v",
        "-S",
        *association.titles(node),
        *association.patience(timeout),
        *association.protection(node),
        *((preference,) if preference else ()),
        *(("+B",) if as_sent else ()),
        *("-od", directory),
        *association.address(node),
        query,
    )


class Reader:
    """Follows getscu's log.

    Parameters
    ----------
    on_stored : callable
        Called each time that an image is on disk.
    """

    def __init__(self, on_stored: Callable[[], None]) -> None:
        self._on_stored = on_stored
        self._status: Status | None = None
        self._counts: dict[str, int] = {}

    def take(self, line: str) -> None:
        if line == _STORED:
            self._on_stored()
        elif response := _RESPONSE.fullmatch(line):
            self._status = dimse.status(response["status"])
        elif count := _COUNT.fullmatch(line):
            self._counts[count["what"]] = int(count["number"])

    def transfer(self) -> Transfer:
        """What the final response said."""
        if self._status is None or self._status.is_pending:
            return Transfer()
        return Transfer.of_counts(self._status, self._counts)


def get(
    caller: Caller,
    query: Query,
    directory: Path,
    on_stored: Callable[[], None],
    keep_open: Sequence[int] = (),
    preference: str = "",
    hangs: Callable[[], bool] = lambda: True,
) -> Retrieval:
    """Retrieve what one query names into a directory.

    Parameters
    ----------
    caller : Caller
    query : Query
        A C-GET identifier: unique keys only (PS3.4, C.4.3.1.3.1).
    directory : pathlib.Path
        Where the images are written; whatever the PACS calls them, they are not written anywhere else, nor
        over something that is not in there.
    on_stored : callable
        Called each time that an image is on disk.
    keep_open : sequence of int, optional
        File descriptors that getscu holds for as long as it may write.
    preference : str
        One of PREFERENCES.
    hangs : callable
        Asked when nothing was stored, nor said, for the caller's time-out: one image may take longer, and
        whoever sees the directory grow knows better.

    Raises
    ------
    BinaryMissing
    """
    reader = Reader(on_stored)
    confined = confinement.is_possible()
    with scratch() as directory_of_query:
        file = identifier.write(query, directory_of_query / "query.dcm")
        ended = caller.run(
            "getscu",
            lambda binary, node: argv(
                binary, node, file, str(directory), caller.timeout, preference, as_sent=confined
            ),
            reader.take,
            keep_open,
            hangs=hangs,
            writes_below=directory if confined else None,
        )
    transfer = reader.transfer()
    error = None if transfer.status else association.failure_or_unknown(caller.node, ended)
    return Retrieval(transfer, error)
