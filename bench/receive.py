"""px-listen against bare storescp, and against storescp that starts a Python process for each object."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.aside import set_aside
from bench.measuring import ENVIRONMENT, Measurement, Usage, in_turns
from bench.results import Row, Section, megabytes
from bench.sizes import sized
from demo.server import HOST, free_port
from demo.studies import Study
from listener import PxListen
from pypx.dcmtk.binaries import Binaries

_SENDERS = 2

#: Objects in all, by the rows and columns of each: small ones, and 512 x 512 at 16 bits.
_SMALL = (16, sized(5000, 60))
_LARGE = (512, sized(2000, 20))

#: Objects for the process each, which is slow.
_FEW = sized(40, 4)

#: Objects over which memory is watched, and after how many it is taken as the beginning.
_MANY = int(os.environ.get("PYPX_BENCH_OBJECTS") or sized(100_000, 300))
_WARM = _MANY // 5
_HEAP = sized(5000, 60)

#: What such a process does at the least: read the header, put the file somewhere else.
_EACH = (
    "import sys, os, pydicom; pydicom.dcmread(sys.argv[1], stop_before_pixels=True); os.rename(*sys.argv[1:])"
)


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it.

    Parameters
    ----------
    scratch : pathlib.Path
        An empty directory.
    runs : int
        Of each contender.
    command : str
        That was typed, for the results.
    """
    small, large = (_Load.of(scratch / f"sent-{size}", size, count) for size, count in (_SMALL, _LARGE))
    rows = [
        *_rows(small, f"{small.count:,} objects of 16 x 16", runs, 1.6, scratch),
        *_rows(large, f"{large.count:,} images of 512 x 512", runs, 1.2, scratch),
        *_process_rows(small, scratch, runs),
        *_memory_rows(scratch),
    ]
    return Section("receive", command, machine.described(), _about(runs), rows)


def _about(runs: int) -> str:
    return (
        f"{_SENDERS} dcmsend at once, on loopback. *storescp* is bare (``storescp --fork +B``), until the"
        " senders have ended. *px-listen* until the last object is in data/ and in the catalogue."
        f" {runs} runs each, in turns; load of the machine at the end: {machine.load()}."
    )


