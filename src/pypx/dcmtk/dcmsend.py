"""C-STORE (PS3.4, annex B) through DCMTK's dcmsend: many files over one association.

It is preferred to storescu, which proposes one compressed transfer syntax at most. Its log at "debug" is
read, as only there each response stands beside the file that it is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypx.dcmtk import association, dimse
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.scratch import scratch, unusable
from pypx.dicom.node import Node
from pypx.dicom.status import Status
from pypx.errors import ConnectionLost, PeerTimeout, PypxError

_SENDING = re.compile(r"D: sending SOP instance from file: (?P<name>\d+)")
_IGNORED = re.compile(r"W: bad DICOM file: (?P<name>\d+): (?P<reason>.+?)(?:, ignoring file)?")
_RESPONSE = "I: Received C-STORE Response"
_STATUS = re.compile(r"D: DIMSE Status\s*: (?P<status>.+)")
_END = re.compile(r"D: =+ END DIMSE MESSAGE =+")

#: What is said of a file whose SOP class, or transfer syntax, the PACS has not accepted.
_NO_CONTEXT = ("Bad presentation context", "No presentation context", "no valid presentation context")

#: What is said when the association is gone or hangs. dcmsend would try each further file all the same, and
#: wait for each as long as for the first.
_BROKEN = ("E: Failed receiving DIMSE response", "E: Failed sending C-STORE request")


class _Broken(Exception):
    """The association is of no use any more; the line that says so."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one file.

    Parameters
    ----------
    status : Status or None
        Of the PACS's response; None when there was none.
    fault : str
        What dcmsend said of it, where it could not be sent.
    """

    status: Status | None = None
    fault: str = ""

    @property
    def is_stored(self) -> bool:
        """Whether the PACS says that it has it; a warning is about how (PS3.4, B.2.3)."""
        return self.status is not None and (self.status.is_success or self.status.is_warning)

    @property
    def is_not_accepted(self) -> bool:
        """Whether the PACS takes no such object, or not in this transfer syntax."""
        return any(sign in self.fault for sign in _NO_CONTEXT)


@dataclass(frozen=True, slots=True)
class Sending:
    """How one run of dcmsend ended.

    Parameters
    ----------
    sent : tuple of Sent
        One for each file, in their order.
    error : PypxError or None
        Why the run ended before every file had an answer.
    """

    sent: tuple[Sent, ...]
    error: PypxError | None = None


def argv(
    binary: str, node: Node, files: Sequence[str], timeout: float, decompress: bool = False
) -> tuple[str, ...]:
    """The command line that sends files.

    Parameters
    ----------
    binary : str
        Path of dcmsend.
    node : Node
        The PACS.
    files : sequence of str
    timeout : float
        Seconds to wait for each answer.
    decompress : bool
        Whether what is compressed without loss may be sent uncompressed; else each file goes as it is.
    """
    return (
        binary,
        "-d",
        "+f",  # with or without file meta information
        "+dls" if decompress else "-dn",
        "-nh",  # one file that cannot be sent does not keep the others back
        "-nuc",  # UIDs with leading zeros are wrong, and common
        *association.titles(node),
        *association.patience(timeout),
        *association.protection(node),
        *("-pdu", "131072"),
        *association.address(node),
        *files,
    )


class Reader:
    """Follows dcmsend's log.

    Parameters
    ----------
    on_stored : callable
        Called each time that the PACS says that it has an object.
    """

    def __init__(self, on_stored: Callable[[], None]) -> None:
        self.sent: dict[str, Sent] = {}
        self._on_stored = on_stored
        self._current = ""
        self._in_response = False

    def take(self, line: str) -> None:
        if sending := _SENDING.fullmatch(line):
            self._current, self._in_response = sending["name"], False
        elif ignored := _IGNORED.fullmatch(line):
            self.sent[ignored["name"]] = Sent(fault=ignored["reason"])
        elif line == _RESPONSE:
            self._in_response = True
        elif self._in_response and (status := _STATUS.fullmatch(line)):
            self.sent[self._current] = Sent(dimse.status(status["status"]))
            if self.sent[self._current].is_stored:
                self._on_stored()
        elif _END.fullmatch(line):
            self._in_response = False
        elif line.startswith(_BROKEN):
            sent = Sent(fault=line[3:].strip())
            if not sent.is_not_accepted:
                raise _Broken(line)
            self.sent[self._current] = sent


def send(
    caller: Caller, files: Sequence[Path], on_stored: Callable[[], None], *, decompress: bool = False
) -> Sending:
    """Send files to a PACS.

    Parameters
    ----------
    caller : Caller
    files : sequence of pathlib.Path
        As many as a command line holds.
    on_stored : callable
        Called each time that the PACS says that it has an object.
    decompress : bool
        Whether what is compressed without loss may be sent uncompressed.

    Raises
    ------
    BinaryMissing, ScratchUnusable
    """
    reader = Reader(on_stored)
    with scratch() as directory:
        # The names that a site gives its files hold those of patients, and everybody sees command lines.
        names = [f"{number:06d}" for number in range(len(files))]
        try:
            for name, file in zip(names, files, strict=True):
                (directory / name).symlink_to(file.absolute())
        except OSError as error:
            raise unusable(error) from error
        failure: PypxError | None = None
        try:
            ended = caller.run(
                "dcmsend",
                lambda binary, node: argv(binary, node, names, caller.timeout, decompress),
                reader.take,
                directory=directory,
            )
        except _Broken as broken:
            failure = _broken_off(caller.node, str(broken))
        else:
            if any(name not in reader.sent for name in names):
                failure = association.failure_or_unknown(caller.node, ended)
    return Sending(tuple(reader.sent.get(name, Sent()) for name in names), failure)


def _broken_off(node: Node, line: str) -> PypxError:
    if "timeout" in line.lower():
        return PeerTimeout(f"{node} did not answer in time")
    return ConnectionLost(f"{node} closed the connection before the work was done")
