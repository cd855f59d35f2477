"""A batch is placed, written down, and only then are the old names removed.

What is killed in between leaves the old name, and the next run finds the rest as it was left: a file that
has its place but is not in the catalogue is adopted, not stored again.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from pypx.actions.repack.candidate import Candidate
from pypx.actions.repack.outcome import Fate, Handling, Outcome, Source, words_of_strays
from pypx.actions.repack.reading import Reading
from pypx.actions.repack.shelf import Shelf, Shelved
from pypx.basemount.layout import Basemount
from pypx.basemount.placing import Placer
from pypx.basemount.quarantine import quarantine
from pypx.basemount.records import PackedInstance, QuarantinedFile
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.basemount.trouble import unusable
from pypx.dicom.remains import surviving_identifiers
from pypx.errors import FileDamaged, FileUnreadable, InternalError, NotDicom, PypxError

logger = logging.getLogger("pypx.repack")
#: Of what the outcomes say as well, for whoever tells of those by itself.
outcomes = logging.getLogger("pypx.repack.outcomes")

#: After one of these the next file would fare no better.
_HOPELESS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
)


@dataclass(frozen=True, slots=True)
class _Settled:
    """What was done with one file, before it is written down."""

    reading: Reading
    outcome: Outcome
    stays: bool = True
    shelved: Shelved | None = None
    quarantined: QuarantinedFile | None = None

    @property
    def instance(self) -> PackedInstance | None:
        return self.shelved.instance if self.shelved else None

    @property
    def is_restored(self) -> bool:
        return self.shelved is not None and self.shelved.is_restored


class Batches:
    """Settles one batch after another; one for each run.

    Parameters
    ----------
    basemount : Basemount
        Where the files go.
    catalogue : Catalogue
        Of it.
    templates : TreeTemplates
        The names in data/.
    handling : Handling
        Of the files.
    data, quarantine : Placer
        Of these two trees.
    """

    def __init__(
        self,
        basemount: Basemount,
        catalogue: Catalogue,
        templates: TreeTemplates,
        handling: Handling,
        data: Placer,
        quarantine: Placer,
    ) -> None:
        # As it was named: that is what a log leaves out.
        self._data = basemount.data
        self._catalogue = catalogue
        self._takes = handling.source is Source.TAKE
        self._handling = handling
        self._placers = (data, quarantine)
        self._quarantine = quarantine
        self._shelf = Shelf(data, catalogue, templates)
        self._data_tree, self._quarantine_tree, self._incoming_tree = (
            Path(os.path.realpath(tree))
            for tree in (basemount.data, basemount.quarantine, basemount.incoming)
        )
        self._tree_of = lru_cache(maxsize=1024)(self._find_tree)
        self._is_ours = lru_cache(maxsize=1024)(self._find_is_ours)
        self._warned: set[str] = set()

    def settle(self, batch: Sequence[Reading]) -> Iterator[Outcome]:
        """Place the files of a batch, write that down, remove what is to go.

        A mistake of ours about one file keeps no other from being settled.

        Raises
        ------
        BasemountUnusable
            When nothing more can be placed. What was placed before is written down.
        CatalogueLocked, CatalogueDamaged
            When it cannot be written down. The next run adopts what was placed.
        """
        while batch:
            try:
                settled, beaten, hopeless = self._place_and_write_down(batch)
            except PypxError:
                raise
            except Exception as error:
                logger.debug("internal error", exc_info=True)
                yield from self._settle_apart(batch, error)
                return
            logger.info("%d files are done and written down", len(settled))
            for one in settled:
                self._remove_source(one)
                yield one.outcome
            if hopeless:
                raise hopeless
            batch = beaten

    def _settle_apart(self, batch: Sequence[Reading], error: Exception) -> Iterator[Outcome]:
        """Settle a batch in which something went wrong that nobody foresaw; what was placed is adopted."""
        if len(batch) > 1:
            middle = len(batch) // 2
            yield from self.settle(batch[:middle])
            yield from self.settle(batch[middle:])
        else:
            (reading,) = batch
            what = f"{reading.path} cannot be packed and stays there ({type(error).__name__}: {error})"
            yield self._failed(reading, InternalError(what)).outcome

    def _place_and_write_down(
        self, batch: Sequence[Reading]
    ) -> tuple[list[_Settled], list[Reading], PypxError | None]:
        """What is settled, what is to be done again, and why that is not all."""
        settled, hopeless = self._place(batch)
        for placer in self._placers:
            placer.sync()
        return *self._write_down(settled), hopeless

    def _place(self, batch: Sequence[Reading]) -> tuple[list[_Settled], PypxError | None]:
        """Place as much as can be; why that is not all."""
        candidates = [Candidate(one.path, one.header) if one.header else None for one in batch]
        self._shelf.prepare([candidate for candidate in candidates if candidate])
        try:
            return self._settle_all(batch, candidates)
        finally:
            self._shelf.forget()

    def _settle_all(
        self, batch: Sequence[Reading], candidates: Sequence[Candidate | None]
    ) -> tuple[list[_Settled], PypxError | None]:
        settled: list[_Settled] = []
        for reading, candidate in zip(batch, candidates, strict=True):
            path = reading.path
            try:
                settled.append(self._settle(reading, candidate))
            except (FileDamaged, FileUnreadable, NotDicom) as error:
                # It changed while we were at it.
                settled.append(self._refuse(Reading(path, error=error)))
            except NotADirectoryError as error:
                # In the way of this patient's images, say, and of no others.
                settled.append(self._failed(reading, unusable(error, Path(error.filename or path))))
            except OSError as error:
                if _is_readable(path) and error.errno in _HOPELESS:
                    return settled, unusable(error, Path(error.filename2 or error.filename or path))
                settled.append(self._refuse(Reading(path, error=_unreadable(path, error))))
        return settled, None

    def _settle(self, reading: Reading, candidate: Candidate | None) -> _Settled:
        if candidate is None:
            return self._refuse(reading)
        stays = not self._takes or self._is_ours(candidate.directory)
        shelved = self._shelf.put(candidate, keep=stays)
        logger.debug("%s is held as %s/%s", reading.path, self._data, shelved.path)
        size = candidate.header.size if shelved.fate is not Fate.DUPLICATE else 0
        outcome = Outcome(reading.path, shelved.fate, candidate.values, size)
        return _Settled(reading, outcome, stays, shelved)

    def _refuse(self, reading: Reading) -> _Settled:
        """What is not stored: damaged, something else than DICOM, or gone."""
        path = reading.path
        error = reading.error or FileUnreadable(f"{path} cannot be read")
        is_incoming = self._tree_of(os.path.dirname(path)) == self._incoming_tree
        if isinstance(error, NotDicom) and not (self._takes and is_incoming and _is_regular(path)):
            logger.info("%s; left out", error.message)
            return _Settled(reading, Outcome(path, self._handling.foreign, {}, error=error))
        if isinstance(error, FileUnreadable):
            if os.path.lexists(path) or self._handling.missing is Fate.FAILED:
                return self._failed(reading, error)
            logger.info("%s", error.message)
            return _Settled(reading, Outcome(path, self._handling.missing, {}, error=error))
        return self._put_into_quarantine(reading, error, moves=self._takes and is_incoming)

    def _failed(self, reading: Reading, error: PypxError) -> _Settled:
        """What stays where it is, and is told of: what is in the way of many files, once."""
        if error.message not in self._warned:
            self._warned.add(error.message)
            outcomes.warning("%s", error.message)
        return _Settled(reading, Outcome(reading.path, Fate.FAILED, {}, error=error))

    def _put_into_quarantine(self, reading: Reading, error: PypxError, *, moves: bool) -> _Settled:
        identifiers = surviving_identifiers(reading.path)
        if self._tree_of(os.path.dirname(reading.path)) == self._quarantine_tree:
            target = reading.path
        else:
            try:
                target = quarantine(self._quarantine, reading.path, error, keep=not moves)
            except FileNotFoundError:
                raise  # it is gone
            except OSError as problem:
                # What is whole must not wait for that.
                return self._failed(reading, unusable(problem, self._quarantine.tree))
        outcomes.warning("%s; it is kept as %s", error.message, target)
        outcome = Outcome(reading.path, Fate.QUARANTINED, identifiers, error=error, quarantined=target)
        record = QuarantinedFile(
            name=target.name,
            reason=error.message,
            sop_uid=identifiers.get("SOPInstanceUID", ""),
            series_uid=identifiers.get("SeriesInstanceUID", ""),
            study_uid=identifiers.get("StudyInstanceUID", ""),
        )
        return _Settled(reading, outcome, not moves, quarantined=record)

    def _write_down(self, settled: Sequence[_Settled]) -> tuple[list[_Settled], list[Reading]]:
        """Commit; what is settled by it, and what is to be done again since another process was faster."""
        additions = [one.instance for one in settled if one.instance and not one.is_restored]
        added = self._catalogue.add(
            additions,
            [one.quarantined for one in settled if one.quarantined],
            [one.instance for one in settled if one.instance and one.is_restored],
        )
        if added.strays:
            settled = _with_strays(settled, added.strays)
        if len(added.new) == len(additions):
            return list(settled), []
        beaten = {instance.key for instance in additions} - added.new
        winners = {
            (held.sop_uid, held.variant): held.path
            for rivals in self._catalogue.held({sop_uid for sop_uid, _ in beaten}).values()
            for held in rivals
        }
        kept: list[_Settled] = []
        again: list[Reading] = []
        for one in settled:
            if not one.instance or one.is_restored or one.instance.key not in beaten:
                kept.append(one)
            elif winners.get(one.instance.key) == one.instance.path:
                # It is this very file that the other has written down.
                kept.append(replace(one, outcome=replace(one.outcome, fate=Fate.DUPLICATE, size=0)))
            else:
                if one.shelved and one.shelved.is_created:
                    (self._data_tree / one.shelved.path).unlink(missing_ok=True)
                again.append(one.reading)
        return kept, again

    def _remove_source(self, one: _Settled) -> None:
        path = one.reading.path
        if one.stays or (one.shelved and self._is_only_name(path, one.shelved)):
            return
        try:
            with suppress(FileNotFoundError):
                os.unlink(path)
        except OSError as error:
            logger.warning("%s is safe in data/, but cannot be removed (%s)", path, error.strerror)

    def _find_is_ours(self, directory: str) -> bool:
        """Whether what lies there is kept in data/ or quarantine/ already."""
        return self._tree_of(directory) in (self._data_tree, self._quarantine_tree)

    def _is_only_name(self, path: Path, shelved: Shelved) -> bool:
        """Whether removing this name would remove the instance, because a mount shows data/ in two places."""
        if shelved.is_created:
            return False
        try:
            status = path.stat()
            return status.st_nlink == 1 and os.path.samestat(status, (self._data_tree / shelved.path).stat())
        except OSError:
            return False

    def _find_tree(self, directory: str) -> Path | None:
        real = Path(os.path.realpath(directory))
        trees = (self._data_tree, self._quarantine_tree, self._incoming_tree)
        return next((tree for tree in trees if real.is_relative_to(tree)), None)


def _with_strays(settled: Sequence[_Settled], strays: Collection[tuple[str, str]]) -> list[_Settled]:
    """The same, the strays among them marked as such and told of."""
    marked = [
        replace(one, outcome=replace(one.outcome, is_stray=True))
        if one.instance and one.instance.key in strays
        else one
        for one in settled
    ]
    counts = Counter(one.outcome.values["SeriesInstanceUID"] for one in marked if one.outcome.is_stray)
    for series_uid, count in counts.items():
        outcomes.warning("%s", words_of_strays(series_uid, count))
    return marked


def _unreadable(path: Path, error: OSError) -> FileUnreadable:
    return FileUnreadable(f"{path} cannot be stored ({error.strerror or error})")


def _is_readable(path: Path) -> bool:
    return os.access(path, os.R_OK, effective_ids=True)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
