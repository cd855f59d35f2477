"""How long programs take and how much memory they need, measured in turns with what they are held against."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Debian's DCMTK leaves Nagle's algorithm on unless told so; the bare programs get what the suite gives them.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}


_LAUNCHER = Path(__file__).with_name("launch.py")


class RunFailed(Exception):
    """A program that was to be measured failed; what it said is in the message."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run needed.

    Parameters
    ----------
    seconds : float
        From the start of the first program to the end of the last.
    memory : int
        Bytes of the largest process in it, as the kernel counted its resident pages.
    """

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """Several runs of the same."""

    runs: tuple[Usage, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def fastest(self) -> float:
        return min(run.seconds for run in self.runs)

    @property
    def slowest(self) -> float:
        return max(run.seconds for run in self.runs)

    @property
    def memory(self) -> int:
        """Bytes of the largest process of all runs."""
        return max(run.memory for run in self.runs)

    def each(self, count: int) -> Measurement:
        """What each of so many things took."""
        return Measurement(tuple(Usage(run.seconds / count, run.memory) for run in self.runs))


def run(*together: Sequence[str], stdin: Path | None = None, stdout: Path | None = None) -> Usage:
    """Run command lines side by side until the last has ended.

    Parameters
    ----------
    together : sequence of sequence of str
        Command lines, each with the path of its program.
    stdin, stdout : pathlib.Path, optional
        Files; nothing where not given. Standard error goes to a file.

    Raises
    ------
    RunFailed
    """
    asked = {"commands": together, "stdin": str(stdin or os.devnull), "stdout": str(stdout or os.devnull)}
    launched = subprocess.run(
        [sys.executable, "-S", "-E", str(_LAUNCHER)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=True,
    )
    told = json.loads(launched.stdout)
    if told["failed"]:
        raise RunFailed(f"{together!r} {told['failed']}")
    return Usage(told["seconds"], told["kilobytes"] * 1024)


def one_after_another(*steps: Callable[[], Usage]) -> Usage:
    """Runs that make up one: their times added, the largest memory."""
    usages = [step() for step in steps]
    return Usage(sum(usage.seconds for usage in usages), max(usage.memory for usage in usages))


def in_turns(contenders: Mapping[str, Callable[[], Usage]], runs: int) -> dict[str, Measurement]:
    """Measure contenders in turns, after one run of each that does not count.

    What the machine does besides then hits all of them alike.
    """
    for contender in contenders.values():
        contender()
    usages: dict[str, list[Usage]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, contender in contenders.items():
            usages[name].append(contender())
    return {name: Measurement(tuple(measured)) for name, measured in usages.items()}
