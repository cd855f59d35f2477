"""px-listen against bare storescp, and against storescp that starts a Python process for each object."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import earlier, machine
from bench.aside import set_aside
from bench.measuring import ENVIRONMENT, Usage, in_turns
from bench.receivers import AS_FAST_AS_IT_CAN, AS_IT_COMES, storescp
from bench.results import Comparison, Row, Section, megabytes
from bench.sizes import sized
from demo.server import HOST
from demo.studies import Study
from listener import PxListen
from pypx.dcmtk.binaries import Binaries

_SENDERS = 2

#: Rows and columns of each object, at 16 bits; how many there are; of how many times storescp's time at most.
_LOADS = ((16, sized(5000, 60), 1.6), (64, sized(5000, 60), 1.6), (512, sized(2000, 20), 1.2))

#: Seconds after which what was sent is there, or something is wrong.
_LONGEST = 300

#: Objects that are received before time is taken, as a service has received some.
_BEFORE = 2

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
    """Measure all of it."""
    comparisons: list[Comparison] = []
    rows: list[Row] = []
    before = _Load.of(scratch / "before", 8, _BEFORE)
    loads = [_Load.of(scratch / f"sent-{size}", size, count) for size, count, _ in _LOADS]
    for load, (size, count, most) in zip(loads, _LOADS, strict=True):
        compared, measured = _against_bare(
            before, load, f"{count:,} objects of {size} x {size}", runs, most, scratch
        )
        comparisons += compared
        rows += measured
    of_each, each_rows = _against_processes(before, loads[0], scratch, runs)
    rows += [*each_rows, *_memory_rows(scratch)]
    return Section("receive", command, machine.described(), _about(runs), rows, (*comparisons, of_each))


def _about(runs: int) -> str:
    return (
        f"{_SENDERS} dcmsend at once, on loopback. *storescp* is bare, until the senders have ended: as it"
        f" comes (``{' '.join(AS_IT_COMES)}``), and with the options that px-listen gives it as well"
        f" (``{' '.join(AS_FAST_AS_IT_CAN[len(AS_IT_COMES) :])}``). *px-listen* until the last object is in"
        f" data/ and in the catalogue. Both have received {_BEFORE} objects before."
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
            assert time.perf_counter() < begun + _LONGEST, "something that was sent is not there"
            time.sleep(0.01)
        return time.perf_counter() - begun


def _bare(before: _Load, load: _Load, scratch: Path, options: Sequence[str]) -> Usage:
    with storescp(scratch / "bare", options=options) as port:
        before.send(port)
        seconds = load.send(port)
    set_aside(scratch / "bare")
    return Usage(seconds, 0)


def _px_listen(before: _Load, load: _Load, scratch: Path) -> Usage:
    basemount = scratch / "basemount"
    with PxListen(basemount) as listen:
        before.send(listen.port, lambda: _catalogued(basemount) == before.count)
        seconds = load.send(listen.port, lambda: _catalogued(basemount) == before.count + load.count)
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


def _against_bare(
    before: _Load, load: _Load, title: str, runs: int, most: float, scratch: Path
) -> tuple[list[Comparison], list[Row]]:
    bare, tuned, ours = in_turns(
        {
            "bare": lambda: _bare(before, load, scratch, AS_IT_COMES),
            "tuned": lambda: _bare(before, load, scratch, AS_FAST_AS_IT_CAN),
            "px-listen": lambda: _px_listen(before, load, scratch),
        },
        runs,
    ).values()
    ratio = ours.seconds / bare.seconds
    comparisons = [
        Comparison(f"px-listen, {title}", ours, " ".join(("storescp", *AS_IT_COMES)), bare),
        Comparison(f"px-listen, {title}", ours, " ".join(("storescp", *AS_FAST_AS_IT_CAN)), tuned),
    ]
    return comparisons, [
        Row.of_times(f"{title}: storescp", bare),
        Row.of_times(f"{title}: storescp with px-listen's options", tuned),
        Row.of_times(f"{title}: px-listen", ours),
        Row(f"{title}: px-listen / storescp", f"{ratio:.2f}", f"at most {most}", ratio <= most),
        Row(f"{title}: px-listen / storescp with its options", f"{ours.seconds / tuned.seconds:.2f}"),
    ]


def _against_processes(before: _Load, load: _Load, scratch: Path, runs: int) -> tuple[Comparison, list[Row]]:
    """Objects a second, with a process for each and with px-listen."""
    few = _Load.of(scratch / "few", 16, _FEW)
    packed = scratch / "packed"

    def with_processes(each: str) -> Usage:
        packed.mkdir()
        with storescp(scratch / "each", options=(*AS_FAST_AS_IT_CAN, "-xcr", each)) as port:
            seconds = few.send(port, lambda: len(list(packed.rglob("*.dcm"))) == _FEW)
        set_aside(packed)
        set_aside(scratch / "each")
        return Usage(seconds, 0)

    contenders: dict[str, Callable[[], Usage]] = {
        "processes": lambda: with_processes(f"{sys.executable} -c '{_EACH}' #p/#f {packed}/#f.dcm"),
        "px-listen": lambda: _px_listen(before, load, scratch),
    }
    px_repack = earlier.script("px-repack")
    if px_repack:
        places = f"--logdir {scratch}/earlier-log --datadir {packed}"
        command = f"{px_repack} --xcrdir #p --xcrfile #f {places} --verbosity 0"
        contenders["earlier"] = lambda: with_processes(command)
    measured = in_turns(contenders, max(1, runs // 2))
    ours, bare = measured["px-listen"].each(load.count), measured["processes"].each(_FEW)
    in_earlier = measured["earlier"].each(_FEW) if "earlier" in measured else None
    faster = bare.seconds / ours.seconds
    rows = [
        Row("storescp -xcr, a Python process an object", f"{1 / bare.seconds:.1f} objects/s"),
        Row("px-listen", f"{1 / ours.seconds:.0f} objects/s"),
        Row("px-listen / a process an object", f"{faster:.0f}", "at least 100", faster >= 100),
    ]
    if in_earlier:
        rows.append(
            Row(f"storescp -xcr, px-repack of {earlier.NAME}", f"{1 / in_earlier.seconds:.1f} objects/s")
        )
    return Comparison("px-listen, each object", ours, "storescp -xcr python", bare, in_earlier), rows


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
