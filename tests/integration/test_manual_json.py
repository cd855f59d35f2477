"""The manual's page on JSON, held against what the tools answer: no member is missing, none is made up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import datasets
from demo.cube_rules import Interface
from manual.pages import DOCS
from pypx.actions.push import SeriesState
from pypx.actions.push.result import FileState
from pypx.actions.receiving.state import ListenerState
from pypx.actions.register import State as RegisterState
from pypx.actions.verdict import State as MoveState
from registering import chris, register
from servers.orthanc import Orthanc
from storing import DirectoryDestination, push
from tools import run_tool

_PAGE = (DOCS / "json.rst").read_text()
_STUDY = datasets.plain_study()

#: Lists of objects whose members are in the tables; what else has members of its own is described in words.
_LISTS = ("data", "data[].series", "files")


def _table(title: str) -> dict[str, str]:
    """The table below a title: member to what is said of it."""
    (section,) = re.findall(
        rf"^{re.escape(title)}\n[-~]+\n(.*?)(?=^\S[^\n]*\n[-~]+\n|\Z)", _PAGE, re.M | re.S
    )
    (body,) = re.findall(r"^Member +Value\n[= ]+\n(.*?)\n=+ =", section, re.M | re.S)
    rows: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        member = re.match(r"``([^`]+)`` *(.*)", line)
        name = member[1] if member else name
        rows[name] = f"{rows.get(name, '')} {member[2] if member else line.strip()}".strip()
    return rows


def _members(value: Any, prefix: str = "") -> Iterator[str]:
    """The members of a document as the tables name them."""
    for name, member in value.items():
        is_attribute = isinstance(member, dict) and isinstance(member.get("tag"), str)
        path = f"{prefix}{'KEYWORD' if is_attribute else name}"
        if isinstance(member, list) and path in _LISTS and member:
            for one in member:
                yield from _members(one, f"{path}[].")
            # The list itself has a row where it has to be explained.
            yield path
        elif name == "summary":
            yield from _members(member, "summary.")
        else:
            yield path


def _hold(title: str, documents: Sequence[Any]) -> None:
    """What the table says is what the documents have; what is optional may be in none of them."""
    table = _table(title)
    seen = {path for document in documents for path in _members(document)}
    # Lists are in the table by what their members have.
    unexplained = {path for path in seen if path in _LISTS and f"{path}[]." in "".join(table)}
    assert seen - unexplained <= set(table), f"{title}: not in docs/json.rst"
    required = {name for name, said in table.items() if not said.startswith("optional")}
    assert required <= seen, f"{title}: in docs/json.rst, and never there"


def _words(title: str, member: str) -> list[str]:
    return re.findall("``([^`]+)``", _table(title)[member])


@pytest.fixture
def found(orthanc: Orthanc) -> str:
    """The JSON of px-find on the plain study."""
    ran = run_tool("px-find", *orthanc.node.options, "--StudyInstanceUID", _STUDY.uid)
    assert ran.status == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def held(found: str, basemount: Path) -> Path:
    """A BASEMOUNT that has the study."""
    ran = run_tool("px-move", "--get", "--db", basemount / "log", stdin=found)
    assert ran.status == 0, ran.stderr
    return basemount


def test_what_px_find_found(orthanc: Orthanc, found: str) -> None:
    capped = run_tool("px-find", *orthanc.node.options, "--PatientID", "PLAIN-1", "--limit", 1).json
    assert "notes" in capped
    _hold("What px-find found", [json.loads(found), capped])
    study = json.loads(found)["data"][0]
    studies, series = re.findall(r"always asked for: (.*?)\. Of series: (.*?)\. ", " ".join(_PAGE.split()))[0]
    assert set(studies.split(", ")) <= set(study)
    assert set(series.split(", ")) <= set(study["series"][0])
    for member in (study["uid"], study["PatientID"], *(study["series"][0][n] for n in ("label", "status"))):
        assert set(member) == {"tag", "value", "label"}


def test_what_px_move_answers(orthanc: Orthanc, found: str, held: Path) -> None:
    again = run_tool("px-move", "--get", "--db", held / "log", stdin=found).json
    failed = run_tool(
        "px-move",
        "--to",
        orthanc.unreachable_aet,
        "--db",
        held / "log",
        "--force",
        "--retries",
        0,
        stdin=found,
    )
    assert failed.status == 1
    assert failed.json["error"]
    _hold("px-move", [again, failed.json])
    assert _words("px-move", "data[].state") == [state.value for state in MoveState]


def test_what_px_repack_answers(basemount: Path, tmp_path: Path) -> None:
    whole, cut, *_ = _STUDY.write(tmp_path / "files")
    cut.write_bytes(cut.read_bytes()[:-100])
    ran = run_tool("px-repack", "--db", basemount / "log", "--xcrdir", tmp_path / "files")
    assert ran.status == 1
    assert whole.exists()
    _hold("px-repack", [ran.json])
    assert _words("px-repack", "data[].state")[:2] == ["packed", "damaged"]
    assert set(ran.json["quarantined"][0]) == {"file", "kept", "reason"}


def test_what_px_push_and_px_register_answer(held: Path, tmp_path: Path) -> None:
    store = DirectoryDestination(tmp_path / "store", held)
    pushed = push(held, store, "--StudyInstanceUID", _STUDY.uid).json
    _hold("px-push", [pushed])
    assert _words("px-push", "data[].state") == [state.value for state in SeriesState]
    assert _words("px-push", "files[].state") == [state.value for state in FileState]
    with chris(Interface.SERIES, store, held):
        registered = register(held, stdin=json.dumps(pushed)).json
    _hold("px-register", [registered])
    assert _words("px-register", "data[].state") == [state.value for state in RegisterState]


def test_what_px_status_tells(held: Path) -> None:
    ran = run_tool(
        "px-status", "--db", held / "log", "--StudyInstanceUID", _STUDY.uid, "--verifySeriesInStudy"
    )
    _hold("What px-status tells", [ran.json])
    assert "inStudy" in ran.json["data"][0]
    assert {series["state"] for series in ran.json["data"]} == {"complete"}
    assert {series["pushed"] for series in ran.json["data"]} == {"unknown"}


def test_what_px_report_makes_of_several_documents(found: str) -> None:
    assert run_tool("px-report", "--printReport", "json", stdin=found).json == json.loads(found)
    joined = run_tool("px-report", "--printReport", "json", stdin=f"{found}\n{found}").json
    assert [set(one) for one in joined["merged"]] == [{"command", "returncode", "args"}] * 2
    assert [study["uid"]["value"] for study in joined["data"]] == list(range(len(joined["data"])))


def test_what_the_other_tools_answer(orthanc: Orthanc) -> None:
    (section,) = re.findall(r"^The other tools\n-+\n(.*)", _PAGE, re.M | re.S)
    rows = re.findall(r"^(px-echo|px-listen).*?((?:``\w+``[^`]*)+)$", section, re.M | re.S)
    echo, listen = (set(re.findall(r"``(\w+)``", text)) - {"data"} for _, text in rows)
    assert echo == set(run_tool("px-echo", *orthanc.node.options).json["data"])
    assert listen >= {one.name.replace("last_error", "lastError") for one in fields(ListenerState)}
