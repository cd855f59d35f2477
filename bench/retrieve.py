"""px-move --get against bare getscu: 40 series from Orthanc, packed and catalogued."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.aside import set_aside
from bench.measuring import ENVIRONMENT, Usage, in_turns, run
from bench.results import Row, Section, megabytes
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
    rows: list[Row] = []
    for size, instances, most in _CASES:
        home = scratch / f"orthanc-{size}"
        home.mkdir()
        with Orthanc(home) as server:
            study = _study(size, instances)
            server.store(study.write(scratch / "sent"))
            set_aside(scratch / "sent")
            rows += _Case(server, study, scratch).rows(f"{instances} of {size} x {size}", runs, most)
        set_aside(home)
    return Section("retrieve", command, machine.described(), _about(runs), rows)


def _about(runs: int) -> str:
    return (
        f"C-GET of {_SERIES} series from Orthanc, {_JOBS} associations at once. *getscu* is bare: one run a"
        " series, as release 3.6.7 cannot take several requests. *px-move* is given the JSON of px-find, and"
        " is taken without its start-up, which is what it takes when all is here already. Both until the last"
        f" image is on disk, that of px-move in data/ and the catalogue. {runs} runs each, in turns; load of"
        f" the machine at the end: {machine.load()}."
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

    def rows(self, title: str, runs: int, most: float) -> list[Row]:
        found = self.scratch / "found.json"
        find = [
            str(_SCRIPTS / "px-find"),
            *self.server.node.options,
            "--StudyInstanceUID",
            str(self.study.uid),
        ]
        run(find, stdout=found)
        measured = in_turns(
            {
                "getscu": self._bare,
                "px-move": lambda: self._px_move(found),
                "start-up": lambda: self._px_move(found, again=True),
            },
            runs,
        )
        whole, start, bare = measured["px-move"], measured["start-up"], measured["getscu"]
        ratio = (whole.seconds - start.seconds) / bare.seconds
        return [
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

    def _px_move(self, found: Path, again: bool = False) -> Usage:
        basemount = self.scratch / "basemount"
        answer = self.scratch / "moved.json"
        if not again:
            set_aside(basemount)
        move = [str(_SCRIPTS / "px-move"), "--get", "--jobs", str(_JOBS), "--db", str(basemount / "log")]
        usage = run(move, stdin=found, stdout=answer)
        received = json.loads(answer.read_text())["summary"]["received"]
        assert received == (0 if again else self.study.instances)
        return usage

    def _bare(self) -> Usage:
        """getscu for one series after another, so many at a time."""
        target = self.scratch / "bare"
        target.mkdir()
        series = [one.uid for one in self.study.all_series]
        begun = time.perf_counter()
        running: list[subprocess.Popen[bytes]] = []
        while series or running:
            while series and len(running) < _JOBS:
                running.append(subprocess.Popen(self._getscu(series.pop(0), target), env=ENVIRONMENT))
            running[0].wait()
            assert not [one for one in running if one.poll()], "getscu failed"
            running = [one for one in running if one.poll() is None]
        seconds = time.perf_counter() - begun
        assert len(list(target.iterdir())) == self.study.instances
        set_aside(target)
        return Usage(seconds, 0)

    def _getscu(self, series_uid: str, target: Path) -> Sequence[str]:
        node = self.server.node
        return (
            *(Binaries().path("getscu"), "-S", "+B", "-aet", node.aet, "-aec", node.aec, "-od", str(target)),
            *("-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={self.study.uid}"),
            *("-k", f"SeriesInstanceUID={series_uid}", node.host, str(node.port)),
        )
