"""px-repack of lists of files, by one process or several: what is a name, and who is left when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import packed
from packed import counts, repack
from tools import SCRIPTS, Ran, Running, run_in_terminal, run_tool
from trees import assert_holds, assert_nothing_pending, files_below

#: Names in a list that takes a while.
_MANY = 12_000


def _repack_list(basemount: Path, names: bytes, *arguments: str | Path, status: int = 0) -> Ran:
    ran = run_tool("px-repack", "--db", basemount / "log", "--files-from", "-", *arguments, stdin=names)
    assert ran.status == status, ran.stderr
    return ran


def _lines(files: list[Path], end: bytes = b"\n") -> bytes:
    return b"".join(os.fsencode(file) + end for file in files)


@pytest.mark.parametrize("end", [b"\n", b"\0", b"\n\n"])
def test_the_files_of_a_list_are_packed(basemount, files, end):
    assert counts(_repack_list(basemount, _lines(files[:7], end))) == {"stored": 7}
    assert_holds(basemount, files[:7])


def test_the_last_name_needs_no_end(basemount, files):
    assert counts(_repack_list(basemount, _lines(files)[:-1])) == {"stored": 20}
    assert counts(_repack_list(basemount, _lines(files, b"\0")[:-1])) == {"duplicates": 20}


def test_names_with_line_breaks_are_whole_where_nuls_end_them(basemount, files):
    odd = files[0].rename(files[0].with_name(os.fsdecode(b"two\nlines \xff.dcm")))
    assert counts(_repack_list(basemount, _lines([odd, files[1]], b"\0"))) == {"stored": 2}
    assert counts(_repack_list(basemount, _lines([odd], b""), "--null")) == {"duplicates": 1}
    assert counts(_repack_list(basemount, _lines([odd], b""), "-0")) == {"duplicates": 1}
    assert counts(_repack_list(basemount, _lines([odd]), status=1)) == {"failed": 2}


def test_what_find_writes_is_understood(basemount, files):
    directory = files[0].parent
    (directory / "below").mkdir()
    files[0].rename(directory / "below" / "with blank.dcm")
    for action in ("-print", "-print0"):
        find = subprocess.run(["find", directory, "-type", "f", action], capture_output=True, check=True)
        assert sum(counts(_repack_list(basemount, find.stdout)).values()) == 20


def test_names_are_of_the_directory_that_is_named(basemount, files):
    names = _lines([Path(file.name) for file in files[:3]])
    assert counts(_repack_list(basemount, names, "-p", files[0].parent)) == {"stored": 3}
    assert counts(_repack_list(basemount, _lines(files[:3]), "-p", "/elsewhere")) == {"duplicates": 3}
    ran = run_tool(
        "px-repack", "--db", basemount / "log", "--files-from", "-", stdin=names, directory=files[0].parent
    )
    assert counts(ran) == {"duplicates": 3}


def test_a_list_may_be_a_file(basemount, files, tmp_path):
    (tmp_path / "list").write_bytes(_lines(files))
    assert counts(repack(basemount, "--files-from", tmp_path / "list")) == {"stored": 20}
    arguments = json.dumps({"files-from": str(tmp_path / "list")})
    assert counts(repack(basemount, "--JSONargs", arguments)) == {"duplicates": 20}


def test_an_empty_list_is_a_success(basemount):
    assert counts(_repack_list(basemount, b"")) == {}
    assert counts(_repack_list(basemount, b"\n\n")) == {}


def test_a_directory_of_a_list_is_gone_through_only_when_asked_for(basemount, files):
    assert counts(_repack_list(basemount, _lines([files[0].parent]))) == {"skipped": 1}
    assert counts(_repack_list(basemount, _lines([files[0].parent]), "--recursive")) == {"stored": 20}


def test_a_name_of_a_list_that_is_not_there_has_failed_and_the_rest_is_packed(basemount, files):
    missing = files[0].with_name("missing.dcm")
    too_long = files[0].with_name("x" * 300)
    ran = _repack_list(basemount, _lines([files[0], missing, too_long, files[1]]), status=1)
    assert counts(ran) == {"stored": 2, "failed": 2}
    assert [one["file"] for one in ran.json["failed"]] == [str(missing), str(too_long)]
    assert ran.error == "file-unreadable"
    assert counts(_repack_list(basemount, _lines([too_long]), "--recursive", status=1)) == {"failed": 1}


def test_the_same_list_may_be_packed_again_after_its_files_were_cleaned_up(basemount, files):
    assert counts(_repack_list(basemount, _lines(files), "--cleanup")) == {"stored": 20}
    assert files_below(files[0].parent) == []
    assert counts(_repack_list(basemount, _lines(files), "--cleanup")) == {"skipped": 20}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--files-from", "-", "--xcrdirfile", "x.dcm"], 2, "A list of files and a file are named"),
        (["--files-from", "-", "-p", ".", "-f", "x.dcm"], 2, "A list of files and a file are named"),
        (["--null", "-p", "."], 2, "--files-from"),
        (["--files-from", "missing"], 1, "missing cannot be read"),
        (["--files-from", "/"], 1, "/ cannot be read"),
        (["--files-from", "-", "--jobs", "0"], 2, "--jobs"),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_is_made(basemount, arguments, status, says):
    ran = repack(basemount, *arguments, status=status)
    assert says in ran.stderr
    assert not basemount.exists()


def test_what_is_no_list_of_names_is_told_of_and_what_was_done_is_kept(basemount, files):
    ran = _repack_list(basemount, _lines(files) * 100 + b"x" * 200_000, status=1)
    assert ran.error == "invalid-input"
    assert "more than 65536 bytes" in ran.stderr
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)


def test_a_person_sees_a_bar_of_a_list_too(basemount, files, tmp_path):
    (tmp_path / "list").write_bytes(_lines(files))
    ran = run_in_terminal(["px-repack", "--db", basemount / "log", "--files-from", tmp_path / "list"])
    assert ran.status == 0
    assert "20/20" in ran.stdout
    assert "20 new; 3 series" in ran.stdout


def test_a_directory_that_may_not_be_read_is_told_of_and_the_rest_is_packed(basemount, files):
    closed = files[0].parent / "closed"
    closed.mkdir(mode=0)
    ran = run_tool(
        *("px-repack", "--db", basemount / "log", "-p", files[0].parent, "--recursive"), unprivileged=True
    )
    assert ran.status == 1
    assert counts(ran) == {"stored": 20, "failed": 1}
    assert ran.json["failed"][0]["file"] == str(closed)


@pytest.mark.parametrize("jobs", [["--jobs", "1"], ["--jobs", "2"], ["--jobs", "4"], []])
def test_any_number_of_processes_ends_in_the_same(jobs, basemount, sample_files, tmp_path):
    first, second = sample_files[0], sample_files[1]
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(first.read_bytes()[:-4])
    other = packed.changed(first, tmp_path / "other.dcm", PatientComments="other")
    another = packed.changed(second, tmp_path / "another.dcm", PatientComments="another")
    everything = [other, *sample_files, another, cut]
    names = _lines(everything * 40)
    alone = tmp_path / "alone"
    expected = _repack_list(alone, names, "--jobs", "1", status=1)
    ran = _repack_list(basemount, names, *jobs, status=1)
    assert counts(ran) == counts(expected)
    assert ran.json["data"] == expected.json["data"]
    assert packed.everything(basemount) == packed.everything(alone)
    packed.assert_catalogue_is_exact(basemount)


@pytest.fixture
def at_work(basemount, files, tmp_path) -> Running:
    """A px-repack that has two processes beside it, and has yet to be told the second half of its files."""
    half = _lines(files) * (_MANY // len(files) // 2)
    running = Running(
        *("px-repack", "--db", basemount / "log", "--files-from", "-", "--jobs", "3", "--verbosity", "1"),
        stdin=half,
    )
    assert running.process.stdin is not None
    running.process.stdin.write(half)
    running.process.stdin.flush()
    deadline = time.monotonic() + 120
    while len(running.left()) < 2:
        assert time.monotonic() < deadline
        assert running.process.poll() is None, running.process.communicate()
        time.sleep(0.005)
    # They have yet to start; where it is fast, they have then begun to read.
    time.sleep(0.3)
    return running


def test_readers_that_are_killed_are_told_of_and_all_is_packed(at_work):
    for pid in at_work.left():
        os.kill(pid, signal.SIGKILL)
    ran = at_work.wait()
    assert ran.status == 0
    assert ran.stderr.count("one process less") == 2
    assert counts(ran) == {"stored": 20, "duplicates": _MANY - 20}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_reader_outlives_px_repack(number, at_work, basemount, files):
    at_work.interrupt(number)
    ran = at_work.wait()
    assert ran.status == (-signal.SIGKILL if number is signal.SIGKILL else 130)
    repack(basemount, "-p", files[0].parent)
    assert_holds(basemount, files)
    packed.assert_catalogue_is_exact(basemount)


def test_ctrl_c_at_a_terminal_ends_all_of_it_with_one_sentence(at_work, basemount):
    # As a terminal does: to everything in the group.
    os.killpg(at_work.process.pid, signal.SIGINT)
    ran = at_work.wait()
    assert ran.status == 130
    assert ran.stderr.strip().count("\n") == 0
    assert "interrupted" in ran.stderr
    assert_nothing_pending(basemount)


def test_memory_does_not_grow_with_the_number_of_names(basemount, files, tmp_path):
    peaks = []
    # The first is more already than is read ahead of what is placed.
    for times in (10, 30):
        (tmp_path / "list").write_bytes(_lines(files) * 100 * times)
        script = (
            "import resource, subprocess, sys\n"
            "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        )
        command = (SCRIPTS / "px-repack", "--db", basemount / "log", "--files-from", tmp_path / "list")
        ran = run_tool("python", "-c", script, *command, "--jobs", "2")
        # The larger of the two processes.
        peaks.append(int(ran.stdout))
    assert peaks[1] < peaks[0] + 4000
    assert peaks[1] < 150 * 1024
