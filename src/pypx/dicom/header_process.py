"""Headers read in a process of its own, so that reading goes on while something else is done with others.

The process is a fresh interpreter, not a fork: it has no lock, no database, no file and no thread of its
owner's. Two pipes are all that they share, with a JSON document on each line. When the owner ends, however it
ends, the kernel ends the process; where it cannot be asked to, the process ends when it finds the pipes
closed. It only reads, so it may be ended at any moment.
"""

from __future__ import annotations

import json
import logging
import select
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from pypx.dicom.header import Header, read_header
from pypx.errors import FileDamaged, FileUnreadable, MediaDirectory, NotDicom, PypxError
from pypx.orphans import ends_with_parent

logger = logging.getLogger(__name__)

#: A header, or why there is none.
HeaderOrError: TypeAlias = Header | PypxError

#: Seconds of reading after which an answer is given, whether or not all files of the question are read.
PATIENCE = 0.25

#: The interpreter looks for modules where its owner does, and nowhere else (-I): not where it was started.
_PROGRAM = (
    "import sys, json;"
    "sys.path[:] = json.loads(sys.stdin.buffer.readline());"
    "from pypx.dicom.header_process import serve;"
    "serve()"
)


class ProcessGone(Exception):
    """The process ended, or does not speak as it should. What it was asked for is to be read otherwise."""


class HeaderProcess:
    """A process that reads headers; asked, and asked again once it has answered.

    Parameters
    ----------
    keywords : collection of str
        The attributes to read.

    Raises
    ------
    ProcessGone
        When it cannot be started.
    """

    def __init__(self, keywords: Collection[str]) -> None:
        self._is_ready = False
        try:
            # A process group of its own: Ctrl-C is for the owner, which ends this one in its own good time.
            self._process = subprocess.Popen(
                [*ends_with_parent(), sys.executable, "-I", "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                process_group=0,
            )
        except OSError as error:
            raise ProcessGone(f"{sys.executable} cannot be started ({error.strerror})") from error
        # Popen has these where pipes were asked for.
        self._questions = cast("IO[bytes]", self._process.stdin)
        self._answers = cast("IO[bytes]", self._process.stdout)
        try:
            self._send(sys.path)
            self._send(sorted(keywords))
        except BaseException:
            self.end()
            raise

    @property
    def is_ready(self) -> bool:
        """Whether it has started and may be asked.

        Raises
        ------
        ProcessGone
            When it ended before.
        """
        if not self._is_ready and self.has_answered:
            self._is_ready = self._receive() is True
        return self._is_ready

    @property
    def has_answered(self) -> bool:
        """Whether :meth:`answer` would return at once."""
        waiting = select.poll()
        waiting.register(self._answers, select.POLLIN)
        return bool(waiting.poll(0))

    def ask(self, paths: Sequence[Path]) -> None:
        """Have it read files.

        Parameters
        ----------
        paths : sequence of pathlib.Path
            Absolute, or below the directory in which this process was started.
        """
        try:
            self._send([str(path) for path in paths])
        except ProcessGone:
            # So it will not answer, and whoever waits for that is told.
            pass

    def answer(self) -> list[HeaderOrError]:
        """Wait for what it was asked for: of the first paths, at least one, in their order.

        Raises
        ------
        ProcessGone
            When it will not.
        """
        answer = self._receive()
        if not isinstance(answer, list) or not answer:
            raise ProcessGone("a process that reads gave no answer")
        try:
            return [_from_json(member) for member in answer]
        except (KeyError, TypeError) as error:
            raise ProcessGone(f"a process that reads gave another answer ({error})") from error

    def end(self) -> None:
        """End it, whatever it is at."""
        self._process.kill()
        for pipe in (self._questions, self._answers):
            try:
                pipe.close()
            except OSError:
                # What was still to be written finds nobody to read it.
                pass
        self._process.wait()

    def _send(self, value: object) -> None:
        try:
            _write_line(self._questions, value)
        except OSError as error:
            raise ProcessGone("a process that reads ended") from error

    def _receive(self) -> object:
        try:
            return json.loads(self._answers.readline())
        except (OSError, ValueError) as error:
            raise ProcessGone("a process that reads ended") from error


def read_for_a_while(paths: Sequence[Path], keywords: Collection[str]) -> list[HeaderOrError]:
    """The headers of the first paths, as many as can be read in :data:`PATIENCE`, at least one."""
    deadline = time.monotonic() + PATIENCE
    found: list[HeaderOrError] = []
    for path in paths:
        found.append(header_or_error(path, keywords))
        if time.monotonic() > deadline:
            break
    return found


def header_or_error(
    path: Path, keywords: Collection[str], read: Callable[[Path, Collection[str]], Header] = read_header
) -> HeaderOrError:
    """The header of a file, or what :func:`pypx.dicom.header.read_header` raises.

    Whatever else goes wrong with a file is told of this file, so that it keeps no other from being read.
    """
    try:
        return read(path, keywords)
    except (NotDicom, FileDamaged, FileUnreadable) as error:
        return error
    except Exception as error:
        logger.debug("%s cannot be read", path, exc_info=True)
        return FileDamaged(
            f"{path} is damaged, or pypx mistakes it for damaged ({type(error).__name__}: {error})"
        )


def _write_line(pipe: IO[bytes], value: object) -> None:
    # Within ASCII, whatever the values hold: a line is a line.
    pipe.write(json.dumps(value).encode("ascii") + b"\n")
    pipe.flush()


_ERRORS = {kind.code: kind for kind in (NotDicom, MediaDirectory, FileDamaged, FileUnreadable)}


_FIELDS = tuple(one.name for one in fields(Header))


def _to_json(found: HeaderOrError) -> dict[str, Any]:
    return (
        found.to_json() if isinstance(found, PypxError) else {name: getattr(found, name) for name in _FIELDS}
    )


def _from_json(member: dict[str, Any]) -> HeaderOrError:
    if "code" in member:
        return _ERRORS[member["code"]](member["message"], member["hint"])
    return Header(**member)


def serve() -> None:
    """What the process does: answer on stdout what is asked on stdin, until that ends."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    keywords = json.loads(questions.readline())
    _write_line(answers, True)
    for question in questions:
        paths = [Path(path) for path in json.loads(question)]
        _write_line(answers, [_to_json(found) for found in read_for_a_while(paths, keywords)])
