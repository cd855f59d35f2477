"""Commands in a root: one step of a build, or a container that runs as ``docker run`` would run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .launch import Launch

#: What is started behind this has mounts and processes of its own. When we are killed, the kernel kills the
#: unshare, with it the first process in there, with that all others, and the mounts are gone.
NAMESPACES = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child")

_LAUNCH = (sys.executable, "-I", "-B", str(Path(__file__).with_name("launch.py")))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str


def start(launch: Launch, *, stdin: int | None = None, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start a command in its root; stderr goes where stdout goes unless stdout is a pipe."""
    own_network = ("--net",) if launch.has_own_network else ()
    stderr = subprocess.PIPE if stdout == subprocess.PIPE else subprocess.STDOUT
    return subprocess.Popen(
        [*NAMESPACES, *own_network, *_LAUNCH, launch.to_json()],
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def run(launch: Launch, stdin: str = "", timeout: float = 60.0) -> Ran:
    """Run a command in its root to its end."""
    process = start(launch, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return _ended(process, stdin, timeout)


def run_step(launch: Launch, log: Path, timeout: float = 900.0) -> bool:
    """Run one step of a build, and keep what it says in a file; whether it ended well."""
    with log.open("wb") as said:
        process = start(launch, stdout=said.fileno())
        try:
            return process.wait(timeout) == 0
        finally:
            process.kill()
            process.wait()


def _ended(process: subprocess.Popen[bytes], stdin: str, timeout: float) -> Ran:
    try:
        stdout, stderr = process.communicate(stdin.encode(), timeout)
    finally:
        process.kill()
        process.wait()
    return Ran(process.returncode, stdout.decode(), stderr.decode())


class Container:
    """A command that runs in its root until it is stopped, in a ``with`` block.

    Parameters
    ----------
    launch : Launch
    log : pathlib.Path
        Where what it says goes.
    """

    def __init__(self, launch: Launch, log: Path) -> None:
        self._launch = launch
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.pid = 0

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        with self._log.open("ab") as said:
            self._process = start(self._launch, stdout=said.fileno())
        deadline = time.monotonic() + 20.0
        while not (self.pid and self._is_inside()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._kill()
                raise RuntimeError(f"{self._launch.command} does not start: {self.log}")
            time.sleep(0.01)
            children = (
                Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            )
            self.pid = int(children[0]) if children else 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def _is_inside(self) -> bool:
        try:
            return str(Path(f"/proc/{self.pid}/root").readlink()) == self._launch.root
        except OSError:
            return False

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def beside(self, *command: str) -> list[str]:
        """A command line that runs a program of ours on this container's network."""
        return ["nsenter", "--target", str(self.pid), "--net", "--", *command]

    def within(self, *command: str) -> list[str]:
        """A command line that runs a command in this container, as ``docker exec`` does."""
        launch = self._launch
        return [
            *("nsenter", "--target", str(self.pid), "--mount", "--pid", "--net"),
            *("--root", "--wd", f"--setgid={launch.gid}", f"--setuid={launch.uid}", "--"),
            *("env", "-i", *(f"{name}={value}" for name, value in launch.environment.items())),
            *command,
        ]

    def exec(self, *command: str, stdin: str = "", timeout: float = 60.0) -> Ran:
        """Run a command in this container to its end."""
        process = subprocess.Popen(
            self.within(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return _ended(process, stdin, timeout)

    def stop(self, number: signal.Signals, timeout: float = 90.0) -> int:
        """Send the first process a signal, as ``docker stop`` does, and give back its exit status."""
        assert self._process is not None
        os.kill(self.pid, number)
        return self._process.wait(timeout)

    def wait_until_it_is(self, command: Sequence[str], timeout: float = 30.0) -> None:
        """Run a check in this container until it ends with 0, as an engine waits for healthy."""
        deadline = time.monotonic() + timeout
        while (ran := self.exec(*command)).status != 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{command} says {ran.stdout}{ran.stderr}; the container says {self.log}")
            time.sleep(0.2)
