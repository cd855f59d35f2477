"""px-register as it is run, and what CUBE and the catalogue know afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.cube import USERS, Cube, directory_names
from demo.cube_rules import Interface, Names
from servers.cube import swift_names
from storing import PACS, SERVICE, Destination, DirectoryDestination, SwiftDestination, write_service
from tools import Ran, run_tool

PASSWORD = USERS["chris"]


def names_in(destination: Destination) -> Names:
    """A storage of the tests as CUBE looks into it."""
    if isinstance(destination, DirectoryDestination):
        return directory_names(destination.root)
    assert isinstance(destination, SwiftDestination)
    return swift_names(destination.server, destination.container)


@contextmanager
def chris(
    generation: Interface, destination: Destination, basemount: Path, **options: float
) -> Iterator[Cube]:
    """A CUBE on this storage, which the BASEMOUNT knows."""
    with Cube(names_in(destination), generation, **{"wait": 0.2, **options}) as cube:  # type: ignore[arg-type]
        know(basemount, cube)
        yield cube


def know(basemount: Path, cube: Cube, key: str = SERVICE, **fields: str) -> None:
    """Tell a BASEMOUNT of a CUBE, with fields that differ."""
    write_service(
        basemount, "cube", {"url": cube.url, "username": "chris", "password": PASSWORD, **fields}, key
    )


def pack(basemount: Path, files: Sequence[Path]) -> None:
    """Files into the tree and the catalogue."""
    for directory in sorted({file.parent for file in files}):
        ran = run_tool("px-repack", "--db", basemount / "log", "--xcrdir", directory)
        assert ran.status == 0, ran.stderr


def register(
    basemount: Path,
    *arguments: str | Path | int,
    status: int = 0,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    timeout: float = 400.0,
) -> Ran:
    """Run px-register with the CUBE that the BASEMOUNT knows; it must end with this status."""
    ran = run_tool(
        "px-register",
        *register_arguments(basemount, *arguments),
        stdin=stdin,
        environment=environment,
        timeout=timeout,
    )
    assert ran.status == status, ran.stdout + ran.stderr
    return ran


def register_arguments(basemount: Path, *arguments: str | Path | int) -> list[str | Path | int]:
    return ["--db", basemount / "log", "--CUBE", SERVICE, "--retries", 1, *arguments]


def counts(ran: Ran) -> dict[str, int]:
    """The counts of px-register that are not zero."""
    summary = dict(ran.json["summary"])
    for name in ("cube", "bytes", "seconds"):
        del summary[name]
    return {name: count for name, count in summary.items() if count}


def events(basemount: Path, kind: str) -> list[tuple[str, int | None, str]]:
    """What the catalogue has of this kind, seen past all of pypx: series, count, target."""
    with sqlite3.connect(basemount / "log" / "smdb.sqlite") as connection:
        found = connection.execute(
            'SELECT "SeriesInstanceUID", count, target FROM event WHERE kind = ? ORDER BY 1, 2', (kind,)
        )
        return found.fetchall()


def assert_registered(cube: Cube, destination: Destination, basemount: Path) -> None:
    """CUBE knows all that is in storage, each once, and the catalogue knows that it does."""
    held = sorted(destination.contents())
    assert cube.files == held
    if cube.interface is Interface.FILE:
        assert sorted(one["path"] for one in cube.registered) == held
    else:
        uids = [one["SeriesInstanceUID"] for one in cube.registered]
        assert len(uids) == len(set(uids))
        assert sum(one["ndicom"] for one in cube.registered) == len(held)
    recorded = events(basemount, "registered")
    assert len({uid for uid, _, _ in recorded}) == len(recorded)
    assert sum(count or 0 for _, count, _ in recorded) == len(held)
    assert {target for _, _, target in recorded} <= {cube.url}
    assert {one["pacs_name"] for one in cube.registered} <= {PACS}


def members(ran: Ran) -> list[dict[str, Any]]:
    """The verdicts."""
    data: list[dict[str, Any]] = json.loads(ran.stdout)["data"]
    return data
