"""The outcome of an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pypx.actions.repack import RepackResult
from pypx.errors import PypxError


@dataclass(frozen=True, slots=True)
class RefusedTable:
    """A file of the tree that was left out, and why."""

    path: str
    error: PypxError


@dataclass(frozen=True, slots=True)
class ImportedSeries:
    """One series of the tree.

    Parameters
    ----------
    study_uid, series_uid, description : str
    images : int
        That the tree tells of.
    here : int
        Of which there is a file in data/.
    """

    study_uid: str
    series_uid: str
    description: str
    images: int
    here: int

    def to_json(self) -> dict[str, Any]:
        return {
            "StudyInstanceUID": self.study_uid,
            "SeriesInstanceUID": self.series_uid,
            "SeriesDescription": self.description,
            "images": self.images,
            "here": self.here,
        }


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The outcome of an import.

    Parameters
    ----------
    counts : mapping of str to int
        What was taken in: patients, studies, series, images; images of which there is no file in data/.
    packed : RepackResult
        What became of the files in data/.
    series : tuple of ImportedSeries
        Each series of the tree.
    refused : tuple of RefusedTable
        What of the tree was left out.
    seconds : float
    """

    counts: Mapping[str, int]
    packed: RepackResult
    series: tuple[ImportedSeries, ...]
    refused: tuple[RefusedTable, ...]
    seconds: float

    @property
    def error(self) -> PypxError | None:
        """The first thing that is wrong."""
        return self.refused[0].error if self.refused else self.packed.error

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-smdb."""
        new = self.packed.stored + self.packed.conflicts
        document: dict[str, Any] = {
            "status": "error" if self.error else "success",
            "summary": {
                **self.counts,
                "new": new,
                "known": self.packed.duplicates,
                "damaged": len(self.packed.quarantined),
                "refused": len(self.refused),
                "seconds": round(self.seconds, 3),
            },
            "data": [series.to_json() for series in self.series],
        }
        if self.error:
            document["error"] = self.error.to_json()
            document["refused"] = [{"file": one.path, "reason": one.error.message} for one in self.refused]
        return document
