"""px-find between a terminal, pipes and signals: what it shows, how it ends, what it leaves behind."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mounts
from archives import a_study, archive
from servers.find_provider import FindProvider, Reply, Request
from servers.habits import of_level, setting, waiting
from tools import SCRIPTS, Running, packages_loaded_by, run_in_terminal, run_tool


def px_find(pacs: FindProvider, *options: str) -> list[str]:
    return ["px-find", *pacs.node.options, "--PatientID", "P-*", *options]


def in_shell(command: str, pacs: FindProvider) -> subprocess.CompletedProcess[str]:
    """A command line of a shell, in which FIND is px-find with the address of a PACS."""
    line = command.replace("FIND", " ".join([f"{SCRIPTS}/px-find", *px_find(pacs)[1:-1], "'P-*'"]))
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=400, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


def wait_for(condition: Callable[[], object], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def scratch_files(directory: Path) -> list[Path]:
    # os.walk() takes no offence at a directory that is removed in the meantime.
    return [Path(place, name) for place, _, names in os.walk(directory) for name in names]


def test_a_bar_shows_the_studies_answered_of_those_found() -> None:
    answered = 0

    def look(shown: str, _running: Running) -> None:
        nonlocal answered
        told = re.findall(r"Studies answered.*?(\d+)/12", shown)
        answered = max([answered, *map(int, told)])

    def once_the_last_is_shown(request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        """The series of a study, when the bar has come as far as the study before it."""
        if request.level == "SERIES":
            before = sum(one.level == "SERIES" for one in pacs.requests[: request.number])
            wait_for(lambda: answered >= before)
        return replies

    with FindProvider(archive(12), once_the_last_is_shown) as pacs:
        ran = run_in_terminal(px_find(pacs, "--jobs", "1"), columns=100, on_shown=look)
    assert ran.status == 0
    counts = re.findall(r"Studies answered.*?(\d+)/(\d+)", ran.stdout)
    assert {of_all for _, of_all in counts} == {"12"}
    done = [int(number) for number, _ in counts]
    assert done == sorted(done)
    assert set(done) - {0} == set(range(1, 13))
    assert re.search(r"Studies found.*?12/12", ran.stdout)


def test_no_bar_and_no_colour_where_stderr_is_no_terminal() -> None:
    with FindProvider(archive(2)) as pacs:
        ran = run_tool(*px_find(pacs))
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout


def test_notes_stand_beside_the_report_at_a_terminal() -> None:
    with FindProvider(archive(2), ignores=["PatientID"]) as pacs:
        ran = run_in_terminal(["px-find", *pacs.node.options, "--PatientID", "P-1"])
    assert ran.status == 0
    assert "px-find: 1 study left out for not matching PatientID." in ran.stdout
    assert "Doe^Number 1" in ran.stdout
    assert "Doe^Number 2" not in ran.stdout


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_no_value_reaches_a_terminal_raw(options: list[str]) -> None:
    hostile = setting({"PatientName": "\x1b]0;pwned\x07\x9b31m\u202e", "SeriesDescription": "\x1b[2J\r\b"})
    with FindProvider(archive(1), hostile) as pacs:
        ran = run_in_terminal(px_find(pacs, *options))
    assert ran.status == 0
    for raw in ("\x1b]0;", "\x07", "\x9b", "\u202e", "\x1b[2J", "\b"):
        assert raw not in ran.stdout


def test_a_failure_in_the_middle_is_told_below_the_report() -> None:
    with FindProvider(archive(12), of_level("SERIES", waiting(120))) as pacs:
        ran = run_in_terminal(px_find(pacs, "--timeout", "4"))
    assert ran.status == 1
    assert "Doe^Number 12" in ran.stdout
    last = ran.stdout.split("px-find: ")[-1]
    assert "did not answer in time (the series of 12 of 12 studies are missing)" in last.replace("\r\n", " ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("level", ["STUDY", "SERIES"])
@pytest.mark.parametrize(
    ("options", "rest"),
    [
        ((), ""),
        (("--then", "status"), ""),
        (("--then", "retrieve,status"), "; what is done is kept, the same command goes on from there"),
    ],
)
def test_interruption(
    basemount: Path, tmp_path: Path, number: signal.Signals, level: str, options: tuple[str, ...], rest: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with FindProvider(archive(30), of_level(level, waiting(0.5))) as pacs:
        command = px_find(pacs, *options, "--db", basemount / "log")
        running = Running(*command, environment={"TMPDIR": str(scratch)})
        wait_for(lambda: pacs.asked(level) and scratch_files(scratch))
        running.interrupt(number)
        ran = running.wait()
    assert (ran.status, ran.stdout) == (130, "")
    assert ran.stderr.strip() == f"px-find: interrupted{rest}."
    assert scratch_files(scratch) == []


def test_kill_leaves_no_findscu_behind() -> None:
    with FindProvider(archive(30), waiting(0.1)) as pacs:
        running = Running(*px_find(pacs))
        wait_for(lambda: pacs.requests)
        running.kill_alone()


def test_a_reader_that_has_enough() -> None:
    with FindProvider(archive(100)) as pacs:
        done = in_shell("FIND | head -c 20; exit ${PIPESTATUS[0]}", pacs)
    assert done.stdout == '{"status": "success"'
    assert done.stderr == ""
    assert done.returncode in (1, 141)


@pytest.mark.parametrize(
    ("redirection", "reason"), [(">&-", "Bad file descriptor"), ("> /dev/full", "No space left")]
)
def test_an_output_that_takes_nothing(redirection: str, reason: str) -> None:
    with FindProvider(archive(2)) as pacs:
        done = in_shell(f"FIND {redirection}", pacs)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("px-find: The result cannot be written to standard output")
    assert reason in line


@pytest.mark.parametrize("redirection", ["2>&-", "2> /dev/full", "<&-", "<&- 2>&-"])
def test_streams_that_px_find_can_do_without(redirection: str) -> None:
    with FindProvider(archive(2), ignores=["PatientID"]) as pacs:
        done = in_shell(f"FIND --verbosity 3 {redirection}", pacs)
    assert done.returncode == 0
    assert done.stdout.startswith('{"status": "success"')


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full", "2>&-", ">&- 2>&- <&-"])
def test_a_failure_that_nobody_hears(redirection: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{SCRIPTS}/px-find 127.0.0.1:NOBODY:1 --PatientID X {redirection}"],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_json_is_utf_8_in_any_locale(locale: str) -> None:
    with FindProvider([a_study(1, PatientName="山田^太郎")]) as pacs:
        ran = run_tool(*px_find(pacs), environment={"LC_ALL": locale, "PYTHONUTF8": "0"})
    assert ran.json["data"][0]["PatientName"]["value"] == "山田^太郎"


def test_a_full_disk_is_not_taken_for_a_bad_answer(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with FindProvider(archive(2), setting({"StudyDescription": "x" * 300_000})) as pacs:
        name, *options = px_find(pacs, "--StudyOnly")
        command = ["env", f"TMPDIR={disk}", SCRIPTS / name, *options]
        done = mounts.run(mounts.small(disk, "256k"), *command)
    assert done.returncode == 1
    assert '"scratch-unusable"' in done.stdout
    (line,) = done.stderr.splitlines()
    assert "TMPDIR" in line


def held_while_it_writes(process: subprocess.Popen[bytes]) -> int:
    """The most memory that a process has held, in bytes, when it has begun to write its result."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()

    def bytes_in_pipe() -> int:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)

    wait_for(lambda: bytes_in_pipe() >= 20_000)
    told = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert told
    return int(told[1]) * 1024


def test_memory_holds_little_more_than_the_result() -> None:
    held = {}
    for studies in (100, 1600):
        with FindProvider(archive(studies, series=0)) as pacs:
            name, *options = px_find(pacs, "--StudyOnly")
            process = subprocess.Popen([str(SCRIPTS / name), *options], stdout=subprocess.PIPE)
            held[studies] = held_while_it_writes(process)
            written, _ = process.communicate()
            assert process.returncode == 0
    assert len(written) > 2_000_000
    assert held[1600] - held[100] < 2.5 * len(written)


def test_nothing_is_imported_that_a_find_can_do_without() -> None:
    """numpy and requests take as long as pydicom itself."""
    with FindProvider(archive(1)) as pacs:
        loaded = packages_loaded_by(*px_find(pacs))
    assert "pydicom" in loaded
    assert loaded.isdisjoint({"numpy", "requests", "urllib3", "sqlalchemy", "rich"})


def test_a_home_directory_is_not_needed() -> None:
    with FindProvider(archive(1)) as pacs:
        ran = run_tool(*px_find(pacs), environment={"HOME": "/nonexistent"})
    assert (ran.status, ran.stderr) == (0, "")
