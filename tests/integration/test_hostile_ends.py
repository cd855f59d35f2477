"""px-move against a PACS that ends, or never ends, in the middle of anything: it ends, and says what is."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from demo.studies import Study
from listener import until
from packed import assert_catalogue_is_exact
from servers.hostile_archive import Archive, final
from servers.hostile_messages import Store
from servers.hostile_pdus import Command
from servers.hostile_peer import HostileProvider, Said
from servers.hostile_wire import Fault, Misdeed
from together import together
from tools import Ran, Running, run_tool
from trees import assert_holds_part_of, assert_nothing_pending

STUDY = Study("END-1").series(1, instances=2)

#: PDUs that a well-behaved provider sends: its answers, the images, and the end of the association.
_PDUS = {"get": 9, "move": 11}

#: What there may be to tell; a response may be lost together with the images, or alone.
_CODES = {"connection-lost", "answer-unreadable", "peer-timeout", "retrieve-incomplete", "request-failed"}


@pytest.fixture(scope="module")
def found() -> str:
    """What px-find says of the study."""
    with _pacs() as pacs:
        ran = run_tool("px-find", *pacs.node.options, "--StudyInstanceUID", STUDY.uid)
    assert ran.status == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return STUDY.write(tmp_path / "sent")


def _pacs(fault: Fault | None = None) -> HostileProvider:
    archive = Archive(STUDY, {"NumberOfSeriesRelatedInstances": "2"})
    return HostileProvider(archive.find, archive.retrieve, fault=fault)


def _command(pacs: HostileProvider, basemount: Path, way: str, timeout: int) -> list[str | Path | int]:
    return [
        *("px-move", *pacs.node.options, "--db", basemount / "log", "--retries", 0, "--timeout", timeout),
        *(["--get"] if way == "get" else ["--receivePort", pacs.receive_port]),
    ]


def _assert_true(ran: Ran, basemount: Path, files: list[Path]) -> None:
    """It says that all is here only when it is; and what is here is whole."""
    held = assert_holds_part_of(basemount, files)
    assert (ran.status == 0) == (held == len(files)), ran.stdout
    if ran.status:
        assert (ran.status, ran.error in _CODES) == (1, True), ran.stdout
        assert ran.stderr.splitlines()[-1].startswith("px-move: ")
    assert_nothing_pending(basemount)
    assert_catalogue_is_exact(basemount)


@pytest.mark.parametrize("way", ["get", "move"])
def test_a_provider_that_behaves_sends_so_many_pdus(
    found: str, basemount: Path, files: list[Path], way: str
) -> None:
    with _pacs() as pacs:
        ran = run_tool(*_command(pacs, basemount, way, 30), stdin=found)
        assert ran.status == 0, ran.stderr
        until(lambda: pacs.counter.sent == _PDUS[way])
    _assert_true(ran, basemount, files)


@pytest.mark.parametrize(
    ("way", "misdeed"),
    [
        ("get", Misdeed.ABORT),
        ("get", Misdeed.RESET),
        ("move", Misdeed.ABORT),
        ("move", Misdeed.HALF),
    ],
)
def test_an_end_at_each_pdu(
    found: str, tmp_path: Path, files: list[Path], way: str, misdeed: Misdeed
) -> None:
    def case(at: int) -> None:
        basemount = tmp_path / str(at)
        with _pacs(Fault(misdeed, at)) as pacs:
            ran = run_tool(*_command(pacs, basemount, way, 30), stdin=found)
        _assert_true(ran, basemount, files)

    together({str(at): lambda at=at: case(at) for at in range(_PDUS[way])})


@pytest.mark.parametrize("misdeed", [Misdeed.SILENCE, Misdeed.DRIP, Misdeed.HUGE])
def test_what_never_ends_is_ended(found: str, tmp_path: Path, files: list[Path], misdeed: Misdeed) -> None:
    """In the association that asks, and in that over which the images come."""

    def case(way: str, at: int) -> None:
        basemount = tmp_path / f"{way}-{at}"
        with _pacs(Fault(misdeed, at)) as pacs:
            ran = run_tool(*_command(pacs, basemount, way, 1), stdin=found)
        # It would take a thousand, or 120 where the time-out is not heeded; others run beside it.
        assert ran.seconds < 100
        _assert_true(ran, basemount, files)

    points = [("get", 0), ("get", 2), ("get", 6), ("move", 0), ("move", 4), ("move", 8)]
    if misdeed is not Misdeed.DRIP:
        points += [("move", 3), ("move", 6)]
    together({f"{way} {at}": lambda one=(way, at): case(*one) for way, at in points})


@pytest.mark.parametrize("way", ["get", "move"])
def test_an_image_that_takes_longer_than_the_time_out(basemount: Path, way: str) -> None:
    """Something arrives all the while."""
    archive = Archive(Study("END-2", size=512).series(1), {"NumberOfSeriesRelatedInstances": "1"})

    def said(asked: Command) -> Said:
        return [replace(Store.of(one), pause=0.25) for one in archive.matching(asked)] + [final(1)]

    with HostileProvider(archive.find, said) as pacs:
        ran = run_tool(
            *_command(pacs, basemount, way, 5), "--StudyInstanceUID", archive.instances[0].StudyInstanceUID
        )
    assert ran.status == 0, ran.stdout
    assert ran.seconds > 8


def test_ctrl_c_ends_what_never_ends(found: str, tmp_path: Path, files: list[Path]) -> None:
    def case(way: str, at: int) -> None:
        basemount = tmp_path / f"{way}-{at}"
        with _pacs(Fault(Misdeed.DRIP, at)) as pacs:
            running = Running(*_command(pacs, basemount, way, 600), stdin=found)
            running.feed()
            until(lambda: pacs.counter.sent > at)
            running.interrupt(signal.SIGINT)
            assert running.wait().status == 130
        assert_holds_part_of(basemount, files)

    points = [("get", 2), ("get", 5), ("move", 3), ("move", 6)]
    together({f"{way} {at}": lambda one=(way, at): case(*one) for way, at in points})
