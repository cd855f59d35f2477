"""Where images lie: the directories of a patient, of series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pypx.actions.found import FoundStudy
from pypx.actions.smdb.search import search
from pypx.basemount import inventory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.errors import NothingFound


@dataclass(frozen=True, slots=True)
class Location:
    """A directory with images of one series.

    Parameters
    ----------
    patient_id, study_uid, series_uid, description : str
        Of the series.
    directory : pathlib.Path
        In data/, absolute.
    images : int
        Of the series, in this directory.
    """

    patient_id: str
    study_uid: str
    series_uid: str
    description: str
    directory: Path
    images: int

    def to_json(self) -> dict[str, Any]:
        return {
            "PatientID": self.patient_id,
            "StudyInstanceUID": self.study_uid,
            "SeriesInstanceUID": self.series_uid,
            "SeriesDescription": self.description,
            "directory": str(self.directory),
            "images": self.images,
        }


@dataclass(frozen=True, slots=True)
class Locations:
    """Directories, in the order of patients, studies and series."""

    all: tuple[Location, ...]

    def to_json(self) -> dict[str, Any]:
        return {"status": "success", "data": [location.to_json() for location in self.all]}


def locations(basemount: Basemount, catalogue: Catalogue, matching: Mapping[str, str]) -> Locations:
    """The directories of the series that match.

    Parameters
    ----------
    basemount : Basemount
    catalogue : Catalogue
        Of it.
    matching : mapping of str to str
        As of :func:`pypx.actions.smdb.search.search`.

    Raises
    ------
    NothingFound
        When no series that matches is held.
    InvalidValue, CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    found = search(catalogue, matching)
    if not found.series:
        what = " and ".join(f"{name} {value}" for name, value in matching.items())
        raise NothingFound(f"The catalogue has no series with {what}" if what else "The catalogue is empty")
    uids = list(dict.fromkeys(series.uid for series in found.series))
    placed = inventory.of_series(catalogue, uids)
    # By what the images say that they are of, which of strays is not that of the series.
    lying = inventory.strays_of_series(catalogue, uids)
    for uid, (study_uid, patient_id) in catalogue.described(uids).items():
        lying[patient_id, study_uid, uid] = placed[uid]
    return Locations(tuple(_locations(basemount, found.studies, lying)))


def _locations(
    basemount: Basemount,
    studies: Iterable[FoundStudy],
    placed: Mapping[tuple[str, str, str], list[inventory.Placed]],
) -> Iterable[Location]:
    for study in studies:
        for series in study.series:
            own = placed.get((study.patient_id, study.uid, series.uid), [])
            for directory, images in inventory.directories(own).items():
                yield Location(
                    study.patient_id,
                    study.uid,
                    series.uid,
                    series.values.get("SeriesDescription", ""),
                    basemount.data / directory,
                    images,
                )
