"""px-push against storage that fails, and px-push ended in the middle: the truth, and the same end."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import catalogues
from demo.server import free_port
from demo.studies import Study
from packed import repack
from servers.faults import CUT, Answer, Asked, FaultyProxy, Rule, every, slow
from servers.swift import Swift
from storing import (
    PACS,
    Destination,
    SwiftDestination,
    assert_lists_agree,
    assert_stored,
    counts,
    push,
    push_arguments,
    write_service,
)
from tools import Ran, Running, run_tool

_SERIES, _INSTANCES = 4, 15
_FILES = _SERIES * _INSTANCES

#: So that no test waits long for what will not come.
_PATIENCE = ("--timeout", "15", "--retries", "4")


@pytest.fixture
def study(basemount: Path, tmp_path: Path) -> Study:
    """A study of sixty instances, in data/ and in the catalogue."""
    study = Study("FAULT-1", size=16, attributes={"PatientName": "Fault^One", "StudyDate": "20200601"})
    for number in range(1, _SERIES + 1):
        study.series(number, instances=_INSTANCES, SeriesDescription=f"Series {number}")
    study.write(tmp_path / "files")
    repack(basemount, "--xcrdir", tmp_path / "files")
    return study


def _files(basemount: Path) -> list[Path]:
    return sorted((basemount / "data").rglob("*.dcm"))


def _push_through(
    basemount: Path, container: SwiftDestination, rule: Rule, study: Study, *arguments: str | int
) -> tuple[Ran, FaultyProxy]:
    with FaultyProxy(container.server.port, rule) as proxy:
        container.know(port=proxy.port)
        options = push_arguments(
            basemount, container, "--StudyInstanceUID", study.uid, *_PATIENCE, *arguments
        )
        return run_tool("px-push", *options), proxy


def _once_a_name(answer: Answer) -> Rule:
    """The first PUT of every third object gets this answer."""
    counting = threading.Lock()
    seen: dict[str, bool] = {}

    def rule(asked: Asked) -> Answer | None:
        if asked.method != "PUT":
            return None
        with counting:
            if asked.path in seen:
                return None
            seen[asked.path] = len(seen) % 3 == 0
            return answer if seen[asked.path] else None

    return rule


FAULTS: dict[str, Callable[[], Rule]] = {
    "every tenth request fails": lambda: every(10, Answer(503)),
    "every tenth request is cut": lambda: every(10, CUT),
    "every tenth answer is lost": lambda: every(10, Answer(0, after_server=True)),
    "every tenth answer is an error although it was done": lambda: every(10, Answer(500, after_server=True)),
    "too many requests": lambda: _once_a_name(Answer(429, {"Retry-After": "1"})),
    "expired tokens": lambda: _once_a_name(Answer(401)),
    "time-outs of its own": lambda: _once_a_name(Answer(408)),
    "stores nothing and says so to some": lambda: _once_a_name(Answer(201)),
    "stores nothing and has checksums": lambda: _claims_to_store(1),
    "a web page": lambda: _once_a_name(Answer(200, {}, b"<html>Please log in</html>")),
}


def _claims_to_store(times: int | None) -> Rule:
    """The first PUTs of every third object (all of them where None) are answered as if it were stored."""
    counting = threading.Lock()
    seen: dict[str, int] = {}

    def rule(asked: Asked) -> Answer | None:
        if asked.method != "PUT" or not asked.body:
            return None
        with counting:
            count = seen[asked.path] = seen.get(asked.path, 0) + 1
            if list(seen).index(asked.path) % 3 or (times is not None and count > times):
                return None
        return Answer(201, {"ETag": asked.headers["etag"]})

    return rule


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_pass(basemount, swift_container, study, fault) -> None:
    ran, proxy = _push_through(basemount, swift_container, FAULTS[fault](), study)
    assert ran.status == 0, ran.stderr
    assert counts(ran) == {"series": _SERIES, "pushed": _SERIES, "files": _FILES, **_uploaded(ran)}
    assert_stored(swift_container, _files(basemount))
    assert_lists_agree(ran)
    assert proxy.count("PUT") >= _FILES


def _uploaded(ran: Ran) -> dict[str, int]:
    """An upload whose answer is lost may be found done."""
    uploaded = ran.json["summary"]["uploaded"]
    assert uploaded > _FILES // 2
    return {"uploaded": uploaded}


def test_storage_that_says_it_stored_what_it_did_not(basemount, swift_container, study) -> None:
    ran, _ = _push_through(basemount, swift_container, _claims_to_store(None), study, "--retries", 2)
    assert ran.status == 1
    assert ran.error == "object-corrupt"
    there = swift_container.contents()
    assert sorted(ran.json["objectFileList"]) == sorted(there)
    assert_lists_agree(ran)
    failed = [one for one in ran.json["files"] if one["state"] == "failed"]
    assert len(failed) == _FILES - len(there) > 0
    assert {one["error"]["code"] for one in failed} == {"object-corrupt"}
    assert sum(one["instances"] for one in ran.json["data"]) == len(there)
    # What the catalogue says is what is there.
    pushed = catalogues.rows(basemount, "select sum(count) from event where kind = 'pushed'")
    assert pushed == [(len(there),)]
    swift_container.know()
    again = push(basemount, swift_container, "--StudyInstanceUID", study.uid)
    assert counts(again)["uploaded"] == len(failed)
    assert_stored(swift_container, _files(basemount))


def test_storage_that_is_slow_is_waited_for(basemount, swift_container, study) -> None:
    ran, _ = _push_through(basemount, swift_container, slow(0.5), study, "--jobs", 32)
    assert ran.status == 0, ran.stderr
    assert_stored(swift_container, _files(basemount))


def test_storage_that_is_too_slow(basemount, swift_container, study) -> None:
    ran, _ = _push_through(basemount, swift_container, slow(5.0), study, "--timeout", 0.5, "--retries", 1)
    assert (ran.status, ran.error) == (1, "storage-unreachable")
    assert ran.seconds < 60
    assert "0.5 s" in ran.json["error"]["message"]
    assert ran.stderr.count("\n") == 1


def test_storage_that_is_down(basemount, swift_container, study) -> None:
    swift_container.know(port=free_port())
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, status=1)
    assert ran.error == "storage-unreachable"
    # It was never there: nobody waits for it to come back.
    assert ran.seconds < 45
    assert counts(ran) == {"series": _SERIES, "failed": _SERIES, "files": _FILES}
    assert ran.json["localFileList"] == ran.json["objectFileList"] == []
    assert {one["error"]["code"] for one in ran.json["files"]} == {"storage-unreachable"}
    assert ran.stderr.count("\n") == 1
    status = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid, "--json").json
    assert {one["pushed"] for one in status["data"]} == {"unknown"}
    assert all("refuses the connection" in one["state"] for one in status["data"])


def test_a_host_that_does_not_resolve(basemount, swift_container, study) -> None:
    swift_container.know(ip="no-such-host.invalid")
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, status=1)
    assert (ran.error, ran.seconds < 45) == ("storage-unreachable", True)
    assert "resolve" in ran.json["error"]["message"]


@pytest.mark.parametrize("late", ["", "account-server"])
def test_storage_that_goes_down_in_the_middle_and_comes_back(basemount, tmp_path, study, late) -> None:
    """A Swift that does not reach its own servers of accounts says 404, as if it had none."""
    (tmp_path / "swift").mkdir()
    with Swift(tmp_path / "swift") as server:
        container = SwiftDestination(server, basemount)
        options = push_arguments(
            basemount, container, "--StudyInstanceUID", study.uid, "--retries", 8, "--jobs", 2
        )
        running = Running("px-push", *options)
        running.feed()
        _wait_until(lambda: len(server.objects("", container.container)) > 3)
        server.stop()
        time.sleep(1.0)
        server.start_again(late, 3.0)
        ran = running.wait()
        assert ran.status == 0, ran.stderr
        assert_stored(container, _files(basemount))


def test_storage_that_goes_away_in_the_middle_and_stays_away(basemount, swift_container, study) -> None:
    is_away = threading.Event()

    def go_away(asked: Asked) -> Answer | None:
        """Who comes after the first few gets no answer any more; none of these comes before it is away."""
        if asked.method == "PUT" and proxy.count("PUT") > _FILES // 6:
            is_away.wait(120)
        return CUT if is_away.is_set() else None

    with FaultyProxy(swift_container.server.port, go_away) as proxy:
        swift_container.know(port=proxy.port)
        options = push_arguments(
            basemount, swift_container, "--StudyInstanceUID", study.uid, "--retries", 2, "--jobs", 2
        )
        running = Running("px-push", *options)
        running.feed()
        _wait_until(lambda: len(swift_container.contents()) > 3)
        is_away.set()
        ran = running.wait()
    assert ran.status == 1
    assert ran.error == "storage-unreachable"
    assert_lists_agree(ran)
    # An upload may be done, and nobody left to say so; the reverse must not be.
    assert set(ran.json["objectFileList"]) <= set(swift_container.contents())
    swift_container.know()
    again = run_tool("px-push", *options)
    assert again.status == 0
    assert_stored(swift_container, _files(basemount))


@pytest.mark.parametrize("fields", [{"key": "wr0ng-key"}, {"login": "chris:wr0ng-user"}])
def test_wrong_credentials(basemount, swift_container, study, fields) -> None:
    swift_container.know(**fields)
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, status=1)
    assert ran.error == "storage-refused"
    assert ran.seconds < 45
    assert swift_container.contents() == {}
    for text in (ran.stdout, ran.stderr):
        assert "wr0ng" not in text
        assert "testing" not in text


def test_a_container_that_is_not_there(basemount, swift_container, study) -> None:
    swift_container.know(container="no-such-container")
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, status=1)
    assert ran.error == "container-missing"
    assert "no-such-container" in ran.stderr
    assert swift_container.container in ran.json["error"]["hint"]


def test_a_key_without_what_is_needed(basemount, swift_container, study) -> None:
    write_service(basemount, "swift", {"ip": "127.0.0.1"})
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, status=2)
    assert "--swiftLogin" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_quick_and_the_rest_is_kept(
    basemount, destination: Destination, tmp_path, number
) -> None:
    study = _large(basemount, tmp_path)
    running = _started(basemount, destination, study)
    running.interrupt(number)
    begun = time.monotonic()
    ran = running.wait()
    assert ran.status == 130
    assert time.monotonic() - begun < 30
    assert ran.stderr.strip().count("\n") == 0
    assert "interrupted" in ran.stderr
    _goes_on(basemount, destination, study)


def test_an_interruption_while_the_storage_hangs(basemount, swift_container, study) -> None:
    release = threading.Event()

    def hang(asked: Asked) -> None:
        if asked.method == "PUT":
            release.wait(60)

    with FaultyProxy(swift_container.server.port, hang) as proxy:
        swift_container.know(port=proxy.port)
        options = push_arguments(basemount, swift_container, "--StudyInstanceUID", study.uid)
        running = Running("px-push", *options)
        running.feed()
        _wait_until(lambda: proxy.count("PUT") > 0)
        begun = time.monotonic()
        running.interrupt()
        ran = running.wait()
        release.set()
    assert ran.status == 130
    assert time.monotonic() - begun < 30


def test_kill_minus_nine_and_again(basemount, destination: Destination, tmp_path) -> None:
    study = _large(basemount, tmp_path)
    for objects in (1, 30, 90):
        running = _started(basemount, destination, study, at_least=objects)
        running.kill()
        whole = {file.read_bytes() for file in _files(basemount)}
        assert {content for name, content in destination.contents().items() if name.endswith(".dcm")} <= whole
    _goes_on(basemount, destination, study)


def _large(basemount: Path, tmp_path: Path) -> Study:
    """Enough that something is left to do when it is ended in the middle."""
    study = Study("LARGE-2", size=64, attributes={"PatientName": "Large^Push", "StudyDate": "20200701"})
    for number in range(1, 9):
        study.series(number, instances=40, SeriesDescription=f"Series {number}")
    study.write(tmp_path / "large")
    repack(basemount, "--xcrdir", tmp_path / "large")
    return study


def _started(basemount: Path, destination: Destination, study: Study, at_least: int = 5) -> Running:
    """px-push in the middle of its work."""
    options = push_arguments(basemount, destination, "--StudyInstanceUID", study.uid, "--jobs", 2)
    running = Running("px-push", *options)
    running.feed()
    if destination.kind == "fs":
        _wait_until(lambda: sum(1 for _ in destination.root.rglob("*.dcm")) >= at_least)  # type: ignore[attr-defined]
    else:
        assert isinstance(destination, SwiftDestination)
        server, container = destination.server, destination.container
        _wait_until(lambda: len(server.objects("", container)) >= at_least)
    return running


def _goes_on(basemount: Path, destination: Destination, study: Study) -> None:
    """The same command again completes it, and sends nothing twice."""
    there = {name for name in destination.contents() if name.endswith(".dcm")}
    ran = push(basemount, destination, "--StudyInstanceUID", study.uid)
    files = _files(basemount)
    assert counts(ran)["files"] == len(files)
    assert counts(ran).get("uploaded", 0) == len(files) - len(there)
    assert_stored(destination, files)
    pushed = run_tool("px-status", "--db", basemount / "log", "--StudyInstanceUID", study.uid, "--json").json
    assert {one["state"] for one in pushed["data"]} == {"packed, pushed"}


def _wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.01)


def test_no_secret_is_shown_anywhere(basemount, swift_container, study, tmp_path) -> None:
    """Not on the command line of anything, not in logs, not in the answer, not in a file of others."""
    secrets = (b"testing", b"chris1234", b"wr0ng-key")
    debug = tmp_path / "debug"
    for rule, fields in (
        (every(7, Answer(401)), {}),
        (every(5, CUT), {}),
        (every(1, Answer(403)), {}),
        (every(1, Answer(0)), {"key": "wr0ng-key"}),
    ):
        with FaultyProxy(swift_container.server.port, rule) as proxy:
            swift_container.know(port=proxy.port, **fields)
            options = push_arguments(basemount, swift_container, "--StudyInstanceUID", study.uid)
            running = Running(
                "px-push", *options, *_PATIENCE, "--verbosity", 3, "--debugToDir", debug, "--retries", 3
            )
            lines = _command_lines(running)
            ran = running.wait()
        for secret in secrets:
            assert secret not in ran.stdout.encode() + ran.stderr.encode()
            assert not any(secret in line for line in lines)
    kept = [path for path in debug.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        assert path.stat().st_mode & 0o077 == 0
        assert not any(secret in path.read_bytes() for secret in secrets)
    for path in (basemount / "log").rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets)


def _command_lines(running: Running) -> set[bytes]:
    """Of the tool and all that it starts, while it runs."""
    running.feed()
    seen: set[bytes] = set()
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline and running.process.poll() is None:
        for pid in (running.process.pid, *running.left()):
            try:
                seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:
                pass
        time.sleep(0.02)
    assert seen
    return seen


def test_a_login_file_that_others_can_read_is_warned_of(basemount, swift_container, study, tmp_path) -> None:
    file = tmp_path / "login"
    file.write_text("chris:chris1234")
    file.chmod(0o644)
    ran = push(
        basemount,
        swift_container,
        *("--StudyInstanceUID", study.uid, "--swiftLogin", f"@{file}", "--verbosity", "1"),
    )
    assert "chmod 600" in ran.stderr
    assert "chris1234" not in ran.stderr


def test_an_unwritable_catalogue(basemount, swift_container, study) -> None:
    log = basemount / "log"
    for file in log.iterdir():
        file.chmod(0o400)
    log.chmod(0o500)
    try:
        options = push_arguments(basemount, swift_container, "--StudyInstanceUID", study.uid)
        ran = run_tool("px-push", *options, unprivileged=True)
        assert (ran.status, ran.error) == (1, "basemount-unusable")
        assert swift_container.contents() == {}
    finally:
        log.chmod(0o700)


def test_what_the_debug_directory_holds(basemount, swift_container, study, tmp_path) -> None:
    debug = tmp_path / "debug"
    ran = push(basemount, swift_container, "--StudyInstanceUID", study.uid, "--debugToDir", debug, "--json")
    (kept,) = debug.glob("*.json")
    assert json.loads(kept.read_text()) == ran.json
    assert PACS in kept.read_text()
    (log,) = debug.glob("*.log")
    asked, *requests = log.read_text().splitlines()
    assert " pypx.asked: px-push --" in asked
    assert f" --swift=local --swiftServicesPACS={PACS} --StudyInstanceUID={study.uid} " in asked
    stored = [line for line in requests if f": store 'SERVICES/PACS/{PACS}/…" in line]
    assert len(stored) == len(_files(basemount))
    assert all("INFO pypx.storage: swift://chris@" in line for line in stored)
    assert any(": list 'SERVICES/PACS/" in line for line in requests)
    assert "fault" not in log.read_text().lower()
