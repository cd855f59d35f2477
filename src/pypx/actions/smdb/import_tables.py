"""Take in a tree of the JSON tables of releases before 4.

Nothing that stands there is believed to be safe: a location counts only where it is a plain file inside of
data/, which is then read as px-repack reads it. All that is said is kept, so that an export says it again.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.repack import RepackResult, pack_in_place
from pypx.actions.smdb.import_result import ImportedSeries, ImportResult, RefusedTable
from pypx.actions.smdb.imported_places import Places, location_of
from pypx.actions.smdb.imported_values import count, text, texts, texts_of_image, time_of
from pypx.actions.smdb.table_files import Kind, TableFile, Tree, series_file, study_file, study_series_file
from pypx.actions.smdb.tables import IMPORTED
from pypx.basemount import documents
from pypx.basemount.documents import Document
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, EventKind
from pypx.basemount.smdb import Catalogue
from pypx.dicom.uid import is_uid
from pypx.errors import FileUnreadable, InvalidInput

#: Files of images that are packed together, and tables that are written down together.
_TOGETHER = 5000

_EVENTS: Mapping[Kind, EventKind] = {"retrieve": "requested", "push": "pushed", "register": "registered"}
_TARGETS: Mapping[Kind, str] = {"push": "swift", "register": "CUBE"}


def import_tables(
    basemount: Basemount, catalogue: Catalogue, root: Path, progress: Progress = ignore_progress
) -> ImportResult:
    """Take in a tree; the same once more changes nothing.

    Parameters
    ----------
    basemount : Basemount
        Whose data/ the images are in.
    catalogue : Catalogue
        Of it.
    root : pathlib.Path
        The directory that holds patientData, studyData and seriesData.
    progress : callable
        Told of tables that are read, and of images that are packed.

    Raises
    ------
    FileUnreadable
        When there is no such tree.
    BasemountUnusable, DiskFull, CatalogueLocked, CatalogueDamaged
        When nothing more can be done. The same call goes on from there.
    """
    tree = Tree(root)
    basemount.prepare()
    run = _Import(basemount, catalogue, tree, progress)
    run.patients()
    run.studies()
    run.series()
    return run.result()


class _Import:
    """One import while it goes on."""

    def __init__(self, basemount: Basemount, catalogue: Catalogue, tree: Tree, progress: Progress) -> None:
        self._basemount = basemount
        self._catalogue = catalogue
        self._tree = tree
        self._progress = progress
        self._begun = time.monotonic()
        self._places = Places(basemount)
        self._counts = Counter(patients=0, studies=0, series=0, images=0, missing=0, outside=0)
        self._refused: list[RefusedTable] = []
        self._series: list[ImportedSeries] = []
        self._documents: list[Document] = []
        self._described: list[Mapping[str, str]] = []
        self._events: list[Event] = []
        self._patient_files: dict[str, TableFile] = {}
        self._images: list[Path] = []
        self._packed: list[RepackResult] = []
        self._read = 0
        # Of the last studies and patients, since series of one study do not follow each other.
        self._content = lru_cache(maxsize=512)(self._read_again)

    def patients(self) -> None:
        for file in self._tree.patients():
            if content := self._take(file):
                named = [key for key, value in content.items() if isinstance(value, dict)]
                owner = file.owner if file.owner in named or not named else named[0]
                self._keep(file, content, owner)
                self._patient_files[owner] = file
                self._counts["patients"] += 1

    def studies(self) -> None:
        for file in self._tree.studies():
            if (content := self._take(file)) and self._has_member(file, content, file.owner):
                self._keep(file, content)
                self._counts["studies"] += file.kind == "study"

    def series(self) -> None:
        for uid, files, has_images in self._tree.series():
            contents: dict[Kind, dict[str, Any]] = {}
            for file in files:
                content = self._take(file)
                if content is not None and (file.kind != "meta" or self._has_member(file, content, uid)):
                    contents[file.kind] = content
                    self._keep(file, content)
            images, here = self._take_images(uid) if has_images else (0, 0)
            self._counts["series"] += 1
            values = self._describe(uid, contents.get("meta", {}))
            if values["StudyInstanceUID"]:
                self._described.append(values)
            self._events += self._happened(uid, values["StudyInstanceUID"], contents, images)
            self._series.append(
                ImportedSeries(values["StudyInstanceUID"], uid, values["SeriesDescription"], images, here)
            )
        self._write_down()
        self._pack()

    def result(self) -> ImportResult:
        foreign = [
            RefusedTable(path, InvalidInput(f"{path} does not belong to such a tree"))
            for path in self._tree.foreign
        ]
        return ImportResult(
            dict(self._counts),
            _together(self._packed),
            tuple(self._series),
            tuple(self._refused + foreign),
            time.monotonic() - self._begun,
        )

    def _take(self, file: TableFile) -> dict[str, Any] | None:
        """What a file says; None, and noted, where that is nothing."""
        self._read += 1
        self._progress(Step("Reading tables", self._read, None))
        try:
            return self._tree.read(file)
        except (InvalidInput, FileUnreadable) as error:
            self._refuse(file, error.message)
            return None

    def _refuse(self, file: TableFile, reason: str) -> None:
        self._refused.append(RefusedTable(file.path, InvalidInput(f"{file.path} is left out: {reason}")))

    def _has_member(self, file: TableFile, content: Mapping[str, Any], name: str) -> bool:
        if isinstance(content.get(name), dict):
            return True
        self._refuse(file, f"It does not tell of {name}")
        return False

    def _keep(self, file: TableFile, content: Mapping[str, Any], owner: str = "") -> None:
        self._documents.append(Document(owner or file.owner, file.path, json.dumps(content)))
        if len(self._documents) >= _TOGETHER:
            self._write_down()

    def _write_down(self) -> None:
        documents.keep(self._catalogue, self._documents)
        self._catalogue.describe(self._described)
        self._catalogue.record(self._events)
        self._documents, self._described, self._events = [], [], []

    def _take_images(self, series_uid: str) -> tuple[int, int]:
        """How many images the tree tells of, and of how many of them there is a file in data/."""
        told = here = 0
        for file in self._tree.images(series_uid):
            content = self._take(file)
            if content is None or not self._has_member(file, content, series_uid):
                continue
            location = location_of(content[series_uid], file.name)
            if location is None:
                self._refuse(file, f"It does not say where {file.name} is")
                continue
            self._keep(file, content)
            told += 1
            place = self._places.find(location)
            if place is None:
                self._counts["missing" if self._places.is_inside(location) else "outside"] += 1
                continue
            here += 1
            self._images.append(place)
            if len(self._images) >= _TOGETHER:
                self._pack()
        self._counts["images"] += told
        return told, here

    def _pack(self) -> None:
        if self._images:
            self._packed.append(pack_in_place(self._images, self._basemount, self._catalogue, self._progress))
            self._images = []

    def _describe(self, uid: str, meta: Mapping[str, Any]) -> dict[str, str]:
        """What the tables say of a series, its study and its patient, the more particular before the rest."""
        series = texts(meta.get(uid))
        study_uid = series.get("StudyInstanceUID", "")
        if not is_uid(study_uid):
            series["StudyInstanceUID"] = study_uid = ""
        values: dict[str, str] = {}
        if study_uid:
            in_study = self._content(study_series_file(study_uid, uid)).get(study_uid)
            study = texts(self._content(study_file(study_uid)).get(study_uid))
            # That of the station is one of a series, whatever table it is in; that of the age, of a study.
            study.pop("PerformedStationAETitle", None)
            patient = self._patient(series.get("PatientID") or study.get("PatientID", ""))
            patient.pop("PatientAge", None)
            values = {**patient, **study, **texts_of_image(in_study)}
        return {
            **{"SeriesDescription": "", "StudyInstanceUID": ""},
            **values,
            **series,
            "SeriesInstanceUID": uid,
        }

    def _patient(self, patient_id: str) -> dict[str, str]:
        file = self._patient_files.get(patient_id)
        return texts(self._content(file).get(patient_id)) if file else {}

    def _read_again(self, file: TableFile) -> Mapping[str, Any]:
        try:
            return self._tree.read(file)
        except (InvalidInput, FileUnreadable):
            return {}

    def _happened(
        self, uid: str, study_uid: str, contents: Mapping[Kind, Mapping[str, Any]], images: int
    ) -> Iterator[Event]:
        for part, kind in _EVENTS.items():
            if part not in contents:
                continue
            told = contents[part]
            if part == "retrieve":
                number = count(told.get("NumberOfSeriesRelatedInstances"))
            else:
                # Earlier releases wrote these when they were through with all images of the series.
                number = count(told.get("count", images))
            if number is not None:
                yield Event(
                    series_uid=uid,
                    kind=kind,
                    study_uid=study_uid,
                    count=number,
                    target=text(told.get("target")) or _TARGETS.get(part, ""),
                    detail=IMPORTED,
                    time=time_of(told, self._tree.modified(series_file(uid, part))),
                )


def _together(results: Sequence[RepackResult]) -> RepackResult:
    """One result of several; what it says of each series is left out."""
    return RepackResult(
        stored=sum(one.stored for one in results),
        duplicates=sum(one.duplicates for one in results),
        conflicts=sum(one.conflicts for one in results),
        strays=sum(one.strays for one in results),
        skipped=sum(one.skipped for one in results),
        quarantined=tuple(path for one in results for path in one.quarantined),
        failed=tuple(path for one in results for path in one.failed),
        bytes=sum(one.bytes for one in results),
        seconds=sum(one.seconds for one in results),
    )
