"""Put DICOM files into the tree, and tell the catalogue."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.repack.batch import Batches
from pypx.actions.repack.outcome import Fate, Source
from pypx.actions.repack.reading import batches, read
from pypx.actions.repack.result import FailedPath, QuarantinedPath, RepackResult, SeriesVerdict, Tally
from pypx.basemount.layout import Basemount
from pypx.basemount.placing import Placer
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.basemount.trouble import unusable

__all__ = [
    "FailedPath",
    "Fate",
    "QuarantinedPath",
    "RepackResult",
    "SeriesVerdict",
    "Source",
    "pack",
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
    jobs: int | None = 1,
    progress: Progress = ignore_progress,
    total: int | None = None,
) -> RepackResult:
    """Put DICOM files into data/ and the catalogue.

    May run in many processes at once, over the same files; may be killed at any point and run again.

    Parameters
    ----------
    files : iterable of pathlib.Path
        Read as they are needed. What is not DICOM is left out and counted.
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
        Counts, and a verdict for each series.

    Raises
    ------
    BasemountUnusable, CatalogueLocked, CatalogueDamaged
        When nothing more can be done. What is done is kept, and the same call goes on from there.
    """
    run = _Run(basemount, catalogue, templates or TreeTemplates(), source, missing, jobs, progress, total)
    run.pack(files)
    return run.result()


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
    BasemountUnusable, CatalogueLocked, CatalogueDamaged
        As :func:`pack`.
    """
    run = _Run(
        basemount, catalogue, templates or TreeTemplates(), Source.TAKE, Fate.SKIPPED, 1, progress, None
    )
    for directory in basemount.abandoned_incoming():
        run.pack(directory.files())
    return run.result() if run.tally.files else None


class _Run:
    """Several heaps of files, added up."""

    def __init__(
        self,
        basemount: Basemount,
        catalogue: Catalogue,
        templates: TreeTemplates,
        source: Source,
        missing: Fate,
        jobs: int | None,
        progress: Progress,
        total: int | None,
    ) -> None:
        self.tally = Tally()
        self._basemount = basemount
        self._catalogue = catalogue
        self._templates = templates
        self._source = source
        self._missing = missing
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
                self._source,
                self._missing,
                data,
                quarantine,
            )
            self._tell()
            # Before the placers go, so do the processes that read.
            with closing(read(files, self._templates, self._jobs)) as readings:
                for batch in batches(readings):
                    self.tally.add(settling.settle(batch))
                    self._tell()

    def result(self) -> RepackResult:
        return self.tally.result(time.monotonic() - self._begun)

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
