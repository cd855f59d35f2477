"""Instances get their places in data/, each its own, whatever is there already."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pypx.actions.repack.candidate import Candidate
from pypx.actions.repack.outcome import Fate
from pypx.basemount.placing import Placer
from pypx.basemount.records import HeldInstance, PackedInstance
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates, distinct_component

logger = logging.getLogger("pypx.repack")

#: Directories of patients whose owners are remembered from one batch to the next.
_MOST_REMEMBERED = 4096

#: Digits of the digest in a name that would be taken without one.
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Shelved:
    """An instance that has its place.

    Parameters
    ----------
    fate : Fate
        ``STORED``, ``CONFLICT`` or ``DUPLICATE``.
    target : pathlib.Path
        The file in data/ that holds it.
    instance : PackedInstance or None
        To be written into the catalogue; None for a duplicate.
    is_created : bool
        Whether the file is new. Else it was there, put by another process or by one that was killed.
    is_restored : bool
        Whether the catalogue knows the instance, and the file that it knew was gone.
    """

    fate: Fate
    target: Path
    instance: PackedInstance | None = None
    is_created: bool = False
    is_restored: bool = False

    @property
    def variant(self) -> str:
        return self.instance.variant if self.instance else ""


class Shelf:
    """Places instances in data/; one for each run.

    Parameters
    ----------
    data : Placer
        Of the tree.
    catalogue : Catalogue
        What is held, and whose directories are whose.
    templates : TreeTemplates
        The names.
    """

    def __init__(self, data: Placer, catalogue: Catalogue, templates: TreeTemplates) -> None:
        self._data = data
        self._catalogue = catalogue
        self._templates = templates
        self._are_claimed = "PatientID" in templates.root.keywords
        self._folders: dict[tuple[str, str], str] = {}
        self._paths: dict[Path, PurePosixPath] = {}
        self._lying: dict[Path, PurePosixPath] = {}
        self._real_directory = lru_cache(maxsize=1024)(_real)
        self._real_tree = _real(data.tree)
        self._held: dict[str, list[HeldInstance]] = {}

    def prepare(self, candidates: Collection[Candidate]) -> None:
        """Ask the catalogue all that it will be asked about these candidates."""
        self._held = self._catalogue.held({candidate.sop_uid for candidate in candidates})
        self._paths = {each.path: self._templates.path(each.values) for each in candidates}
        lying = {each.path: self._place_in_tree(each.path) for each in candidates}
        self._lying = {path: place for path, place in lying.items() if place}
        if self._are_claimed:
            if len(self._folders) > _MOST_REMEMBERED:
                self._folders.clear()
            self._keep_folders([each for each in candidates if each.path in self._lying])
            self._claim_folders((self._paths[each.path].parts[0], each.patient_id) for each in candidates)

    def put(self, candidate: Candidate, *, keep: bool) -> Shelved:
        """Give a candidate its place, or find that it has one.

        Raises
        ------
        FileNotFoundError
            When its file is gone.
        OSError
            When it cannot be placed.
        FileDamaged, FileUnreadable
            When its file is not any more what it was when it was read.
        """
        held = self._held.setdefault(candidate.sop_uid, [])
        missing: HeldInstance | None = None
        for one in held:
            try:
                if candidate.has_content_of(self._data.tree / one.path):
                    return Shelved(Fate.DUPLICATE, self._data.tree / one.path)
            except FileNotFoundError:
                candidate.path.lstat()
                missing = missing or one
        if missing:
            logger.warning("%s was gone from data/ and is put there again", missing.path)
            shelved = self._place(candidate, missing.variant, keep=keep)
            shelved = replace(shelved, is_restored=shelved.variant == missing.variant)
        else:
            is_first = all(one.variant for one in held)
            shelved = self._place(candidate, "" if is_first else candidate.variant, keep=keep)
            if held:
                shelved = replace(shelved, fate=Fate.CONFLICT)
        if shelved.fate is Fate.CONFLICT:
            logger.warning(
                "There is other content under the SOP Instance UID %s; both are kept, this as %s",
                candidate.sop_uid,
                shelved.target,
            )
        if shelved.instance:
            path, size = shelved.instance.path, shelved.instance.size
            held.append(HeldInstance(candidate.sop_uid, shelved.variant, path, size))
        return shelved

    def _place(self, candidate: Candidate, variant: str, *, keep: bool) -> Shelved:
        plain = self._path(candidate)
        fate = Fate.STORED
        attempt = 0
        while True:
            path = _numbered(plain, f"{candidate.sop_uid} {variant}", attempt, is_plain=not variant)
            target = self._data.tree / path
            is_created = True
            try:
                if candidate.path in self._lying and not os.path.lexists(target):
                    # It is in data/ already, under a name that other templates gave: there it stays.
                    path, is_created = self._lying[candidate.path], False
                    target = self._data.tree / path
                else:
                    self._data.place(candidate.path, target, keep=keep)
            except FileExistsError:
                is_created = False
                try:
                    is_same = candidate.has_content_of(target)
                except FileNotFoundError:
                    candidate.path.lstat()
                    continue  # another process took its file back
                if not is_same:
                    if not variant and candidate.has_uid_of(target):
                        # Whoever put it there was killed, or has yet to write it down.
                        variant, attempt, fate = candidate.variant, 0, Fate.CONFLICT
                    else:
                        attempt += 1
                    continue
            instance = PackedInstance(
                values=candidate.values,
                variant=variant,
                path=str(path),
                size=candidate.header.size,
                digest=candidate.digest if variant else "",
            )
            return Shelved(fate, target, instance, is_created)

    def _path(self, candidate: Candidate) -> PurePosixPath:
        path = self._paths[candidate.path]
        folder = self._folders.get((path.parts[0], candidate.patient_id), path.parts[0])
        return PurePosixPath(folder, *path.parts[1:])

    def _place_in_tree(self, path: Path) -> PurePosixPath | None:
        """Where in data/ a file lies; None where it comes from elsewhere, or has yet to get its name."""
        real = self._real_directory(path.parent)
        if not real.is_relative_to(self._real_tree) or path.is_symlink():
            return None
        place = PurePosixPath(real.relative_to(self._real_tree), path.name)
        if any(part.endswith("~") for part in place.parts):
            return None
        try:
            str(place).encode()
        except UnicodeEncodeError:
            # A name that the catalogue could not hold.
            return None
        return place

    def _keep_folders(self, candidates: Iterable[Candidate]) -> None:
        """Files that are in data/ already: whose they are, the directories that they lie in are."""
        wanted = {
            (self._paths[each.path].parts[0], each.patient_id): self._lying[each.path].parts[0]
            for each in candidates
        }
        unclaimed = {claim: name for claim, name in wanted.items() if claim not in self._folders}
        if unclaimed:
            granted = self._catalogue.claim_folders([(name, claim[1]) for claim, name in unclaimed.items()])
            for claim, name in unclaimed.items():
                if (name, claim[1]) in granted:
                    self._folders[claim] = name

    def _claim_folders(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Find each patient a directory of their own: names that differ can become the same text."""
        unclaimed = list(dict.fromkeys(claim for claim in wanted if claim not in self._folders))
        attempt = 0
        while unclaimed:
            names = {
                claim: _numbered(PurePosixPath(claim[0]), claim[1], attempt, is_plain=True).name
                for claim in unclaimed
            }
            granted = self._catalogue.claim_folders([(names[claim], claim[1]) for claim in unclaimed])
            for claim, name in names.items():
                if (name, claim[1]) in granted:
                    self._folders[claim] = name
            unclaimed = [claim for claim in unclaimed if claim not in self._folders]
            attempt += 1


def _real(directory: Path) -> Path:
    return Path(os.path.realpath(directory))


def _numbered(path: PurePosixPath, identity: str, attempt: int, *, is_plain: bool) -> PurePosixPath:
    """The name to try: plain, then with a digest of what it is, then with that of what it is and a number."""
    if is_plain and attempt == 0:
        return path
    repeated = attempt - is_plain
    text = f"{identity} {repeated}" if repeated else identity
    return path.with_name(distinct_component(path.name, text, _DIGITS))
