"""Running px-smdb on a BASEMOUNT that holds something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools import Ran, run_tool


def smdb(basemount: Path, action: str, *arguments: str | Path | int, status: int = 0) -> Ran:
    """Run an action of px-smdb; it must end with this status."""
    ran = run_tool("px-smdb", "--db", basemount / "log", "--action", action, *arguments)
    assert ran.status == status, ran.stderr
    return ran


def action(basemount: Path, name: str, given: object, *arguments: str | Path, status: int = 0) -> Ran:
    """Run an action with ``--actionArgs``, a text or what becomes JSON."""
    text = given if isinstance(given, (str, Path)) else json.dumps(given)
    return smdb(basemount, name, "--actionArgs", text, *arguments, status=status)


def found(ran: Ran, keyword: str) -> list[str]:
    """The values of an attribute in the studies of a find's JSON."""
    return [study[keyword]["value"] for study in ran.json["data"]]


def found_series(ran: Ran, keyword: str) -> list[str]:
    """The values of an attribute in the series of a find's JSON."""
    return [series[keyword]["value"] for study in ran.json["data"] for series in study["series"]]


def findings(ran: Ran) -> dict[str, list[Any]]:
    """Of a check: fault to the names of the files, those mended left out."""
    left: dict[str, list[Any]] = {}
    for finding in ran.json["data"]:
        if not finding["mended"]:
            left.setdefault(finding["fault"], []).append(Path(finding["file"]).name)
    return left
