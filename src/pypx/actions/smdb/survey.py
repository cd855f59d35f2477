"""Compare the directories of a BASEMOUNT with its catalogue; nothing is changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.smdb.findings import Fault, Finding
from pypx.basemount import inventory
from pypx.basemount.incoming import is_owned
from pypx.basemount.inventory import Placed
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.trouble import unusable
from pypx.basemount.walking import FoundFile, files_in_order

#: Seconds that a process which packs at this moment may need to write down what it has placed.
_PATIENCE = 5.0

#: After the bytes of every path.
_END = b"\xff\xff"


@dataclass(slots=True)
class Survey:
    """What was found.

    Parameters
    ----------
    files, instances : int
        In data/, and in the catalogue.
    missing : list of Placed
        Instances whose files are not there.
    unknown : list of FoundFile
        Files in data/ that the catalogue does not have.
    resized : list of (Placed, FoundFile)
        Instances whose files have another size.
    quarantined : dict of str to str
        Files in quarantine/ that nothing whole was found for, with their reason.
    unlisted : list of str
        Files in quarantine/ that the catalogue does not have.
    gone : list of str
        Files that were in quarantine/ and are not any more.
    replaced : int
        Files in quarantine/ of whose instances whole ones are held.
    incoming : list of pathlib.Path
        Files that nobody is at.
    unfinished : list of pathlib.Path
        Copies that a killed process had begun.
    busy : int
        Directories that somebody is at.
    """

    files: int = 0
    instances: int = 0
    missing: list[Placed] = field(default_factory=list)
    unknown: list[FoundFile] = field(default_factory=list)
    resized: list[tuple[Placed, FoundFile]] = field(default_factory=list)
    quarantined: dict[str, str] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    replaced: int = 0
    incoming: list[Path] = field(default_factory=list)
    unfinished: list[Path] = field(default_factory=list)
    busy: int = 0

    def findings(self, basemount: Basemount) -> Iterator[Finding]:
        """All that is wrong."""
        data, quarantine = basemount.data, basemount.quarantine
        for placed in self.missing:
            yield Finding(Fault.MISSING, data / placed.path, f"SOP Instance UID {placed.sop_uid}")
        for file in self.unknown:
            detail = "" if file.is_plain else "it is no plain file"
            yield Finding(Fault.UNKNOWN, data / file.path, detail)
        for placed, file in self.resized:
            detail = f"{file.size} bytes, {placed.size} in the catalogue"
            yield Finding(Fault.WRONG_SIZE, data / placed.path, detail)
        for name, reason in self.quarantined.items():
            yield Finding(Fault.QUARANTINED, quarantine / name, reason, is_damaged=True)
        for name in self.gone:
            yield Finding(Fault.QUARANTINE_GONE, quarantine / name)
        for path in self.incoming:
            yield Finding(Fault.INCOMING, path)
        for path in self.unfinished:
            yield Finding(Fault.UNFINISHED, path)


def survey(basemount: Basemount, catalogue: Catalogue, progress: Progress = ignore_progress) -> Survey:
    """Compare all of a BASEMOUNT with its catalogue; memory does not grow with the number of files.

    Raises
    ------
    BasemountUnusable, CatalogueLocked, CatalogueDamaged
    """
    found = Survey()
    _see_incoming(basemount, found)
    compare(files_in_order(basemount.data), inventory.in_order(catalogue), found, progress)
    look_again(basemount, catalogue, found)
    _see_quarantine(basemount, catalogue, found)
    return found


def compare(
    files: Iterator[FoundFile],
    instances: Iterator[Placed],
    found: Survey,
    progress: Progress = ignore_progress,
) -> None:
    """Hold files against instances, both in the order of the bytes of their paths."""
    for file, placed in _pairs(files, instances):
        if file:
            found.files += 1
            if found.files % 1000 == 0:
                progress(Step("Comparing", found.files, None))
        if placed:
            found.instances += 1
        if file and not placed:
            found.unknown.append(file)
        elif placed and not file:
            found.missing.append(placed)
        elif file and placed and (file.size != placed.size or not file.is_plain):
            found.resized.append((placed, file))
    progress(Step("Comparing", found.files, found.files))


def _pairs(
    files: Iterator[FoundFile], instances: Iterator[Placed]
) -> Iterator[tuple[FoundFile | None, Placed | None]]:
    """Files and instances, those of one path together."""
    file, placed = next(files, None), next(instances, None)
    while file or placed:
        place_of_file = os.fsencode(file.path) if file else _END
        place_told = placed.path.encode() if placed else _END
        if place_of_file < place_told:
            yield file, None
        elif place_told < place_of_file:
            yield None, placed
        else:
            yield file, placed
        if place_of_file <= place_told:
            file = next(files, None)
        if place_told <= place_of_file:
            placed = next(instances, None)


def look_again(basemount: Basemount, catalogue: Catalogue, found: Survey) -> None:
    """Take back what is not so any more: others place, write down and take out while this goes on."""
    deadline = time.monotonic() + (_PATIENCE if found.busy else 0.0)
    while found.missing or found.unknown or found.resized:
        paths = [
            *(placed.path for placed in found.missing),
            *(file.path for file in found.unknown),
            *(placed.path for placed, _ in found.resized),
        ]
        now = inventory.at(catalogue, [path for path in paths if is_text(path)])
        sizes = {path: _size(basemount.data / path) for path in paths}
        found.missing = [one for one in found.missing if one.path in now and sizes[one.path] is None]
        found.unknown = [one for one in found.unknown if one.path not in now and sizes[one.path] is not None]
        found.resized = [
            (placed, file)
            for placed, file in found.resized
            if placed.path in now and sizes[placed.path] not in (None, now[placed.path].size)
        ]
        if time.monotonic() >= deadline:
            return
        time.sleep(0.5)


def is_text(path: str) -> bool:
    """A name that is no UTF-8 cannot be in the catalogue, nor be asked for."""
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None


def _see_quarantine(basemount: Basemount, catalogue: Catalogue, found: Survey) -> None:
    listed = inventory.quarantined(catalogue)
    replaced = inventory.replaced(catalogue)
    names = {file.path for file in files_in_order(basemount.quarantine)}
    # The others are the reasons beside them.
    there = {
        name for name in names if not name.endswith(".json") or name in listed or f"{name}.json" in names
    }
    found.replaced = len(there & replaced)
    found.unlisted = sorted(there - set(listed))
    found.gone = sorted(set(listed) - there - replaced)
    for name in sorted(there - replaced):
        found.quarantined[name] = listed.get(name) or _reason(basemount.quarantine / f"{name}.json")


def _reason(file: Path) -> str:
    """Why a file is in quarantine, as is said beside it."""
    try:
        with file.open("rb") as said:
            reason = json.loads(said.read(64 * 1024)).get("reason", "")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return reason if isinstance(reason, str) else ""


def _see_incoming(basemount: Basemount, found: Survey) -> None:
    places = [(path, found.incoming) for path in _entries(basemount.incoming)]
    for tree in (basemount.data, basemount.quarantine):
        for staging in _entries(tree):
            if staging.name.endswith("~"):
                places += [(path, found.unfinished) for path in _entries(staging)]
    for path, left in places:
        if path.is_symlink() or not path.is_dir():
            left.append(path)
        elif is_owned(path):
            found.busy += 1
        else:
            left += [path / file.path for file in files_in_order(path) if file.path != ".owner"]


def _entries(directory: Path) -> Iterable[Path]:
    try:
        return sorted(directory.iterdir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unusable(error, directory) from error
