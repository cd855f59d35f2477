"""pypx as a library: dict in, dict out, from threads and from an event loop."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pypx
from datasets import plain_study
from demo.cube_rules import Interface
from demo.pacs import Pacs
from demo.server import HOST, free_port
from listener import send, until
from pypx import smdb
from registering import chris
from servers.peers import SilentPeer
from storing import SERVICE, DirectoryDestination
from tools import run_in_terminal, run_tool


@pytest.fixture
def form(pacs: Pacs, basemount: Path) -> dict[str, Any]:
    """What a web service passes: its whole form, fields that mean nothing to us among them."""
    return {
        "aet": pacs.aet,
        "aec": pacs.aec,
        "serverIP": "127.0.0.1",
        "serverPort": str(pacs.port),
        "StudyInstanceUID": plain_study().uid,
        "PatientID": "",
        "StudyDate": None,
        "dblogbasepath": str(basemount / "log"),
        "json": True,
        "CSRFToken": "…",
        "theme": {"colour": ["dark"]},
    }


def uids(found: dict[str, Any]) -> list[str]:
    return [one["SeriesInstanceUID"]["value"] for study in found["data"] for one in study["series"]]


def test_what_is_answered_is_what_the_script_prints(
    form: dict[str, Any], pacs: Pacs, basemount: Path
) -> None:
    found = asyncio.run(pypx.find(form))
    printed = run_tool(
        *("px-find", "--aet", pacs.aet, "--aec", pacs.aec, "--serverIP", "127.0.0.1", "--serverPort"),
        *(pacs.port, "--StudyInstanceUID", plain_study().uid, "--db", basemount / "log"),
    ).json
    assert {**found, "args": None} == {**printed, "args": None}
    assert found["args"]["db"] == str(basemount / "log")
    assert "theme" not in found["args"]
    assert json.loads(json.dumps(found)) == found


def test_from_the_pacs_to_chris(form: dict[str, Any], basemount: Path, tmp_path: Path) -> None:
    store = DirectoryDestination(tmp_path / "store", basemount)
    with chris(Interface.SERIES, store, basemount):
        assert pypx.echo(form)["status"] == "success"
        found = asyncio.run(pypx.find(form))
        moved = pypx.move({"reportData": found, "get": True})
        assert [one["state"] for one in moved["data"]] == ["complete"] * 3
        log = {"dblogbasepath": str(basemount / "log")}
        named = {"SeriesInstanceUID": ",".join(uids(found))}
        known = asyncio.run(pypx.status({**log, **named}))
        assert [one["SeriesInstanceUID"] for one in known["data"]] == uids(found)
        pushed = pypx.push({**log, **named, "swift": SERVICE, "swiftServicesPACS": "BCH"})
        assert pushed["status"] == "success"
        registered = pypx.register({**log, "reportData": pushed, "CUBE": SERVICE})
        assert registered["summary"]["registered"] == 3
        again = pypx.register({**log, "reportData": json.dumps(pushed), "CUBE": SERVICE})
        assert again["summary"]["alreadyRegistered"] == 3
    table = pypx.report({"reportData": found, "printReport": "csv"})
    assert len(table["report"].splitlines()) == 3
    assert pypx.report({"reportData": found, "printReport": "json"})["report"]["data"]


def test_verbs_in_one_call(form: dict[str, Any], basemount: Path) -> None:
    found = asyncio.run(pypx.find({**form, "then": "retrieve,status", "thenArgs": '{"jobs": 1}'}))
    assert found["status"] == "success"
    assert list(found["then"]) == ["00-retrieve", "01-status"]
    done = pypx.do({"reportData": found, "then": "status", "dblogbasepath": str(basemount / "log")})
    ((study,),) = (done["then"]["00-status"]["study"],)
    assert {one["state"] for one in study[plain_study().uid]} == {"complete"}


def test_eight_at_once_in_one_event_loop_which_goes_on(form: dict[str, Any]) -> None:
    async def all_at_once() -> tuple[list[dict[str, Any]], int]:
        turns = 0
        tasks = [
            asyncio.create_task(pypx.find(form) if number % 2 else pypx.status({"reportData": found}))
            for number in range(8)
        ]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.005)
            turns += 1
        return [task.result() for task in tasks], turns

    found = asyncio.run(pypx.find(form))
    answers, turns = asyncio.run(all_at_once())
    assert [answer["status"] for answer in answers] == ["success"] * 8
    assert all(uids(answer) == uids(found) for answer in answers[1::2])
    # All of it were done in the first turn of a loop that is blocked.
    assert turns > 4


def test_the_loop_goes_on_while_a_pacs_says_nothing(basemount: Path) -> None:
    async def beside() -> tuple[dict[str, Any], int]:
        waiting = asyncio.create_task(
            pypx.find({"serverIP": "127.0.0.1", "serverPort": peer.port, "aec": "NOBODY", "timeout": 2})
        )
        turns = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            turns += 1
        return waiting.result(), turns

    with SilentPeer() as peer:
        answer, turns = asyncio.run(beside())
    assert answer["error"]["code"] == "peer-timeout"
    assert turns > 4


def test_many_threads(form: dict[str, Any], basemount: Path) -> None:
    found = asyncio.run(pypx.find(form))

    def move(_: int) -> dict[str, Any]:
        return pypx.move({"reportData": found, "get": True})

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(move, range(8)))
    assert {answer["status"] for answer in answers} == {"success"}
    check = run_tool("px-smdb", "--action", "check", "--db", basemount / "log")
    assert check.status == 0, check.stdout


@pytest.mark.parametrize(
    ("function", "options", "code"),
    [
        ("echo", {}, "usage"),
        ("echo", {"aec": "A", "serverIP": "127.0.0.1", "serverPort": "x"}, "usage"),
        ("echo", {"aec": "A", "serverIP": "127.0.0.1", "serverPort": 1}, "connection-refused"),
        ("move", {"get": True}, "usage"),
        ("move", {"get": True, "reportData": "<html>"}, "invalid-input"),
        ("move", {"get": True, "reportData": b"\xff"}, "invalid-input"),
        ("push", {"reportData": {"status": "success"}, "swift": "x"}, "invalid-input"),
        ("push", {"SeriesInstanceUID": "1.2", "swift": "nowhere"}, "service-key-unknown"),
        ("register", {"reportData": object(), "CUBEURL": "http://127.0.0.1:1/"}, "invalid-input"),
        ("report", {}, "usage"),
        ("do", {"reportData": {}}, "usage"),
        ("do", {"reportData": {}, "then": "fly"}, "invalid-input"),
        ("repack", {"xcrdir": "/no/such/directory"}, "file-unreadable"),
        ("repack", {"xcrdir": Path("/no/such/directory")}, "usage"),
        ("repack", {"xcrdir": "/srv/\0"}, "usage"),
        ("repack", {"xcrdir": "/srv/\ud800"}, "usage"),
        (
            "move",
            {"get": True, "reportData": {"status": "success", "data": [], "args": {"db": "/\0"}}},
            "usage",
        ),
        ("echo", {"query": [object()]}, "usage"),
        ("echo", {"aec": "A", "serverIP": "127.0.0.1", "serverPort": 10**5000}, "usage"),
    ],
)
def test_what_goes_wrong_is_in_the_answer(
    function: str, options: dict[str, Any], code: str, basemount: Path
) -> None:
    answer = getattr(pypx, function)({"dblogbasepath": str(basemount / "log"), **options})
    assert answer["status"] == "error"
    assert answer["error"]["code"] == code
    assert answer["error"]["message"]


def test_receiving_until_told_to_stop(basemount: Path, tmp_path: Path) -> None:
    sent = plain_study().write(tmp_path / "sent")
    stop, port, answers = threading.Event(), free_port(), []

    def listen() -> None:
        answers.append(pypx.listen({"dblogbasepath": str(basemount / "log"), "port": port}, stop))

    receiving = threading.Thread(target=listen)
    receiving.start()
    address = {"aec": "CHRISLOCAL", "serverIP": HOST, "serverPort": port}
    until(lambda: pypx.echo(address)["status"] == "success", 60)
    assert send(port, sent)[0] == sent
    stop.set()
    receiving.join(60)
    assert answers == [{"status": "success"}]
    assert len([path for path in (basemount / "data").rglob("*") if path.is_file()]) == len(sent)


def test_a_listener_that_ends_by_itself_leaves_the_event_of_its_caller_alone(basemount: Path) -> None:
    stop = threading.Event()
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        answer = pypx.listen({"dblogbasepath": str(basemount / "log"), "port": port}, stop)
    assert answer["error"]["code"] == "port-in-use"
    assert not stop.is_set()
    # And nobody waits for it any more.
    until(lambda: not [one for one in threading.enumerate() if "stop_when_told" in one.name])


_REPORT = """
import json, sys, pypx
found, written = sys.argv[1:]
asked = {"reportData": open(found).read(), "colorize": "dark", "csvPrettify": True}
forms = ("tabular", "rawText", "csv", "json", "tree", "html")
reports = {form: pypx.report({**asked, "printReport": form})["report"] for form in forms}
open(written, "w").write(json.dumps(reports))
"""


def test_a_report_does_not_depend_on_where_it_is_asked_for(form: dict[str, Any], tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    found.write_text(json.dumps(asyncio.run(pypx.find({**form, "StudyInstanceUID": "", "PatientID": "*"}))))
    piped, in_terminal = tmp_path / "piped", tmp_path / "in-terminal"
    assert run_tool("python", "-c", _REPORT, found, piped).stdout == ""
    assert run_in_terminal(["python", "-c", _REPORT, found, in_terminal], columns=30).stdout == ""
    reports = json.loads(piped.read_text())
    assert reports == json.loads(in_terminal.read_text())
    for text in reports.values():
        assert "\x1b" not in str(text)


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG, "pypx"):
        yield caplog


def test_nothing_is_printed_and_the_log_goes_to_whoever_listens(
    form: dict[str, Any], heard: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    handlers = list(logging.getLogger("pypx").handlers)
    asyncio.run(pypx.find(form))
    assert capfd.readouterr() == ("", "")
    assert heard.records
    assert logging.getLogger("pypx").handlers == handlers


def test_service_keys_of_a_web_service(basemount: Path) -> None:
    """The way of a consumer that keeps its PACS and storages by key, written against release 3."""
    keeper = smdb.SMDB(argparse.Namespace(str_logDir=str(basemount / "log")))
    orthanc = {"aec": "ORTHANC", "ip": "127.0.0.1", "port": "1"}
    keeper.args.str_actionArgs = json.dumps({"orthanc": orthanc})
    answer = keeper.service_keyAccess("PACS")
    assert answer["status"] is True
    assert answer["PACS"]["orthanc"]["aec"] == "ORTHANC"
    keeper.args.str_actionArgs = ""
    assert keeper.service_keyAccess("storage")["status"] is False
    found = asyncio.run(pypx.find({"PACS": "orthanc", "dblogbasepath": str(basemount / "log"), "timeout": 1}))
    assert found["error"]["code"] == "connection-refused"


def test_importing_it_costs_next_to_nothing() -> None:
    code = (
        "import sys, pypx; print([n for n in ('click', 'pydicom', 'sqlalchemy', 'rich') if n in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    assert all(callable(getattr(pypx, name)) for name in pypx.__all__ if name != "__version__")


def test_the_tools_are_listed() -> None:
    ran = subprocess.run([sys.executable, "-m", "pypx"], capture_output=True, text=True, check=True)
    for name in ("px-find", "px-do", "pfstorage"):
        assert f"\n{name} " in ran.stdout
    assert all(len(line) < 80 for line in ran.stdout.splitlines())
