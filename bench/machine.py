"""The machine that a benchmark ran on, as far as it matters to the numbers; nothing that names it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from pypx.dcmtk.binaries import Binaries, release


def described() -> str:
    """One sentence: processor, cores, memory, operating system, Python, DCMTK."""
    cores = len(os.sched_getaffinity(0))
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    dcmtk = ".".join(str(part) for part in release(Binaries().path("findscu")))
    return (
        f"{_processor()}, {cores} cores, {gigabytes:.0f} GB; {_system()}; "
        f"Python {platform.python_version()}, DCMTK {dcmtk}."
    )


def load() -> str:
    """How busy the machine is with all that runs on it, at this moment; and whether that is in our way."""
    processes = f"{os.getloadavg()[0]:.1f}"
    return f"{processes}, this ahead of the rest" if ahead() else processes


def ahead() -> str:
    """What this was started with to run before all that is not as urgent; "" where it was not.

    For a machine that is never idle. Where several programs work hand in hand, ``nice`` is the one to use:
    of those with a real-time priority, each keeps its processor for a tenth of a second.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        return "chrt -r 1 "
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    return f"nice -n {niceness} " if niceness < 0 else ""


def _processor() -> str:
    told = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return told[1].strip() if told else platform.machine()


def _system() -> str:
    name = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return f"{name}, Linux {platform.release().split('-')[0]}"
