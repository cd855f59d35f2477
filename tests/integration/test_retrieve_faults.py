"""px-move against PACS with odd habits, PACS that go away, and destinations of every kind."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from conftest import StartPacs
from datasets import large_study, plain_study, write_transfer_syntaxes
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from demo.server import ENVIRONMENT, free_port
from demo.studies import Study
from listener import PxListen, until
from packed import assert_catalogue_is_exact, repack
from pypx.actions.ways_move import LATE
from servers.needs import require
from servers.peers import SilentPeer
from servers.retrieve_provider import RetrieveProvider
from servers.storescp import Storescp
from tools import Ran, Running, run_tool
from trees import assert_holds, assert_holds_part_of, assert_nothing_pending, files_below, instances_in


def _study(instances: int = 6) -> Study:
    return Study("ODD-1", attributes={"PatientName": "Odd^Pacs"}).series(
        1, instances=instances, SeriesDescription="Six", Modality="MR"
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return _study().write(tmp_path / "sent")


def _move(pacs: Any, basemount: Path, *options: str | int, uid: str = "") -> Ran:
    return run_tool(
        *("px-move", *pacs.node.options, "--db", basemount / "log", *options),
        *("--StudyInstanceUID", uid or _study().uid),
    )


def _receive(provider: RetrieveProvider, basemount: Path, *options: str | int) -> Ran:
    return _move(provider, basemount, "--receivePort", provider.receive_port, *options)


@pytest.mark.parametrize("told", [None, 6])
def test_a_final_response_before_the_last_image(basemount: Path, files: list[Path], told: int | None) -> None:
    with RetrieveProvider(files, late=1.5, told=told) as provider:
        ran = _receive(provider, basemount)
        assert ran.status == 0, ran.stdout
        assert len(provider.moves()) == 1
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)


def test_a_warning_for_images_that_came(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, warns=2) as provider:
        ran = _receive(provider, basemount)
    assert ran.status == 0, ran.stdout
    assert ran.json["data"][0]["state"] == "complete"


def test_images_that_come_twice(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, times=2) as provider:
        ran = _receive(provider, basemount)
    assert ran.status == 0, ran.stdout
    assert (ran.json["summary"]["received"], ran.json["summary"]["duplicates"]) == (6, 6)
    assert_holds(basemount, files)
    assert_catalogue_is_exact(basemount)


@pytest.mark.parametrize("told", [4, 9])
def test_a_count_that_is_wrong(basemount: Path, files: list[Path], told: int) -> None:
    with RetrieveProvider(files, told=told) as provider:
        ran = _receive(provider, basemount)
        assert ran.status == 0, ran.stdout
        assert len(provider.moves()) == 1
    assert (ran.json["data"][0]["expected"], ran.json["data"][0]["held"]) == (6, 6)


@pytest.mark.parametrize("lists", [True, False])
def test_a_pacs_that_tells_of_no_images_and_has_some(basemount: Path, files: list[Path], lists: bool) -> None:
    with RetrieveProvider(files, told=0, lists=lists) as provider:
        ran = _receive(provider, basemount)
    assert ran.status == 0, ran.stdout
    assert ran.json["data"][0]["expected"] == (6 if lists else "unknown")
    assert_holds(basemount, files)


def test_what_failed_once_and_is_whole_is_no_failure_any_more(basemount: Path, files: list[Path]) -> None:
    def last_failure() -> str:
        ran = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", _study().uid)
        return str(ran.json["data"][0]["state"])

    with RetrieveProvider(files, told=6) as provider:
        assert _receive(provider, basemount).status == 0
        assert last_failure() == "complete"
        elsewhere = ("--receivePort", free_port(), "--retries", 0)
        assert _receive(provider, basemount, "--force", *elsewhere).status == 1
        assert "last failure" in last_failure()
        ran = _receive(provider, basemount)
    assert (ran.status, ran.json["data"][0]["state"]) == (0, "already here")
    assert last_failure() == "complete"


def test_a_pacs_that_does_not_tell_how_far_it_is(basemount: Path, files: list[Path]) -> None:
    """Twice the time-out, but images arrive all the while."""
    with RetrieveProvider(files, progress=False, pause=1.6) as provider:
        ran = _receive(provider, basemount, "--timeout", 4.5, "--retries", 0)
    assert ran.status == 0, ran.stdout
    assert_holds(basemount, files)


def test_a_pacs_that_falls_silent(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, progress=False, pause=120.0) as provider:
        ran = _receive(provider, basemount, "--timeout", 2, "--retries", 0)
    assert (ran.status, ran.error) == (1, "peer-timeout")
    assert ran.seconds < 60


def test_a_pacs_that_never_says_a_word(basemount: Path, files: list[Path]) -> None:
    with SilentPeer() as silent:
        ran = run_tool(
            *("px-move", f"127.0.0.1:SILENT:{silent.port}", "--db", basemount / "log", "--timeout", 1),
            *("--receivePort", free_port(), "--StudyInstanceUID", _study().uid),
        )
    assert (ran.status, ran.error) == (1, "peer-timeout")


def test_instances_that_are_refused_are_named(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, fails=1) as provider:
        ran = _receive(provider, basemount, "--retries", 0)
    assert (ran.status, ran.error) == (1, "retrieve-incomplete")
    verdict = ran.json["data"][0]
    assert (verdict["state"], verdict["held"]) == ("incomplete", 5)
    assert verdict["missing"] == {"MR Image Storage": 1}
    assert "1 MR Image Storage" in ran.stderr


def test_instances_of_which_the_pacs_does_not_tell_what_they_are(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, fails=1, tells_kinds=False) as provider:
        ran = _receive(provider, basemount, "--retries", 0)
    assert ran.status == 1
    assert "missing: 1 of a kind that the PACS does not tell" in ran.stderr


def test_a_pacs_that_cannot_is_not_asked_for_ever(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files, fails=1) as provider:
        ran = _receive(provider, basemount)
    assert ran.status == 1
    assert ran.seconds < 60


def test_nothing_matches(basemount: Path, files: list[Path]) -> None:
    with RetrieveProvider(files) as provider:
        found = run_tool("px-find", *provider.node.options, "--StudyInstanceUID", _study().uid)
        assert found.status == 0
        provider.forget()
        ran = run_tool(
            *("px-move", "--db", basemount / "log", "--receivePort", provider.receive_port),
            stdin=found.stdout,
        )
    assert (ran.status, ran.error) == (1, "nothing-found")


def test_only_what_is_missing_is_asked_for(basemount: Path, files: list[Path]) -> None:
    for path in files[:4]:
        repack(basemount, "--xcrdirfile", path)
    held = instances_in(basemount)
    with RetrieveProvider(files, told=6) as provider:
        ran = _receive(provider, basemount)
        assert ran.status == 0, ran.stdout
        (asked,) = provider.moves()
        assert asked.QueryRetrieveLevel == "IMAGE"
        assert set(asked.SOPInstanceUID) == {path.stem for path in files} - set(held)
    assert_holds(basemount, files)


def test_as_many_images_as_there_should_be_of_which_one_is_another(
    basemount: Path, tmp_path: Path, files: list[Path]
) -> None:
    """One that the PACS does not have is here, and one that it has does not come."""
    another = _study(7).write(tmp_path / "seven")[-1]
    repack(basemount, "--xcrdirfile", another)
    with RetrieveProvider(files, told=6, fails=1) as provider:
        ran = _receive(provider, basemount, "--retries", 0)
        assert (ran.status, ran.error) == (1, "retrieve-incomplete")
        verdict = ran.json["data"][0]
        assert (verdict["state"], verdict["expected"], verdict["held"]) == ("incomplete", 6, 5)
        assert verdict["missing"] == {"MR Image Storage": 1}
        assert _receive(provider, basemount, "--retries", 0).status == 1
    with RetrieveProvider(files, told=6) as provider:
        ran = _receive(provider, basemount)
        assert (ran.status, ran.json["summary"]["received"]) == (0, 1), ran.stdout
        assert len(provider.moves()) == 1
    assert_holds(basemount, [*files, another])


@pytest.mark.parametrize(("habits", "status"), [({"pause": 600.0, "progress": False}, 1), ({"told": 7}, 0)])
def test_somebody_who_looks_at_our_port_does_not_keep_us_waiting(
    basemount: Path, files: list[Path], habits: dict[str, Any], status: int
) -> None:
    """The PACS falls silent; or says that it has more images than come, and images are waited for."""
    with RetrieveProvider(files, **habits) as provider:
        move = Running(
            *("px-move", *provider.node.options, "--db", basemount / "log", "--timeout", 2, "--retries", 0),
            *("--receivePort", provider.receive_port, "--StudyInstanceUID", _study().uid),
        )
        move.feed()
        echoscu = require("echoscu", "dcmtk")

        def has_ended() -> bool:
            subprocess.run(
                [echoscu, "127.0.0.1", str(provider.receive_port)], capture_output=True, check=False
            )
            return move.process.poll() is not None

        until(has_ended, 120)
        assert move.wait().status == status


def test_our_port_cannot_be_reached(pacs: Pacs, basemount: Path) -> None:
    """The PACS knows us at another port."""
    ran = _move(pacs, basemount, "--receivePort", free_port(), "--retries", 0, uid=plain_study().uid)
    assert ran.status == 1
    assert ran.error in ("request-failed", "retrieve-incomplete")
    assert "--get" in ran.stderr
    assert instances_in(basemount) == {}


def test_to_a_listener_on_this_basemount(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    study = plain_study()
    with PxListen(basemount, "--quiet", 600, port=pacs.receive_port) as listen:
        ran = _move(pacs, basemount, "--to", "CHRISLOCAL", uid=study.uid)
        assert ran.status == 0, ran.stdout
        assert {verdict["state"] for verdict in ran.json["data"]} == {"complete"}
        again = _move(pacs, basemount, "--to", "CHRISLOCAL", uid=study.uid)
        assert {verdict["state"] for verdict in again.json["data"]} == {"already here"}
        # All that was asked for is here: the listener waits for no more.
        for series in study.all_series:
            assert "complete" in listen.wait_for(str(series.uid))
    assert_holds(basemount, study.write(tmp_path / "sent"))


def test_a_port_that_our_own_listener_has(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--aet", "OURS") as listen, RetrieveProvider(files) as provider:
        ran = _move(provider, basemount, "--receivePort", listen.port)
    assert (ran.status, ran.error) == (1, "port-in-use")
    assert "use --to OURS" in ran.stderr


def test_a_listener_that_is_behind_is_waited_for(basemount: Path, files: list[Path]) -> None:
    """All was received, and nothing is in the catalogue yet, which somebody else holds."""
    repack(basemount, "--xcrdirfile", Study("OTHER").series(1, 1).write(basemount.parent / "other")[0])
    with PxListen(basemount) as listen, RetrieveProvider(files, told=6) as provider:
        provider.receive_port = listen.port
        other = sqlite3.connect(basemount / "log" / "smdb.sqlite", isolation_level=None)
        move = Running(
            *("px-move", *provider.node.options, "--db", basemount / "log", "--to", "CHRISLOCAL"),
            *("--StudyInstanceUID", _study().uid, "--retries", 0),
        )
        move.feed()
        until(lambda: provider.moves())
        other.execute("begin immediate")
        time.sleep(2.5 * LATE)
        other.execute("rollback")
        other.close()
        ran = move.wait()
    assert ran.status == 0, ran.stdout
    assert ran.json["data"][0]["state"] == "complete"
    assert len(provider.moves()) == 1


def test_to_another_node(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    echoscu = require("echoscu", "dcmtk")
    other = subprocess.Popen(
        [require("storescp", "dcmtk"), "-aet", "CHRISLOCAL", "-od", elsewhere, str(pacs.receive_port)],
        env=ENVIRONMENT,
    )
    try:
        until(
            lambda: (
                subprocess.run([echoscu, "127.0.0.1", str(pacs.receive_port)], check=False).returncode == 0
            )
        )
        ran = _move(pacs, basemount, "--to", "CHRISLOCAL", uid=plain_study().uid)
    finally:
        other.terminate()
        other.wait()
    assert ran.status == 0, ran.stdout
    assert {verdict["state"] for verdict in ran.json["data"]} == {"sent"}
    assert len(files_below(elsewhere)) == plain_study().instances
    assert files_below(basemount / "data") == []


def test_to_another_node_to_which_not_all_is_sent(basemount: Path, tmp_path: Path, files: list[Path]) -> None:
    """The PACS lists six images, sends fewer, and says success."""
    with Storescp(tmp_path / "other") as other, RetrieveProvider(files, told=6) as provider:
        provider.receive_port = other.port
        whole = _move(provider, basemount, "--to", "ELSEWHERE")
        assert (whole.status, whole.json["data"][0]["state"]) == (0, "sent")
        provider.skips = 4
        ran = _move(provider, basemount, "--to", "ELSEWHERE", "--retries", 0)
    assert (ran.status, ran.error) == (1, "retrieve-incomplete")
    assert ran.json["data"][0]["state"] == "incomplete"
    assert "sent 2 of the 6 images" in ran.stderr


def test_to_a_node_that_is_not_there(pacs: Pacs, basemount: Path) -> None:
    ran = _move(pacs, basemount, "--to", pacs.unreachable_aet, "--retries", 0, uid=plain_study().uid)
    assert ran.status == 1
    assert pacs.unreachable_aet in ran.stderr
    assert "No px-listen of that title runs on this BASEMOUNT" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_receives(basemount: Path, files: list[Path], number: signal.Signals) -> None:
    with RetrieveProvider(files, pause=1.5) as provider:
        running = Running(
            *(
                "px-move",
                *provider.node.options,
                "--db",
                basemount / "log",
                "--StudyInstanceUID",
                _study().uid,
            ),
            *("--receivePort", provider.receive_port),
        )
        running.feed()
        until(lambda: instances_in(basemount))
        running.interrupt(number)
        ran = running.wait()
        assert ran.status == 130
        assert 0 < assert_holds_part_of(basemount, files) < len(files)
    with RetrieveProvider(files, told=6) as provider:
        assert _receive(provider, basemount).status == 0
    assert_holds(basemount, files)
    assert_nothing_pending(basemount)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", ["--get", "--receivePort"])
def test_a_pacs_that_is_restarted_three_times(
    start_pacs: StartPacs, basemount: Path, tmp_path: Path, way: str
) -> None:
    study = large_study(series=20, instances=100)
    sent = study.write(tmp_path / "sent")
    pacs = start_pacs()
    pacs.store(sent)
    options = [way] if way == "--get" else [way, pacs.receive_port]
    running = Running(
        *("px-move", *pacs.node.options, "--db", basemount / "log", "--StudyInstanceUID", study.uid, *options)
    )
    running.feed()
    for share in (1, 2, 3):
        until(
            lambda share=share: _arrived(basemount) > share * 300 or running.process.poll() is not None, 300
        )
        assert running.process.poll() is None, "px-move was faster than the test"
        pacs.kill()
        time.sleep(1.0)
        pacs.start_again()
    ran = running.wait(500)
    assert ran.status == 0, ran.stdout[:500]
    assert set(instances_in(basemount)) == {path.stem for path in sent}
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)


def _arrived(basemount: Path) -> int:
    return len(files_below(basemount / "data")) + len(files_below(basemount / "incoming"))


def test_compressed_images_by_c_get(basemount: Path, tmp_path: Path) -> None:
    """A PACS that has an image in JPEG 2000 and does not decompress it: the second preference brings it."""
    (image,) = write_transfer_syntaxes(tmp_path / "sent", ("jpeg-2000",)).values()
    (tmp_path / "pacs").mkdir()
    pacs = Dcmqrscp(tmp_path / "pacs")
    pacs.options = ("+xv",)
    with pacs:
        pacs.store([image])
        ran = _move(pacs, basemount, "--get", uid=dcmread(image).StudyInstanceUID)
    assert ran.status == 0, ran.stdout
    (held,) = instances_in(basemount).values()
    first, second = dcmread(held), dcmread(image)
    assert first.file_meta.TransferSyntaxUID == second.file_meta.TransferSyntaxUID
    assert first.PixelData == second.PixelData
