"""The outcome of packing many files: counts, and a verdict for each series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypx.actions.repack.outcome import Fate, Outcome
from pypx.errors import FileDamaged, FileUnreadable, PypxError


@dataclass(frozen=True, slots=True)
class QuarantinedPath:
    """A damaged file.

    Parameters
    ----------
    path : pathlib.Path
        Where it came from.
    kept : pathlib.Path
        Where it is in quarantine/.
    reason : str
        What is wrong with it.
    """

    path: Path
    kept: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FailedPath:
    """A file that could not be read or placed, and is where it was."""

    path: Path
    error: PypxError


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """What was done with the files of one series.

    Parameters
    ----------
    series : mapping of str to str
        StudyInstanceUID, SeriesInstanceUID, SeriesDescription, Modality.
    counts : mapping of Fate to int
        Files by what became of them.
    reason : str
        What is wrong with the first damaged file; "" where all are whole.
    strays : int
        New ones that say that they are of another study or patient than the series.
    """

    series: Mapping[str, str]
    counts: Mapping[Fate, int]
    reason: str = ""
    strays: int = 0

    @property
    def state(self) -> str:
        """In a word: ``packed``, or ``damaged`` where files went to quarantine."""
        return "damaged" if self.counts.get(Fate.QUARANTINED) else "packed"

    def to_json(self) -> dict[str, Any]:
        """One member of "data" in the JSON of px-repack."""
        document: dict[str, Any] = {
            **self.series,
            "state": self.state,
            **{_NAMES[fate]: self.counts.get(fate, 0) for fate in _OF_SERIES},
            "strays": self.strays,
        }
        if self.reason:
            document["error"] = FileDamaged(self.reason).to_json()
        return document


_NAMES = {
    Fate.STORED: "stored",
    Fate.DUPLICATE: "duplicates",
    Fate.CONFLICT: "conflicts",
    Fate.QUARANTINED: "quarantined",
    Fate.SKIPPED: "skipped",
    Fate.FAILED: "failed",
}

#: What is told of a series.
_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "Modality")

_OF_SERIES = (Fate.STORED, Fate.DUPLICATE, Fate.CONFLICT, Fate.QUARANTINED)


@dataclass(frozen=True, slots=True)
class RepackResult:
    """The outcome of packing files.

    Parameters
    ----------
    stored : int
        Files that are new in data/.
    duplicates : int
        Files whose content was held already.
    conflicts : int
        Files that are new in data/, beside other content of the same SOP Instance UID.
    strays : int
        Of what is new in data/: files that say that they are of another study or patient than their series.
    skipped : int
        Files that are something else than DICOM, or that another process was faster to take.
    quarantined : tuple of QuarantinedPath
        Files that are damaged.
    failed : tuple of FailedPath
        Files that could not be read or placed.
    series : tuple of SeriesVerdict
        One for each series, in the order in which they came.
    bytes : int
        Size of what is new in data/.
    seconds : float
        How long it took.
    stopped : PypxError or None
        Why it ended before all files were done: a disk is full, say. The same call goes on from there.
    """

    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    strays: int = 0
    skipped: int = 0
    quarantined: tuple[QuarantinedPath, ...] = ()
    failed: tuple[FailedPath, ...] = ()
    series: tuple[SeriesVerdict, ...] = ()
    bytes: int = 0
    seconds: float = 0.0
    stopped: PypxError | None = None

    @property
    def ok(self) -> bool:
        """Whether every instance is in data/."""
        return not self.error

    @property
    def error(self) -> PypxError | None:
        """The first thing that is wrong; above all, why it did not come to its end."""
        if self.stopped:
            return self.stopped
        if self.failed:
            return self.failed[0].error
        if self.quarantined:
            return FileDamaged(self.quarantined[0].reason)
        return None

    def raise_if_stopped(self) -> None:
        """Raise what ended it before all files were done, if it did not come to its end."""
        if self.stopped:
            raise self.stopped

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-repack."""
        document: dict[str, Any] = {
            "status": "success" if self.ok else "error",
            "summary": {
                "stored": self.stored,
                "duplicates": self.duplicates,
                "conflicts": self.conflicts,
                "strays": self.strays,
                "quarantined": len(self.quarantined),
                "skipped": self.skipped,
                "failed": len(self.failed),
                "bytes": self.bytes,
                "seconds": round(self.seconds, 3),
            },
            "data": [verdict.to_json() for verdict in self.series],
        }
        if self.error:
            document["error"] = self.error.to_json()
            document["quarantined"] = [
                {"file": str(one.path), "kept": str(one.kept), "reason": one.reason}
                for one in self.quarantined
            ]
            document["failed"] = [
                {"file": str(one.path), "error": one.error.to_json()} for one in self.failed
            ]
        return document


@dataclass
class Tally:
    """Adds outcomes up as they come."""

    counts: Counter[Fate] = field(default_factory=Counter)
    bytes: int = 0
    quarantined: list[QuarantinedPath] = field(default_factory=list)
    failed: list[FailedPath] = field(default_factory=list)
    series: dict[str, Mapping[str, str]] = field(default_factory=dict)
    by_series: dict[str, Counter[Fate]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    strays: Counter[str] = field(default_factory=Counter)

    @property
    def files(self) -> int:
        return self.counts.total()

    def add(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.counts[outcome.fate] += 1
            self.bytes += outcome.size
            reason = outcome.error.message if outcome.error else ""
            if outcome.quarantined:
                self.quarantined.append(QuarantinedPath(outcome.path, outcome.quarantined, reason))
            elif outcome.fate is Fate.FAILED:
                error = outcome.error or FileUnreadable(f"{outcome.path} cannot be read")
                self.failed.append(FailedPath(outcome.path, error))
            if outcome.fate in _OF_SERIES:
                uid = outcome.values.get("SeriesInstanceUID", "")
                if uid not in self.series:
                    self.series[uid] = {keyword: outcome.values.get(keyword, "") for keyword in _SERIES}
                    self.by_series[uid] = Counter()
                self.by_series[uid][outcome.fate] += 1
                if outcome.is_stray:
                    self.strays[uid] += 1
                if reason:
                    self.reasons.setdefault(uid, reason)

    def result(self, seconds: float, stopped: PypxError | None = None) -> RepackResult:
        return RepackResult(
            stored=self.counts[Fate.STORED],
            duplicates=self.counts[Fate.DUPLICATE],
            conflicts=self.counts[Fate.CONFLICT],
            strays=self.strays.total(),
            skipped=self.counts[Fate.SKIPPED],
            quarantined=tuple(self.quarantined),
            failed=tuple(self.failed),
            series=tuple(
                SeriesVerdict(series, self.by_series[uid], self.reasons.get(uid, ""), self.strays[uid])
                for uid, series in self.series.items()
            ),
            bytes=self.bytes,
            seconds=seconds,
            stopped=stopped,
        )
