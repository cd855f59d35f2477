"""Looking into a BASEMOUNT: what is in data/, and whether it is what was sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread


def files_below(directory: Path, on_their_way: bool = False) -> list[Path]:
    """Every file of a tree in order, or every one that has yet to get its name; a missing tree has none."""
    # os.walk() takes no offence at a directory that somebody removes in the meantime.
    paths = (Path(place, name) for place, _, names in os.walk(directory) for name in names)
    return sorted(path for path in paths if _is_on_its_way(path.relative_to(directory)) == on_their_way)


def _is_on_its_way(path: Path) -> bool:
    """In data/, but without its name yet: no name that a template gives has a ~ in it."""
    return any(part.endswith("~") for part in path.parts)


def instances_in(basemount: Path) -> dict[str, Path]:
    """SOP Instance UID to file, of all that is in data/; each instance must be there once."""
    found: dict[str, Path] = {}
    for path in files_below(basemount / "data"):
        uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        assert uid not in found, f"{uid} is there twice: {found[uid]} and {path}"
        found[uid] = path
    return found


def assert_holds(basemount: Path, files: Iterable[Path]) -> None:
    """data/ holds these instances and no others, each once and with the same data set."""
    sent = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}
    held = instances_in(basemount)
    assert set(held) == set(sent)
    for uid, path in held.items():
        assert_same_data_set(path, sent[uid])


def assert_holds_part_of(basemount: Path, files: Iterable[Path]) -> int:
    """data/ holds some of these instances, each whole; gives back how many."""
    sent = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in files}
    held = instances_in(basemount)
    assert set(held) <= set(sent)
    for uid, path in held.items():
        assert_same_data_set(path, sent[uid])
    return len(held)


def assert_same_data_set(one: Path, other: Path) -> None:
    """Both files hold the same data set; their transfer syntax and file meta information may differ."""
    first, second = dcmread(one), dcmread(other)
    # Trailing padding (PS3.10, 7.2) says nothing, and is not sent.
    for element in (element for element in (*first, *second) if element.tag != 0xFFFCFFFC):
        assert first.get(element.tag) == second.get(element.tag), f"{element.tag} of {one} and {other}"


def assert_nothing_pending(basemount: Path) -> None:
    """No image waits to be packed, and none is half-way into data/."""
    for path in files_below(basemount / "incoming"):
        # Who owns a directory is written in a file of its own.
        assert path.name == ".owner", f"{path} is left over"
    assert files_below(basemount / "data", on_their_way=True) == []


def assert_nothing_quarantined(basemount: Path) -> None:
    assert files_below(basemount / "quarantine") == []


def assert_quarantine_says_why(basemount: Path) -> None:
    """Each damaged file, as an interrupted transfer leaves them, has its reason beside it."""
    for path in files_below(basemount / "quarantine"):
        if path.suffix != ".json":
            assert json.loads(path.with_name(f"{path.name}.json").read_text())["reason"]


def fingerprint(basemount: Path) -> dict[Path, tuple[int, int]]:
    """Each file of data/ with its inode and time, to see later that nobody wrote there."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files_below(basemount / "data")}
