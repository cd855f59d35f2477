"""How px-find takes its options: as JSON, by the key of a PACS, and what is wrong usage."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archives import a_study
from datasets import plain_follow_up
from demo.pacs import Pacs
from demo.server import HOST
from finding import numbers_of
from servers.find_provider import FindProvider
from tools import Ran, run_tool

#: The later study of patient PLAIN-1.
FOLLOW_UP = "20210301"


def with_json(pacs: Pacs, members: object, *options: str) -> Ran:
    return run_tool("px-find", *pacs.node.options, "--JSONargs", json.dumps(members), *options)


@pytest.mark.parametrize(
    ("members", "options"),
    [
        ({"PatientID": "PLAIN-1", "Modality": "CT"}, []),
        ({"PatientID": "PLAIN-1"}, ["--Modality", "CT"]),
        ({"PatientID": "NOBODY", "Modality": "CT"}, ["--PatientID", "PLAIN-1"]),
        ({"query": ["PatientID=PLAIN-1", "Modality=CT"]}, []),
        ({"query": {"PatientID": "PLAIN-1", "Modality": "CT"}}, []),
        ({"query": "PatientID=PLAIN-1", "StudyDate": 20210301}, []),
        ({"StudyInstanceUID": [str(plain_follow_up().uid), "1.2.3"], "limit": 5.0, "jobs": "1"}, []),
        ({"query": ["PatientID=NOBODY"]}, ["--query", "PatientID=PLAIN-1", "--Modality", "CT"]),
        ({"PatientID": "PLAIN-1", "Modality": "CT", "StudyOnly": False, "limit": None, "json": True}, []),
    ],
)
def test_options_as_json(dcmqrscp: Pacs, members: dict[str, Any], options: list[str]) -> None:
    ran = with_json(dcmqrscp, members, *options)
    assert (ran.status, ran.stderr) == (0, "")
    assert [study["StudyDate"]["value"] for study in ran.json["data"]] == [FOLLOW_UP]
    assert len(ran.json["data"][0]["series"]) == 1


def test_the_pacs_in_json() -> None:
    with FindProvider([a_study(1)]) as pacs:
        address = {"serverIP": HOST, "serverPort": str(pacs.port), "aec": pacs.aec, "aet": "ME"}
        ran = run_tool("px-find", "--JSONargs", json.dumps(address), "--PatientID", "P-1")
    assert numbers_of(ran) == [1]
    assert ran.json["args"]["aet"] == "ME"


@pytest.mark.parametrize(
    ("members", "verbs"),
    [
        ({"move": True, "thenArgs": {"get": True}}, ["00-retrieve"]),
        ({"then": ["retrieve", "status"], "thenArgs": [{"get": True}, {}]}, ["00-retrieve", "01-status"]),
        ({"then": "status", "move": False}, ["00-status"]),
    ],
)
def test_verbs_in_json(dcmqrscp: Pacs, members: dict[str, Any], verbs: list[str], basemount: Path) -> None:
    asked = {"PatientID": "PLAIN-1", "Modality": "CT", "db": str(basemount / "log"), **members}
    ran = with_json(dcmqrscp, asked)
    assert (ran.status, ran.stderr) == (0, "")
    assert list(ran.json["then"]) == verbs


def test_options_of_every_tool_in_json(tmp_path: Path) -> None:
    with FindProvider([a_study(1)]) as pacs:
        members = {"debugToDir": str(tmp_path / "debug"), "log-phi": True, "PatientID": "P-1"}
        ran = run_tool("px-find", f"{HOST}:{pacs.aec}:{pacs.port}", "--JSONargs", json.dumps(members))
    assert numbers_of(ran) == [1]
    (log,) = (tmp_path / "debug").glob("*.log")
    assert "PatientID=P-1" in log.read_text()


@pytest.mark.parametrize("name", ["JSONargs", "version", "synopsis"])
def test_an_option_that_has_no_place_in_json(name: str) -> None:
    ran = run_tool("px-find", "--JSONargs", json.dumps({name: True}))
    assert_wrong_usage(ran, f"{name} is only for the command line")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"move": "retrieve"}', "move"),
        ('{"thenArgs": [{}, "a;b", {}]}', "thenArgs"),
        ('{"PatientId": "X"}', "--PatientID"),
        ('{"StudyOnlly": true}', "--StudyOnly"),
        ('{"JSONargs": "{}"}', "JSONargs"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "object"),
        ('"PatientID"', "object"),
        ('{"PatientID": true}', "PatientID"),
        ('{"PatientID": [["a"]]}', "PatientID"),
        ('{"query": [{"a": "b"}]}', "query"),
        ('{"query": 7}', "KEYWORD=VALUE"),
        ('{"limit": 1e999}', "limit"),
        ('{"limit": "many"}', "limit"),
        ('{"limit": [1, 2]}', "limit"),
        ('{"timeout": NaN}', "timeout"),
        ('{"StudyOnly": "maybe"}', "StudyOnly"),
        ('{"serverPort": {"a": 1}}', "serverPort"),
        ('{"verbosity": 9}', "verbosity"),
    ],
)
def test_json_that_is_no_options(text: str, words: str) -> None:
    assert_wrong_usage(run_tool("px-find", f"{HOST}:ARCHIVE:104", "--JSONargs", text), words)


def assert_wrong_usage(ran: Ran, *words: str) -> None:
    assert ran.status == 2
    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert line.startswith("px-find: ")
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--PatientId", "X"], ["--PatientID"]),
        (["--query", "PatientNam=X"], ["'PatientNam'", "PatientName"]),
        (["--query", "PatientID"], ["KEYWORD=VALUE"]),
        (["--PatientID", "A", "--query", "PatientID=B"], ["PatientID", "two different values"]),
        (["--PatientID", "A", "--query", "0010,0020=B"], ["PatientID", "two different values"]),
        (["--query", "Rows=1", "--query", "Rows=2"], ["Rows", "two different values"]),
        (["--query", "=X"], ["DICOM keyword"]),
        (["--query", "0010,002=X"], ["DICOM keyword"]),
        (["--query", "QueryRetrieveLevel=IMAGE"], ["QueryRetrieveLevel"]),
        (["--query", "0002,0010=1.2.840.10008.1.2"], ["TransferSyntaxUID"]),
        (["--query", "Rows=99999"], ["Rows", "99999"]),
        (["--QueryReturnTags", "PatientID,StudyDescripton"], ["StudyDescription"]),
        (["--QueryReturnTags", "0000,0900"], ["0000,0900"]),
        (["--StudyDate", "2020-13-45"], ["2020-13-45", "YYYYMMDD"]),
        (["--StudyDate", "20200231"], ["20200231"]),
        (["--StudyDate", "20201231-20200101"], ["ends before it begins"]),
        (["--PatientBirthDate", "soon"], ["PatientBirthDate", "soon"]),
        (["--StudyInstanceUID", "1.2.three"], ["1.2.three", "UID"]),
        (["--StudyInstanceUID", "1.2.3,1.2.*"], ["1.2.*", "no wildcard"]),
        (["--SeriesInstanceUID", "1.2.3\\?"], ["no wildcard"]),
        (["--SeriesInstanceUID", "1" * 65], ["UID", "64"]),
        (["--AccessionNumber", "x" * 17], ["AccessionNumber", "16 characters"]),
        (["--PatientID", "x" * 65], ["PatientID", "64 characters"]),
        (["--PatientName", "x" * 65], ["PatientName", "64 characters"]),
        (["--PatientName", "a\x1b[31mb"], ["control character"]),
        (["--Modality", "mr"], ["MR"]),
        (["--PatientSex", "female"], ["FEMALE"]),
        (["--limit", "0"], ["--limit"]),
        (["--jobs", "0"], ["--jobs"]),
        (["--timeout", "inf"], ["--timeout"]),
        (["--verbosity", "4"], ["--verbosity"]),
        (["--debugToDir", "/proc/nowhere"], ["/proc/nowhere"]),
        (["another-word"], ["another-word"]),
    ],
)
def test_wrong_usage_is_one_sentence(options: list[str], words: list[str]) -> None:
    assert_wrong_usage(run_tool("px-find", f"{HOST}:ARCHIVE:104", *options), *words)


def test_bytes_that_are_no_text_are_refused() -> None:
    # Latin-1, as a terminal or a file name of another age has it.
    assert_wrong_usage(
        run_tool("px-find", f"{HOST}:ARCHIVE:104", "--PatientName", "M\udcfcller"), "PatientName", "UTF-8"
    )


@pytest.fixture
def site(basemount: Path) -> Path:
    """The log directory of a BASEMOUNT."""
    (basemount / "services").mkdir(parents=True)
    (basemount / "log").mkdir()
    return basemount / "log"


def keep(site: Path, text: object) -> None:
    file = site.parent / "services" / "pacs.json"
    file.write_text(text if isinstance(text, str) else json.dumps(text))


@pytest.mark.parametrize("by", ["--db", "--logdir", "BASEMOUNT"])
def test_a_pacs_by_its_key(dcmqrscp: Pacs, site: Path, by: str) -> None:
    here = {"aet": "SITE", "aec": dcmqrscp.aec, "ip": HOST, "port": str(dcmqrscp.port)}
    keep(site, {"HERE": here, "THERE": {**here, "port": "1"}})
    where = {"environment": {"BASEMOUNT": str(site.parent)}} if by == "BASEMOUNT" else {}
    options = () if by == "BASEMOUNT" else (by, site)
    ran = run_tool("px-find", "--PACS", "HERE", *options, "--PatientID", "PLAIN-1", **where)
    assert (ran.status, ran.stderr) == (0, "")
    assert len(ran.json["data"]) == 2
    assert ran.json["args"]["PACS"] == "HERE"
    assert f"-aet SITE -aec {dcmqrscp.aec}" in ran.json["command"]


@pytest.mark.parametrize(
    ("fields", "word", "options"),
    [
        ({"port": 1}, False, ["--serverPort", "{port}"]),
        ({"aec": "OTHER"}, False, ["--aec", "{aec}"]),
        ({"ip": "no-such-host.invalid"}, False, ["--serverIP", HOST]),
        ({"port": 1, "aec": "OTHER", "ip": "192.0.2.1"}, True, []),
        ({"port": 1}, True, ["--aet", "SOMEBODY"]),
    ],
)
def test_what_is_said_more_closely_wins(
    dcmqrscp: Pacs, site: Path, fields: dict[str, Any], word: bool, options: list[str]
) -> None:
    here = {"aet": "SITE", "aec": dcmqrscp.aec, "ip": HOST, "port": dcmqrscp.port}
    keep(site, {"HERE": {**here, **fields}})
    filled = [option.format(port=dcmqrscp.port, aec=dcmqrscp.aec) for option in options]
    words = [dcmqrscp.node.word] if word else []
    ran = run_tool("px-find", *words, "--PACS", "HERE", "--db", site, *filled, "--PatientID", "PLAIN-1")
    assert (ran.status, ran.stderr) == (0, "")
    assert len(ran.json["data"]) == 2
    command = shlex.split(ran.json["command"])
    assert command[command.index("-aet") + 1] == ("SOMEBODY" if "--aet" in options else "SITE")


def test_an_option_wins_over_the_one_word() -> None:
    with FindProvider([a_study(1)]) as pacs:
        word = f"no-such-host.invalid:OTHER:{pacs.port}"
        ran = run_tool("px-find", word, "--serverIP", HOST, "--aec", pacs.aec, "--PatientID", "P-1")
    assert numbers_of(ran) == [1]


def test_a_key_that_is_not_known(site: Path) -> None:
    keep(site, {"NORTH": {}, "SOUTH": {}})
    ran = run_tool("px-find", "--PACS", "EAST", "--db", site, "--PatientID", "X")
    assert_wrong_usage(ran, "'EAST'", "NORTH, SOUTH")


def test_a_key_where_none_is_known(site: Path) -> None:
    assert_wrong_usage(run_tool("px-find", "--PACS", "EAST", "--db", site), "'EAST'", "px-smdb")


def test_a_key_that_does_not_say_enough(site: Path) -> None:
    keep(site, {"HERE": {"ip": HOST}})
    assert_wrong_usage(run_tool("px-find", "--PACS", "HERE", "--db", site), "--aec, --serverPort are missing")


@pytest.mark.parametrize(
    "fields",
    [
        {"port": "dicom"},
        {"port": {"a": 1}},
        {"port": 70000},
        {"ip": ["a", "b"]},
        {"aec": "x" * 17},
        {"ip": "-d"},
    ],
)
def test_a_key_with_fields_that_mean_nothing(site: Path, fields: dict[str, Any]) -> None:
    keep(site, {"HERE": {"ip": HOST, "port": 104, "aec": "A", **fields}})
    assert_wrong_usage(run_tool("px-find", "--PACS", "HERE", "--db", site))


@pytest.mark.parametrize("text", ["{", "[]", '{"HERE": 1}', '{"HERE": "x"}', "\x00", "[" * 100_000])
def test_services_that_are_damaged(site: Path, text: str) -> None:
    keep(site, text)
    ran = run_tool("px-find", "--PACS", "HERE", "--db", site)
    assert (ran.status, ran.error) == (1, "services-unreadable")
    (line,) = ran.stderr.splitlines()
    assert "pacs.json" in line


def test_nothing_secret_in_the_arguments(site: Path, dcmqrscp: Pacs) -> None:
    here = {"aec": dcmqrscp.aec, "ip": HOST, "port": dcmqrscp.port, "password": "opensesame"}
    keep(site, {"HERE": here})
    ran = run_tool("px-find", "--PACS", "HERE", "--db", site, "--PatientID", "PLAIN-1", "--verbosity", "3")
    assert "opensesame" not in ran.stdout + ran.stderr
