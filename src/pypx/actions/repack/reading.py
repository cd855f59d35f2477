"""The first stage: files are read, here and in other processes, and gathered into batches."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from pypx.basemount import schema
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.header import Header
from pypx.dicom.header_process import (
    HeaderOrError,
    HeaderProcess,
    ProcessGone,
    header_or_error,
    read_for_a_while,
)
from pypx.errors import PypxError

logger = logging.getLogger("pypx.repack")

#: A batch is written down in one transaction: large enough that this costs little, small enough that not
#: much is done twice after a kill.
BATCH_FILES = 1000
BATCH_BYTES = 256 * 1024 * 1024

#: Seconds after which it is written down in any case: a slow disk shows what is done.
BATCH_SECONDS = 0.5

#: Files after which a second process pays, where no number of processes is asked for: these take about as
#: long to pack as it takes to start.
FILES_BEFORE_HELP = 1000

#: Processes in all where no number is asked for. One places what is read, which takes it longer than another
#: needs to read as much: a third would wait.
USUAL_JOBS = 2

#: How far reading may be ahead of placing, in pieces of BATCH_FILES, beside what other processes are at.
_PIECES_AHEAD = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """A file and its header, or why there is none."""

    path: Path
    header: Header | None = None
    error: PypxError | None = None

    @classmethod
    def of(cls, path: Path, found: HeaderOrError) -> Reading:
        """What reading a file came to."""
        return cls(path, found) if isinstance(found, Header) else cls(path, error=found)


def read(
    files: Iterable[Path], templates: TreeTemplates, jobs: int | None = 1
) -> Generator[Reading, None, None]:
    """Read the headers of files: all that the catalogue and the templates want to know.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Their readings come in the same order, whoever reads them.
    templates : TreeTemplates
        Of the names in data/.
    jobs : int or None
        Processes in all; None for as many as pay, once there are many files.
    """
    keywords = schema.ATTRIBUTES | templates.keywords
    paths = iter(files)
    if jobs is None:
        jobs = min(USUAL_JOBS, len(os.sched_getaffinity(0)))
        yield from _read_here(islice(paths, FILES_BEFORE_HELP if jobs > 1 else None), keywords)
    first = next(paths, None)
    if first is None:
        return
    paths = chain([first], paths)
    if jobs == 1:
        yield from _read_here(paths, keywords)
        return
    with ExitStack() as processes:
        yield from _Readers(paths, keywords, list(_helpers(jobs - 1, keywords, processes))).readings()


def _read_here(paths: Iterable[Path], keywords: Collection[str]) -> Iterator[Reading]:
    for path in paths:
        yield Reading.of(path, header_or_error(path, keywords))


def _helpers(number: int, keywords: Collection[str], processes: ExitStack) -> Iterator[HeaderProcess]:
    for _ in range(number):
        try:
            helper = HeaderProcess(keywords)
        except ProcessGone as reason:
            _tell_of_loss(reason)
            return
        processes.callback(helper.end)
        yield helper


@dataclass(frozen=True, slots=True)
class _Asked:
    """Files that another process is reading."""

    helper: HeaderProcess
    paths: Sequence[Path]


class _Readers:
    """Other processes that read, and this one, which does where they have nothing to give yet."""

    def __init__(
        self, paths: Iterator[Path], keywords: Collection[str], helpers: Iterable[HeaderProcess]
    ) -> None:
        self._paths = paths
        self._put_back: Sequence[Path] = ()
        self._keywords = keywords
        self._idle = list(helpers)
        self._most_ahead = len(self._idle) + _PIECES_AHEAD
        self._ahead: deque[_Asked | list[Reading]] = deque()

    def readings(self) -> Iterator[Reading]:
        """All, in the order of the paths."""
        while True:
            self._give_work()
            if self._should_read_here() and (readings := self._read_here()):
                self._ahead.append(readings)
            elif self._ahead:
                yield from self._first_ahead()
            else:
                return

    def _give_work(self) -> None:
        for helper in list(self._idle):
            try:
                if not helper.is_ready:
                    continue
            except ProcessGone as reason:
                self._idle.remove(helper)
                _tell_of_loss(reason)
                continue
            if paths := self._next_paths():
                self._idle.remove(helper)
                self._ahead.append(_Asked(helper, paths))
                helper.ask(paths)

    def _should_read_here(self) -> bool:
        if not self._ahead:
            return True
        first = self._ahead[0]
        is_waited_for = isinstance(first, _Asked) and not first.helper.has_answered
        return is_waited_for and len(self._ahead) < self._most_ahead

    def _read_here(self) -> list[Reading]:
        paths = self._next_paths()
        found = read_for_a_while(paths, self._keywords)
        self._put_back = paths[len(found) :]
        return _readings(paths, found)

    def _first_ahead(self) -> Iterable[Reading]:
        first = self._ahead.popleft()
        if not isinstance(first, _Asked):
            return first
        helper, paths = first.helper, first.paths
        try:
            found = helper.answer()
        except ProcessGone as reason:
            _tell_of_loss(reason)
            return _read_here(paths, self._keywords)
        if rest := paths[len(found) :]:
            self._ahead.appendleft(_Asked(helper, rest))
            helper.ask(rest)
        else:
            self._idle.append(helper)
            self._give_work()
        return _readings(paths, found)

    def _next_paths(self) -> Sequence[Path]:
        paths = self._put_back or list(islice(self._paths, BATCH_FILES))
        self._put_back = ()
        return paths


def _readings(paths: Iterable[Path], found: Iterable[HeaderOrError]) -> list[Reading]:
    """Of the first paths, as many as were read."""
    return [Reading.of(path, one) for path, one in zip(paths, found, strict=False)]


def _tell_of_loss(reason: ProcessGone) -> None:
    logger.warning("Files are read by one process less: %s", reason)


def batches(readings: Iterable[Reading]) -> Iterator[list[Reading]]:
    """The readings, so many together as are written down in one transaction."""
    batch: list[Reading] = []
    size = 0
    deadline = time.monotonic() + BATCH_SECONDS
    for reading in readings:
        batch.append(reading)
        size += reading.header.size if reading.header else 0
        if len(batch) == BATCH_FILES or size >= BATCH_BYTES or time.monotonic() >= deadline:
            yield batch
            batch, size = [], 0
            deadline = time.monotonic() + BATCH_SECONDS
    if batch:
        yield batch
