"""px-listen as people run it: who may send, what it says, how it ends, how others see how it is."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

from datasets import (
    large_study,
    plain_study,
    write_encapsulated_pdf,
    write_enhanced_multiframe,
    write_transfer_syntaxes,
)
from demo.server import HOST
from demo.studies import Study
from listener import PxListen, send, start_sending, status, until
from packed import assert_catalogue_is_exact
from pypx.actions.receiving.state import ListenerState, StateFile, listening
from pypx.basemount.layout import Basemount
from tools import run_tool
from trees import (
    assert_holds,
    assert_nothing_pending,
    assert_nothing_quarantined,
    files_below,
    instances_in,
)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return plain_study().write(tmp_path / "sent")


def test_what_is_sent_is_packed_and_catalogued(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        taken, said = send(listen.port, files)
        assert taken == files, said
        listen.wait_until_packed(len(files))
        assert_holds(basemount, files)
    assert_nothing_pending(basemount)
    assert_nothing_quarantined(basemount)
    assert_catalogue_is_exact(basemount)


def test_every_kind_of_image(basemount: Path, tmp_path: Path) -> None:
    sent = [
        *write_transfer_syntaxes(tmp_path / "sent").values(),
        write_enhanced_multiframe(tmp_path / "sent" / "enhanced.dcm"),
        write_encapsulated_pdf(tmp_path / "sent" / "pdf.dcm"),
    ]
    with PxListen(basemount) as listen:
        for path in sent:
            _store(HOST, listen.port, path)
    assert_holds(basemount, sent)


def _store(host: str, port: int, *paths: Path, aec: str = "CHRISLOCAL") -> list[int]:
    """Send files as they are, each over an association of its own; their statuses."""
    statuses = []
    for path in paths:
        instance = dcmread(path)
        entity = AE("MODALITY")
        entity.add_requested_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
        association = entity.associate(host, port, ae_title=aec)
        assert association.is_established
        statuses.append(association.send_c_store(instance).Status)
        association.release()
    assert set(statuses) == {0}
    return statuses


def test_an_image_that_comes_twice_is_held_once(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        for _ in range(2):
            assert send(listen.port, files)[0] == files
        listen.wait_until_packed(2 * len(files))
        told = listen.status()
        assert (told["received"], told["duplicates"], told["failed"]) == (len(files), len(files), 0)
    assert_holds(basemount, files)
    assert_catalogue_is_exact(basemount)


def test_ipv6(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--allow", "MODALITY@::1") as listen:
        _store("::1", listen.port, *files[:2])
    assert_holds(basemount, files[:2])


@pytest.mark.parametrize(("aec", "welcome"), [("CHRISLOCAL", True), ("chrislocal", False), ("OTHER", False)])
def test_strict_about_its_own_title(basemount: Path, files: list[Path], aec: str, welcome: bool) -> None:
    with PxListen(basemount, "--strictAET") as listen:
        taken, said = send(listen.port, files[:1], aec=aec)
        assert bool(taken) is welcome
        if not welcome:
            assert "Called AE Title Not Recognized" in said
            assert "called AE title not recognised" in listen.wait_for("was refused")
            until(lambda: listen.status()["refused"] == 1)


def test_any_title_where_it_is_not_strict(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        assert send(listen.port, files[:1], aec="WHATEVER")[0] == files[:1]


@pytest.mark.parametrize(
    ("allow", "welcome"),
    [
        (["MODALITY"], True),
        (["OTHER", "MODALITY"], True),
        (["MODALITY@127.0.0.1"], True),
        (["MODALITY@localhost"], True),
        (["modality"], False),
        (["OTHER"], False),
        (["MODALITY@192.0.2.7"], False),
        (["MODALITY@192.0.2.7", "OTHER@127.0.0.1"], False),
    ],
)
def test_only_peers_that_are_allowed(
    basemount: Path, files: list[Path], allow: list[str], welcome: bool
) -> None:
    with PxListen(basemount, *(word for peer in allow for word in ("--allow", peer))) as listen:
        taken, said = send(listen.port, files[:1])
        assert bool(taken) is welcome, said
        if not welcome:
            assert "Calling AE Title Not Recognized" in said
            assert "MODALITY@127.0.0.1 was refused" in listen.wait_for("was refused")


def test_too_little_space_refuses_new_associations(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--minFree", "100000T") as listen:
        taken, said = send(listen.port, files)
        assert not taken
        assert "Local Limit Exceeded" in said or "Temporary Congestion" in said, said
        assert "too little free space" in listen.wait_for("was refused")
    assert instances_in(basemount) == {}


def test_a_line_for_each_series_and_no_name_of_a_patient(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--quiet", "0.5") as listen:
        send(listen.port, files)
        for series in plain_study().all_series:
            line = listen.wait_for(str(series.uid))
            assert f"MR: {series.instances} images received" in line
    assert not [line for line in listen.lines if "Doe" in line or "PLAIN" in line]


def test_it_says_of_each_association_what_came(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount, "--verbosity", "2") as listen:
        send(listen.port, files)
        listen.wait_for(f"@127.0.0.1: {len(files)} images, released")
        send(listen.port, files[:1])
        listen.wait_for("@127.0.0.1: 1 image, released")


def test_what_it_says_of_a_conflict_has_no_name(basemount: Path, files: list[Path], tmp_path: Path) -> None:
    other = dcmread(files[0])
    other.InstanceNumber = 999
    other.save_as(tmp_path / "other.dcm")
    with PxListen(basemount, "--verbosity", "1") as listen:
        send(listen.port, files[:1])
        send(listen.port, [tmp_path / "other.dcm"])
        listen.wait_for("other content")
    assert "Doe" not in listen.log
    assert len(list((basemount / "data").rglob("*.dcm"))) == 2


def test_status(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        send(listen.port, files)
        listen.wait_until_packed(len(files))
        # The association may end after the last of its images is packed.
        until(lambda: listen.status()["open"] == 0)
        told = listen.status()
        assert told["pid"] == listen.running.process.pid
        assert told["port"] == listen.port
        assert told["aet"] == "CHRISLOCAL"
        assert (told["associations"], told["open"], told["waiting"], told["failed"]) == (1, 0, 0, 0)
        assert told["received"] == len(files)
        assert told["lastError"] == ""
        assert status(basemount, "--port", listen.port).status == 0
        assert status(basemount, "--port", 1).status == 1
    assert list((basemount / "log").glob("listen-*")) == []


def test_status_where_none_runs(basemount: Path) -> None:
    for _ in range(2):
        ran = status(basemount)
        assert ran.status == 1
        assert ran.error == "listener-not-running"
    assert not basemount.exists()


def test_status_for_somebody_who_may_not_look(basemount: Path) -> None:
    with PxListen(basemount):
        (state,) = (basemount / "log").glob("listen-*.json")
        mode = state.stat().st_mode
        state.chmod(0)
        ran = run_tool("px-listen", "--status", "--db", basemount / "log", unprivileged=True)
        state.chmod(mode)
        assert (ran.status, ran.error) == (1, "basemount-unusable")
        assert "Permission denied" in ran.stderr


def test_status_after_kill_9(basemount: Path) -> None:
    with PxListen(basemount) as listen:
        assert status(basemount).status == 0
        listen.kill()
        ran = status(basemount)
        assert (ran.status, ran.error) == (1, "listener-not-running")
    with PxListen(basemount):
        assert len(status(basemount).json["data"]) == 1


def _age(basemount: Path) -> None:
    """Write a state of long ago, as it would look had the clock been set forward."""
    (file,) = (basemount / "log").glob("listen-*.json")
    state = {**json.loads(file.read_text()), "updated": "2001-01-01T00:00:00+00:00"}
    with file.open("r+") as opened:
        opened.write(json.dumps(state).ljust(4096))


def test_those_that_start_at_once_leave_each_other_their_states(tmp_path: Path) -> None:
    basemount = Basemount.of_log_directory(tmp_path / "log")
    basemount.prepare()

    def start_and_end(port: int) -> int:
        lost = 0
        for _ in range(300):
            with StateFile.own(basemount, port):
                lost += not list(basemount.log.glob(f"listen-{port}-*.json"))
        return lost

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(start_and_end, range(1, 5))) == 0
    assert not list(basemount.log.glob("listen-*"))


@pytest.mark.parametrize("character", ["x", "\x1b", "\ufffd", "\U0001f480", '"'])
def test_a_state_is_read_whatever_its_last_error_says(tmp_path: Path, character: str) -> None:
    basemount = Basemount.of_log_directory(tmp_path / "log")
    basemount.prepare()
    now = datetime.now(UTC).isoformat(timespec="seconds")
    counts = (10**12,) * 8
    state = ListenerState(2**22, 65535, True, character * 16, now, now, *counts, character * 5000)
    with StateFile.own(basemount, 65535) as file:
        file.write(state)
        (read,) = listening(basemount)
    assert read.last_error
    assert state.last_error.startswith(read.last_error)
    assert replace(read, last_error="") == replace(state, last_error="")


def _is_stopped(pid: int) -> bool:
    """Whether none of its threads goes on: they are stopped one by one."""
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return set(states) == {"T"}


def test_status_of_one_that_hangs(basemount: Path) -> None:
    with PxListen(basemount) as listen:
        os.kill(listen.running.process.pid, signal.SIGSTOP)
        until(lambda: _is_stopped(listen.running.process.pid))
        _age(basemount)
        ran = status(basemount)
        os.kill(listen.running.process.pid, signal.SIGCONT)
        assert (ran.status, ran.error) == (1, "listener-not-running")
        assert str(listen.running.process.pid) in ran.stderr


def test_status_after_the_clock_was_set(basemount: Path) -> None:
    with PxListen(basemount):
        _age(basemount)
        assert status(basemount).status == 0


def test_sigterm_finishes_what_runs(basemount: Path, tmp_path: Path) -> None:
    sent = large_study(series=4, instances=250).write(tmp_path / "sent")
    with PxListen(basemount) as listen:
        sender = start_sending(listen.port, sent)
        until(lambda: len(files_below(basemount / "data")) > 20)
        listen.running.interrupt(signal.SIGTERM)
        assert "1 association may finish within 60 s" in listen.wait_for("stopping")
        until(lambda: "Connection refused" in send(listen.port, sent[:1])[1])
        said = sender.communicate(timeout=400)[0]
        assert said.count("I: Received Store Response (Success)") == len(sent)
        assert listen.running.process.wait(120) == 0
    assert "all that was received is packed" in listen.log
    assert_holds(basemount, sent)
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)


def test_sighup_ends_it_unless_it_is_to_be_ignored(basemount: Path, files: list[Path]) -> None:
    with PxListen(basemount) as listen:
        assert send(listen.port, files)[0] == files
        assert listen.stop(signal.SIGHUP) == 0
    assert_holds(basemount, files)
    with PxListen(basemount, inside=("nohup",)) as listen:
        listen.running.interrupt(signal.SIGHUP)
        assert send(listen.port, files)[0] == files
        assert listen.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_association_does_not_hold_up_the_end(
    basemount: Path, files: list[Path], number: signal.Signals
) -> None:
    with PxListen(basemount) as listen:
        entity = AE("MODALITY")
        entity.add_requested_context(Verification)
        association = entity.associate(HOST, listen.port)
        assert association.is_established
        begun = time.monotonic()
        listen.running.interrupt(number)
        if number is signal.SIGINT:
            # Said twice: do not wait.
            time.sleep(0.5)
            listen.running.interrupt(number)
        assert listen.running.process.wait(60) == 0
        # Less than it waits for one that sends.
        assert time.monotonic() - begun < 40
        association.abort()


def test_two_on_one_basemount(basemount: Path, files: list[Path], tmp_path: Path) -> None:
    other = Study("OTHER-1").series(1, instances=50).write(tmp_path / "other")
    with PxListen(basemount) as one, PxListen(basemount, "--aet", "SECOND") as two:
        senders = [start_sending(one.port, files), start_sending(two.port, other)]
        for sender in senders:
            sender.communicate(timeout=400)
        assert {told["aet"] for told in status(basemount).json["data"]} == {"CHRISLOCAL", "SECOND"}
        one.kill()
        assert [told["aet"] for told in status(basemount).json["data"]] == ["SECOND"]
    with PxListen(basemount):
        until(lambda: len(instances_in(basemount)) == 70)
    assert_holds(basemount, [*files, *other])
    assert_nothing_pending(basemount)


def test_a_port_that_is_taken(basemount: Path) -> None:
    with PxListen(basemount) as listen:
        ran = run_tool("px-listen", "--db", basemount / "log", "--port", listen.port)
        assert (ran.status, ran.error) == (1, "port-in-use")
        assert "to receive on (Address already in use). " in ran.stderr
        assert str(listen.port) in ran.stderr
        assert status(basemount).status == 0


def test_a_storescp_that_is_not_there(basemount: Path) -> None:
    ran = run_tool("px-listen", "--db", basemount / "log", "--port", 0, "--storescp", "/nowhere/storescp")
    assert (ran.status, ran.error) == (1, "binary-missing")


@pytest.mark.parametrize(
    "options",
    [
        ("--port", "65536"),
        ("--minFree", "much"),
        ("--allow", "@host"),
        ("--allow", "AN AE TITLE TOO LONG"),
        ("--imageTemplate", "%Nothing"),
    ],
)
def test_wrong_usage_touches_nothing(basemount: Path, options: tuple[str, str]) -> None:
    ran = run_tool("px-listen", "--db", basemount / "log", *options)
    assert ran.status == 2, ran.stderr
    assert not basemount.exists()


def test_an_incoming_directory_elsewhere(basemount: Path, files: list[Path], tmp_path: Path) -> None:
    with PxListen(basemount, "-t", tmp_path / "elsewhere") as listen:
        assert send(listen.port, files)[0] == files
    assert_holds(basemount, files)
    assert [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()] == []


def test_an_association_without_an_image(basemount: Path) -> None:
    with PxListen(basemount) as listen:
        ran = run_tool("px-echo", f"{HOST}:CHRISLOCAL:{listen.port}", "--aet", "MODALITY")
        assert ran.status == 0
        entity = AE("MODALITY")
        entity.add_requested_context(CTImageStorage)
        association = entity.associate(HOST, listen.port)
        association.release()
        until(lambda: listen.status()["associations"] == 2)
        assert listen.status()["lastError"] == ""
