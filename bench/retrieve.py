"""px-move against bare getscu and movescu: 40 series from Orthanc, packed and catalogued."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.aside import set_aside
from bench.measuring import ENVIRONMENT, Usage, in_turns, run
from bench.receivers import storescp
from bench.results import Comparison, Row, Section, megabytes
from bench.sizes import sized
from demo.studies import Study
from pypx.dcmtk.binaries import Binaries
from servers.orthanc import Orthanc

_SCRIPTS = Path(sys.executable).parent
_SERIES = sized(40, 4)
_JOBS = 2

#: Rows and columns, instances in all, and how many times the seconds of bare getscu px-move may take.
_CASES = ((64, sized(2000, 20), 3.0), (512, sized(2000, 20), 1.4))


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    sections: list[tuple[Comparison, list[Row]]] = []
    for size, instances, most in _CASES:
        home = scratch / f"orthanc-{size}"
        home.mkdir()
        with Orthanc(home) as server:
            study = _study(size, instances)
            server.store(study.write(scratch / "sent"))
            set_aside(scratch / "sent")
            case = _Case(server, study, scratch)
            title = f"{instances} of {size} x {size}"
            sections += [case.get(title, runs, most), case.move(title, runs)]
        set_aside(home)
    rows = [row for _, rows in sections for row in rows]
    comparisons = [compared for compared, _ in sections]
    return Section("retrieve", command, machine.described(), _about(runs), rows, comparisons)


def _about(runs: int) -> str:
    return (
        f"{_SERIES} series from Orthanc, {_JOBS} associations at once. *getscu* and *movescu* are bare: one"
        " run a series, as release 3.6.7 cannot take several requests; what movescu asks for goes to a bare"
        " storescp. *px-move* is given the JSON of px-find; without its start-up means: without what it takes"
        " when all is here already. Both until the last image is on disk, that of px-move in data/ and the"
        f" catalogue. {runs} runs each, in turns; load of the machine at the end: {machine.load()}."
    )


def _study(size: int, instances: int) -> Study:
    study = Study(f"RETRIEVE-{size}", size=size, attributes={"PatientName": "Bench^Retrieve"})
    for number in range(1, _SERIES + 1):
        study.series(number, instances // _SERIES, SeriesDescription=f"Series {number}")
    return study


@dataclass(frozen=True, slots=True)
class _Case:
    """One study on one server."""

    server: Orthanc
    study: Study
    scratch: Path

    def get(self, title: str, runs: int, most: float) -> tuple[Comparison, list[Row]]:
        """By C-GET."""
        found = self._found()
        measured = in_turns(
            {
                "getscu": lambda: self._bare(self._getscu),
                "px-move": lambda: self._px_move(found, "--get"),
                "start-up": lambda: self._px_move(found, "--get", again=True),
            },
            runs,
        )
        whole, start, bare = measured["px-move"], measured["start-up"], measured["getscu"]
        ratio = (whole.seconds - start.seconds) / bare.seconds
        return Comparison(f"px-move --get, {title}", whole, "getscu", bare), [
            Row.of_times(f"{title}: getscu", bare),
            Row.of_times(f"{title}: px-move --get", whole),
            Row.of_times(f"{title}: px-move --get, all here already", start),
            Row(
                f"{title}: px-move without start-up / getscu",
                f"{ratio:.2f}",
                f"at most {most}",
                ratio <= most,
            ),
            Row(f"{title}: px-move, memory", megabytes(whole.memory)),
        ]

    def move(self, title: str, runs: int) -> tuple[Comparison, list[Row]]:
        """By C-MOVE to a receiver here."""
        found, port = self._found(), str(self.server.receive_port)
        measured = in_turns(
            {
                "movescu": self._bare_move,
                "px-move": lambda: self._px_move(found, "--receivePort", port),
            },
            runs,
        )
        whole, bare = measured["px-move"], measured["movescu"]
        return Comparison(f"px-move --receivePort, {title}", whole, "movescu, storescp", bare), [
            Row.of_times(f"{title}: movescu, storescp", bare),
            Row.of_times(f"{title}: px-move --receivePort", whole),
        ]

    def _found(self) -> Path:
        found = self.scratch / "found.json"
        find = [str(_SCRIPTS / "px-find"), *self.server.node.options]
        run([*find, "--StudyInstanceUID", str(self.study.uid)], stdout=found)
        return found

    def _px_move(self, found: Path, *way: str, again: bool = False) -> Usage:
        basemount = self.scratch / "basemount"
        answer = self.scratch / "moved.json"
        if not again:
            set_aside(basemount)
        move = [str(_SCRIPTS / "px-move"), *way, "--jobs", str(_JOBS), "--db", str(basemount / "log")]
        usage = run(move, stdin=found, stdout=answer)
        received = json.loads(answer.read_text())["summary"]["received"]
        assert received == (0 if again else self.study.instances)
        return usage

    def _bare_move(self) -> Usage:
        target = self.scratch / "bare"
        set_aside(target)
        with storescp(target, self.server.receive_port):
            return self._bare(self._movescu)

    def _bare(self, command: Callable[[str, Path], Sequence[str]]) -> Usage:
        """A program for one series after another, so many at a time."""
        target = self.scratch / "bare"
        target.mkdir(exist_ok=True)
        series = [one.uid for one in self.study.all_series]
        begun = time.perf_counter()
        running: list[subprocess.Popen[bytes]] = []
        while series or running:
            while series and len(running) < _JOBS:
                running.append(subprocess.Popen(command(series.pop(0), target), env=ENVIRONMENT))
            running[0].wait()
            assert not [one for one in running if one.poll()], "a retrieve failed"
            running = [one for one in running if one.poll() is None]
        seconds = time.perf_counter() - begun
        assert len(list(target.iterdir())) == self.study.instances
        set_aside(target)
        return Usage(seconds, 0)

    def _getscu(self, series_uid: str, target: Path) -> Sequence[str]:
        return (Binaries().path("getscu"), "+B", "-od", str(target), *self._asked(series_uid))

    def _movescu(self, series_uid: str, _target: Path) -> Sequence[str]:
        return (Binaries().path("movescu"), "-aem", self.server.aet, *self._asked(series_uid))

    def _asked(self, series_uid: str) -> Sequence[str]:
        node = self.server.node
        return (
            *("-S", "-aet", node.aet, "-aec", node.aec),
            *("-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={self.study.uid}"),
            *("-k", f"SeriesInstanceUID={series_uid}", node.host, str(node.port)),
        )
