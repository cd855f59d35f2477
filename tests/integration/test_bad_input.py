"""What goes wrong outside of us: one sentence, a stable code, an exit status, nothing left behind."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from datasets import plain_study
from demo.pacs import Pacs
from demo.server import HOST, free_port
from servers.peers import SilentPeer, Wire
from tools import Ran, run_in_terminal, run_tool
from trees import files_below

#: Runs one of the tools that talk to a PACS, against host:AEC:port, with further options.
Talk: TypeAlias = Callable[..., Ran]

_LEAST = {
    "px-echo": (),
    "px-find": ("--PatientID", "*"),
    "px-move": ("--get", "--StudyInstanceUID", plain_study().uid),
}


@pytest.fixture(params=list(_LEAST))
def talk(request: pytest.FixtureRequest, basemount: Path) -> Talk:
    """Each case with every tool that talks to a PACS."""
    tool = request.param
    catalogue = ("--db", basemount / "log") if tool == "px-move" else ()

    def run(node: str, *options: str | Path | int, **others: object) -> Ran:
        return run_tool(tool, node, *_LEAST[tool], *catalogue, *options, **others)

    return run


def assert_failed(ran: Ran, code: str, *words: str) -> None:
    """Exit status 1, the code in the JSON, the same one sentence for people, with these words in it."""
    assert ran.status == 1, ran.stderr
    assert ran.json["status"] == "error"
    error = ran.json["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["hint"]
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert re.match(r"px-\w+: ", ran.stderr)
    for word in words:
        assert word in ran.stderr


def test_nothing_listens(talk: Talk) -> None:
    port = free_port()
    assert_failed(talk(f"{HOST}:ARCHIVE:{port}"), "connection-refused", HOST, str(port))


@pytest.mark.parametrize("tool", list(_LEAST))
@pytest.mark.parametrize("as_json", [("--json",), ("--JSONargs", '{"json": true}')])
def test_a_failure_is_json_at_a_terminal_too_where_that_is_asked_for(
    tool: str, as_json: tuple[str, ...], basemount: Path
) -> None:
    catalogue = ("--db", basemount / "log") if tool == "px-move" else ()
    node = f"{HOST}:ARCHIVE:{free_port()}"
    ran = run_in_terminal([tool, node, *_LEAST[tool], *catalogue, *as_json], columns=300)
    assert ran.status == 1
    document = json.loads(ran.stdout[ran.stdout.index("{") : ran.stdout.rindex("}") + 1])
    assert document["error"]["code"] == "connection-refused"
    assert f"{tool}: {document['error']['message']}" in ran.stdout


def test_wrong_called_title(talk: Talk, pacs: Pacs) -> None:
    assert_failed(talk(f"{HOST}:NOBODY:{pacs.port}"), "called-title-unknown", "NOBODY", "--aec")


def test_host_that_does_not_resolve(talk: Talk) -> None:
    assert_failed(talk("no-such-host.invalid:ARCHIVE:104"), "host-unknown", "no-such-host.invalid")


def test_an_ipv6_address(talk: Talk) -> None:
    assert_failed(talk("[::1]:ARCHIVE:104"), "host-unknown", "IPv6", "IPv4 address")


def test_port_of_something_else_that_hangs_up(talk: Talk, orthanc: Pacs) -> None:
    ran = talk(f"{HOST}:ORTHANC:{orthanc.http_port}")
    assert ran.status == 1
    assert ran.error in ("connection-lost", "peer-timeout", "answer-unreadable")


def test_pacs_that_accepts_and_never_answers(talk: Talk) -> None:
    with SilentPeer() as peer:
        ran = talk(f"{HOST}:ARCHIVE:{peer.port}", "--timeout", 1)
    assert_failed(ran, "peer-timeout", HOST)
    assert ran.seconds < 40


def test_missing_dcmtk(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = talk(f"{HOST}:ARCHIVE:104", environment={"PATH": str(tmp_path / "empty")})
    assert_failed(ran, "binary-missing", "apt-get install dcmtk")


@pytest.mark.parametrize(
    ("tool", "option"), [("px-echo", "--echoscu"), ("px-find", "--findscu"), ("px-move", "--getscu")]
)
@pytest.mark.parametrize("path", ["/nonexistent", "/etc/passwd", "/"])
def test_binary_that_is_not_there(tool: str, option: str, path: str, basemount: Path) -> None:
    catalogue = ("--db", basemount / "log") if tool == "px-move" else ()
    ran = run_tool(tool, f"{HOST}:ARCHIVE:104", *_LEAST[tool], *catalogue, option, path)
    assert_failed(ran, "binary-missing", path, option)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--serverIP", HOST, "--aec", "ARCHIVE"),
        (f"{HOST}:ARCHIVE",),
        (f"{HOST}:ARCHIVE:0",),
        (f"{HOST}:ARCHIVE:65536",),
        (f"{HOST}:ARCHIVE:104a",),
        (f"{HOST}:{'A' * 17}:104",),
        (f"{HOST}::104",),
        (f"{HOST}:ARCHIVE:104", "--aet", "back\\slash"),
        (f"{HOST}:ARCHIVE:104", "--aet", "--version"),
        (f"{HOST}:ARCHIVE:104", "--aec", "Ümlaut"),
        ("--serverIP=-d", "--serverPort", "104", "--aec", "ARCHIVE"),
        (f"{HOST}:ARCHIVE:104", "--serverPort", "http"),
        (f"{HOST}:ARCHIVE:104", "--timeout", "never"),
        (f"{HOST}:ARCHIVE:104", "--no-such-option", "1"),
        (f"{HOST}:ARCHIVE:104", "--JSONargs", "{"),
        (f"{HOST}:ARCHIVE:104", "--JSONargs", "[]"),
        (f"{HOST}:ARCHIVE:104", "--JSONargs", '{"noSuchOption": 1}'),
    ],
)
@pytest.mark.parametrize("tool", ["px-echo", "px-find"])
def test_wrong_usage(tool: str, options: tuple[str, ...]) -> None:
    ran = run_tool(tool, *options)
    assert ran.status == 2
    assert ran.stdout == ""
    assert ran.stderr.strip()


@pytest.mark.parametrize(
    ("tool", "options", "sentence"),
    [
        ("px-move", (f"{HOST}:ARCHIVE:104", "--StudyInstanceUID", "1.2"), "How shall the images come? Say "),
        ("px-register", ("--upstream", "{}"), "Which CUBE? Name "),
        ("px-repack", (), "No file is named. Name "),
    ],
)
def test_a_question_is_one_to_the_end(
    tool: str, options: tuple[str, ...], sentence: str, basemount: Path
) -> None:
    ran = run_tool(tool, *options, "--db", basemount / "log")
    assert ran.status == 2
    assert ran.stderr.startswith(f"{tool}: {sentence}")


@pytest.mark.parametrize(
    "query",
    [
        ("--StudyDate", "2020-13-45"),
        ("--StudyInstanceUID", "1.2.abc"),
        ("--PatientID", "line\nbreak"),
        ("--QueryReturnTags", "NoSuchKeyword"),
    ],
)
def test_query_that_cannot_mean_anything(query: tuple[str, str]) -> None:
    ran = run_tool("px-find", f"{HOST}:ARCHIVE:104", *query)
    assert ran.status == 2
    assert ran.stdout == ""
    assert "px-find: " in ran.stderr


@pytest.mark.parametrize("after", [0, 100, 600, 3000, 8000])
def test_wire_that_is_cut_during_a_find(pacs: Pacs, after: int) -> None:
    with Wire(pacs.port, cut_after=after) as wire:
        ran = run_tool("px-find", f"{HOST}:{pacs.aec}:{wire.port}", "--PatientID", "*")
    assert_failed(ran, "connection-lost", HOST)


#: What might stand on stdin instead of a find's JSON.
_NOT_A_FIND = {
    "empty": "",
    "blank": " \n\t",
    "words": "px-find: command not found\n",
    "cut": '{"status": "success", "data": [{"uid": ',
    "other": '{"hello": "world"}',
    "list": "[1, 2, 3]",
    "number": "42",
    "null": "null",
    "deep": "[" * 100_000,
    "binary": b"\x00\xff\xfe\x89PNG",
    "data-is-words": '{"status": "success", "data": "none"}',
    "study-is-a-number": '{"status": "success", "data": [7]}',
    "series-is-a-number": '{"status": "success", "data": [{"series": 7}]}',
    "value-missing": '{"status": "success", "data": [{"StudyInstanceUID": {}, "series": []}]}',
    "failed-find": '{"status": "error", "error": {"code": "connection-refused", "message": "x"}, "data": []}',
}


@pytest.mark.parametrize("tool", ["px-report", "px-move"])
@pytest.mark.parametrize("kind", _NOT_A_FIND)
def test_stdin_that_is_no_find(tool: str, kind: str, basemount: Path) -> None:
    options = ("--get", "--db", basemount / "log", f"{HOST}:ARCHIVE:104") if tool == "px-move" else ()
    ran = run_tool(tool, *options, stdin=_NOT_A_FIND[kind])
    assert_failed(ran, "invalid-input", "px-find")
    assert files_below(basemount) == []


@pytest.mark.parametrize(
    ("tool", "options", "hint"),
    [
        ("px-report", (), "Pipe the JSON of px-find into this tool."),
        ("px-status", (), "Pipe the JSON of px-find into this tool."),
        ("px-do", ("--then", "status", "--reportData", "{"), "Pipe the JSON of px-find into this tool."),
        ("px-register", ("--CUBEURL", "http://127.0.0.1:9/api/v1/"), "px-push … | px-register"),
        ("px-register", ("--upstream", "{"), "px-push … | px-register"),
    ],
)
def test_what_to_do_about_an_input_is_of_the_tool_that_reads_it(
    tool: str, options: tuple[str, ...], hint: str, basemount: Path
) -> None:
    ran = run_tool(tool, *options, *(("--db", basemount / "log") if tool != "px-report" else ()))
    assert_failed(ran, "invalid-input", hint)
    assert "px-move" not in ran.stdout + ran.stderr


def test_a_find_with_hostile_uids_is_refused(pacs: Pacs, basemount: Path) -> None:
    found = run_tool("px-find", *pacs.node.options, "--PatientID", "PLAIN-1").stdout
    hostile = found.replace(plain_study().uid, "../../../etc").replace('"PLAIN-1"', '"--help"')
    ran = run_tool("px-move", "--get", "--db", basemount / "log", stdin=hostile)
    assert_failed(ran, "invalid-input", "../../../etc")
    assert files_below(basemount / "data") == []


_UNUSABLE = {
    "the BASEMOUNT is a file": lambda root: root.write_text("here"),
    "its parent is a file": lambda root: root.parent.write_text("here"),
    "data is a file": lambda root: _file_in(root, "data"),
    "incoming is a file": lambda root: _file_in(root, "incoming"),
    "log is a file": lambda root: _file_in(root, "log"),
    "the catalogue is a directory": lambda root: (root / "log" / "smdb.sqlite").mkdir(parents=True),
}


def _file_in(root: Path, name: str) -> None:
    root.mkdir(parents=True)
    (root / name).write_text("here")


@pytest.mark.parametrize("how", _UNUSABLE)
def test_basemount_that_cannot_be_used(dcmqrscp: Pacs, tmp_path: Path, how: str) -> None:
    root = tmp_path / "site" / "basemount"
    if how != "its parent is a file":
        root.parent.mkdir()
    _UNUSABLE[how](root)
    ran = run_tool("px-move", *dcmqrscp.node.options, *_LEAST["px-move"], "--db", root / "log")
    assert ran.status == 1
    assert ran.error in ("basemount-unusable", "catalogue-damaged")
    assert str(tmp_path) in ran.stderr
    assert len(_besides_audit(ran.stderr)) == 1
    assert [path for path in files_below(root / "data") if path.suffix == ".dcm"] == []


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_basemount_that_others_own(dcmqrscp: Pacs, tmp_path: Path, mode: int) -> None:
    root = tmp_path / "basemount"
    root.mkdir()
    root.chmod(mode)
    try:
        ran = run_tool(
            *("px-move", *dcmqrscp.node.options, *_LEAST["px-move"], "--db", root / "log"),
            unprivileged=True,
        )
    finally:
        root.chmod(0o755)
    assert ran.status == 1
    assert ran.error == "basemount-unusable"
    (said,) = _besides_audit(ran.stderr)
    assert str(root) in said


def _besides_audit(said: str) -> list[str]:
    """The sentences of a tool but for the one on the audit log, which lacks that the PACS was asked."""
    return [line for line in said.splitlines() if "The audit log in" not in line]
