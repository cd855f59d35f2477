"""px-push to a Swift on loopback, against ``swift upload`` with as many threads, and one at a time."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.measuring import Usage, in_turns, run
from bench.results import Comparison, Row, Section, megabytes, spread
from bench.sizes import sized
from demo.server import HOST
from demo.studies import Study
from servers.swift import KEY, LOGIN, Swift

_SCRIPTS = Path(sys.executable).parent

_SERIES, _INSTANCES = sized(20, 3), sized(100, 5)
_FILES = _SERIES * _INSTANCES

_THREADS = 8


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    study = Study("BENCH-1", attributes={"PatientName": "Bench^Push", "StudyDate": "20260101"})
    for number in range(1, _SERIES + 1):
        study.series(number, _INSTANCES, SeriesDescription=f"Series {number}")
    study.write(scratch / "files")
    (scratch / "swift").mkdir()
    with Swift(scratch / "swift") as swift:
        site = _Site(scratch, swift, study.uid, itertools.count())
        site.pack()
        compared, rows = _measured(site, runs)
    return Section("push", command, machine.described(), _about(runs), rows, (compared,))


def _about(runs: int) -> str:
    return (
        f"{_FILES:,} files of 16 x 16 pixels in {_SERIES} series, start-up included, into a Swift of one"
        " device on the same machine, whose five processes share its cores. px-push takes a study of the"
        " catalogue, makes the names, compares checksums, sees that all is there and writes it down;"
        f" ``swift upload`` sends a directory as it is. {runs} runs each, in turns, each into a new"
        f" container; load of the machine at the end: {machine.load()}."
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """A BASEMOUNT with a study, and a Swift."""

    scratch: Path
    swift: Swift
    study_uid: str
    numbers: Iterator[int]

    @property
    def _db(self) -> list[str]:
        return ["--db", str(self.scratch / "basemount" / "log")]

    def pack(self) -> None:
        run([str(_SCRIPTS / "px-repack"), *self._db, "--xcrdir", str(self.scratch / "files")])

    def px_push(self, jobs: int = _THREADS, *, again: bool = False) -> Usage:
        """Into a new container, or into that of the last run."""
        if not again:
            self._know(self._container())
        where = ["--swift", "bench", "--swiftServicesPACS", "BENCH", "--jobs", str(jobs)]
        answer = self.scratch / "pushed.json"
        command = [str(_SCRIPTS / "px-push"), *self._db, *where, "--StudyInstanceUID", self.study_uid]
        used = run(command, stdout=answer)
        assert len(json.loads(answer.read_text())["objectFileList"]) == _FILES
        return used

    def swift_upload(self, threads: int = _THREADS) -> Usage:
        """The same files, by python-swiftclient's own program."""
        container = self._container()
        account = ["-A", f"http://{HOST}:{self.swift.port}/auth/v1.0", "-U", LOGIN, "-K", KEY]
        upload = ["upload", "--quiet", "--object-threads", str(threads), container]
        used = run([str(_SCRIPTS / "swift"), *account, *upload, str(self.scratch / "files")])
        assert len(self.swift.objects("", container)) == _FILES
        return used

    def _container(self) -> str:
        name = f"bench-{next(self.numbers)}"
        self.swift.request("PUT", name)
        return name

    def _know(self, container: str) -> None:
        directory = self.scratch / "basemount" / "services"
        directory.mkdir(parents=True, exist_ok=True)
        fields = {"ip": HOST, "port": self.swift.port, "login": LOGIN, "key": KEY, "container": container}
        file = directory / "swift.json"
        file.write_text(json.dumps({"bench": fields}))
        file.chmod(0o600)


def _measured(site: _Site, runs: int) -> tuple[Comparison, list[Row]]:
    measured = in_turns(
        {
            "upload": site.swift_upload,
            "px-push": site.px_push,
            "one at a time": lambda: site.swift_upload(1),
            "px-push, one job": lambda: site.px_push(1),
        },
        runs,
    )
    again = site.px_push(again=True)
    upload, whole, single = (measured[name] for name in ("upload", "px-push", "one at a time"))
    over, faster = whole.seconds / upload.seconds, single.seconds / whole.seconds
    return Comparison(f"px-push of {_FILES:,} files to Swift", whole, "swift upload", upload), [
        Row.of_times(f"swift upload, {_THREADS} threads", upload),
        Row(f"px-push --jobs {_THREADS}", spread(whole)),
        Row(f"px-push / swift upload, {_THREADS} each", f"{over:.2f}", "at most 1.1", over <= 1.1),
        Row.of_times("swift upload, one thread", single),
        Row.of_times("px-push --jobs 1", measured["px-push, one job"]),
        Row("swift upload, one thread / px-push", f"{faster:.1f}", "at least 3", faster >= 3),
        Row("px-push again: all is there", f"{again.seconds:.3f} s"),
        Row("px-push, memory", megabytes(whole.memory)),
    ]
