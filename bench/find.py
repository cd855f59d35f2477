"""px-find against bare findscu calls, px-report over what it found, and how long --help takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import earlier, machine
from bench.measuring import Usage, in_turns, one_after_another, run
from bench.results import Comparison, Row, Section, megabytes, spread
from bench.sizes import sized
from demo.studies import Study
from pypx.actions.find import FindRequest, find
from pypx.dcmtk import identifier
from pypx.dcmtk.binaries import Binaries
from pypx.dicom.node import Node
from servers.orthanc import Orthanc
from servers.peers import Wire

_SCRIPTS = Path(sys.executable).parent
_SERIES = 6

#: Studies in the large case and in the small one, by the beginning of their PatientID.
_LARGE = ("LARGE", sized(500, 8))
_SMALL = ("SMALL", sized(20, 4))

_MEMORY = 150e6


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    server_directory = scratch / "orthanc"
    server_directory.mkdir()
    with Orthanc(server_directory) as server:
        for case in (_LARGE, _SMALL):
            server.store(_files(scratch / case[0], *case))
        large = _Case(server, *_LARGE, scratch)
        small = _Case(server, *_SMALL, scratch)
        of_large, large_rows = _large(large, scratch, runs)
        of_small, small_rows = _small(small, scratch, runs)
    rows = [*large_rows, *small_rows, *_start_rows(runs)]
    return Section("find", command, machine.described(), _about(runs), rows, (of_large, of_small))


def _about(runs: int) -> str:
    return (
        f"Studies with {_SERIES} series of one small instance each, on Orthanc. *Bare findscu* sends the"
        " query files of px-find: the study query, then those for the series, in as many associations and as"
        " many of them side by side as px-find has; it prints the answers, and nothing reads them."
        f" {runs} runs each, in turns; load of the machine at the end: {machine.load()}."
    )


def _files(directory: Path, patient: str, studies: int) -> list[Path]:
    return [path for number in range(studies) for path in _study(patient, number).write(directory)]


def _study(patient: str, number: int) -> Study:
    study = Study(
        f"{patient}-{number:04d}",
        size=8,
        attributes={
            "PatientName": f"Bench^{number}",
            "PatientBirthDate": "19700101",
            "PatientSex": "O",
            "StudyDate": "20260101",
            "StudyDescription": f"Study {number}",
            "AccessionNumber": f"A{number}",
        },
    )
    for series in range(1, _SERIES + 1):
        study.series(series, Modality="MR", SeriesDescription=f"Series {series}", ProtocolName="bench")
    return study


@dataclass(frozen=True, slots=True)
class _Case:
    """The find of so many studies on one server, by px-find and by hand."""

    server: Orthanc
    patient: str
    studies: int
    scratch: Path

    @property
    def _request(self) -> FindRequest:
        node = self.server.node
        return FindRequest(Node(node.host, node.port, node.aec, node.aet), {"PatientID": f"{self.patient}-*"})

    def px_find(self, answer: Path | None = None) -> Usage:
        return run(self._px_find(self.server.port), stdout=answer)

    def _px_find(self, port: int) -> list[str]:
        node = self.server.node
        word = f"{node.host}:{node.aec}:{port}"
        return [str(_SCRIPTS / "px-find"), word, "--aet", node.aet, "--PatientID", f"{self.patient}-*"]

    def earlier(self, px_find: Path, log: Path) -> Usage:
        """The same find with an earlier release."""
        node = self.server.node
        address = ["--serverIP", node.host, "--serverPort", str(node.port)]
        asked = ["--aet", node.aet, "--aec", node.aec, *address, "--PatientID", f"{self.patient}-*"]
        answer = self.scratch / "earlier.json"
        used = run([str(px_find), *asked, "--db", str(log), "--json", "-v", "1"], stdout=answer)
        assert f"{self.patient}-{self.studies - 1:04d}" in answer.read_text()
        return used

    def associations(self) -> int:
        """How many px-find opens, counted on the wire."""
        with Wire(self.server.port) as wire:
            run(self._px_find(wire.port))
            return wire.connections

    def by_hand(self) -> _ByHand:
        """The same as bare calls of findscu."""
        found = find(self._request)
        assert len(found.studies) == self.studies
        assert len(found.series) == self.studies * _SERIES
        directory = self.scratch / f"queries-{self.patient}"
        directory.mkdir()
        study = identifier.write(self._request.study_query(), directory / "study.dcm")
        series = [
            identifier.write(self._request.series_query(one.uid), directory / f"{place}.dcm")
            for place, one in enumerate(found.studies)
        ]
        jobs = self.associations() - 1
        return _ByHand(self.server, [[study]], [series[place::jobs] for place in range(jobs)])


@dataclass(frozen=True, slots=True)
class _ByHand:
    """Bare calls of findscu: the study query, then those for the series side by side."""

    server: Orthanc
    study: Sequence[Sequence[str]]
    series: Sequence[Sequence[str]]

    def __call__(self) -> Usage:
        return one_after_another(
            lambda: run(*self._calls(self.study)), lambda: run(*self._calls(self.series))
        )

    def _calls(self, parts: Sequence[Sequence[str]]) -> list[list[str]]:
        node = self.server.node
        findscu = [Binaries().path("findscu"), "-S", "-aet", node.aet, "-aec", node.aec]
        return [[*findscu, node.host, str(node.port), *files] for files in parts]


def _large(case: _Case, scratch: Path, runs: int) -> tuple[Comparison, list[Row]]:
    answer = scratch / "found.json"
    bare = case.by_hand()
    measured = in_turns({"bare": bare, "px-find": lambda: case.px_find(answer)}, runs)
    report = [str(_SCRIPTS / "px-report"), "--printReport", "tabular"]
    reported = in_turns({"px-report": lambda: run(report, stdin=answer)}, runs)["px-report"]
    assert (
        b"Bench" in subprocess.run(report, input=answer.read_bytes(), capture_output=True, check=True).stdout
    )
    whole, calls = measured["px-find"], measured["bare"]
    ratio = whole.seconds / calls.seconds
    title = f"{case.studies} studies, {case.studies * _SERIES} series"
    return Comparison(f"px-find, {title}", whole, "findscu", calls), [
        Row.of_times(f"{title}: bare findscu", calls),
        Row(f"{title}: px-find", spread(whole)),
        Row(f"{title}: px-find / bare findscu", f"{ratio:.2f}", "at most 1.5", ratio <= 1.5),
        Row(f"{title}: px-find, memory", megabytes(whole.memory), "under 150 MB", whole.memory < _MEMORY),
        Row(f"{title}: px-report, to a pipe", spread(reported), "under 1 s", reported.seconds < 1),
        Row(
            f"{title}: px-report, memory",
            megabytes(reported.memory),
            "under 150 MB",
            reported.memory < _MEMORY,
        ),
    ]


def _small(case: _Case, scratch: Path, runs: int) -> tuple[Comparison, list[Row]]:
    contenders: dict[str, Callable[[], Usage]] = {"bare": case.by_hand(), "px-find": case.px_find}
    px_find = earlier.script("px-find")
    if px_find:
        contenders["earlier"] = lambda: case.earlier(px_find, scratch / "log")
    measured = in_turns(contenders, runs)
    whole, calls = measured["px-find"], measured["bare"]
    more = whole.seconds - calls.seconds
    associations = case.associations()
    title = f"{case.studies} studies, {case.studies * _SERIES} series"
    rows = [
        Row.of_times(f"{title}: bare findscu", calls),
        Row.of_times(f"{title}: px-find", whole),
        Row(f"{title}: px-find - bare findscu", f"{more:.3f} s", "at most 0.4 s", more <= 0.4),
        Row(f"{title}: associations", str(associations), "at most 3", associations <= 3),
    ]
    before = measured.get("earlier")
    if before:
        rows.append(Row.of_times(f"{title}: {earlier.NAME}", before))
    return Comparison(f"px-find, {title}", whole, "findscu", calls, before), rows


def _start_rows(runs: int) -> list[Row]:
    measured = in_turns(
        {
            "python": lambda: run([sys.executable, "-c", "pass"]),
            "help": lambda: run([str(_SCRIPTS / "px-find"), "--help"]),
        },
        runs,
    )
    more = measured["help"].seconds - measured["python"].seconds
    return [
        Row.of_times("python -c pass", measured["python"]),
        Row.of_times("px-find --help", measured["help"]),
        Row("px-find --help - python -c pass", f"{more:.3f} s", "within 0.2 s", more <= 0.2),
    ]
