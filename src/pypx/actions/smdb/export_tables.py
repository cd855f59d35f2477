"""Write the catalogue as a tree of the JSON tables of releases before 4."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.smdb.tables import Table, patient_tables, series_tables, study_tables
from pypx.basemount import documents, history
from pypx.basemount.layout import Basemount
from pypx.basemount.modes import make_directory, share
from pypx.basemount.smdb import Catalogue, chunks
from pypx.basemount.trouble import unusable
from pypx.errors import BasemountUnusable, DiskFull


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was written.

    Parameters
    ----------
    directory : pathlib.Path
        Where to.
    counts : mapping of str to int
        Files in patientData, studyData and seriesData.
    seconds : float
    """

    directory: Path
    counts: dict[str, int]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        summary = {**self.counts, "seconds": round(self.seconds, 3)}
        return {"status": "success", "summary": summary, "data": [{"directory": str(self.directory)}]}


def export_tables(
    basemount: Basemount, catalogue: Catalogue, directory: Path, progress: Progress = ignore_progress
) -> ExportResult:
    """Write all that the catalogue says as JSON tables, each in the place of one that is there.

    Parameters
    ----------
    basemount : Basemount
    catalogue : Catalogue
        Of it.
    directory : pathlib.Path
        Made where it is missing. The files are for their owner alone: they hold what was imported, secrets of
        storages among it.
    progress : callable
        Told of files that are written.

    Raises
    ------
    BasemountUnusable, DiskFull
        When they cannot be written.
    CatalogueLocked, CatalogueDamaged
        When it cannot be read.
    """
    begun = time.monotonic()
    counts = Counter({"patientData": 0, "studyData": 0, "seriesData": 0})
    made: set[Path] = set()
    for written, table in enumerate(_tables(basemount, catalogue), 1):
        file = directory / table.path
        try:
            if file.parent not in made:
                make_directory(file.parent, private=True)
                made.add(file.parent)
            _write(file, json.dumps(table.content, indent=4))
        except OSError as error:
            raise _unwritable(error, file) from error
        counts[table.path.partition("/")[0]] += 1
        progress(Step("Exporting", written, None))
    return ExportResult(directory, dict(counts), time.monotonic() - begun)


def _tables(basemount: Basemount, catalogue: Catalogue) -> Iterator[Table]:
    patients = history.all_patients(catalogue)
    studies = history.all_studies(catalogue)
    series = history.all_series(catalogue)
    for some in chunks(patients):
        yield from patient_tables(catalogue, some)
    for some in chunks(studies):
        yield from study_tables(basemount, catalogue, some)
    for some in chunks(series):
        yield from series_tables(basemount, catalogue, some)
    known = {*patients, *studies, *series}
    for document in documents.everything(catalogue):
        if document.owner not in known:
            yield Table(document.path, json.loads(document.content))


def _unwritable(error: OSError, file: Path) -> BasemountUnusable:
    trouble = unusable(error, file)
    if isinstance(trouble, DiskFull):
        return trouble
    # The tables may go anywhere: what names the BASEMOUNT has no part in it.
    hint = "Check the directory given with --actionArgs and who may write there."
    return BasemountUnusable(trouble.message, hint)


def _write(file: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix="~", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as written:
            share(descriptor, private=True)
            written.write(text + "\n")
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
