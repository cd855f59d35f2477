"""px-repack against a loop that reads and copies, and against the px-repack of release 3.12.6."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import earlier, machine
from bench.aside import set_aside
from bench.measuring import Measurement, Usage, in_turns, run
from bench.results import Comparison, Row, Section, megabytes
from bench.sizes import sized
from demo.studies import Study
from pypx.actions.repack.reading import USUAL_JOBS
from pypx.basemount import schema
from pypx.basemount.templates import TreeTemplates

_SCRIPTS = Path(sys.executable).parent
_COPY_LOOP = Path(__file__).with_name("copy_loop.py")

_PATIENTS, _SERIES, _INSTANCES = sized(10, 2), sized(10, 2), sized(100, 10)
_FILES = _PATIENTS * _SERIES * _INSTANCES

#: Each file named so often, to see whether memory grows with their number.
_TIMES = 10

_MEMORY = 150e6


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    case = _Case(scratch, _write_files(scratch / "source"))
    compared, loop_rows = _against_loop(case, runs)
    before, earlier_rows = _against_earlier(case, runs)
    rows = [*loop_rows, *earlier_rows, *_memory_rows(case)]
    comparisons = (replace(compared, earlier=before),)
    return Section("repack", command, machine.described(), _about(runs), rows, comparisons)


def _about(runs: int) -> str:
    return (
        f"{_FILES:,} files of 16 x 16 pixels in {_PATIENTS * _SERIES} series, start-up included. The *loop*"
        " reads the attributes that px-repack reads, with pydicom (``dcmread``, ``stop_before_pixels``), and"
        " copies each file into one directory; it does not look whether a file is whole, nor write anything"
        " down."
        f" px-repack has {USUAL_JOBS} processes for so many files unless ``--jobs`` says otherwise. *Release"
        " 3.12.6* is ``pypx==3.12.6`` with ``pydicom<3`` from the package index, called once for the whole"
        f" directory (``--parseAllFilesWithSubStr .dcm -v 0``). {runs} runs each, in turns, each into a new"
        f" tree; load of the machine at the end: {machine.load()}."
    )


def _write_files(directory: Path) -> Path:
    for patient in range(_PATIENTS):
        study = Study(
            f"BENCH-{patient}",
            attributes={
                "PatientName": f"Bench^{patient}",
                "PatientBirthDate": "19700101",
                "PatientSex": "O",
                "StudyDate": "20260101",
                "StudyDescription": f"Study {patient}",
                "AccessionNumber": f"A{patient}",
            },
        )
        for series in range(1, _SERIES + 1):
            description = {"SeriesDescription": f"Series {series}", "ProtocolName": "bench"}
            study.series(series, _INSTANCES, Modality="MR", **description)
        study.write(directory)
    return directory


@dataclass(frozen=True, slots=True)
class _Case:
    """The files, and a place for what is made of them."""

    scratch: Path
    source: Path

    def loop(self, processes: int) -> Usage:
        keywords = sorted(schema.ATTRIBUTES | TreeTemplates().keywords)
        command = [sys.executable, str(_COPY_LOOP), str(self.source), str(self._target), str(processes)]
        return self._run([*command, *keywords], self._target)

    def px_repack(self, *arguments: str) -> Usage:
        command = [str(_SCRIPTS / "px-repack"), "--db", str(self._target / "log"), "-p", str(self.source)]
        return self._run([*command, *arguments], self._target / "data")

    def earlier(self, px_repack: Path) -> Usage:
        command = [str(px_repack), "-p", str(self.source), "--parseAllFilesWithSubStr", ".dcm", "-v", "0"]
        directories = ["-l", str(self._target / "log"), "-d", str(self._target / "data")]
        return self._run([*command, *directories], self._target / "data")

    def px_repack_again(self) -> Usage:
        """Of a list that names each file several times, for its memory."""
        names = self.scratch / "names"
        names.write_text("".join(f"{path}\n" for path in sorted(self.source.iterdir())) * _TIMES)
        command = [str(_SCRIPTS / "px-repack"), "--db", str(self._target / "log"), "--files-from", str(names)]
        return self._run(command, self._target / "data")

    @property
    def _target(self) -> Path:
        return self.scratch / "target"

    def _run(self, command: list[str], made: Path) -> Usage:
        set_aside(self._target)
        for directory in ("log", "data"):
            (self._target / directory).mkdir(parents=True)
        # What was removed and made before is not to be paid for by who comes next.
        os.sync()
        usage = run(command)
        assert sum(len(names) for _, _, names in os.walk(made)) == _FILES, f"{command} did not pack all"
        return usage


def _against_loop(case: _Case, runs: int) -> tuple[Comparison, list[Row]]:
    contenders: dict[str, Callable[[], Usage]] = {
        "loop": lambda: case.loop(USUAL_JOBS),
        "loop alone": lambda: case.loop(1),
        "px-repack": case.px_repack,
        "px-repack alone": lambda: case.px_repack("--jobs", "1"),
        "px-repack, three": lambda: case.px_repack("--jobs", "3"),
    }
    measured = in_turns(contenders, runs)
    whole, loop = measured["px-repack"], measured["loop"]
    ratio = whole.seconds / loop.seconds
    return Comparison(f"px-repack, {_FILES:,} files", whole, "a loop that copies", loop), [
        _row(f"loop, {USUAL_JOBS} processes", loop),
        _row("px-repack", whole),
        Row("px-repack / loop", f"{ratio:.2f}", "at most 1.5", ratio <= 1.5),
        _row("loop, 1 process", measured["loop alone"]),
        _row("px-repack --jobs 1", measured["px-repack alone"]),
        _row("px-repack --jobs 3", measured["px-repack, three"]),
    ]


def _against_earlier(case: _Case, runs: int) -> tuple[Measurement | None, list[Row]]:
    px_repack = earlier.script("px-repack")
    if px_repack is None:
        return None, [Row(earlier.NAME, "cannot be installed here", "at least 4 times", False)]
    measured = in_turns({"px-repack": case.px_repack, "earlier": lambda: case.earlier(px_repack)}, runs)
    ratio = measured["earlier"].seconds / measured["px-repack"].seconds
    return measured["earlier"], [
        _row(earlier.NAME, measured["earlier"]),
        _row("px-repack, in turns with it", measured["px-repack"]),
        Row("files per second, px-repack / 3.12.6", f"{ratio:.1f}", "at least 4", ratio >= 4),
    ]


def _memory_rows(case: _Case) -> list[Row]:
    few, many = case.px_repack().memory, case.px_repack_again().memory
    return [
        Row(f"px-repack, memory, {_FILES:,} files", megabytes(few), "under 150 MB", few < _MEMORY),
        Row(f"px-repack, memory, {_FILES * _TIMES:,} names", megabytes(many), "under 150 MB", many < _MEMORY),
    ]


def _row(what: str, measured: Measurement) -> Row:
    spread = f"{measured.seconds:.2f} s ({measured.fastest:.2f} to {measured.slowest:.2f})"
    return Row(what, f"{spread}, {_FILES / measured.seconds:,.0f} files/s")
