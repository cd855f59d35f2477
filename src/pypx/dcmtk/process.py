"""Start, follow and end DCMTK's programs: the one place in the project that starts one."""

from __future__ import annotations

import logging
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pypx.dcmtk.confinement import Starter, confined_to
from pypx.errors import BinaryMissing, Interrupted, PypxError
from pypx.orphans import ends_with_parent

logger = logging.getLogger(__name__)

_Started = TypeVar("_Started")

#: Lines of output that an ended program keeps for whoever looks for the reason of a failure.
TAIL = 60

#: A longer line is cut; DCMTK writes none, but what a peer sends can end up in its output.
LONGEST_LINE = 8192

#: Seconds between asking a program to end and ending it.
GRACE = 2.0

#: Seconds in which a program's lines are let come together: DCMTK writes them one at a time, and waking up
#: for each of thousands would cost more than what is done with them. Nobody waits for those of a server.
_GATHERING = 0.002
_SERVER_GATHERING = 0.02

#: Seconds between two looks at whether a program that serves a peer hangs.
_LOOK_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that has ended.

    Parameters
    ----------
    returncode : int
        As of :mod:`subprocess`: negative for a signal.
    tail : tuple of str
        The last lines that it wrote, stdout and stderr together.
    complaints : tuple of str
        The last of its lines that DCMTK's logger marks as a warning, an error or fatal.
    silent : bool
        Whether it was ended here because it wrote nothing for too long.
    cause : PypxError or None
        Why it cannot have had a connection, where that is known from elsewhere than from its output.
    """

    returncode: int
    tail: tuple[str, ...]
    complaints: tuple[str, ...] = ()
    silent: bool = False
    cause: PypxError | None = None


def shown(argv: Sequence[str]) -> str:
    """A command line as a person would type it into a shell."""
    return shlex.join(argv)


def _here(start: Callable[[], _Started], /) -> _Started:
    """Start a program that is not confined."""
    return start()


class Pipe:
    """A pipe that a program writes into under the name of :attr:`path`; a context manager."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    @property
    def path(self) -> str:
        """What the program opens: a descriptor that it has from us."""
        return f"/dev/fd/{self.writer}"

    def close_writer(self) -> None:
        """Leave the writing to the program: the pipe ends with it."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def __enter__(self) -> Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_writer()
        os.close(self.reader)


class Processes:
    """The programs of one piece of work; leaving its context ends those that still run.

    Several threads may run programs of one value; whoever waits for the threads leaves the context, and with
    that ends the programs, as soon as something is raised.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._ending = False

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end_running(self) -> None:
        """Ask what runs now to end, and do not wait for it; more may start."""
        with self._lock:
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGTERM)

    def end(self) -> None:
        """End what runs, with all that it started; nothing starts any more."""
        with self._lock:
            self._ending = True
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal_group(process, signal.SIGKILL)
                process.wait()

    def run(
        self,
        argv: Sequence[str],
        silence: float,
        on_line: Callable[[str], None] | None = None,
        keep_open: Sequence[int] = (),
        directory: Path | None = None,
        hangs: Callable[[], bool] = lambda: True,
        writes_below: Path | None = None,
    ) -> Ended:
        """Run a program to its end.

        Parameters
        ----------
        argv : sequence of str
            The program's path and its arguments.
        silence : float
            Seconds after which a program that writes nothing is taken as hung, and ended.
        on_line : callable, optional
            Gets each line that the program writes, while it runs.
        keep_open : sequence of int, optional
            File descriptors that the program holds as well, such as that of a lock.
        directory : pathlib.Path, optional
            The program's working directory; ours where not given.
        hangs : callable
            Asked each time that it has written nothing for so long; False lets it go on.
        writes_below : pathlib.Path, optional
            The one directory in which it can make and change files; it needs
            :func:`confinement.is_possible`.

        Raises
        ------
        BinaryMissing
            When it cannot be started.
        """
        with ExitStack() as confinement:
            start = confinement.enter_context(confined_to(writes_below)) if writes_below else _here
            process = self._start(argv, keep_open, directory, start=start)
            assert process.stdout is not None  # noqa: S101  (it is a pipe)
            try:
                return _follow(process, process.stdout.fileno(), silence, on_line, hangs)
            finally:
                process.stdout.close()
                self._finish(process)

    def serve(
        self,
        argv: Sequence[str],
        connection: socket.socket,
        log: Pipe,
        keep_open: Sequence[int],
        on_line: Callable[[str], None],
        hangs: Callable[[], bool],
        environment: Mapping[str, str],
    ) -> Ended:
        """Run a program that has a connection as its standard input, as inetd does, to its end.

        Parameters
        ----------
        argv : sequence of str
            The program's path and its arguments.
        connection : socket.socket
        log : Pipe
            The program writes its lines there; as inetd's programs it has no output.
        keep_open : sequence of int
            File descriptors that the program holds as well.
        on_line : callable
            Gets each line that the program writes, while it runs.
        hangs : callable
            Asked now and then whether the program is to be ended.
        environment : mapping of str to str
            Variables that the program has as well.

        Raises
        ------
        BinaryMissing
            When it cannot be started.
        """
        process = self._start(argv, (log.writer, *keep_open), None, connection, environment=environment)
        try:
            log.close_writer()
            return _follow(process, log.reader, _LOOK_INTERVAL, on_line, hangs, _SERVER_GATHERING)
        finally:
            self._finish(process)

    def _finish(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        with self._lock:
            self._running.discard(process)

    def _start(
        self,
        argv: Sequence[str],
        keep_open: Sequence[int],
        directory: Path | None,
        connection: socket.socket | None = None,
        start: Starter = _here,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        logger.debug("%s", shown(argv))
        with self._lock:
            # setpriv would be started all the same, and fail in its own words.
            if not shutil.which(argv[0]):
                raise BinaryMissing(f"{argv[0]} is not a program that can be started")
            if self._ending:
                raise Interrupted("The work is being ended")
            try:
                process = start(
                    lambda: subprocess.Popen(
                        [*ends_with_parent(), *argv],
                        stdin=connection.fileno() if connection else subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL if connection else subprocess.PIPE,
                        stderr=subprocess.STDOUT,
                        # Debian's DCMTK leaves Nagle's algorithm on unless told so: 44 ms an object.
                        env={**os.environ, "TCP_NODELAY": "1", **(environment or {})},
                        start_new_session=True,
                        pass_fds=tuple(keep_open),
                        cwd=directory,
                        # What it writes is of people: nobody else's, until it has its place.
                        umask=0o077,
                    )
                )
            except OSError as error:
                raise BinaryMissing(f"{argv[0]} cannot be started ({error.strerror})") from error
            self._running.add(process)
            return process


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is not None:
        return  # its number may be another's by now
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass  # it ended in between


def _follow(
    process: subprocess.Popen[bytes],
    descriptor: int,
    silence: float,
    on_line: Callable[[str], None] | None,
    hangs: Callable[[], bool] = lambda: True,
    gathering: float = _GATHERING,
) -> Ended:
    tail: deque[str] = deque(maxlen=TAIL)
    complaints: deque[str] = deque(maxlen=TAIL)

    def take(line: bytes) -> None:
        text = line[:LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")
        tail.append(text)
        if text.startswith(("W:", "E:", "F:")):
            complaints.append(text)
        logger.debug("%s", text)
        if on_line:
            on_line(text)

    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    pending = b""
    silent = False
    while True:
        if not poll.poll(silence * 1000):
            if not hangs():
                continue
            silent = True
            _signal_group(process, signal.SIGTERM)
            break
        time.sleep(gathering)
        chunk = os.read(descriptor, 65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        pending = pending[:LONGEST_LINE]
        for line in lines:
            take(line)
    if pending:
        take(pending)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()
    return Ended(process.returncode, tuple(tail), tuple(complaints), silent)
