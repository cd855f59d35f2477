"""px-repack as many processes at once, and after one that was killed or interrupted."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

import packed
from demo.studies import Study
from packed import changed, counts, repack
from pypx.actions.repack import Source, pack, resume
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from tools import Running, run_tool
from trees import assert_holds, assert_nothing_pending, files_below

pytestmark = pytest.mark.databases("sqlite", "postgresql")

_PROCESSES = 8


def _two_patients(directory: Path, instances: int = 100) -> list[Path]:
    """Four series; both patients' directories would have the same name."""
    files = []
    for patient in ("A/B", "A_B"):
        study = Study(patient, size=4, attributes={"PatientName": "Same^Name", "StudyDate": "20200101"})
        for number in (1, 2):
            study.series(number, instances, SeriesDescription=f"Series {number}")
        files += study.write(directory)
    return files


def _start(basemount: Path, *arguments: str | Path) -> Running:
    return Running("px-repack", "--db", basemount / "log", *arguments)


def test_eight_processes_that_take_the_same_files(basemount, tmp_path):
    files = _two_patients(tmp_path / "all")
    originals = [Path(shutil.copy(file, _made(tmp_path / "originals"))) for file in files]
    running = [_start(basemount, "-p", tmp_path / "all", "--cleanup") for _ in range(_PROCESSES)]
    rans = [one.wait() for one in running]
    assert [ran.status for ran in rans] == [0] * _PROCESSES, [ran.stderr for ran in rans]
    assert sum(counts(ran).get("stored", 0) for ran in rans) == len(files)
    assert {name for ran in rans for name in counts(ran)} <= {"stored", "duplicates", "skipped"}
    assert_holds(basemount, originals)
    packed.assert_catalogue_is_exact(basemount)
    assert_nothing_pending(basemount)
    assert files_below(tmp_path / "all") == []


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def test_eight_processes_with_other_contents_of_the_same_instances(basemount, tmp_path):
    """Each has the same instances, with a comment of its own: eight contents of each, all kept."""
    study = Study("MANY", size=4).series(1, 20)
    files = study.write(tmp_path / "plain")
    for number in range(_PROCESSES):
        directory = _made(tmp_path / str(number))
        for file in files:
            changed(file, directory / file.name, PatientComments=f"comment {number}")
    running = [_start(basemount, "-p", tmp_path / str(number)) for number in range(_PROCESSES)]
    rans = [one.wait() for one in running]
    assert [ran.status for ran in rans] == [0] * _PROCESSES, [ran.stderr for ran in rans]
    total = sum(counts(ran).get("stored", 0) + counts(ran).get("conflicts", 0) for ran in rans)
    assert total == 20 * _PROCESSES
    packed.assert_catalogue_is_exact(basemount)
    contents = {path.read_bytes() for path in files_below(basemount / "data")}
    assert len(contents) == len(files_below(basemount / "data")) == 20 * _PROCESSES
    first = [variant for (variant,) in packed.rows(basemount, "select variant from instance")]
    assert first.count("") == 20


def test_eight_processes_with_templates_of_their_own(basemount, tmp_path):
    """Each would put the same instances elsewhere: each instance is there once."""
    files = Study("MANY", size=4).series(1, 100).write(tmp_path / "source")
    running = [
        _start(basemount, "-p", tmp_path / "source", "--studyDirTemplate", f"{number}-%StudyDate")
        for number in range(_PROCESSES)
    ]
    rans = [one.wait() for one in running]
    assert [ran.status for ran in rans] == [0] * _PROCESSES, [ran.stderr for ran in rans]
    assert sum(counts(ran).get("stored", 0) for ran in rans) == 100
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)


def test_eight_processes_with_one_damaged_file(basemount, tmp_path):
    (file,) = Study("CUT", size=4).series(1).write(tmp_path)
    file.write_bytes(file.read_bytes()[:-4])
    rans = [one.wait() for one in [_start(basemount, "--xcrdirfile", file) for _ in range(_PROCESSES)]]
    assert [ran.status for ran in rans] == [1] * _PROCESSES
    assert len(packed.quarantine(basemount)) == 1
    assert packed.rows(basemount, "select count(*) from quarantined") == [(1,)]
    assert packed.rows(basemount, "select kind, sum(count) from event group by kind") == [("received", 1)]


