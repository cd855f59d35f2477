"""A px-listen that runs for a test, and peers that send to it and remember what was acknowledged."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demo.server import ENVIRONMENT, HOST
from servers.needs import require
from tools import SCRIPTS, Ran, Running, run_tool

_READY = re.compile(r"receives on port (\d+) ")


class PxListen:
    """px-listen on a free port, from the moment that peers can connect.

    Parameters
    ----------
    basemount : pathlib.Path
    options : str, int or pathlib.Path
        Further options.
    port : int
        0 for a free one.
    inside : sequence of str
        Words before the command line, such as those that give it a filesystem of its own.
    environment : mapping of str to str
        Variables that differ.
    """

    aet = "CHRISLOCAL"

    def __init__(
        self,
        basemount: Path,
        *options: str | int | Path,
        port: int = 0,
        inside: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.basemount = basemount
        self.lines: list[str] = []
        # By its whole path: others are started before it, and are not where the scripts are.
        before = [shutil.which(word) or word if place == 0 else word for place, word in enumerate(inside)]
        command = [*before, SCRIPTS / "px-listen", "--db", basemount / "log", "--port", port, *options]
        self.running = Running(command[0], *command[1:], environment=environment)
        self.running.feed()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(_READY.pattern)
        self.port = int(next(found[1] for line in self.lines if (found := _READY.search(line))))

    def _read(self) -> None:
        assert self.running.process.stderr is not None
        for line in self.running.process.stderr:
            self.lines.append(line.decode())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running.process.poll() is None and kind is None:
            assert self.stop() == 0, self.log
        else:
            self.running.kill()

    @property
    def log(self) -> str:
        """What it said so far."""
        return "".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = 120.0) -> str:
        """The first line that it says with this in it."""
        return until(lambda: next((one for one in self.lines if re.search(pattern, one)), ""), seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 120.0) -> int:
        """Have it end, and give back its exit status; nothing of it may be left."""
        self.running.interrupt(number)
        status = self.running.process.wait(seconds)
        self._reader.join(30.0)
        self.running.assert_nothing_left()
        assert "Traceback" not in self.log, self.log
        return status

    def kill(self, *, at_once: bool = False) -> None:
        """kill -9 of px-listen alone: the kernel must see to its children (:meth:`Running.kill_alone`)."""
        self.running.kill_alone(at_once=at_once)

    def status(self) -> dict[str, Any]:
        """What px-listen --status says of it."""
        ran = status(self.basemount)
        assert ran.status == 0, f"{ran.stdout}{self.log}{self.running.process.poll()}"
        state: dict[str, Any] = ran.json["data"][0]
        return state

    def wait_until_packed(self, images: int, seconds: float = 120.0) -> None:
        """Wait until so many images were taken by this run, new ones and those that came again."""
        until(lambda: self._taken() >= images, seconds, lambda: f"{self.status()}\n{self.log}")

    def _taken(self) -> int:
        state = self.status()
        return int(state["received"] + state["duplicates"])


def until(
    condition: Callable[[], Any],
    seconds: float = 120.0,
    said: Callable[[], str] = lambda: "it did not come to that in time",
) -> Any:
    """Wait for a condition, and give back what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)
    return value


def status(basemount: Path, *options: str | int) -> Ran:
    """Run px-listen --status."""
    return run_tool("px-listen", "--status", "--db", basemount / "log", *options)


def send(
    port: int, files: Iterable[Path], aet: str = "MODALITY", aec: str = "CHRISLOCAL"
) -> tuple[list[Path], str]:
    """Send files over one association with storescu; those that were acknowledged, and what it said."""
    sender = start_sending(port, files, aet, aec)
    said = sender.communicate(timeout=400)[0]
    return acknowledged(said), said


def start_sending(
    port: int, files: Iterable[Path], aet: str = "MODALITY", aec: str = "CHRISLOCAL"
) -> subprocess.Popen[str]:
    """The same, in the background."""
    return subprocess.Popen(
        # -R: only what is needed is proposed. -xf would need a file; the usual syntaxes do.
        [
            *(require("storescu", "dcmtk"), "-v", "-R", "-aet", aet, "-aec", aec),
            *(HOST, str(port), *map(str, files)),
        ],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def acknowledged(said: str) -> list[Path]:
    """The files of which storescu says that the peer took them."""
    found: list[Path] = []
    sending: Path | None = None
    for line in said.splitlines():
        if line.startswith("I: Sending file: "):
            sending = Path(line.removeprefix("I: Sending file: "))
        elif line == "I: Received Store Response (Success)" and sending:
            found.append(sending)
            sending = None
    return found
