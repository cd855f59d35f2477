"""px-register: requests for a series of any size, and files at 20 ms a request against one after another."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.measuring import Usage, in_turns, run
from bench.results import Comparison, Row, Section, megabytes, spread
from bench.sizes import sized
from demo.cube import CHRIS, USERS, Cube, directory_names
from demo.cube_rules import Interface
from demo.studies import Study
from pypx.cube.fields import fields_of

_SCRIPTS = Path(sys.executable).parent
_LOOP = Path(__file__).with_name("register_loop.py")

#: Seconds that each request takes.
_DELAY = 0.02

_SMALL, _LARGE = sized(10, 3), sized(1000, 24)


def benchmark(scratch: Path, runs: int, command: str) -> Section:
    """Measure all of it."""
    site = _Site(scratch)
    series = {count: site.push(count) for count in (_SMALL, _LARGE)}
    compared, file_rows = _of_files(site, series[_LARGE], runs)
    rows = [*_series_rows(site, series), *file_rows]
    return Section("register", command, machine.described(), _about(runs), rows, (compared,))


def _about(runs: int) -> str:
    return (
        "Series in a directory that CUBE looks into, registered with its stand-in, which takes"
        f" {_DELAY * 1000:.0f} ms for each request. *One after another* posts the same files over one"
        " connection that is kept, with nothing but the standard library."
        f" {runs} runs each, in turns; load of the machine at the end: {machine.load()}."
    )


@dataclass(frozen=True, slots=True)
class _Site:
    """A BASEMOUNT and a storage."""

    scratch: Path

    @property
    def store(self) -> Path:
        return self.scratch / "store"

    @property
    def _db(self) -> list[str]:
        return ["--db", str(self.scratch / "basemount" / "log")]

    def push(self, count: int) -> Path:
        """Push a series of so many files; the JSON of px-push, in a file."""
        study = Study(f"BENCH-{count}", size=8, attributes={"StudyDate": "20260101"})
        source = self.scratch / f"source-{count}"
        study.series(1, count, SeriesDescription=f"{count} files").write(source)
        self.store.mkdir(exist_ok=True)
        pushed = self.scratch / f"pushed-{count}.json"
        place = ["--storeBaseLocation", str(self.store), "--swiftServicesPACS", "BENCH"]
        run([str(_SCRIPTS / "px-push"), *self._db, *place, "--xcrdir", str(source)], stdout=pushed)
        return pushed

    def cube(self, interface: Interface) -> Cube:
        return Cube(directory_names(self.store), interface, delay=_DELAY)

    def px_register(self, cube: Cube, pushed: Path, *, forgotten: bool = True) -> Usage:
        """Register all of it with a CUBE that has forgotten it, or that knows it."""
        if forgotten:
            cube.forget()
        password = self.scratch / "password"
        password.write_text(USERS[CHRIS])
        password.chmod(0o600)
        named = ["--CUBEURL", cube.url, "--CUBEuserpasswd", f"@{password}"]
        used = run([str(_SCRIPTS / "px-register"), *self._db, *named], stdin=pushed)
        assert len(cube.files) == len(_names(pushed))
        return used

    def one_after_another(self, cube: Cube, pushed: Path) -> Callable[[], Usage]:
        """The same files by a loop that does nothing else."""
        names = _names(pushed)
        values = {"PatientID": "BENCH", "StudyDate": "20260101"}
        fields = fields_of({**values, "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}).values
        bodies = self.scratch / "bodies.json"
        bodies.write_text(json.dumps([{**fields, "pacs_name": "BENCH", "path": name} for name in names]))
        user = f"{CHRIS}:{USERS[CHRIS]}"

        def loop() -> Usage:
            cube.forget()
            used = run([sys.executable, str(_LOOP), f"{cube.url}pacsfiles/", user], stdin=bodies)
            assert len(cube.files) == len(names)
            return used

        return loop


def _names(pushed: Path) -> list[str]:
    names: list[str] = json.loads(pushed.read_text())["objectFileList"]
    return names


def _series_rows(site: _Site, series: dict[int, Path]) -> list[Row]:
    rows = []
    with site.cube(Interface.SERIES) as cube:
        for count, pushed in series.items():
            before = len(cube.posts())
            used = site.px_register(cube, pushed)
            posts = len(cube.posts()) - before
            title = f"series interface, {count} files"
            rows += [
                Row(f"{title}: requests to register", str(posts), "1", posts == 1),
                Row(f"{title}: px-register", f"{used.seconds:.3f} s"),
            ]
    return rows


def _of_files(site: _Site, pushed: Path, runs: int) -> tuple[Comparison, list[Row]]:
    with site.cube(Interface.FILE) as cube:
        measured = in_turns(
            {
                "loop": site.one_after_another(cube, pushed),
                "px-register": lambda: site.px_register(cube, pushed),
            },
            runs,
        )
        before = len(cube.posts())
        again = site.px_register(cube, pushed, forgotten=False)
        asked = len(cube.posts()) - before
    loop, whole = measured["loop"], measured["px-register"]
    ratio = loop.seconds / whole.seconds
    title = f"file interface, {_LARGE} files"
    return Comparison(f"px-register of {_LARGE} files, one by one", whole, "one after another", loop), [
        Row.of_times(f"{title}: one after another", loop),
        Row(f"{title}: px-register", spread(whole)),
        Row(f"{title}: one after another / px-register", f"{ratio:.1f}", "at least 6", ratio >= 6),
        Row(f"{title}: px-register, memory", megabytes(whole.memory)),
        Row(f"{title}: px-register again", f"{again.seconds:.3f} s"),
        Row(f"{title}: px-register again, requests to register", str(asked), "0", asked == 0),
    ]
