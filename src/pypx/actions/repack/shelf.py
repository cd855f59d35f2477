"""Instances get their places in data/, each its own, whatever is there already."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

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
    path : str
        The file that holds it, below data/.
    instance : PackedInstance or None
        To be written into the catalogue; None for a duplicate.
    is_created : bool
        Whether the file is new. Else it was there, put by another process or by one that was killed.
    is_restored : bool
        Whether the catalogue knows the instance, and the file that it knew was gone.
    """

    fate: Fate
    path: str
    instance: PackedInstance | None = None
    is_created: bool = False
    is_restored: bool = False

    @property
    def variant(self) -> str:
        return self.instance.variant if self.instance else ""


@dataclass(frozen=True, slots=True)
class _Directories:
    """Where the instances of a series belong, as the templates have it.

    Parameters
    ----------
    top : str
        The directory in data/, for which a patient may get another one.
    inner : str
        Those below it.
    """

    top: str
    inner: str


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
        self._directories: dict[Candidate, _Directories] = {}
        self._lying: dict[Candidate, str] = {}
        self._directory_keywords = sorted(templates.directory_keywords)
        self._directories_of = lru_cache(maxsize=1024)(self._find_directories)
        self._directory_in_tree = lru_cache(maxsize=1024)(self._find_directory_in_tree)
        self._real_tree = Path(os.path.realpath(data.tree))
        self._held: dict[str, list[HeldInstance | PackedInstance]] = {}

    def prepare(self, candidates: Collection[Candidate]) -> None:
        """Ask the catalogue all that it will be asked about these candidates."""
        held = self._catalogue.held({candidate.sop_uid for candidate in candidates})
        self._held = {sop_uid: list(instances) for sop_uid, instances in held.items()}
        self._directories = {each: self._directories_by_templates(each) for each in candidates}
        lying = {each: self._place_in_tree(each) for each in candidates}
        self._lying = {each: place for each, place in lying.items() if place}
        if self._are_claimed:
            if len(self._folders) > _MOST_REMEMBERED:
                self._folders.clear()
            self._keep_folders(self._lying)
            self._claim_folders((found.top, each.patient_id) for each, found in self._directories.items())

    def forget(self) -> None:
        """Let go of what was prepared: this lives on until Python looks for cycles, and would keep it."""
        for prepared in (self._held, self._directories, self._lying):
            prepared.clear()

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
        missing: HeldInstance | PackedInstance | None = None
        for one in held:
            try:
                if candidate.has_content_of(self._data.tree / one.path):
                    return Shelved(Fate.DUPLICATE, one.path)
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
                self._data.tree / shelved.path,
            )
        if shelved.instance:
            held.append(shelved.instance)
        return shelved

    def _place(self, candidate: Candidate, variant: str, *, keep: bool) -> Shelved:
        found = self._directories[candidate]
        top = self._folders.get((found.top, candidate.patient_id), found.top)
        directory, name = f"{top}/{found.inner}", self._templates.image.component(candidate.values)
        fate = Fate.STORED
        attempt = 0
        while True:
            numbered = _numbered(name, (candidate.sop_uid, variant), attempt, is_plain=not variant)
            path = f"{directory}/{numbered}"
            is_created = True
            try:
                if candidate in self._lying and not os.path.lexists(self._data.tree / path):
                    # It is in data/ already, under a name that other templates gave: there it stays.
                    path, is_created = self._lying[candidate], False
                else:
                    self._data.place(candidate.path, path, keep=keep)
            except FileExistsError:
                is_created = False
                target = self._data.tree / path
                try:
                    is_same = candidate.has_content_of(target)
                except FileNotFoundError:
                    candidate.path.lstat()
                    if not target.is_symlink():
                        continue  # another process took its file back
                    is_same = False  # a link that leads nowhere has the name all the same
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
                path=path,
                size=candidate.header.size,
                digest=candidate.digest if variant else "",
            )
            return Shelved(fate, path, instance, is_created)

    def _directories_by_templates(self, candidate: Candidate) -> _Directories:
        return self._directories_of(
            tuple([candidate.values.get(keyword, "") for keyword in self._directory_keywords])
        )

    def _find_directories(self, given: tuple[str, ...]) -> _Directories:
        root, study, series = self._templates.directories(
            dict(zip(self._directory_keywords, given, strict=True))
        )
        return _Directories(root, f"{study}/{series}")

    def _place_in_tree(self, candidate: Candidate) -> str | None:
        """Where in data/ a file lies; None where it comes from elsewhere, or has yet to get its name."""
        real = self._directory_in_tree(candidate.directory)
        if real is None or candidate.name.endswith("~") or candidate.path.is_symlink():
            return None
        place = f"{real}/{candidate.name}" if real else candidate.name
        try:
            place.encode()
        except UnicodeEncodeError:
            # A name that the catalogue could not hold.
            return None
        return place

    def _find_directory_in_tree(self, directory: str) -> str | None:
        real = Path(os.path.realpath(directory))
        if not real.is_relative_to(self._real_tree):
            return None
        parts = real.relative_to(self._real_tree).parts
        return None if any(part.endswith("~") for part in parts) else "/".join(parts)

    def _keep_folders(self, lying: Mapping[Candidate, str]) -> None:
        """Files that are in data/ already: whose they are, the directories that they lie in are."""
        wanted = {
            (self._directories[each].top, each.patient_id): place.split("/", 1)[0]
            for each, place in lying.items()
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
            names = {claim: _numbered(claim[0], claim[1:], attempt, is_plain=True) for claim in unclaimed}
            granted = self._catalogue.claim_folders([(names[claim], claim[1]) for claim in unclaimed])
            for claim, name in names.items():
                if (name, claim[1]) in granted:
                    self._folders[claim] = name
            unclaimed = [claim for claim in unclaimed if claim not in self._folders]
            attempt += 1


def _numbered(name: str, identity: Sequence[str], attempt: int, *, is_plain: bool) -> str:
    """The name to try: plain, then with a digest of what it is, then with that of what it is and a number."""
    if is_plain and attempt == 0:
        return name
    repeated = attempt - is_plain
    text = " ".join((*identity, str(repeated)) if repeated else identity)
    return distinct_component(name, text, _DIGITS)
