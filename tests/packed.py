"""Running px-repack, and what a BASEMOUNT holds afterwards: its tree, and what its catalogue says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydicom import dcmread

from catalogues import rows
from tools import Ran, run_tool
from trees import files_below


def repack(basemount: Path, *arguments: str | Path, status: int = 0) -> Ran:
    """Run px-repack; it must end with this status."""
    ran = run_tool("px-repack", "--db", basemount / "log", *arguments)
    assert ran.status == status, ran.stderr
    return ran


def counts(ran: Ran) -> dict[str, int]:
    """The counts that are not zero."""
    summary = dict(ran.json["summary"])
    del summary["seconds"], summary["bytes"]
    return {name: count for name, count in summary.items() if count}


def changed(source: Path, target: Path, **attributes: str) -> Path:
    """A copy of an instance in which these attributes are others."""
    instance = dcmread(source)
    instance.update(attributes)
    instance.save_as(target)
    return target


def tree(basemount: Path) -> dict[str, str]:
    """Path below data/ to a digest of the content."""
    return _digests(basemount / "data")


def quarantine(basemount: Path) -> dict[str, str]:
    """Name in quarantine/ to the code of the reason beside it; each file has one, and each reason a file."""
    directory = basemount / "quarantine"
    names = {path.name for path in files_below(directory)}
    files = {name for name in names if not name.endswith(".json")}
    assert names == files | {f"{name}.json" for name in files}
    return {name: json.loads((directory / f"{name}.json").read_text())["code"] for name in sorted(files)}


def instances(basemount: Path) -> list[tuple[Any, ...]]:
    """All that the catalogue has of instances, in order."""
    return rows(basemount, "select * from instance order by SOPInstanceUID, variant")


def assert_catalogue_is_exact(basemount: Path) -> None:
    """Each file of data/ is in the catalogue, each instance of the catalogue in data/, and counted once."""
    catalogued = dict(rows(basemount, "select path, size from instance"))
    on_disk = {path: (basemount / "data" / path).stat().st_size for path in tree(basemount)}
    assert catalogued == on_disk
    assert rows(basemount, "select coalesce(sum(count), 0) from event where kind = 'packed'") == [
        (len(on_disk),)
    ]


def everything(basemount: Path) -> tuple[object, ...]:
    """What must be the same after two ways to the same end."""
    return (
        tree(basemount),
        instances(basemount),
        quarantine(basemount),
        rows(basemount, "select * from folder order by name"),
        rows(basemount, "select * from series order by SeriesInstanceUID"),
        rows(basemount, "select SeriesInstanceUID, kind, sum(count) from event group by 1, 2 order by 1, 2"),
        files_below(basemount / "incoming"),
        files_below(basemount / "data", on_their_way=True),
    )


def _digests(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): digest(path) for path in files_below(directory)}


def digest(path: Path) -> str:
    """Of the bytes of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