def test_what_a_killed_process_received_is_packed_by_the_next(basemount, tmp_path):
    mount = Basemount.of_log_directory(basemount / "log")
    mount.prepare()
    files = _two_patients(tmp_path / "source", instances=5)
    with mount.claim_incoming("get") as directory:
        for file in files[:10]:
            shutil.copy(file, directory.path)
    with mount.claim_incoming("get") as directory:
        for file in files[10:]:
            shutil.copy(file, directory.path)
        (directory.path / "half").write_bytes(files[0].read_bytes()[:200])
        (directory.path / "empty").write_bytes(b"")
    with mount.claim_incoming("get") as alive, Catalogue.open(mount) as catalogue:
        shutil.copy(files[0], alive.path / "not-yours")
        result = resume(mount, catalogue)
        assert result
        assert (result.stored, result.duplicates, len(result.quarantined)) == (20, 0, 2)
        assert not result.ok
        assert [path.name for path in files_below(basemount / "incoming")] == [".owner", "not-yours"]
        assert resume(mount, catalogue) is None
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)
    assert sorted(packed.quarantine(basemount).values()) == ["file-damaged", "not-dicom"]


def test_what_is_received_is_linked_and_its_directory_goes(basemount, tmp_path):
    mount = Basemount.of_log_directory(basemount / "log")
    mount.prepare()
    files = _two_patients(tmp_path / "source", instances=5)
    with mount.claim_incoming("get") as directory, Catalogue.open(mount) as catalogue:
        received = [Path(shutil.copy(file, directory.path)) for file in files]
        inodes = {path.stat().st_ino for path in received}
        result = pack(directory.files(), mount, catalogue, source=Source.TAKE)
    assert (result.stored, result.ok) == (20, True)
    assert {path.stat().st_ino for path in files_below(basemount / "data")} == inodes
    assert list((basemount / "incoming").iterdir()) == []


def test_a_second_retrieve_of_the_same_series_changes_no_count(basemount, tmp_path):
    mount = Basemount.of_log_directory(basemount / "log")
    mount.prepare()
    files = _two_patients(tmp_path / "source", instances=5)
    files[0].write_bytes(files[0].read_bytes()[:-4])
    seen = []
    for _ in range(2):
        with mount.claim_incoming("get") as directory, Catalogue.open(mount) as catalogue:
            for file in files:
                shutil.copy(file, directory.path)
            pack(directory.files(), mount, catalogue, source=Source.TAKE)
        seen.append(packed.everything(basemount))
    assert seen[0] == seen[1]


def test_memory_does_not_grow_with_the_number_of_files(basemount, tmp_path):
    _two_patients(tmp_path / "source", instances=100)
    peaks = []
    for times in (1, 10):
        script = f"""
import itertools, re, sys
from pathlib import Path
from pypx.actions.repack import Source, pack
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
basemount = Basemount.of_log_directory(Path(sys.argv[1]))
basemount.prepare()
files = sorted(Path(sys.argv[2]).iterdir())
with Catalogue.open(basemount) as catalogue:
    pack(itertools.chain(*[files] * {times}), basemount, catalogue, source=Source.KEEP)
# Not ru_maxrss: the kernel counts what the process was before it became this one, too.
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
        ran = run_tool("python", "-c", script, basemount / "log", tmp_path / "source")
        peaks.append(int(ran.stdout))
    assert peaks[1] < peaks[0] + 4000
    assert peaks[1] < 150 * 1024


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_the_same_command_goes_on(number, basemount, tmp_path):
    files = _two_patients(tmp_path / "source", instances=400)
    # It cannot come to the end: it has yet to be told the last of the files.
    running = _start(basemount, "--files-from", "-")
    assert running.process.stdin is not None
    running.process.stdin.write(b"".join(b"%s\n" % os.fsencode(file) for file in files[:-100]))
    running.process.stdin.flush()
    deadline = time.monotonic() + 120
    while not files_below(basemount / "data") and time.monotonic() < deadline:
        time.sleep(0.001)
    running.interrupt(number)
    ran = running.wait()
    assert ran.status == 130
    assert "interrupted" in ran.stderr
    assert_nothing_pending(basemount)
    assert 0 < len(files_below(basemount / "data")) < len(files)
    assert sum(counts(repack(basemount, "-p", tmp_path / "source")).values()) == len(files)
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)
