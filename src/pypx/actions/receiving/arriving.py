"""Which series are arriving, and which have arrived: a state machine apart from the network and the disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pypx.actions.repack import RepackResult
from pypx.basemount.smdb import Catalogue
from pypx.errors import PypxError
from pypx.wording import counted


@dataclass
class _Series:
    """A series that is arriving."""

    description: Mapping[str, str]
    images: int = 0
    last: float = 0.0
    is_changed: bool = True

    def line(self, uid: str, is_complete: bool) -> str:
        modality = self.description.get("Modality", "")
        words = f"{counted(self.images, 'image', 'images')} received{', complete' if is_complete else ''}"
        return " ".join(part for part in ("Series", uid or "without UID", modality) if part) + f": {words}"

    def finished(self, uid: str, is_complete: bool) -> FinishedSeries:
        study_uid = self.description.get("StudyInstanceUID", "")
        return FinishedSeries(uid, self.line(uid, is_complete), study_uid, self.images)


@dataclass(frozen=True, slots=True)
class FinishedSeries:
    """A series of which nothing more is expected.

    Parameters
    ----------
    uid : str
        SeriesInstanceUID.
    line : str
        What to say of it, without the name of a patient.
    study_uid : str
    images : int
        How many came.
    """

    uid: str
    line: str
    study_uid: str
    images: int


class ArrivingSeries:
    """The series of which images arrive; may be used by several threads.

    Parameters
    ----------
    catalogue : Catalogue
        Knows how many images of a series were requested.
    quiet : float
        Seconds without an image after which a series counts as finished.
    """

    def __init__(self, catalogue: Catalogue, quiet: float) -> None:
        self._catalogue = catalogue
        self._quiet = quiet
        self._lock = threading.Lock()
        self._series: dict[str, _Series] = {}

    def take(self, result: RepackResult) -> None:
        """Note what was packed."""
        now = time.monotonic()
        with self._lock:
            for one in result.series:
                uid = one.series.get("SeriesInstanceUID", "")
                if not uid:
                    continue  # damaged: of those each is told
                series = self._series.setdefault(uid, _Series(one.series))
                series.images += sum(one.counts.values())
                series.last, series.is_changed = now, True

    def finished(self, all_of_them: bool = False) -> list[FinishedSeries]:
        """Each series that is finished since the last call.

        One is finished when as many images are held as were requested, or when nothing more came for a while.

        Raises
        ------
        PypxError
            When the catalogue cannot be asked; the next call goes on from there. Where all of them are
            finished, they are given all the same.
        """
        with self._lock:
            changed = [uid for uid, one in self._series.items() if one.is_changed]
            for uid in changed:
                self._series[uid].is_changed = False
        try:
            complete = self._complete(changed)
        except PypxError:
            if not all_of_them:
                self._take_back(changed)
                raise
            complete = set()  # that they are finished must be told all the same
        now = time.monotonic()
        with self._lock:
            over = [
                uid
                for uid, one in self._series.items()
                if all_of_them or uid in complete or now - one.last >= self._quiet
            ]
            return [self._series.pop(uid).finished(uid, uid in complete) for uid in over]

    def _complete(self, series_uids: Collection[str]) -> set[str]:
        """Those of which as many images are held as were requested."""
        return {
            uid
            for uid, record in self._catalogue.series_status(series_uids).items()
            if record.requested and record.packed >= record.requested
        }

    def _take_back(self, changed: Collection[str]) -> None:
        """Have the next call look at these once more."""
        with self._lock:
            for uid in changed:
                if uid in self._series:
                    self._series[uid].is_changed = True
