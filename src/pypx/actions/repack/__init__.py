"""Put DICOM files into the tree, and tell the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.repack.batch import Batches
from pypx.actions.repack.outcome import Fate, Handling, Source
from pypx.actions.repack.reading import batches, read
from pypx.actions.repack.result import FailedPath, QuarantinedPath, RepackResult, SeriesVerdict, Tally
from pypx.basemount.layout import Basemount
from pypx.basemount.placing import Placer
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.basemount.trouble import unusable
from pypx.errors import PypxError

__all__ = [
    "FailedPath",
    "Fate",
    "QuarantinedPath",
    "RepackResult",
    "SeriesVerdict",
    "Source",
    "pack",
    "pack_in_place",
    "resume",
]


def pack(
    files: Iterable[Path],
    basemount: Basemount,
    catalogue: Catalogue,
    templates: TreeTemplates | None = None,
    *,
    source: Source,
    missing: Fate = Fate.SKIPPED,
    foreign: Fate = Fate.SKIPPED,
    jobs: int | None = 1,
    progress: Progress = ignore_progress,
    total: int | None = None,
) -> RepackResult:
    """Put DICOM files into data/ and the catalogue.

    May run in many processes at once, over the same files; may be killed at any point and run again.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Read as they are needed.
    basemount : Basemount
        Where to; its directories are there (:meth:`Basemount.prepare`).
    catalogue : Catalogue
        Of that BASEMOUNT.
    templates : TreeTemplates, optional
        The names in data/; the usual ones where not given.
    source : Source
        Whether each file goes once its instance is in data/ and in the catalogue, or stays. A damaged file is
        moved into quarantine/ from incoming/, and copied there from anywhere else.
    missing : Fate
        What a file counts as that is not there: ``SKIPPED`` where another process may have taken it,
        ``FAILED`` where somebody named it.
    foreign : Fate
        What a file counts as that is something else than DICOM: ``SKIPPED`` where many files were gone
        through, ``FAILED`` where somebody named this one.
    jobs : int or None
        Processes in all. This one places and writes down; others only read, and the files are placed in their
        order all the same. None for as many as pay, once there are many files.
    progress : callable
        Told of files that are done.
    total : int, optional
        How many files there are, for the progress.

    Returns
    -------
    RepackResult
        Counts, and a verdict for each series. ``stopped`` is a BasemountUnusable, DiskFull, CatalogueLocked
        or CatalogueDamaged when nothing more could be done. What is done is kept, and the same call goes on
        from there.

    Raises
    ------
    BasemountUnusable
        When nothing could be begun.
    """
    handling = Handling(source, missing, foreign)
    run = _Run(basemount, catalogue, templates or TreeTemplates(), handling, jobs, progress, total)
    run.pack(files)
    return run.result()


def pack_in_place(
    files: Iterable[Path], basemount: Basemount, catalogue: Catalogue, progress: Progress = ignore_progress
) -> RepackResult:
    """Catalogue files of the BASEMOUNT that are in data/ or quarantine/ already, where they lie.

    Parameters
    ----------
    files, basemount, catalogue, progress
        As those of :func:`pack`.

    Raises
    ------
    BasemountUnusable, DiskFull, CatalogueLocked, CatalogueDamaged
        When nothing more can be done; what is done is kept.
    """
    packed = pack(files, basemount, catalogue, source=Source.KEEP, jobs=None, progress=progress)
    packed.raise_if_stopped()
    return packed


def resume(
    basemount: Basemount,
    catalogue: Catalogue,
    templates: TreeTemplates | None = None,
    *,
    progress: Progress = ignore_progress,
) -> RepackResult | None:
    """Pack what processes that were killed had received; None where there was nothing.

    Parameters
    ----------
    basemount, catalogue, templates, progress
        As those of :func:`pack`.

    Raises
    ------
    BasemountUnusable
        When nothing could be begun.
    """
    handling = Handling(Source.TAKE)
    run = _Run(basemount, catalogue, templates or TreeTemplates(), handling, 1, progress, None)
    for directory in basemount.abandoned_incoming():
        run.pack(directory.files())
        if run.stopped:
            break
    return run.result() if run.tally.files or run.stopped else None


class _Run:
    """Several heaps of files, added up."""

    def __init__(
        self,
        basemount: Basemount,
        catalogue: Catalogue,
        templates: TreeTemplates,
        handling: Handling,
        jobs: int | None,
        progress: Progress,
        total: int | None,
    ) -> None:
        self.tally = Tally()
        self.stopped: PypxError | None = None
        self._basemount = basemount
        self._catalogue = catalogue
        self._templates = templates
        self._handling = handling
        self._jobs = jobs
        self._progress = progress
        self._total = total
        self._begun = time.monotonic()

    def pack(self, files: Iterable[Path]) -> None:
        with _placers(self._basemount) as (data, quarantine):
            settling = Batches(
                self._basemount,
                self._catalogue,
                self._templates,
                self._handling,
                data,
                quarantine,
            )
            self._tell()
            try:
                # Before the placers go, so do the processes that read.
                with closing(read(files, self._templates, self._jobs)) as readings:
                    for batch in batches(readings):
                        self.tally.add(settling.settle(batch))
                        self._tell()
            except PypxError as error:
                # What was done until then is to be told of all the same.
                self.stopped = error

    def result(self) -> RepackResult:
        return self.tally.result(time.monotonic() - self._begun, self.stopped)

    def _tell(self) -> None:
        self._progress(Step("Packing", self.tally.files, self._total, self.tally.bytes))


@contextmanager
def _placers(basemount: Basemount) -> Iterator[tuple[Placer, Placer]]:
    turns = basemount.log / "placing.lock"
    try:
        with Placer(basemount.data, turns) as data, Placer(basemount.quarantine, turns) as quarantine:
            yield data, quarantine
    except OSError as error:
        raise unusable(error, basemount.root) from error
