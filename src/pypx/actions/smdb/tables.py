"""The catalogue as the JSON tables of releases before 4.

What was imported from such tables stands as it was; what came later is added to it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pypx.actions.smdb import table_files
from pypx.actions.smdb.table_files import NOT_DEFINED, Kind, TableFile
from pypx.basemount import documents, held, history, inventory
from pypx.basemount.held import Asked, HeldSeries
from pypx.basemount.inventory import Placed
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event, EventKind
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import distinct_component, legal_component

#: In the detail of events that an import wrote: the table says more than the event.
IMPORTED = "imported from the tables of an earlier release"

#: How earlier releases wrote the time of a push and of a registration.
TIME_FORMAT = "%Y-%m-%d, %H:%M:%S"

_PATIENT = ("PatientID", "PatientName", "PatientAge", "PatientSex", "PatientBirthDate")
_STUDY = ("PatientID", "StudyDescription", "StudyDate", "StudyInstanceUID", "PerformedStationAETitle")
_SERIES = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "SeriesNumber",
    "SeriesDate",
    "Modality",
)

_INSTANCES = "NumberOfSeriesRelatedInstances"

#: The table that tells of the last event of its kind.
_PARTS: Mapping[EventKind, Kind] = {"requested": "retrieve", "pushed": "push", "registered": "register"}

#: Longest name of a file, without ".json".
_LONGEST_NAME = 250


@dataclass(frozen=True, slots=True)
class Table:
    """One file of the tree.

    Parameters
    ----------
    path : str
        In the tree.
    content : mapping
        Of JSON values.
    """

    path: str
    content: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"table": self.path, "content": dict(self.content)}


class _Imported:
    """What was imported of one patient, study or series: it stands in the place of what would be built."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        self._contents = dict(contents)
        self.is_empty = not contents

    def __contains__(self, file: TableFile) -> bool:
        return file.path in self._contents

    def take(self, file: TableFile) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._contents.pop(file.path))
        return content

    def or_built(self, file: TableFile, content: Mapping[str, Any]) -> Table:
        return Table(file.path, self.take(file) if file in self else content)

    def rest(self) -> Iterator[Table]:
        """What the catalogue has nothing else of."""
        yield from (Table(path, json.loads(content)) for path, content in self._contents.items())


def patient_tables(catalogue: Catalogue, patient_ids: Collection[str]) -> Iterator[Table]:
    """The table of each of these patients.

    All functions here raise CatalogueLocked, CatalogueDamaged or BasemountUnusable when the catalogue cannot
    be read.
    """
    imported = documents.of_owners(catalogue, patient_ids)
    by_patient: dict[str, list[HeldSeries]] = {patient_id: [] for patient_id in patient_ids}
    for one in held.series_of_patients(catalogue, list(by_patient)):
        by_patient[one.study["PatientID"]].append(one)
    for patient_id, series in by_patient.items():
        mine = _Imported(imported[patient_id])
        file = table_files.patient_file(_file_name(patient_id))
        studies = list(dict.fromkeys(one.study["StudyInstanceUID"] for one in series))
        if file in mine:
            yield Table(file.path, _with_studies(mine.take(file), patient_id, studies))
        elif series:
            described = {**_defined(series[0].study, _PATIENT), "StudyList": studies}
            yield Table(file.path, {patient_id: described})
        yield from mine.rest()


def _with_studies(content: dict[str, Any], patient_id: str, studies: Sequence[str]) -> dict[str, Any]:
    """A patient's table with the studies that have come since."""
    patient = content.setdefault(patient_id, {})
    listed = patient.get("StudyList")
    listed = listed if isinstance(listed, list) else []
    new = [uid for uid in studies if uid not in listed]
    if new:
        patient["StudyList"] = [*listed, *new]
    return content


