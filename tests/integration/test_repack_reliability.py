"""px-repack as often as sites run it: eight at once, and killed at fifty moments; always the same end.

PYPX_TEST_SCALE=10 in the environment makes it ten times as often.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import packed
from demo.studies import Study
from packed import changed, counts
from tools import Running
from trees import assert_nothing_pending, files_below

pytestmark = [pytest.mark.databases("sqlite", "postgresql"), pytest.mark.timeout(1200)]

_SCALE = int(os.environ.get("PYPX_TEST_SCALE", "1"))
_PROCESSES = 8


def _two_patients(directory: Path, instances: int) -> list[Path]:
    """Two series each; both patients' directories would have the same name."""
    files = []
    for patient in ("A/B", "A_B"):
        study = Study(patient, size=4, attributes={"PatientName": "Same^Name", "StudyDate": "20200101"})
        for number in (1, 2):
            study.series(number, instances, SeriesDescription=f"Series {number}")
        files += study.write(directory)
    return files


def _write_list(path: Path, files: Sequence[Path]) -> Path:
    path.write_text("".join(f"{file}\n" for file in files))
    return path


@pytest.fixture(scope="module")
def four_thousand(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return _two_patients(tmp_path_factory.mktemp("four-thousand"), 1000)


def test_eight_processes_over_overlapping_halves_of_4000_files_three_times(
    new_basemount, four_thousand, tmp_path
):
    files = four_thousand
    contents = Counter(packed.digest(file) for file in files)
    lists = []
    for number in range(_PROCESSES):
        start = number * len(files) // _PROCESSES
        half = (files + files)[start : start + len(files) // 2]
        lists.append(_write_list(tmp_path / f"list-{number}", half))
    for time_of_three in range(3 * _SCALE):
        basemount = new_basemount(f"basemount-{time_of_three}")
        running = [_start(basemount, "--files-from", names) for names in lists]
        rans = [one.wait(timeout=600) for one in running]
        assert [(ran.status, ran.stderr) for ran in rans] == [(0, "")] * _PROCESSES
        assert sum(ran.json["summary"]["stored"] for ran in rans) == len(files)
        assert {name for ran in rans for name in counts(ran)} == {"stored", "duplicates"}
        assert Counter(packed.tree(basemount).values()) == contents
        packed.assert_catalogue_is_exact(basemount)
        assert packed.rows(basemount, "select count(distinct SOPInstanceUID) from instance") == [
            (len(files),)
        ]
        assert_nothing_pending(basemount)


@dataclass(frozen=True)
class _Way:
    """One way to run px-repack, and how often it is killed in it."""

    kills: int
    arguments: tuple[str, ...] = ()
    links: bool = True
    elsewhere: bool = False
    times: int = 1
    parent_alone: bool = False


#: Runs that are killed on one BASEMOUNT before the last, which is not.
_KILLS_IN_A_ROW = 5

_WAYS = {
    "keep": _Way(50),
    "cleanup": _Way(25, ("--cleanup",)),
    # Each name several times: readers take a while to start.
    "three processes": _Way(10, ("--jobs", "3"), times=15, parent_alone=True),
}
#: Where the files are is the same to either database.
_PLACES = {
    "without links": _Way(10, links=False),
    "cleanup without links": _Way(10, ("--cleanup",), links=False),
    "other filesystem": _Way(10, ("--cleanup",), elsewhere=True),
}


def _write_everything(directory: Path) -> list[Path]:
    """Instances, a copy of some, other contents of some, damaged ones, and what is not DICOM."""
    files = _two_patients(directory, instances=60)
    for file in files[::10]:
        shutil.copy(file, directory / f"x-{file.name}")
    for file in files[5::20]:
        changed(file, directory / f"y-{file.name}", PatientComments="added later")
    for file in files[7::40]:
        (directory / f"z-{file.name}").write_bytes(file.read_bytes()[:-4])
    (directory / "notes.txt").write_text("notes")
    return sorted(directory.iterdir())


@pytest.mark.parametrize("way", list(_WAYS))
def test_kill_9_at_many_moments_and_one_more_run_end_as_if_undisturbed(way, new_basemount, tmp_path, request):
    _kill_and_run_once_more(_WAYS[way], new_basemount, tmp_path, request)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("place", list(_PLACES))
def test_kill_9_wherever_the_files_are(place, new_basemount, tmp_path, request):
    _kill_and_run_once_more(_PLACES[place], new_basemount, tmp_path, request)


def _kill_and_run_once_more(
    chosen: _Way, new_basemount: Callable[[str], Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    moments = random.Random(7)  # noqa: S311
    source = (
        request.getfixturevalue("other_filesystem") / "source" if chosen.elsewhere else tmp_path / "source"
    )
    files = _write_everything(source)
    originals = shutil.copytree(source, tmp_path / "originals")
    names = _write_list(tmp_path / "list", files * chosen.times)
    arguments = ("--files-from", names, *chosen.arguments)
    environment = request.getfixturevalue("no_links") if not chosen.links else {}

    def end(basemount: Path) -> tuple[object, ...]:
        """One run to the end, and all that is then there."""
        ran = _start(basemount, *arguments, environment=environment).wait()
        assert ran.error == "file-damaged", ran.stderr
        packed.assert_catalogue_is_exact(basemount)
        seconds.append(ran.json["summary"]["seconds"])
        return (*packed.everything(basemount), [path.name for path in files_below(source)])

    seconds: list[float] = []
    expected = end(new_basemount("undisturbed"))
    longest = seconds[0]
    caught_in_the_middle = 0
    for number in range(chosen.kills * _SCALE // _KILLS_IN_A_ROW):
        shutil.rmtree(source)
        shutil.copytree(originals, source)
        basemount = new_basemount(f"basemount-{number}")
        for kill in range(_KILLS_IN_A_ROW):
            running = _start(basemount, *arguments, environment=environment)
            _wait_until_open(names, running)
            pause = moments.uniform(0, longest)
            time.sleep(pause)
            if running.process.poll() is None:
                caught_in_the_middle += 1
            elif not kill:
                # The machine had other things to do when the first one ran.
                longest = pause
            if chosen.parent_alone:
                running.process.kill()
                running.wait()
            else:
                running.kill()
        assert end(basemount) == expected
    # Else it was no test.
    assert caught_in_the_middle > chosen.kills * _SCALE / 4


def _start(basemount: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Running:
    return Running("px-repack", "--db", basemount / "log", *arguments, environment=environment)


def _wait_until_open(file: Path, running: Running) -> None:
    """Wait until a program has imported what it needs and begins its work, with this file."""
    descriptors = Path(f"/proc/{running.process.pid}/fd")
    deadline = time.monotonic() + 30
    while running.process.poll() is None and time.monotonic() < deadline:
        try:
            if any(descriptor.readlink() == file for descriptor in descriptors.iterdir()):
                return
        except OSError:
            # It closed one between the two.
            continue
        time.sleep(0.001)
