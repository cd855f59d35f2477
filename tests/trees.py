"""Looking into a BASEMOUNT: what is in data/, and whether it is what was sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread


def files_below(directory: Path, hidden: bool = False) -> list[Path]:
    """Every file of a tree in order, or every one in its hidden directories; a missing tree has none."""
    return sorted(
        path
        for path in directory.rglob("*")
        if path.is_file() and _is_hidden(path.relative_to(directory)) == hidden
    )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


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
    for element in (*first, *second):
        assert first.get(element.tag) == second.get(element.tag), f"{element.tag} of {one} and {other}"


def assert_nothing_pending(basemount: Path) -> None:
    """No image waits to be packed, none is half-way into data/, and none was put into quarantine."""
    hidden = files_below(basemount / "data", hidden=True)
    waiting = files_below(basemount / "incoming")
    for path in (*waiting, *files_below(basemount / "incoming", hidden=True), *hidden):
        assert not _is_image(path), f"{path} is left over"
    assert files_below(basemount / "quarantine") == []


def _is_image(path: Path) -> bool:
    """Whether a file on its way was left; who owns a directory may be written in a file of its own."""
    return path.stat().st_size > 0 and path.name != ".owner"


def fingerprint(basemount: Path) -> dict[Path, tuple[int, int]]:
    """Each file of data/ with its inode and time, to see later that nobody wrote there."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in files_below(basemount / "data")}
