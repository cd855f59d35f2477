"""Fixtures that read like a sentence: a pacs (each case on both makers'), a basemount, a tool to run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings

import catalogues
import datasets
from demo.dcmqrscp import Dcmqrscp
from demo.pacs import Pacs
from servers.needs import require
from servers.orthanc import Orthanc
from servers.postgresql import Postgresql
from servers.swift import Swift
from storing import Destination, DirectoryDestination, SwiftDestination

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a script: what the tests start would ignore Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # The same of nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# How long an example takes is up to what else the machine is at: the first one imports and compiles, too.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

#: Starts an empty PACS of this test's own, to fill, to kill, to start again.
StartPacs: TypeAlias = Callable[[], Pacs]

_PACS: dict[str, type[Pacs]] = {"dcmqrscp": Dcmqrscp, "orthanc": Orthanc}


def _require_servers() -> None:
    require("dcmsend", "dcmtk")
    require("dcmqrscp", "dcmtk")


@pytest.fixture(scope="session")
def sample_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Every study of :func:`datasets.all_studies`, as files."""
    directory = tmp_path_factory.mktemp("sample-files")
    return [path for study in datasets.all_studies() for path in study.write(directory)]


@pytest.fixture(scope="session")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory, sample_files: list[Path]) -> Iterator[Dcmqrscp]:
    """A dcmqrscp that holds all sample files; read only."""
    _require_servers()
    with Dcmqrscp(tmp_path_factory.mktemp("dcmqrscp")) as server:
        server.store(sample_files)
        yield server


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory, sample_files: list[Path]) -> Iterator[Orthanc]:
    """An Orthanc that holds all sample files; read only."""
    _require_servers()
    with Orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        server.store(sample_files)
        yield server


@pytest.fixture(params=list(_PACS))
def pacs(request: pytest.FixtureRequest) -> Pacs:
    """Each case on both PACS, which hold all sample files; read only."""
    server: Pacs = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=list(_PACS))
def start_pacs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StartPacs]:
    """Each case on both PACS, started for it alone and empty."""
    _require_servers()
    started: list[Pacs] = []

    def start() -> Pacs:
        directory = tmp_path / f"{request.param}-{len(started)}"
        directory.mkdir()
        started.append(_PACS[request.param](directory))
        return started[-1].start()

    yield start
    for server in started:
        server.end()


@pytest.fixture
def own_orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc of this test's own, empty."""
    _require_servers()
    directory = tmp_path / "orthanc"
    directory.mkdir()
    with Orthanc(directory) as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test marked with databases(…) runs once on each; the nearest mark counts."""
    marker = metafunc.definition.get_closest_marker("databases")
    if marker and "database" in metafunc.fixturenames:
        metafunc.parametrize("database", marker.args, indirect=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server without a catalogue."""
    with Postgresql() as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    """Where the catalogue is: the URL of an empty PostgreSQL database, or None for SQLite's file."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return None
    server: Postgresql = request.getfixturevalue("postgresql")
    return server.url(server.fresh_database())


@pytest.fixture
def basemount(tmp_path: Path, database: str | None) -> Path:
    """A BASEMOUNT that does not exist yet, unless its database has to be named in there."""
    path = tmp_path / "basemount"
    if database:
        catalogues.use(path, database)
    return path


@pytest.fixture(scope="session")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swift]:
    """A Swift that stays up; each test has a container of its own in it."""
    with Swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture
def swift_container(swift: Swift, basemount: Path) -> SwiftDestination:
    """An empty container, which the BASEMOUNT knows as a storage."""
    return SwiftDestination(swift, basemount)


@pytest.fixture(params=["swift", "fs"])
def destination(request: pytest.FixtureRequest, basemount: Path, tmp_path: Path) -> Destination:
    """Each case on Swift and on a directory, both empty; the BASEMOUNT knows it as a storage."""
    if request.param == "fs":
        return DirectoryDestination(tmp_path / "store", basemount)
    container: SwiftDestination = request.getfixturevalue("swift_container")
    return container


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Put the end of the servers' logs beside a failure."""
    report = yield
    if report.when == "call" and report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Pacs):
                report.sections.append((f"log of {name} ({value.name})", value.log[-1500:]))
    return report
