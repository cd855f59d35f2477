"""The main job: px-find … | px-move --get, then px-status; again; and after all sorts of ends."""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from conftest import StartPacs
from datasets import large_study, plain_follow_up, plain_study
from demo.pacs import Pacs
from demo.server import HOST
from demo.studies import Study
from servers.orthanc import Orthanc
from servers.peers import Dam, Wire
from tools import SCRIPTS, Running, environment_without, run_tool
from trees import (
    assert_holds,
    assert_holds_part_of,
    assert_nothing_pending,
    assert_nothing_quarantined,
    assert_quarantine_says_why,
    files_below,
    fingerprint,
)


def _find(pacs: Pacs, patient: str, port: int | None = None) -> str:
    ran = run_tool("px-find", f"{HOST}:{pacs.aec}:{port or pacs.port}", "--PatientID", patient)
    assert ran.status == 0
    return ran.stdout


def _status(basemount: Path, study: Study) -> dict[str, dict[str, Any]]:
    """What px-status says of each series of a study."""
    ran = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid, "--json")
    assert ran.status == 0
    return {series["SeriesInstanceUID"]: series for series in ran.json["data"]}


def _assert_all_here(basemount: Path, study: Study) -> None:
    status = _status(basemount, study)
    assert set(status) == {series.uid for series in study.all_series}
    for series in study.all_series:
        told = status[series.uid]
        assert told["requested"] == told["received"] == told["packed"] == series.instances