def study_tables(basemount: Basemount, catalogue: Catalogue, study_uids: Collection[str]) -> Iterator[Table]:
    """The table of each of these studies, and one for each of its series."""
    imported = documents.of_owners(catalogue, study_uids)
    by_study: dict[str, list[HeldSeries]] = {uid: [] for uid in study_uids}
    for one in held.series_that_may_fit(catalogue, [_any_of("StudyInstanceUID", study_uids)]):
        by_study[one.study["StudyInstanceUID"]].append(one)
    series_uids = [one.series["SeriesInstanceUID"] for series in by_study.values() for one in series]
    placed = inventory.of_series(catalogue, series_uids)
    for uid, series in by_study.items():
        mine = _Imported(imported[uid])
        if series:
            described = _defined({**series[0].study, **series[0].series}, _STUDY)
            yield mine.or_built(table_files.study_file(uid), {uid: described})
        for one in series:
            series_uid = one.series["SeriesInstanceUID"]
            content = _series_of_study(basemount, one, placed[series_uid])
            yield mine.or_built(table_files.study_series_file(uid, series_uid), {uid: content})
        yield from mine.rest()


def _series_of_study(basemount: Basemount, one: HeldSeries, placed: Sequence[Placed]) -> dict[str, Any]:
    directory = next(iter(inventory.directories(placed)), "")
    values = {**one.study, **one.series}
    return {
        "SeriesInstanceUID": one.series["SeriesInstanceUID"],
        "SeriesBaseDir": str(basemount.data / directory) if directory else NOT_DEFINED,
        "DICOM": {name: {"value": value, "label": name} for name, value in values.items() if value},
    }


def series_tables(
    basemount: Basemount, catalogue: Catalogue, series_uids: Collection[str]
) -> Iterator[Table]:
    """The tables of each of these series, those of its images among them."""
    imported = documents.of_owners(catalogue, series_uids)
    asked = [_any_of("SeriesInstanceUID", series_uids)]
    described = {one.series["SeriesInstanceUID"]: one for one in held.series_that_may_fit(catalogue, asked)}
    placed = inventory.of_series(catalogue, series_uids)
    events = history.events_of(catalogue, series_uids)
    for uid in series_uids:
        mine = _Imported(imported[uid])
        if uid in described:
            yield from _described_tables(basemount, described[uid], placed[uid], mine)
        yield from _event_tables(uid, events[uid], mine)
        yield from mine.rest()


def _described_tables(
    basemount: Basemount, one: HeldSeries, placed: Sequence[Placed], imported: _Imported
) -> Iterator[Table]:
    uid = one.series["SeriesInstanceUID"]
    model = _defined({**one.study, **one.series}, _SERIES)
    yield imported.or_built(table_files.series_file(uid, "meta"), {uid: model})
    if placed and imported.is_empty:
        # What was imported without it is not said to be more than it was.
        yield Table(table_files.series_file(uid, "pack").path, {"seriesPack": True})
    taken: set[str] = set()
    for each in placed:
        name = PurePosixPath(each.path).name
        if name in taken:
            name = distinct_component(name, each.path, digits=16)
        taken.add(name)
        image = {"size": each.size, "FSlocation": str(basemount.data / each.path)}
        content = {uid: {**model, "outputFile": name, "imageObj": {name: image}}}
        yield imported.or_built(table_files.image_file(uid, name), content)


def _event_tables(uid: str, events: Sequence[Event], imported: _Imported) -> Iterator[Table]:
    last = {event.kind: event for event in events if event.count is not None}
    for kind, part in _PARTS.items():
        file = table_files.series_file(uid, part)
        event = last.get(kind)
        if event and event.detail != IMPORTED:
            if file in imported:
                imported.take(file)
            yield Table(file.path, _told(event))
        elif event:
            yield imported.or_built(file, _told(event))


def _told(event: Event) -> dict[str, Any]:
    time = event.time.isoformat()
    if event.kind == "requested":
        return {_INSTANCES: event.count, "target": event.target, "time": time}
    timestamp = event.time.astimezone().strftime(TIME_FORMAT)
    return {"timestamp": timestamp, "time": time, "target": event.target, "count": event.count}


def _defined(values: Mapping[str, str], keywords: Sequence[str]) -> dict[str, str]:
    return {keyword: values.get(keyword) or NOT_DEFINED for keyword in keywords}


def _any_of(keyword: str, uids: Collection[str]) -> Asked:
    return Asked(keyword, "UI", "\\".join(uids))


def _file_name(patient_id: str) -> str:
    """A PatientID as the name of a file, as it is where that may be."""
    is_legal = patient_id and "/" not in patient_id and patient_id.isprintable()
    if is_legal and len(patient_id.encode()) <= _LONGEST_NAME:
        return patient_id
    return distinct_component(legal_component(patient_id)[:200], patient_id)
