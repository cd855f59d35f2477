"""Bring the catalogue up to date for some files, for a patient; tell of a study that has ended."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.repack import RepackResult, Source, pack
from pypx.actions.smdb.findings import CheckResult
from pypx.actions.smdb.mend import mend
from pypx.actions.smdb.survey import Survey, compare, look_again
from pypx.actions.status import Status, status_of_studies
from pypx.basemount import held, inventory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.walking import files_in_order
from pypx.errors import NothingFound, UsageError


def update_files(
    basemount: Basemount,
    catalogue: Catalogue,
    files: Iterable[Path],
    progress: Progress = ignore_progress,
) -> RepackResult:
    """Catalogue files that lie in data/ already, where they lie.

    Returns
    -------
    RepackResult
        With why it stopped, when nothing more could be done; what is done is kept.

    Raises
    ------
    UsageError
        When one is somewhere else.
    BasemountUnusable
        When nothing could be begun.
    """
    named = list(files)
    data = Path(os.path.realpath(basemount.data))
    for file in named:
        if not Path(os.path.realpath(file)).is_relative_to(data):
            raise UsageError(
                f"{file} is not in {basemount.data}", "px-repack puts it there, and catalogues it."
            )
    basemount.prepare()
    return pack(named, basemount, catalogue, source=Source.KEEP, progress=progress)


def update_patient(
    basemount: Basemount, catalogue: Catalogue, patient_id: str, progress: Progress = ignore_progress
) -> CheckResult:
    """Make the catalogue agree with the directories that hold a patient's images.

    Parameters
    ----------
    basemount : Basemount
    catalogue : Catalogue
        Of it.
    patient_id : str
        PatientID (0010,0020).
    progress : callable
        Told of files that are packed.

    Returns
    -------
    CheckResult
        What was found, and mended.

    Raises
    ------
    NothingFound
        When nothing of the patient is known.
    BasemountUnusable, DiskFull, CatalogueLocked, CatalogueDamaged
    """
    begun = time.monotonic()
    series = [one.series["SeriesInstanceUID"] for one in held.series_of_patients(catalogue, [patient_id])]
    placed = [one for of_it in inventory.of_series(catalogue, series).values() for one in of_it]
    directories = {*inventory.directories(placed), *inventory.folders_of(catalogue, patient_id)}
    if not directories:
        raise NothingFound(
            f"The catalogue has nothing of the patient {patient_id}",
            "Check the PatientID; px-smdb --action search shows what is held.",
        )
    files = {
        file.path: file for directory in directories for file in files_in_order(basemount.data, directory)
    }
    found = Survey()
    compare(
        iter([files[path] for path in sorted(files, key=os.fsencode)]),
        iter(sorted(placed, key=lambda one: one.path.encode())),
        found,
    )
    # Other patients' images may lie in the same directories.
    look_again(basemount, catalogue, found)
    findings = mend(basemount, catalogue, found, progress)
    return CheckResult(found.files, found.instances, 0, 0, findings, time.monotonic() - begun)


def end_of_study(catalogue: Catalogue, study_uids: Sequence[str]) -> Status:
    """How far the series of studies are, of which no more images are expected.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    return status_of_studies(catalogue, study_uids)