@dataclass(frozen=True, slots=True)
class _Load:
    """Files in one directory a sender."""

    directories: Sequence[Path]
    count: int

    @classmethod
    def of(cls, directory: Path, size: int, count: int) -> _Load:
        directories = [directory / str(number) for number in range(_SENDERS)]
        for number, each in enumerate(directories):
            study = Study(f"BENCH-{size}-{number}", size=size).series(1, count // _SENDERS)
            study.write(each)
        return cls(directories, count)

    def send(self, port: int, finished: Callable[[], bool] = lambda: True) -> float:
        """Send all of it, and wait; the seconds that took."""
        dcmsend = Binaries().path("dcmsend")
        begun = time.perf_counter()
        senders = [
            subprocess.Popen(
                [dcmsend, "--no-halt", "-aec", "CHRISLOCAL", HOST, str(port), "+sd", str(directory)],
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
            )
            for directory in self.directories
        ]
        assert [sender.wait() for sender in senders] == [0] * len(senders)
        while not finished():
            time.sleep(0.01)
        return time.perf_counter() - begun


@contextmanager
def _storescp(directory: Path, *options: str) -> Iterator[int]:
    port = free_port()
    directory.mkdir()
    echoscu = Binaries().path("echoscu")
    server = subprocess.Popen(
        [
            *(Binaries().path("storescp"), "--fork", "+xa", "+B", "-pdu", "131072", *options),
            *("-od", str(directory), str(port)),
        ],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while subprocess.run([echoscu, HOST, str(port)], capture_output=True, check=False).returncode:
            time.sleep(0.02)
        yield port
    finally:
        server.terminate()
        server.wait()
        set_aside(directory)


def _bare(load: _Load, scratch: Path) -> Usage:
    with _storescp(scratch / "bare") as port:
        return Usage(load.send(port), 0)


def _px_listen(load: _Load, scratch: Path) -> Usage:
    basemount = scratch / "basemount"
    with PxListen(basemount) as listen:
        seconds = load.send(listen.port, lambda: _catalogued(basemount) == load.count)
        memory = _memory(listen)
    set_aside(basemount)
    return Usage(seconds, memory)


def _catalogued(basemount: Path) -> int:
    file = basemount / "log" / "smdb.sqlite"
    if not file.exists():
        return 0
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("select count(*) from instance").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def _memory(listen: PxListen) -> int:
    """Bytes of px-listen itself that are in memory."""
    status = Path(f"/proc/{listen.running.process.pid}/status").read_text()
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kilobytes) * 1024


def _rows(load: _Load, title: str, runs: int, most: float, scratch: Path) -> list[Row]:
    measured = in_turns(
        {"bare": lambda: _bare(load, scratch), "px-listen": lambda: _px_listen(load, scratch)}, runs
    )
    ratio = _ratio(measured["px-listen"], measured["bare"])
    return [
        Row.of_times(f"{title}: storescp", measured["bare"]),
        Row.of_times(f"{title}: px-listen", measured["px-listen"]),
        Row(f"{title}: px-listen / storescp", f"{ratio:.2f}", f"at most {most}", ratio <= most),
    ]


def _ratio(one: Measurement, other: Measurement) -> float:
    return one.seconds / other.seconds


def _process_rows(load: _Load, scratch: Path, runs: int) -> list[Row]:
    """Objects a second, with a process for each and with px-listen."""
    few = _Load.of(scratch / "few", 16, _FEW)
    packed = scratch / "packed"
    each = f"{sys.executable} -c '{_EACH}' #p/#f {packed}/#f"

    def with_processes() -> Usage:
        packed.mkdir()
        with _storescp(scratch / "each", "-xcr", each) as port:
            seconds = few.send(port, lambda: len(list(packed.iterdir())) == _FEW)
        set_aside(packed)
        return Usage(seconds, 0)

    measured = in_turns(
        {"processes": with_processes, "px-listen": lambda: _px_listen(load, scratch)}, max(1, runs // 2)
    )
    slow, fast = _FEW / measured["processes"].seconds, load.count / measured["px-listen"].seconds
    return [
        Row("storescp -xcr, a Python process an object", f"{slow:.1f} objects/s"),
        Row("px-listen", f"{fast:.0f} objects/s"),
        Row("px-listen / a process an object", f"{fast / slow:.0f}", "at least 100", fast / slow >= 100),
    ]


def _memory_rows(scratch: Path) -> list[Row]:
    basemount, directories = scratch / "many", [scratch / f"heap-{number}" for number in range(_SENDERS)]
    (template,) = Study("MANY", size=16).series(1).write(scratch / "template")
    begin = half = 0
    with PxListen(basemount) as listen:
        for done in range(0, _MANY, _HEAP):
            _write_heap(template, directories, done)
            _Load(directories, _HEAP).send(
                listen.port, lambda done=done: _catalogued(basemount) == done + _HEAP
            )
            if done < _WARM:
                begin = _memory(listen)
            if done < _MANY // 2:
                half = _memory(listen)
        end = _memory(listen)
        descriptors = len(list(Path(f"/proc/{listen.running.process.pid}/fd").iterdir()))
        threads = len(list(Path(f"/proc/{listen.running.process.pid}/task").iterdir()))
    # By then it has met the largest batch that it takes, and every page of the catalogue that it keeps.
    growth = (end - half) / half
    title = f"px-listen, {_MANY} objects"
    return [
        Row(f"{title}: memory after {_WARM}", megabytes(begin)),
        Row(f"{title}: memory after {_MANY // 2}", megabytes(half)),
        Row(
            f"{title}: memory at the end",
            f"{megabytes(end)} ({growth:+.1%})",
            "flat: within 5 %",
            growth < 0.05,
        ),
        Row(
            f"{title}: open files, threads",
            f"{descriptors}, {threads}",
            "under 30, under 10",
            descriptors < 30 and threads < 10,
        ),
    ]


def _write_heap(template: Path, directories: Sequence[Path], first: int) -> None:
    """Copies of an image that differ in their SOP Instance UID alone, whose length stays."""
    content, uid = template.read_bytes(), template.stem.encode()
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
    for number in range(first, first + _HEAP):
        own = uid[:-8] + b"%08d" % (10_000_000 + number)
        (directories[number % _SENDERS] / str(number)).write_bytes(content.replace(uid, own))
