"""px-echo against real PACS; what goes wrong with it is in test_bad_input.py."""

from pathlib import Path

import pytest

from demo.pacs import Pacs
from demo.server import HOST
from servers.peers import SilentPeer
from storing import write_service
from tools import Running, run_in_terminal, run_tool


def test_a_pacs_that_is_there_answers(pacs: Pacs) -> None:
    ran = run_tool("px-echo", *pacs.node.options)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["status"] == "success"
    data = ran.json["data"]
    assert 0 < data.pop("seconds") < 60
    assert data == {
        "serverIP": pacs.node.host,
        "serverPort": pacs.port,
        "aec": pacs.aec,
        "aet": pacs.aet,
    }


def test_the_pacs_may_be_one_word(pacs: Pacs) -> None:
    ran = run_tool("px-echo", pacs.node.word)
    assert ran.status == 0
    assert ran.json["data"]["aec"] == pacs.aec


def test_single_options_win_over_the_word(pacs: Pacs) -> None:
    ran = run_tool("px-echo", f"{pacs.node.host}:NOBODY:{pacs.port}", "--aec", pacs.aec)
    assert ran.status == 0


def test_a_pacs_by_its_key(dcmqrscp: Pacs, basemount: Path) -> None:
    fields = {"aec": dcmqrscp.aec, "ip": dcmqrscp.node.host, "port": str(dcmqrscp.port)}
    write_service(basemount, "pacs", fields, "here")
    ran = run_tool("px-echo", "--PACS", "here", "--db", basemount / "log", environment={"BASEMOUNT": ""})
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.json["data"]["aec"] == dcmqrscp.aec


def test_options_may_come_as_json(pacs: Pacs) -> None:
    asked = f'{{"serverIP": "127.0.0.1", "serverPort": {pacs.port}, "aec": "WRONG"}}'
    ran = run_tool("px-echo", "--JSONargs", asked, "--aec", pacs.aec)
    assert ran.status == 0
    assert ran.json["data"]["serverPort"] == pacs.port


@pytest.mark.parametrize("columns", [80, 200])
def test_people_get_a_sentence(pacs: Pacs, columns: int) -> None:
    ran = run_in_terminal(["px-echo", *pacs.node.options], columns)
    assert ran.status == 0
    assert ran.stdout.startswith(f"127.0.0.1:{pacs.aec}:{pacs.port} answers to {pacs.aet} in ")
    assert len(ran.stdout.splitlines()) == 1


def test_interrupted_it_has_nothing_to_go_on_from() -> None:
    with SilentPeer() as peer:
        running = Running("px-echo", f"{HOST}:ARCHIVE:{peer.port}")
        running.wait_until_interruptible()
        running.interrupt()
        ran = running.wait()
    assert (ran.status, ran.stdout) == (130, "")
    assert ran.stderr.strip() == "px-echo: interrupted."


def test_verbosity_3_shows_the_command_line_of_dcmtk(pacs: Pacs) -> None:
    ran = run_tool("px-echo", *pacs.node.options, "--verbosity", 3)
    assert ran.status == 0
    assert f"echoscu -v -aet {pacs.aet} -aec {pacs.aec}" in ran.stderr
    assert ran.json["status"] == "success"
