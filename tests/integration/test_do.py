"""px-do on what it is given: whose word counts for what is run, and input that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datasets import plain_study
from demo.cube import USERS
from demo.cube_rules import Interface
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from demo.server import HOST
from registering import chris, know
from servers.orthanc import Orthanc
from storing import PACS, SERVICE, DirectoryDestination, SwiftDestination, write_service
from tools import Ran, run_tool
from trees import assert_holds

#: The programs that a verb may run.
BINARIES = ("findscu", "getscu", "movescu", "echoscu", "storescp", "dcmsend")


@pytest.fixture
def found(dcmqrscp: Dcmqrscp, basemount: Path) -> dict[str, Any]:
    """What px-find answered of the plain study."""
    asked = ("--StudyInstanceUID", plain_study().uid, "--db", basemount / "log")
    ran = run_tool("px-find", *dcmqrscp.node.options, *asked)
    assert ran.status == 0, ran.stderr
    document: dict[str, Any] = ran.json
    return document


_SAID = "the script was run"


def do(found: dict[str, Any], *options: str | Path | int) -> Ran:
    return run_tool("px-do", *options, stdin=json.dumps(found))


def states(ran: Ran, verb: str) -> set[str]:
    """What a verb came to, whatever the series."""
    (told,) = (member for name, member in ran.json["then"].items() if name.endswith(f"-{verb}"))
    return {one["state"] for study in told["study"] for of in study.values() for one in of}


def test_a_password_reaches_the_verb_and_nobody_else(
    found: dict[str, Any], basemount: Path, tmp_path: Path
) -> None:
    store = DirectoryDestination(tmp_path / "store", basemount)
    with chris(Interface.SERIES, store, basemount) as cube:
        know(basemount, cube, password="of long ago")  # noqa: S106
        pushed = do(found, "--then", "retrieve,push", "--swift", SERVICE, "--swiftServicesPACS", PACS)
        assert states(pushed, "push") == {"pushed"}
        login = {"CUBEURL": cube.url, "CUBEusername": "chris", "CUBEuserpasswd": USERS["chris"]}
        register = ("--then", "register", "--swiftServicesPACS", PACS, "--verbosity", 3)
        ran = do(pushed.json, *register, "--thenArgs", json.dumps(login))
        assert ran.status == 0, ran.stdout + ran.stderr
        assert states(ran, "register") == {"registered"}
        assert len(cube.registered) == len(plain_study().all_series)
        assert USERS["chris"] not in ran.stdout + ran.stderr
        assert "CUBEusername" in ran.json["args"]["thenArgs"]
        wrong = do(
            pushed.json, *register, "--thenArgs", json.dumps({**login, "CUBEuserpasswd": "open sesame"})
        )
    assert wrong.status == 1
    assert wrong.error == "cube-refused"
    assert "open sesame" not in wrong.stdout + wrong.stderr


def test_a_login_reaches_the_verb_and_nobody_else(
    found: dict[str, Any], basemount: Path, swift_container: SwiftDestination
) -> None:
    login = swift_container.fields["login"]
    swift_container.know(login="nobody:nobody")
    refused = do(found, "--then", "retrieve,push", "--swift", SERVICE, "--swiftServicesPACS", PACS)
    assert refused.status == 1
    named = {"swift": SERVICE, "swiftLogin": login, "swiftServicesPACS": PACS}
    ran = do(found, "--then", "push", "--thenArgs", json.dumps(named), "--verbosity", 3)
    assert ran.status == 0, ran.stdout + ran.stderr
    assert states(ran, "push") == {"pushed"}
    assert swift_container.contents()
    assert login not in ran.stdout + ran.stderr
    assert "swiftLogin" not in ran.stdout


@pytest.mark.parametrize("tool", [("px-do", "--then", "retrieve,status"), ("px-move", "--get")])
def test_programs_that_a_find_names_are_not_run(
    found: dict[str, Any], basemount: Path, tmp_path: Path, tool: tuple[str, ...]
) -> None:
    found["args"] |= dict.fromkeys(BINARIES, str(_script(tmp_path)))
    ran = run_tool(*tool, "--verbosity", 3, stdin=json.dumps(found))
    assert ran.status == 0, ran.stdout + ran.stderr
    assert_holds(basemount, plain_study().write(tmp_path / "files"))
    assert _SAID not in ran.stderr


def test_a_program_that_is_named_to_px_do_is_run(found: dict[str, Any], tmp_path: Path) -> None:
    ran = do(found, "--then", "retrieve", "--getscu", _script(tmp_path), "--verbosity", 3)
    assert ran.status == 1
    assert _SAID in ran.stderr


def _script(directory: Path) -> Path:
    """A program that says that it ran: it may be confined, so that it could leave no file."""
    script = directory / "script"
    script.write_text(f"#!/bin/sh\necho 'E: {_SAID}'\nexit 1\n")
    script.chmod(0o755)
    return script


def test_standard_input_by_its_usual_name(found: dict[str, Any]) -> None:
    ran = do(found, "--reportDataFile", "-", "--then", "status")
    assert (ran.status, ran.stderr) == (0, "")
    assert states(ran, "status") == {"not here"}


def _assert_one_sentence(ran: Ran, code: str, words: str) -> None:
    assert (ran.status, ran.error) == (1, code)
    (line,) = ran.stderr.splitlines()
    assert line.startswith("px-do: ")
    assert words in line


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"status": "success", "data": [\xff]}', "not UTF-8 text"),
        (b"\0\0\0\0", "JSON"),
        (b'{"status": "success", "data":', "JSON"),
    ],
)
def test_a_file_that_holds_no_find(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "found.json"
    file.write_bytes(content)
    ran = run_tool("px-do", "--then", "status", "--reportDataFile", file)
    _assert_one_sentence(ran, "invalid-input", words)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.json", "No such file"),
        ("missing-\udcff.json", "No such file"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, words: str) -> None:
    # No command line can hold every one of these names.
    options = {"then": "status", "reportDataFile": str(tmp_path / name)}
    ran = run_tool("px-do", "--JSONargs", json.dumps(options))
    _assert_one_sentence(ran, "file-unreadable", words)


def test_a_name_that_no_file_can_have() -> None:
    options = {"then": "status", "reportDataFile": "a\0b"}
    ran = run_tool("px-do", "--JSONargs", json.dumps(options))
    assert (ran.status, ran.stdout) == (2, "")
    (line,) = ran.stderr.splitlines()
    assert line.startswith("px-do: ")
    assert "reportDataFile cannot be" in line


@pytest.mark.parametrize("named", ["key", "word"])
def test_another_pacs_is_another_one_as_a_whole(
    found: dict[str, Any], orthanc: Orthanc, basemount: Path, tmp_path: Path, named: str
) -> None:
    other = {"aec": orthanc.aec, "ip": HOST, "port": str(orthanc.port)}
    write_service(basemount, "pacs", other, "other")
    # Had anything of these been taken for the other one, it could not be asked.
    found["args"] |= {
        "aet": "SOMEBODY",
        "tls": True,
        "tlsCA": str(tmp_path / "missing.pem"),
        "tlsKey": str(tmp_path / "missing.key"),
        "tlsPeer": "ignore",
    }
    pacs = {"key": ["--PACS", "other"], "word": [orthanc.node.word]}[named]
    ran = do(found, *pacs, "--then", "retrieve")
    assert ran.status == 0, ran.stdout + ran.stderr
    assert states(ran, "retrieve") == {"complete"}
    assert_holds(basemount, plain_study().write(tmp_path / "files"))
    told = ran.json["args"]
    assert told["PACS" if named == "key" else "pacs"] == pacs[-1]
    gone = {"aet", "aec", "serverIP", "serverPort", *(name for name in told if name.startswith("tls"))}
    assert not gone & set(told)


def test_with_the_pacs_of_the_find_its_options_stay(
    found: dict[str, Any], dcmqrscp: Pacs, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.pem"
    found["args"] |= {"tls": True, "tlsCA": str(missing)}
    ran = do(found, "--then", "retrieve")
    assert ran.status == 1
    assert ran.error == "tls-files"
    assert str(missing) in ran.json["error"]["message"]


def test_studies_without_series_are_nothing_to_work_on(found: dict[str, Any], basemount: Path) -> None:
    found["args"]["StudyOnly"] = True
    found["data"][0]["series"] = []
    ran = do(found, "--then", "retrieve,status", "--db", basemount / "log")
    assert (ran.status, ran.stdout) == (2, "")
    assert "--StudyOnly" in ran.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--PACS", "nosuch"), "nosuch"),
        (("--serverPort", "99999"), "99999"),
        (("foo",), "foo"),
    ],
)
def test_a_pacs_that_cannot_be_meant_is_wrong_usage(
    found: dict[str, Any], options: tuple[str, ...], words: str
) -> None:
    ran = do(found, "--then", "retrieve", *options)
    assert (ran.status, ran.stdout) == (2, "")
    assert words in ran.stderr


def test_a_program_that_is_not_there_is_said(found: dict[str, Any]) -> None:
    ran = do(found, "--then", "retrieve", "--getscu", "/nosuch/getscu")
    assert (ran.status, ran.error) == (1, "binary-missing")
    assert "/nosuch/getscu" in ran.stderr
