"""What goes wrong outside of us: one sentence, a stable code, an exit status, nothing left behind."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from datasets import plain_study
from demo.pacs import Pacs
from demo.server import HOST, free_port
from servers.peers import SilentPeer, Wire
from tools import Ran, run_tool

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


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_nothing_listens(talk: Talk) -> None:
    port = free_port()
    assert_failed(talk(f"{HOST}:ARCHIVE:{port}"), "connection-refused", HOST, str(port))


def test_wrong_called_title(talk: Talk, pacs: Pacs) -> None:
    assert_failed(talk(f"{HOST}:NOBODY:{pacs.port}"), "called-title-unknown", "NOBODY", "--aec")


def test_host_that_does_not_resolve(talk: Talk) -> None:
    assert_failed(talk("no-such-host.invalid:ARCHIVE:104"), "host-unknown", "no-such-host.invalid")


def test_port_of_something_else_that_hangs_up(talk: Talk, orthanc: Pacs) -> None:
    ran = talk(f"{HOST}:ORTHANC:{orthanc.http_port}")
    assert ran.status == 1
    assert ran.error in ("connection-lost", "peer-timeout", "binary-failed")


def test_pacs_that_accepts_and_never_answers(talk: Talk) -> None:
    with SilentPeer() as peer:
        ran = talk(f"{HOST}:ARCHIVE:{peer.port}", "--timeout", 1)
    assert_failed(ran, "peer-timeout", HOST)
    assert ran.seconds < 10


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
