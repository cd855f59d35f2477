"""px-listen --then push,register: images reach ChRIS with nobody at the keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from demo.cube import Cube
from demo.cube_rules import Interface
from demo.server import HOST, free_port
from demo.studies import Study
from listener import PxListen, send, status, until
from registering import chris, know
from storing import PACS, SERVICE, TOP, DirectoryDestination, write_service
from tools import run_tool

THEN = ("--then", "push,register", "--swift", SERVICE, "--CUBE", SERVICE, "--swiftServicesPACS", PACS)


#: CUBE takes nothing without one.
DATED = {"StudyDate": "20200301"}


@pytest.fixture
def store(basemount: Path, tmp_path: Path) -> DirectoryDestination:
    return DirectoryDestination(tmp_path / "store", basemount)


@pytest.fixture
def cube(store: DirectoryDestination, basemount: Path) -> Iterator[Cube]:
    with chris(Interface.SERIES, store, basemount) as server:
        yield server


def _study(number: int = 1) -> Study:
    return Study(f"THEN-{number}", attributes=DATED).series(1, 4).series(2, 3)


def _registered(cube: Cube) -> set[str]:
    return {row["SeriesInstanceUID"] for row in cube.registered}


def _images(store: DirectoryDestination) -> list[Path]:
    """Those that are finished: until then they have other names, which may be gone before they are read."""
    return list(store.root.rglob("*.dcm"))


def _assert_in_storage(store: DirectoryDestination, files: list[Path]) -> None:
    contents = store.contents()
    assert all(name.startswith(f"{TOP}/") for name in contents)
    # What a peer sends gets another file meta information than the file had that it was read from.
    held = sorted(str(dcmread(BytesIO(content)).SOPInstanceUID) for content in contents.values())
    assert held == sorted(str(dcmread(file).SOPInstanceUID) for file in files)


def test_each_series_is_pushed_and_registered(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    study = _study()
    files = study.write(tmp_path / "sent")
    with PxListen(basemount, "--quiet", "0.5", *THEN) as listen:
        assert send(listen.port, files)[0] == files
        for series in study.all_series:
            assert "pushed" in listen.wait_for(f"{series.uid}: .*registered")
        assert "THEN-1" not in "\n".join(listen.lines)
        until(lambda: listen.status()["owed"] == 0)
    assert _registered(cube) == {str(series.uid) for series in study.all_series}
    _assert_in_storage(store, files)
    assert not list((basemount / "log").glob("then-*.json"))


def test_images_that_come_later_follow(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    files = Study("LATE", attributes=DATED).series(1, 6).write(tmp_path / "sent")
    with PxListen(basemount, "--quiet", "0.5", "--then", "push", *THEN[2:4], *THEN[6:]) as listen:
        send(listen.port, files[:2])
        until(lambda: len(_images(store)) == 2)
        send(listen.port, files[2:])
        until(lambda: len(_images(store)) == 6)


def test_a_storage_that_is_away_is_waited_for(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    files = _study().write(tmp_path / "sent")
    away = store.root.rename(tmp_path / "unmounted")
    with PxListen(basemount, "--quiet", "0.5", *THEN) as listen:
        send(listen.port, files)
        assert "tried again" in listen.wait_for("it is tried again")
        until(lambda: listen.status()["owed"] == 2)
        away.rename(store.root)
        until(lambda: len(_registered(cube)) == 2, 60, lambda: listen.log)
    _assert_in_storage(store, files)


def test_a_cube_that_is_away_is_told_of_once(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    know(basemount, cube, url=f"http://{HOST}:{free_port()}/api/v1/")
    listen = PxListen(basemount, "--quiet", "0.5", *THEN)
    send(listen.port, Study("AWAY", attributes=DATED).series(1, 1).write(tmp_path / "sent"))
    assert "refuses connections" in listen.wait_for("it is tried again")
    assert not [line for line in listen.lines if "asking again" in line]
    listen.kill()


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 1.0, 1.5])
def test_killed_in_the_middle_it_goes_on_at_its_next_start(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube, moment: float
) -> None:
    files = _study().write(tmp_path / "sent")
    listen = PxListen(basemount, "--quiet", "0.5", *THEN)
    assert send(listen.port, files)[0] == files
    time.sleep(moment)
    listen.kill()
    with PxListen(basemount, "--quiet", "0.5", *THEN) as again:
        until(lambda: len(_registered(cube)) == 2, 60, lambda: again.log)
    _assert_in_storage(store, files)


def test_what_another_tool_packed_is_left_alone(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    Study("OTHER").series(1, 2).write(tmp_path / "other")
    assert run_tool("px-repack", "--db", basemount / "log", "-p", tmp_path / "other").status == 0
    with PxListen(basemount, "--quiet", "0.5", *THEN):
        time.sleep(2)
    assert store.contents() == {}


def test_told_to_stop_it_does_what_is_due(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    files = _study().write(tmp_path / "sent")
    with PxListen(basemount, "--quiet", "60", *THEN) as listen:
        send(listen.port, files)
    assert len(_registered(cube)) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--then", "retrieve"], "does not retrieve"),
        (["--then", "pusch"], "Did you mean push?"),
        (["--then", "push"], "Which storage?"),
        (["--then", "push", "--swift", SERVICE], "Which PACS is it from?"),
        (["--then", "push,register", "--swift", SERVICE, "--swiftServicesPACS", PACS], "Which CUBE?"),
        (["--then", "push", "--thenArgs", "{"], "not JSON"),
        (["--thenArgs", '{"swift": "local"}'], "--then, which is missing"),
        (["--quiet", "nan"], "not a number"),
        (["--quiet", "inf"], "--quiet"),
    ],
)
def test_what_cannot_work_is_said_at_the_start(
    basemount: Path, store: DirectoryDestination, options: list[str], said: str
) -> None:
    ran = run_tool("px-listen", "--db", basemount / "log", "--port", 0, *options)
    assert ran.status == 2
    assert said in ran.stderr


def test_a_journal_that_is_damaged_does_not_keep_it_from_receiving(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    (basemount / "log").mkdir(parents=True)
    (basemount / "log" / "then-0.json").write_text('{"series": [1')
    with PxListen(basemount, "--quiet", "0.5", *THEN) as listen:
        send(listen.port, Study("AGAIN", attributes=DATED).series(1, 1).write(tmp_path / "sent"))
        until(lambda: len(_registered(cube)) == 1)
    assert status(basemount).status == 1


def test_a_series_that_cube_does_not_take_is_told_of_and_holds_nobody_up(
    basemount: Path, tmp_path: Path, store: DirectoryDestination, cube: Cube
) -> None:
    write_service(basemount, "storage", {"storagetype": "fs", "storepath": str(store.root)})
    bad = Study("BAD", attributes={"StudyDate": ""}).series(1, 1)
    good = Study("GOOD", attributes=DATED).series(1, 1)
    with PxListen(basemount, "--quiet", "0.5", *THEN) as listen:
        send(listen.port, [*bad.write(tmp_path / "bad"), *good.write(tmp_path / "good")])
        until(lambda: len(_registered(cube)) == 1)
        told = listen.wait_for(f"{bad.all_series[0].uid}: .*StudyDate")
        assert "it is tried again at the next start" in told
        until(lambda: listen.status()["owed"] == 1)
    (journal,) = (basemount / "log").glob("then-*.json")
    assert list(json.loads(journal.read_text())["series"]) == [str(bad.all_series[0].uid)]
