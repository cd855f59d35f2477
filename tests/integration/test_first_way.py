"""Retrieving without saying how: what is tried, in which order, and what is never tried."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certificates import Authority, Identity
from datasets import plain_study
from demo.pacs import Pacs
from demo.server import HOST, free_port
from listener import PxListen, until
from pypx.actions.first_way import FirstWay
from pypx.actions.move import MoveRequest
from pypx.actions.plan import Wanted
from pypx.actions.verdict import MoveResult, State
from pypx.basemount.layout import Basemount
from pypx.dicom.node import Node
from pypx.dicom.tls import TlsSettings
from pypx.errors import ConnectionRefused, ServiceNotOffered
from servers.orthanc import Orthanc
from servers.peers import Wire
from servers.protected import ProtectedOrthanc
from trees import assert_holds, assert_nothing_pending, instances_in


def _refuse_c_get(command: list[str]) -> list[str]:
    """The configuration of an Orthanc, changed so that it lets nobody retrieve by C-GET."""
    configuration = Path(command[-1])
    settings = json.loads(configuration.read_text())
    settings["DicomAlwaysAllowGet"] = False
    receiver = settings["DicomModalities"]["receiver"]
    if isinstance(receiver, list):
        receiver = dict(zip(("AET", "Host", "Port"), receiver, strict=True))
    settings["DicomModalities"]["receiver"] = {**receiver, "AllowGet": False}
    configuration.write_text(json.dumps(settings))
    return command


class OrthancWithoutGet(Orthanc):
    """An Orthanc that only sends to whom it knows."""

    def configure(self) -> list[str]:
        return _refuse_c_get(super().configure())


class ProtectedOrthancWithoutGet(ProtectedOrthanc):
    """The same over TLS."""

    def configure(self) -> list[str]:
        return _refuse_c_get(super().configure())


@pytest.fixture(scope="module")
def without_get(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc that sends by C-MOVE alone."""
    directory = tmp_path_factory.mktemp("without-get")
    with OrthancWithoutGet(directory) as server:
        server.store(plain_study().write(directory / "files"))
        yield server


@pytest.fixture(scope="module")
def protected(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ProtectedOrthancWithoutGet]:
    directory = tmp_path_factory.mktemp("protected")
    with ProtectedOrthancWithoutGet(directory, authority.issue("orthanc"), authority) as server:
        server.store(plain_study().write(directory / "files"))
        yield server


@pytest.fixture
def tls(us: Identity, authority: Authority) -> TlsSettings:
    return TlsSettings(us.key, us.certificate, authority.certificate)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "pypx.actions.first_way"):
        yield caplog


def _request(
    pacs: Pacs, series: slice = slice(None), tls: TlsSettings | None = None, receives_over_tls: bool = False
) -> MoveRequest:
    study = plain_study()
    return MoveRequest(
        Node(HOST, pacs.port, pacs.aec, pacs.aet, tls),
        tuple(Wanted(study.uid, one.uid, expected=one.instances) for one in study.all_series[series]),
        retries=0,
        receive_tls=tls if receives_over_tls else None,
    )


def _place(basemount: Path) -> Basemount:
    return Basemount.of_log_directory(basemount / "log")


def _assert_here(result: MoveResult, basemount: Path, tmp_path: Path) -> None:
    assert {verdict.state for verdict in result.verdicts} == {State.COMPLETE}
    assert_holds(basemount, plain_study().write(tmp_path / "files"))


def _taken_way(heard: pytest.LogCaptureFixture) -> str:
    """The one way that was found, which is told of once."""
    (said,) = (message for message in heard.messages if message.startswith("Retrieving by "))
    return said.partition(" (")[0]


def test_c_get_where_it_is_offered(
    pacs: Pacs, heard: pytest.LogCaptureFixture, basemount: Path, tmp_path: Path
) -> None:
    result = FirstWay(pacs.receive_port).move(_request(pacs), _place(basemount))
    _assert_here(result, basemount, tmp_path)
    assert _taken_way(heard) == "Retrieving by C-GET"


class _Cable(Wire):
    """A wire that is cut after so many bytes, until somebody mends it."""

    def mend(self) -> None:
        with self._lock:
            self._left = None


class _MendingAt(logging.Handler):
    """Mends a wire once it was said so often that something is asked for again."""

    def __init__(self, cable: _Cable, times: int) -> None:
        super().__init__()
        self._cable, self._left = cable, times

    def emit(self, record: logging.LogRecord) -> None:
        if "asking again" in record.getMessage():
            self._left -= 1
            if not self._left:
                self._cable.mend()


