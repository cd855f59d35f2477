"""Headers read in other processes: the same as here, in the same order, whatever happens to the others."""

from __future__ import annotations

import itertools
import os
import signal
import time
from pathlib import Path

import pytest

import instances
from pypx.actions.repack.reading import BATCH_FILES, Reading, read
from pypx.basemount.templates import TreeTemplates
from pypx.dicom import header_process
from pypx.dicom.header import read_header
from pypx.dicom.header_process import HeaderProcess, ProcessGone
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, PypxError

_KEYWORDS = frozenset({"PatientID", "PatientName", "StudyDate", "TransferSyntaxUID", "Rows"})


@pytest.fixture
def process():
    process = HeaderProcess(_KEYWORDS)
    yield process
    process.end()


def _ready(process: HeaderProcess) -> HeaderProcess:
    deadline = time.monotonic() + 120
    while not process.is_ready and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.is_ready
    return process


def _answers(process: HeaderProcess, paths: list[Path]) -> list[object]:
    """What it answers of all of these, asked again where it stopped before the last."""
    found: list[object] = []
    while len(found) < len(paths):
        process.ask(paths[len(found) :])
        found += process.answer()
    return found


def _everything(directory: Path) -> list[Path]:
    """A file of each form, a damaged one, one that is no DICOM, one that is not there."""
    directory.mkdir(exist_ok=True)
    paths = [write(directory / f"{number}.dcm") for number, write in enumerate(instances.FORMS.values())]
    (directory / "cut.dcm").write_bytes(paths[0].read_bytes()[:-10])
    (directory / "notes.txt").write_text("notes")
    names = [directory / name for name in ("cut.dcm", "notes.txt", "missing.dcm", os.fsdecode(b"\xff\n.dcm"))]
    return [*paths, *names]


def _plain(found: object) -> object:
    """Errors as what they say: two of them are never equal."""
    return (type(found), found.to_json()) if isinstance(found, PypxError) else found


def _plain_readings(readings: list[Reading]) -> list[object]:
    return [(reading.path, reading.header, _plain(reading.error)) for reading in readings]


def test_it_answers_what_would_be_read_here(process, tmp_path):
    paths = _everything(tmp_path / "files")
    answer = _answers(_ready(process), paths)
    assert [type(found) for found in answer[-4:]] == [FileDamaged, NotDicom, FileUnreadable, FileUnreadable]
    assert answer[:-4] == [read_header(path, _KEYWORDS) for path in paths[:-4]]
    assert [_plain(found) for found in answer] == [
        _plain(header_process.header_or_error(path, _KEYWORDS)) for path in paths
    ]


def test_what_nobody_foresaw_is_told_of_the_file_with_which_it_happens(caplog):
    def read(path, keywords):
        raise KeyError(f"{path.name} and {keywords}")

    with caplog.at_level("DEBUG", logger="pypx"):
        found = header_process.header_or_error(Path("/a/file"), ("Rows",), read)
    assert isinstance(found, FileDamaged)
    assert found.message.startswith("/a/file is damaged, or pypx")
    assert """KeyError: "file and ('Rows',)\"""" in found.message
    assert "Traceback" in caplog.text
    assert "in read" in caplog.text


def test_it_answers_before_long_and_of_the_rest_when_it_is_asked_again(process, tmp_path, monkeypatch):
    paths = _everything(tmp_path / "files")
    asked = paths * 2000
    _ready(process).ask(asked)
    answer = process.answer()
    assert 0 < len(answer) < len(asked)
    assert len(_answers(process, asked[len(answer) :][:3])) == 3
    monkeypatch.setattr(header_process, "PATIENCE", 0)
    assert len(header_process.read_for_a_while(paths, _KEYWORDS)) == 1


def test_it_shares_two_pipes_with_its_owner_and_nothing_else(process, tmp_path):
    with (tmp_path / "secret").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        another = HeaderProcess(_KEYWORDS)
        _ready(another)
        files = {number: str(number.readlink()) for number in Path(f"/proc/{_pid(another)}/fd").iterdir()}
        another.end()
    assert sorted(number.name for number in files) == ["0", "1", "2"]
    assert sorted(target.partition(":")[0] for target in files.values()) == ["/dev/null", "pipe", "pipe"]


def _pid(process: HeaderProcess) -> int:
    return process._process.pid


def test_modules_that_lie_where_it_is_started_are_not_its_own(tmp_path, monkeypatch):
    for name in ("json", "pydicom", "pypx", "struct"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    process = HeaderProcess(_KEYWORDS)
    _ready(process)
    process.end()
    assert not (tmp_path / "ran").exists()


def test_one_that_is_gone_is_told_of(process, tmp_path):
    _ready(process)
    os.kill(_pid(process), signal.SIGKILL)
    process.ask([tmp_path])
    with pytest.raises(ProcessGone):
        process.answer()


@pytest.mark.parametrize("python", ["/bin/false", "/nowhere/python"])
def test_one_that_cannot_start_is_told_of_and_all_is_read(python, monkeypatch, tmp_path, caplog):
    paths = _everything(tmp_path / "files") * 100
    expected = _plain_readings(list(read(paths, TreeTemplates())))
    monkeypatch.setattr("sys.executable", python)
    assert _plain_readings(list(read(paths, TreeTemplates(), jobs=2))) == expected
    assert sum("one process less" in record.message for record in caplog.records) == 1
    # Without setpriv the operating system says so at once.
    monkeypatch.setattr(header_process, "ends_with_parent", tuple)
    assert _plain_readings(list(read(paths, TreeTemplates(), jobs=2))) == expected
    assert sum("one process less" in record.message for record in caplog.records) == 2


@pytest.mark.parametrize("jobs", [None, 1, 2, 4])
def test_readings_come_in_the_order_of_the_files_whoever_reads_them(jobs, tmp_path):
    paths = _everything(tmp_path / "files")
    many = list(itertools.islice(itertools.cycle(paths), 30 * BATCH_FILES + 7))
    expected = _plain_readings(list(read(paths, TreeTemplates())))
    readings = list(read(many, TreeTemplates(), jobs))
    assert [reading.path for reading in readings] == many
    for number, reading in enumerate(_plain_readings(readings)):
        assert reading == expected[number % len(paths)]


def test_readers_that_are_killed_cost_nothing_but_time(tmp_path, caplog):
    paths = _everything(tmp_path / "files")
    many = list(itertools.islice(itertools.cycle(paths), 20 * BATCH_FILES))
    before = _children()
    readings = []
    killed: set[int] = set()
    for reading in read(many, TreeTemplates(), jobs=3):
        readings.append(reading)
        if len(readings) % BATCH_FILES == 0 and len(readings) > 8 * BATCH_FILES:
            killed |= _children() - before
            for pid in _children() - before:
                os.kill(pid, signal.SIGKILL)
        elif len(readings) % BATCH_FILES == 0:
            # So that they have started, and are at work, when they are killed.
            time.sleep(0.1)
    assert [reading.path for reading in readings] == many
    assert len(killed) == 2
    assert sum("one process less" in record.message for record in caplog.records) == 2
    assert _children() == before


def test_readers_go_when_nobody_wants_more(tmp_path):
    paths = _everything(tmp_path / "files")
    before = _children()
    readings = read(itertools.cycle(paths), TreeTemplates(), jobs=3)
    next(readings)
    assert len(_children() - before) == 2
    readings.close()
    assert _children() == before


def _children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
