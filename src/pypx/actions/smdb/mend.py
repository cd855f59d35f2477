"""Make tree and catalogue agree again, without the loss of an image."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.repack import RepackResult, pack_in_place, resume
from pypx.actions.repack.candidate import Candidate
from pypx.actions.smdb.findings import Fault, Finding, stray
from pypx.actions.smdb.survey import Survey, is_text
from pypx.basemount import inventory
from pypx.basemount.inventory import Placed
from pypx.basemount.layout import Basemount
from pypx.basemount.placing import Placer
from pypx.basemount.smdb import Catalogue
from pypx.basemount.trouble import unusable
from pypx.dicom.header import read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, PypxError

logger = logging.getLogger("pypx.smdb")


@dataclass(frozen=True, slots=True)
class _Done:
    """What was done about one file."""

    words: str
    is_mended: bool = True
    is_damaged: bool = False


def mend(
    basemount: Basemount, catalogue: Catalogue, found: Survey, progress: Progress = ignore_progress
) -> tuple[Finding, ...]:
    """Mend what a survey found.

    Files that the catalogue does not know are read, and catalogued where they lie. A second file with the
    content of one that is catalogued goes; a damaged one goes to quarantine/. Instances whose files are gone
    are taken out; where strays are all that is left of a series, what it is of is known by them from then on.
    What killed processes left behind is taken up.

    Parameters
    ----------
    basemount : Basemount
    catalogue : Catalogue
        Of it.
    found : Survey
    progress : callable
        Told of files that are packed.

    Returns
    -------
    tuple of Finding
        All that was found, and what was done about it.

    Raises
    ------
    BasemountUnusable, DiskFull, CatalogueLocked, CatalogueDamaged
        When nothing more can be done; what is done is kept.
    """
    basemount.prepare()
    mending = _Mending(basemount, catalogue, progress)
    done = {
        **mending.take_up_incoming(found),
        **mending.clear_unfinished(found),
        **mending.catalogue_unknown(found),
        **mending.forget_missing(found.missing),
        **mending.see_quarantine(found),
    }
    findings = []
    for finding in found.findings(basemount):
        about = done.get(finding.file)
        if about:
            finding = replace(
                finding, done=about.words, is_mended=about.is_mended, is_damaged=about.is_damaged
            )
            logger.info("%s: %s", finding.file, about.words)
        findings.append(finding)
    return (*findings, *mending.describe_anew())


class _Mending:
    """What can be done about each kind of fault, and the words for it, by file."""

    def __init__(self, basemount: Basemount, catalogue: Catalogue, progress: Progress) -> None:
        self._basemount = basemount
        self._catalogue = catalogue
        self._progress = progress

    def take_up_incoming(self, found: Survey) -> dict[Path, _Done]:
        if not found.incoming:
            return {}
        if resumed := resume(self._basemount, self._catalogue, progress=self._progress):
            resumed.raise_if_stopped()
        return {
            path: _Done("is still there; no process of pypx put it there", is_mended=False)
            if path.exists()
            else _Done("packed")
            for path in found.incoming
        }

    def clear_unfinished(self, found: Survey) -> dict[Path, _Done]:
        if not found.unfinished:
            return {}
        turns = self._basemount.log / "placing.lock"
        try:
            # Each clears its tree when it begins.
            with Placer(self._basemount.data, turns), Placer(self._basemount.quarantine, turns):
                pass
        except OSError as error:
            raise unusable(error, self._basemount.root) from error
        return {
            path: _Done("is still there", is_mended=False) if path.exists() else _Done("removed")
            for path in found.unfinished
        }

    def catalogue_unknown(self, found: Survey) -> dict[Path, _Done]:
        """Files of another size are taken for new ones, since that is what they are."""
        inventory.forget(self._catalogue, [placed for placed, _ in found.resized])
        paths = [file.path for file in found.unknown if file.is_plain]
        paths += [placed.path for placed, file in found.resized if file.is_plain]
        replaced = [placed.path for placed, file in found.resized if not file.is_plain]
        done = {
            self._basemount.data / path: _Done(
                "taken out of the catalogue; it is no plain file", is_mended=False
            )
            for path in replaced
        }
        return done | self._catalogue_in_place(paths)

    def _catalogue_in_place(self, paths: Sequence[str]) -> dict[Path, _Done]:
        """What became of files in data/ that the catalogue does not know."""
        if not paths:
            return {}
        files = [self._basemount.data / path for path in paths]
        done: dict[Path, _Done] = {}
        packed = self._pack(files)
        known = inventory.at(self._catalogue, [path for path in paths if is_text(path)])
        damaged = {one.path: one.kept for one in packed.quarantined}
        failed = {one.path: one.error for one in packed.failed}
        for path, file in zip(paths, files, strict=True):
            if path in known:
                done[file] = _Done("catalogued")
            elif file in damaged:
                moved = self._remove(file, f"damaged; it is {damaged[file]} now")
                done[file] = replace(moved, is_mended=False, is_damaged=True)
            elif file in failed:
                done[file] = _Done(failed[file].message, is_mended=False)
            else:
                done[file] = self._see_copy(file)
        return done

    def _see_copy(self, file: Path) -> _Done:
        """A file that was neither stored nor damaged: a copy of another one, or something else than DICOM."""
        try:
            candidate = Candidate(file, read_header(file, ()))
            for held in self._catalogue.held([candidate.sop_uid]).get(candidate.sop_uid, []):
                kept = self._basemount.data / held.path
                if kept != file and kept.exists() and candidate.has_content_of(kept):
                    return self._remove(file, f"removed: a copy of {kept}")
        except (NotDicom, FileDamaged, FileUnreadable, FileNotFoundError) as error:
            said = error.message if isinstance(error, PypxError) else "it is gone"
            return _Done(f"left where it is: {said}", is_mended=False)
        return _Done("left where it is", is_mended=False)

    def _remove(self, file: Path, words: str) -> _Done:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            return _Done(f"{words}, but it cannot be removed ({error.strerror})", is_mended=False)
        return _Done(words)

    def forget_missing(self, missing: Collection[Placed]) -> dict[Path, _Done]:
        """After the unknown ones: a file that was moved within data/ is known by its new name by then."""
        still = [one for one in missing if not (self._basemount.data / one.path).exists()]
        inventory.forget(self._catalogue, still)
        moved = self._catalogue.held([one.sop_uid for one in missing])
        done: dict[Path, _Done] = {}
        for one in missing:
            places = [held.path for held in moved.get(one.sop_uid, []) if held.variant == one.variant]
            words = f"it is {places[0]} now" if places else "taken out of the catalogue"
            done[self._basemount.data / one.path] = _Done(words)
        return done

    def describe_anew(self) -> list[Finding]:
        """After the missing ones: where those are taken out that were not of the series, its own are left."""
        alone = inventory.strays_alone(self._catalogue)
        if not alone:
            return []
        series_uids = {placed.series_uid for placed in alone}
        before = [one for one in inventory.straying(self._catalogue) if one[0] in series_uids]
        # First: whoever is killed in between finds them alone again.
        inventory.forget_descriptions(self._catalogue, series_uids)
        inventory.forget(self._catalogue, alone, "catalogued anew")
        done = self._catalogue_in_place([placed.path for placed in alone])
        left = {(series_uid, directory) for series_uid, directory, _ in inventory.straying(self._catalogue)}
        described = [
            replace(
                stray(self._basemount, series_uid, directory, count),
                done="nothing else is left of the series: it is of this patient and study now",
                is_mended=True,
            )
            for series_uid, directory, count in before
            if (series_uid, directory) not in left
        ]
        lost = [
            Finding(Fault.UNKNOWN, file, "", about.words, is_damaged=about.is_damaged)
            for file, about in done.items()
            if not about.is_mended
        ]
        return described + lost

    def see_quarantine(self, found: Survey) -> dict[Path, _Done]:
        """Damaged files stay; what is recorded of them is made to agree."""
        inventory.forget_quarantined(self._catalogue, found.gone)
        quarantine = self._basemount.quarantine
        if found.unlisted:
            self._pack([quarantine / name for name in found.unlisted])
        replaced = inventory.replaced(self._catalogue) if found.quarantined else set()
        return {
            **{quarantine / name: _Done("taken out of the catalogue") for name in found.gone},
            **{
                quarantine / name: _Done("a whole file of its instance is held now")
                for name in found.quarantined
                if name in replaced or self._is_whole(quarantine / name)
            },
        }

    def _is_whole(self, file: Path) -> bool:
        """Whether an earlier release took it for damaged, and this one has put it into data/."""
        try:
            return bool(self._catalogue.held([read_header(file, ()).sop_instance_uid]))
        except (NotDicom, FileDamaged, FileUnreadable):
            return False

    def _pack(self, files: Iterable[Path]) -> RepackResult:
        return pack_in_place(files, self._basemount, self._catalogue, self._progress)