def test_a_pacs_that_is_away_for_a_while_is_waited_for(
    pacs: Pacs, heard: pytest.LogCaptureFixture, basemount: Path, tmp_path: Path
) -> None:
    files = plain_study().write(tmp_path / "files")
    with _Cable(pacs.port, cut_after=sum(file.stat().st_size for file in files) // 2) as cable:
        # Longer than a way is tried that is none.
        mending = _MendingAt(cable, 4)
        logger = logging.getLogger("pypx")
        logger.addHandler(mending)
        try:
            request = _request(pacs)
            request = replace(request, node=replace(request.node, port=cable.port), retries=5, jobs=1)
            result = FirstWay(pacs.receive_port).move(request, _place(basemount))
        finally:
            logger.removeHandler(mending)
    _assert_here(result, basemount, tmp_path)
    assert sum(verdict.received for verdict in result.verdicts) == len(files)
    assert sum(packed.stored for packed in result.packed) == len(files)
    assert _taken_way(heard) == "Retrieving by C-GET"


def test_a_pacs_that_is_away_is_no_pacs_without_c_get(basemount: Path) -> None:
    node = Node(HOST, free_port(), "NOBODY")
    request = MoveRequest(node, (Wanted("1.2", "1.2.1", expected=1),))
    (verdict,) = FirstWay(free_port()).move(request, _place(basemount)).verdicts
    assert isinstance(verdict.error, ConnectionRefused)


def test_a_receiver_of_our_own_where_there_is_no_c_get(
    without_get: Orthanc, heard: pytest.LogCaptureFixture, basemount: Path, tmp_path: Path
) -> None:
    way = FirstWay(without_get.receive_port)
    first, others = slice(0, 1), slice(1, None)
    for part in (first, others):
        result = way.move(_request(without_get, part), _place(basemount))
        assert {verdict.state for verdict in result.verdicts} == {State.COMPLETE}
    assert_holds(basemount, plain_study().write(tmp_path / "files"))
    assert_nothing_pending(basemount)
    assert _taken_way(heard) == f"Retrieving by C-MOVE to port {without_get.receive_port} here"
    assert "not by C-GET: " in heard.text


def test_a_px_listen_where_the_port_is_its(
    without_get: Orthanc, heard: pytest.LogCaptureFixture, basemount: Path, tmp_path: Path
) -> None:
    port = without_get.receive_port
    with PxListen(basemount, "--aet", without_get.aet, port=port) as listen:
        result = FirstWay(port).move(_request(without_get), _place(basemount))
        until(lambda: listen.status()["received"] == plain_study().instances)
    _assert_here(result, basemount, tmp_path)
    assert _taken_way(heard) == f"Retrieving by C-MOVE to the px-listen {without_get.aet}"
    for refused in ("not by C-GET: ", f"not by C-MOVE to port {port} here: "):
        assert refused in heard.text


def test_no_way_at_all(without_get: Orthanc, basemount: Path) -> None:
    with (
        socket.create_server(("", without_get.receive_port)),
        # A px-listen that the PACS does not know.
        PxListen(basemount, "--aet", "SOMEWHERE"),
        pytest.raises(ServiceNotOffered) as raised,
    ):
        FirstWay(without_get.receive_port).move(_request(without_get), _place(basemount))
    for way in (
        "C-GET",
        f"C-MOVE to port {without_get.receive_port} here",
        "C-MOVE to the px-listen SOMEWHERE",
    ):
        assert f"not by {way}: " in raised.value.message
    assert f"AE title {without_get.aet} at this host, port {without_get.receive_port}" in raised.value.hint
    assert not instances_in(basemount)


def test_a_px_listen_of_another_basemount_is_none(
    without_get: Orthanc, basemount: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    with (
        PxListen(elsewhere, "--aet", without_get.aet, port=without_get.receive_port),
        pytest.raises(ServiceNotOffered) as raised,
    ):
        FirstWay(without_get.receive_port).move(_request(without_get), _place(basemount))
    assert "px-listen" not in raised.value.message.partition("not by C-MOVE")[0]
    assert not instances_in(elsewhere)


def test_over_tls_to_a_receiver_with_tls(
    protected: ProtectedOrthanc,
    tls: TlsSettings,
    heard: pytest.LogCaptureFixture,
    basemount: Path,
    tmp_path: Path,
) -> None:
    request = _request(protected, tls=tls, receives_over_tls=True)
    result = FirstWay(protected.receive_port).move(request, _place(basemount))
    _assert_here(result, basemount, tmp_path)
    assert _taken_way(heard) == f"Retrieving by C-MOVE to port {protected.receive_port} here"


def test_over_tls_to_a_px_listen_with_tls(
    protected: ProtectedOrthanc,
    tls: TlsSettings,
    ours: list[str],
    heard: pytest.LogCaptureFixture,
    basemount: Path,
    tmp_path: Path,
) -> None:
    with PxListen(basemount, *ours, "--aet", protected.aet, port=protected.receive_port):
        request = _request(protected, tls=tls)
        result = FirstWay(protected.receive_port).move(request, _place(basemount))
    _assert_here(result, basemount, tmp_path)
    assert _taken_way(heard) == f"Retrieving by C-MOVE to the px-listen {protected.aet}"
    assert "C-MOVE to port" not in heard.text


def test_what_is_asked_over_tls_never_comes_without(
    authority: Authority, tls: TlsSettings, basemount: Path, tmp_path: Path
) -> None:
    server = ProtectedOrthancWithoutGet(tmp_path / "orthanc", authority.issue("half"), authority)
    # Whoever receives without TLS would get everything.
    server.sends_over_tls = False
    with server:
        server.store(plain_study().write(tmp_path / "files"))
        with pytest.raises(ServiceNotOffered) as raised:
            FirstWay(server.receive_port).move(_request(server, tls=tls), _place(basemount))
        assert "C-MOVE" not in raised.value.message
        with PxListen(basemount, "--aet", server.aet, port=server.receive_port) as listen:
            with pytest.raises(ServiceNotOffered) as raised:
                FirstWay(server.receive_port).move(_request(server, tls=tls), _place(basemount))
            assert listen.status()["associations"] == 0
    assert "C-MOVE" not in raised.value.message
    assert not instances_in(basemount)