def test_find_into_move_then_status_twice(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    studies = [plain_study(), plain_follow_up()]
    found = _find(pacs, "PLAIN-1")
    move = ("px-move", "--get", "--db", basemount / "log")

    first = run_tool(*move, stdin=found)
    assert (first.status, first.stderr) == (0, "")
    assert first.json["summary"]["received"] == first.json["summary"]["stored"] == 24
    assert_holds(basemount, [path for study in studies for path in study.write(tmp_path / "sent")])
    assert_nothing_pending(basemount)
    assert_nothing_quarantined(basemount)
    for study in studies:
        _assert_all_here(basemount, study)

    before = fingerprint(basemount)
    with Wire(pacs.port) as wire:
        second = run_tool(*move, "--serverPort", wire.port, stdin=found)
        answered = wire.answered
    assert second.status == 0
    assert {verdict["state"] for verdict in second.json["data"]} == {"already here"}
    assert second.json["summary"]["received"] == second.json["summary"]["bytes"] == 0
    # Where the PACS gives no counts its instances are listed, a few hundred bytes each: no image among them.
    assert answered < (1 if pacs.answers_counts else 24 * 400)
    assert fingerprint(basemount) == before
    for study in studies:
        _assert_all_here(basemount, study)


def test_names_in_the_tree_are_for_people(pacs: Pacs, basemount: Path) -> None:
    found = _find(pacs, "PLAIN-1")
    assert run_tool("px-move", "--get", "--db", basemount / "log", stdin=found).status == 0
    tops = {path.relative_to(basemount / "data").parts[:2] for path in files_below(basemount / "data")}
    assert ("PLAIN-1-Doe_Jane-19800229", "Plain_study-P-1-20200229") in tops
    series = [
        path.parent.name
        for path in files_below(basemount / "data")
        if "Plain_study" in path.parent.parent.name
    ]
    assert {name.rsplit("-", 1)[0] for name in series} == {"00001-Localizer", "00002-T1", "00003-T2"}


def test_a_pipe_as_typed(pacs: Pacs, basemount: Path) -> None:
    find = subprocess.Popen(
        [SCRIPTS / "px-find", *pacs.node.options, "--PatientID", "PLAIN-1"], stdout=subprocess.PIPE
    )
    move = subprocess.run(
        [SCRIPTS / "px-move", "--get", "--db", basemount / "log"],
        stdin=find.stdout,
        capture_output=True,
        check=False,
        timeout=400,
    )
    assert (find.wait(), move.returncode) == (0, 0)
    assert json.loads(move.stdout)["summary"]["stored"] == 24


def test_nothing_found_is_nothing_to_move(pacs: Pacs, basemount: Path) -> None:
    found = _find(pacs, "NOBODY")
    ran = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert ran.status == 0
    assert ran.json["status"] == "success"
    assert ran.json["data"] == []


def _filled(start_pacs: StartPacs, study: Study, directory: Path) -> tuple[Pacs, list[Path]]:
    files = study.write(directory)
    pacs = start_pacs()
    pacs.store(files)
    return pacs, files


def _arrived(basemount: Path) -> int:
    """How many images lie somewhere in the BASEMOUNT."""
    return len(files_below(basemount / "incoming")) + len(files_below(basemount / "data"))


def _dam(pacs: Pacs, basemount: Path, how_many: int) -> Dam:
    """A wire over which so many images come, and not all."""
    return Dam(pacs.port, lambda: _arrived(basemount) >= how_many)


def _start_until_shut(
    basemount: Path,
    found: str,
    wire: Dam,
    *options: str | int,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Start px-move and come back once no more images come."""
    running = Running(
        *("px-move", "--get", "--db", basemount / "log", "--serverPort", wire.port, *options),
        stdin=found,
        environment=environment,
    )
    running.feed()
    if not wire.is_shut.wait(120):
        running.kill()
        raise AssertionError("px-move received too little")
    assert running.process.poll() is None, running.process.communicate()
    return running


@pytest.mark.parametrize(("how_many", "children_too"), [(1, True), (60, False), (250, True), (250, False)])
def test_kill_9_in_the_middle_and_again(
    start_pacs: StartPacs, basemount: Path, tmp_path: Path, how_many: int, children_too: bool
) -> None:
    study = large_study()
    pacs, files = _filled(start_pacs, study, tmp_path / "sent")
    found = _find(pacs, "LARGE-1")
    with _dam(pacs, basemount, how_many) as wire:
        running = _start_until_shut(basemount, found, wire)
        if children_too:
            running.kill()
        else:
            running.kill_alone()
    assert_holds_part_of(basemount, files)

    again = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert again.status == 0, again.stdout
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)
    _assert_all_here(basemount, study)


def test_a_getscu_that_outlives_a_kill_does_no_harm(
    own_orthanc: Orthanc, basemount: Path, tmp_path: Path
) -> None:
    study, pacs = large_study(), own_orthanc
    files = study.write(tmp_path / "sent")
    pacs.store(files)
    found = _find(pacs, "LARGE-1")
    with _dam(pacs, basemount, 60) as wire:
        running = _start_until_shut(
            basemount, found, wire, environment=environment_without("setpriv", tmp_path / "programs")
        )
        running.process.kill()
        running.process.wait()
        assert any("getscu" in line for line in running.left().values())

        again = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
        assert again.status == 0, again.stdout
        assert_holds(basemount, files)
        wire.open()
        deadline = time.monotonic() + 120
        while running.left():
            assert time.monotonic() < deadline, running.left()
            time.sleep(0.02)
    third = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert {verdict["state"] for verdict in third.json["data"]} == {"already here"}
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)
    _assert_all_here(basemount, study)


def test_ctrl_c_keeps_what_is_done(start_pacs: StartPacs, basemount: Path, tmp_path: Path) -> None:
    study = large_study()
    pacs, files = _filled(start_pacs, study, tmp_path / "sent")
    found = _find(pacs, "LARGE-1")
    with _dam(pacs, basemount, 60) as wire:
        running = _start_until_shut(basemount, found, wire)
        running.interrupt()
        ran = running.wait()
    assert ran.status == 130
    assert "interrupted" in ran.stderr
    assert_holds_part_of(basemount, files)
    assert run_tool("px-move", "--get", "--db", basemount / "log", stdin=found).status == 0
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)


def test_a_pacs_that_is_killed_half_way(start_pacs: StartPacs, basemount: Path, tmp_path: Path) -> None:
    study = large_study()
    pacs, files = _filled(start_pacs, study, tmp_path / "sent")
    found = _find(pacs, "LARGE-1")
    with _dam(pacs, basemount, 60) as wire:
        running = _start_until_shut(basemount, found, wire, "--retries", 0)
        pacs.kill()
        wire.open()
        ran = running.wait()
    assert ran.status == 1
    assert ran.error in ("connection-lost", "connection-refused")
    assert len(ran.stderr.splitlines()) == 1
    held = assert_holds_part_of(basemount, files)
    assert held == sum(verdict["held"] for verdict in ran.json["data"]) < study.instances

    pacs.start_again()
    again = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert again.status == 0, again.stdout
    assert again.json["summary"]["received"] == study.instances - held
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)


@pytest.mark.parametrize("after", [0, 1500, 20_000, 40_001])
def test_a_wire_that_is_cut(pacs: Pacs, basemount: Path, sample_files: list[Path], after: int) -> None:
    found = _find(pacs, "PLAIN-1")
    with Wire(pacs.port, cut_after=after) as wire:
        ran = run_tool(
            *("px-move", "--get", "--db", basemount / "log", "--retries", 0, "--serverPort", wire.port),
            stdin=found,
        )
    assert ran.status == 1
    assert ran.error == "connection-lost"
    assert {verdict["state"] for verdict in ran.json["data"]} & {"failed", "incomplete"}
    assert assert_holds_part_of(basemount, sample_files) == sum(one["held"] for one in ran.json["data"])
    again = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert again.status == 0
    assert_nothing_pending(basemount)
    assert_quarantine_says_why(basemount)
    _assert_all_here(basemount, plain_study())


def test_a_wire_that_is_cut_once_is_tried_again(pacs: Pacs, basemount: Path) -> None:
    found = _find(pacs, "PLAIN-1")
    with Wire(pacs.port, cut_after=20_000, heals=True) as wire:
        ran = run_tool(
            *("px-move", "--get", "--db", basemount / "log", "--serverPort", wire.port), stdin=found
        )
    assert ran.status == 0, ran.stdout
    _assert_all_here(basemount, plain_study())
