"""Real servers on free loopback ports, each ended with all that it started."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"

#: Ports below those that Linux gives to whoever connects (ip(7), ip_local_port_range).
_PORTS = range(15000, 32768)
_TRIES = 100

#: Processes that run tests beside one another each choose from a share of their own (pytest-xdist's name for
#: one ends in its number): what is free when a server is configured is to be free when it starts.
_SHARES = 4
_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw") or 0) % _SHARES

#: Those given already: somebody may count on one that nobody listens on now.
_given: set[int] = set()

#: Not the generator that tests set to a state of their own: several would draw the same.
_ANY = random.SystemRandom()

#: Small objects over loopback are a hundred times slower where Debian's DCMTK is left to its default.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}

#: The kernel ends the server even when we are killed and can end nothing ourselves.
_ENDED_WITH_US = ("setpriv", "--pdeathsig", "KILL")


class ServerFailed(Exception):
    """A server that did not come up; its log is in the message."""


def free_port(preferred: int = 0) -> int:
    """A TCP port that nobody holds at this moment: the preferred one, or, where somebody does, any other.

    No other is given twice, until there are few left.

    Raises
    ------
    OSError
        When there is none.
    """
    if preferred and _is_free(preferred, reuse=True):
        return preferred
    # Not one that bind() would choose: the next program that connects to somewhere may be given that.
    ours = _PORTS[_SHARE::_SHARES]
    if len(_given) > len(ours) // 2:
        _given.clear()
    some = (_ANY.choice(ours) for _ in range(_TRIES))
    port = next((port for port in some if port not in _given and _is_free(port)), None)
    if port is None:
        raise OSError(f"No port of {_PORTS[0]} to {_PORTS[-1]} seems to be free")
    _given.add(port)
    return port


def _is_free(port: int, *, reuse: bool = False) -> bool:
    with socket.socket() as probe:
        if reuse:
            # What a server of a moment ago has left behind keeps nobody off its port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


class Server:
    """One server process: start, wait until it answers, end. Subclasses say which.

    Parameters
    ----------
    directory : pathlib.Path
        An empty directory for its configuration, data and log.
    """

    name = "server"
    _attempts = 5
    _seconds_to_answer = 20.0
    _seconds_to_end = 5.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def configure(self) -> list[str]:
        """Choose ports, write the configuration and give back the command line."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether the server does its work: one real request."""
        raise NotImplementedError

    @property
    def log(self) -> str:
        """What the server said so far."""
        path = self.directory / f"{self.name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not started"  # noqa: S101
        return self._process.pid

    def start(self) -> Self:
        """Start and wait until it answers; on other ports where somebody was faster.

        Raises
        ------
        ServerFailed
            When it ends, or does not answer, at every attempt.
        """
        for _ in range(self._attempts):
            if self._run(self.configure()):
                return self
        raise ServerFailed(f"{self.name} does not come up:\n{self.log}")

    def start_again(self) -> Self:
        """Start once more after an end or a kill, on the same ports and with the data it had."""
        # Of those that were killed with it, one may hold its port for another moment.
        for _ in range(self._attempts):
            if self._run(self._command):
                return self
        raise ServerFailed(f"{self.name} does not come up again:\n{self.log}")

    def _run(self, command: list[str]) -> bool:
        self._command = command
        starter = _ENDED_WITH_US if shutil.which(_ENDED_WITH_US[0]) else ()
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*starter, *command],
                cwd=self.directory,
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + self._seconds_to_answer
        while self._process.poll() is None and time.monotonic() < deadline:
            if self.answers():
                return self._process.poll() is None
            time.sleep(0.02)
        self.kill()
        return False

    def end(self) -> None:
        """End the server and its children; waits until they are gone."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(self._seconds_to_end)
            except subprocess.TimeoutExpired:
                pass
        self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
