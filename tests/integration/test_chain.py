"""px-find --then and px-do: verbs one after another, against a PACS, storages and both kinds of CUBE."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets import awkward_study, plain_study
from demo.cube import Cube
from demo.cube_rules import Interface
from demo.pacs import Pacs
from registering import chris
from storing import SERVICE, Destination, DirectoryDestination
from tools import Ran, Running, run_in_terminal, run_tool

ALL = "retrieve,status,report,push,register"


@pytest.fixture(params=[Interface.SERIES, Interface.FILE], ids=lambda one: one.value)
def cube(request: pytest.FixtureRequest, destination: Destination, basemount: Path) -> Iterator[Cube]:
    """Each case with both kinds of CUBE."""
    with chris(request.param, destination, basemount) as server:
        yield server


@pytest.fixture
def store(basemount: Path, tmp_path: Path) -> DirectoryDestination:
    return DirectoryDestination(tmp_path / "store", basemount)


def of_pacs(pacs: Pacs, basemount: Path) -> list[str | Path | int]:
    """The options that name the PACS and the catalogue."""
    return [
        *("--aet", pacs.aet, "--aec", pacs.aec, "--serverIP", "127.0.0.1", "--serverPort", pacs.port),
        *("--db", basemount / "log"),
    ]


def results(ran: Ran, verb: str) -> dict[str, dict[str, Any]]:
    """What a verb said of each series."""
    (told,) = (member for name, member in ran.json["then"].items() if name.endswith(f"-{verb}"))
    return {one["SeriesInstanceUID"]: one for study in told["study"] for of in study.values() for one in of}


def states(ran: Ran, verb: str) -> set[str]:
    return {one["state"] for one in results(ran, verb).values()}


def test_from_the_pacs_to_chris_in_one_command(pacs: Pacs, basemount: Path, cube: Cube) -> None:
    command = (
        *("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid),
        *("--then", ALL, "--swift", SERVICE, "--CUBE", SERVICE, "--withFeedBack", "--json"),
    )
    ran = run_tool(*command)
    assert ran.status == 0, ran.stdout + ran.stderr
    document = ran.json
    assert document["status"] == "success"
    assert list(document["then"]) == [f"{place:02d}-{verb}" for place, verb in enumerate(ALL.split(","))]
    uids = [one["SeriesInstanceUID"]["value"] for study in document["data"] for one in study["series"]]
    assert uids
    for verb in ALL.split(","):
        assert list(results(ran, verb)) == uids
    assert states(ran, "retrieve") == {"complete"}
    assert states(ran, "register") == {"registered"}
    for line in ("retrieve: PLAIN-1 Doe^Jane", " of 12  registered", "register: 3 of 3 series"):
        assert line in ran.stderr, ran.stderr
    again = run_tool(*command)
    assert again.status == 0
    assert states(again, "retrieve") == {"already here"}
    assert states(again, "push") == {"already there"}
    assert states(again, "register") == {"already registered"}
    status = results(again, "status")
    assert all(one["registered"] == one["pushed"] == one["packed"] for one in status.values())


def test_px_do_goes_on_from_what_was_found(pacs: Pacs, basemount: Path, store: DirectoryDestination) -> None:
    found = run_tool("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid)
    first = run_tool("px-do", "--then", "retrieve,status", stdin=found.stdout)
    assert first.status == 0, first.stdout + first.stderr
    assert states(first, "retrieve") == {"complete"}
    # Its own answer is a find's JSON, too.
    second = run_tool("px-do", "--then", "push", "--swift", SERVICE, stdin=first.stdout)
    assert states(second, "push") == {"pushed"}
    assert list(second.json["then"]) == ["00-push"]
    assert len(store.contents()) == sum(one["packed"] for one in results(first, "status").values())
    report = run_tool("px-report", "--printReport", "csv", stdin=second.stdout)
    assert report.status == 0
    assert len(report.stdout.splitlines()) == 3


def test_px_do_reads_a_file_or_an_option(pacs: Pacs, basemount: Path, tmp_path: Path) -> None:
    found = run_tool("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid)
    file = tmp_path / "found.json"
    file.write_text(found.stdout)
    for given in (("--reportDataFile", file), ("--reportData", found.stdout)):
        ran = run_tool("px-do", *given, "--then", "status")
        assert states(ran, "status") == {"not here"}


def test_a_verb_that_fails_for_one_series_stops_no_other(
    pacs: Pacs, basemount: Path, store: DirectoryDestination
) -> None:
    found = run_tool(
        "px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid, "--then", "retrieve"
    )
    broken, *good = list(results(found, "retrieve"))
    gone = run_tool(
        "px-smdb", "--action", "imageDirsSeriesInstanceUID", "--actionArgs", broken, "--db", basemount / "log"
    )
    (directory,) = {Path(one) for one in _paths(gone.json)}
    for file in directory.iterdir():
        file.unlink()
    ran = run_tool("px-do", "--then", "push,status,report", "--swift", SERVICE, stdin=found.stdout)
    assert ran.status == 1
    assert ran.json["status"] == "error"
    assert results(ran, "push")[broken]["state"] == "failed"
    assert {results(ran, "push")[uid]["state"] for uid in good} == {"pushed"}
    for verb in ("status", "report"):
        assert results(ran, verb)[broken]["state"] == "skipped: push failed"
        assert not any(results(ran, verb)[uid]["state"].startswith("skipped") for uid in good)
    assert run_tool("px-report", stdin=ran.stdout).status == 0


def _paths(value: Any) -> Iterator[str]:
    """Every absolute path in a JSON document."""
    if isinstance(value, str):
        if value.startswith("/"):
            yield value
    elif value is not None and not isinstance(value, (bool, int, float)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _paths(one)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--then", "retreive"], "Did you mean retrieve?"),
        (["--then", "fly"], "The verbs are retrieve, status"),
        (["--then", "retrieve", "--thenArgs", "{}{"], "not JSON"),
        (["--then", "retrieve", "--thenArgs", "{};{}"], "2 objects for 1 verb"),
        (["--then", "retrieve", "--thenArgs", '{"receivePrt": 1}'], "Did you mean receivePort?"),
        (["--then", "retrieve", "--thenArgs", '{"receivePort": "x"}'], "receivePort"),
        (["--then", "retrieve", "--thenArgs", '{"get": true, "to": "A"}'], "exclude each other"),
        (["--then", "push"], "Which storage?"),
        (["--then", "push", "--swift", "nowhere"], "nowhere"),
        (["--then", "register"], "Which CUBE?"),
        (["--then", "report", "--thenArgs", '{"reportBodySeriesTags": "NoSuch"}'], "NoSuch"),
        (["--then", "report", "--thenArgs", '{"printReport": "csv", "json": true}'], "two reports"),
        (["--then", "report", "--thenArgs", '{"csvSeparator": "ab", "printReport": "csv"}'], "separator"),
        (["--then", "report", "--thenArgs", '{"reportDataFile": "x"}'], "reportDataFile"),
        (["--thenArgs", "{}"], "--then"),
        (["--then", "status", "--move"], "--move is --then retrieve"),
        (["--move", "--then", "status"], "--move is --then retrieve"),
        (["--JSONargs", '{"move": true, "then": "status"}'], "--move is --then retrieve"),
        (["--then", "retrieve", "--StudyOnly"], "--StudyOnly"),
        (["--then", "retrieve", "--intraSeriesRetrieveDelay", "soon"], "soon"),
    ],
)
def test_what_cannot_mean_anything_is_said_before_anything_is_done(
    basemount: Path, options: list[str], said: str
) -> None:
    # Nothing listens there: were it asked, that would be what is said.
    ran = run_tool("px-find", "127.0.0.1:NOBODY:1", "--db", basemount / "log", *options)
    assert ran.status == 2
    assert said in ran.stderr


def test_no_secret_of_the_verbs_is_told(pacs: Pacs, basemount: Path, store: DirectoryDestination) -> None:
    with chris(Interface.SERIES, store, basemount) as cube:
        options = {"CUBEURL": cube.url, "CUBEusername": "chris", "CUBEuserpasswd": "s3cret-of-mine"}
        ran = run_tool(
            *("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid),
            *("--then", "retrieve,push,register", "--swift", SERVICE),
            *("--thenArgs", f"{{}};{{}};{json.dumps(options)}", "--verbosity", 3),
        )
    assert "s3cret-of-mine" not in ran.stdout + ran.stderr
    assert ran.json["args"]["thenArgs"].count("CUBEURL") == 1


def test_series_come_one_by_one_with_a_delay(pacs: Pacs, basemount: Path) -> None:
    ran = run_tool(
        *("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid),
        *("--then", "retrieve", "--intraSeriesRetrieveDelay", "1"),
    )
    assert ran.status == 0
    assert ran.seconds > len(results(ran, "retrieve"))
    assert states(ran, "retrieve") == {"complete"}


def test_what_a_person_sees(pacs: Pacs, basemount: Path) -> None:
    command = ("px-find", *of_pacs(pacs, basemount), "--StudyInstanceUID", plain_study().uid)
    ran = run_in_terminal([*command, "--then", "retrieve,status"])
    assert ran.status == 0
    assert "retrieve: 3 of 3 series" in ran.stdout
    assert "status: 3 of 3 series" in ran.stdout
    told = run_in_terminal([*command, "--then", "retrieve,report", "--withFeedBack"])
    assert told.status == 0
    assert "already here" in told.stdout
    assert "{" not in told.stdout
    shown = re.sub(r"\x1b\[[0-9;]*m", "", told.stdout)
    assert all(len(line) <= 80 for line in shown.splitlines()), shown


@pytest.mark.parametrize(
    ("options", "verb"),
    [
        (["--move"], "retrieve"),
        (["--move", "--then", "retrieve"], "retrieve"),
        (["--JSONargs", '{"move": true}'], "retrieve"),
        (["--JSONargs", '{"then": "status"}', "--move"], "retrieve"),
        (["--JSONargs", '{"move": true}', "--then", "status"], "status"),
        (["--JSONargs", '{"move": false}', "--then", "status"], "status"),
    ],
)
def test_move_is_the_verb_retrieve(dcmqrscp: Pacs, basemount: Path, options: list[str], verb: str) -> None:
    command = ("px-find", *of_pacs(dcmqrscp, basemount), "--StudyInstanceUID", plain_study().uid)
    ran = run_tool(*command, *options)
    assert ran.status == 0, ran.stderr
    assert list(ran.json["then"]) == [f"00-{verb}"]
    assert ran.json["args"]["then"] == verb
    assert "move" not in ran.json["args"]


def test_feedback_without_verbs_leaves_the_report(dcmqrscp: Pacs, basemount: Path) -> None:
    command = ("px-find", *of_pacs(dcmqrscp, basemount), "--StudyInstanceUID", plain_study().uid)
    ran = run_in_terminal([*command, "--withFeedBack"])
    assert ran.status == 0
    assert ran.stdout.count("1 study, 3 series") == 1


def test_the_verb_report_shows_the_one_report(dcmqrscp: Pacs, basemount: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = ("px-find", *of_pacs(dcmqrscp, basemount), "--StudyInstanceUID", plain_study().uid)
    file.write_text(run_tool(*command).stdout)
    for tool in (command, ("px-do", "--reportDataFile", file)):
        ran = run_in_terminal([*tool, "--then", "report"])
        assert ran.status == 0
        assert ran.stdout.count("1 study, 3 series") == 1


def test_the_verb_report_takes_the_options_of_its_tool(
    dcmqrscp: Pacs, basemount: Path, tmp_path: Path
) -> None:
    file = tmp_path / "found.json"
    asked = ("px-find", *of_pacs(dcmqrscp, basemount), "--StudyInstanceUID", plain_study().uid)
    file.write_text(run_tool(*asked).stdout)
    csv = '{"printReport": "csv", "csvPrintHeaders": true, "csvSeparator": ";"}'
    ran = run_in_terminal(["px-do", "--reportDataFile", file, "--then", "report", "--thenArgs", csv], 200)
    assert ran.status == 0
    as_csv = run_in_terminal(
        [
            *("px-report", "--reportDataFile", file, "--printReport", "csv"),
            *("--csvPrintHeaders", "--csvSeparator", ";"),
        ],
        200,
    )
    assert as_csv.stdout.count(";") > 3
    assert as_csv.stdout in ran.stdout
    told = run_tool(
        *("px-do", "--reportDataFile", file, "--withFeedBack", "--then", "report"),
        *("--thenArgs", '{"printReport": "tree"}'),
    )
    assert told.status == 0
    assert "└" in told.stderr


def test_values_that_would_steer_a_terminal(pacs: Pacs, basemount: Path) -> None:
    ran = run_tool(
        *("px-find", *of_pacs(pacs, basemount), "--PatientID", awkward_study("terminal").patient_id),
        *("--then", "retrieve,report", "--withFeedBack"),
    )
    assert ran.status == 0
    assert "\x1b" not in ran.stderr
    assert "\x07" not in ran.stderr


@pytest.mark.parametrize("tool", ["px-find", "px-do"])
def test_it_waits_for_ctrl_c_where_that_is_asked(dcmqrscp: Pacs, basemount: Path, tool: str) -> None:
    find = ("px-find", *of_pacs(dcmqrscp, basemount), "--StudyInstanceUID", plain_study().uid)
    command, found = (find, "") if tool == "px-find" else (("px-do",), run_tool(*find).stdout)
    running = Running(*command, "--then", "status", "--waitForUserTerminate", stdin=found)
    running.feed()
    assert running.process.stderr is not None
    assert running.process.stderr.readline() == f"{tool}: done; Ctrl-C ends this\n".encode()
    assert running.process.poll() is None
    running.interrupt(signal.SIGINT)
    ran = running.wait()
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["then"]["00-status"]


def test_a_find_that_fails_is_followed_by_nothing(basemount: Path) -> None:
    ran = run_tool("px-find", "127.0.0.1:NOBODY:1", "--db", basemount / "log", "--then", "retrieve")
    assert ran.status == 1
    assert ran.error == "connection-refused"
    assert "then" not in ran.json


def test_json_of_another_tool_is_refused(basemount: Path) -> None:
    for text in ('{"status": "success", "summary": {}}', "[1]", "", '{"some": "thing"}', "<html>"):
        ran = run_tool("px-do", "--then", "status", "--db", basemount / "log", stdin=text)
        assert ran.status == 1
        assert ran.error == "invalid-input"
