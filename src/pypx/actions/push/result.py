"""The outcome of a push: a verdict for each file and each series, and what they add up to."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypx.errors import PypxError


class FileState(enum.Enum):
    """How a file stands after a push; the value is what JSON says."""

    UPLOADED = "uploaded"
    ALREADY_THERE = "already there"
    FAILED = "failed"


class SeriesState(enum.Enum):
    """How a series stands after a push; the value is what JSON and reports say."""

    PUSHED = "pushed"
    ALREADY_THERE = "already there"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What became of one file.

    Parameters
    ----------
    file : pathlib.Path
    name : str
        Of its object; in another PACS, its SOP Instance UID. "" where it did not come to that.
    state : FileState
    sop_uid : str
        SOP Instance UID (0008,0018); "" where it could not be read.
    size : int
        In bytes.
    error : PypxError or None
        Why it is not there.
    """

    file: Path
    name: str
    state: FileState
    sop_uid: str = ""
    size: int = 0
    error: PypxError | None = None

    @property
    def is_there(self) -> bool:
        return self.state is not FileState.FAILED

    def to_json(self) -> dict[str, Any]:
        """One member of "files" in the JSON of px-push."""
        document: dict[str, Any] = {
            "file": str(self.file),
            "object": self.name,
            "state": self.state.value,
            "bytes": self.size,
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """What became of one series.

    Parameters
    ----------
    study_uid, series_uid, description : str
    target : str
        The storage and the place in it, or the PACS.
    folder : str
        Where its files are in the storage; "" in a PACS.
    files : tuple of FileVerdict
    instances : int
        Instances of the series that are there now, those of earlier pushes among them.
    error : PypxError or None
        Why it is not there, where that is not the fault of a file.
    """

    study_uid: str
    series_uid: str
    description: str
    target: str
    folder: str = ""
    files: tuple[FileVerdict, ...] = ()
    instances: int = 0
    error: PypxError | None = None

    @property
    def state(self) -> SeriesState:
        if self.first_error:
            return SeriesState.INCOMPLETE if self.count_there else SeriesState.FAILED
        if self.count(FileState.UPLOADED):
            return SeriesState.PUSHED
        return SeriesState.ALREADY_THERE

    @property
    def first_error(self) -> PypxError | None:
        return self.error or next((file.error for file in self.files if file.error), None)

    @property
    def count_there(self) -> int:
        """How many of the files are there."""
        return sum(1 for file in self.files if file.is_there)

    def count(self, state: FileState) -> int:
        """How many of the files stand like this."""
        return sum(1 for file in self.files if file.state is state)

    def to_json(self) -> dict[str, Any]:
        """One member of "data" in the JSON of px-push."""
        document: dict[str, Any] = {
            "StudyInstanceUID": self.study_uid,
            "SeriesInstanceUID": self.series_uid,
            "SeriesDescription": self.description,
            "state": self.state.value,
            "target": self.target,
            "folder": self.folder,
            "files": len(self.files),
            **{_key(state.value): self.count(state) for state in FileState},
            "instances": self.instances,
            "bytes": _uploaded_bytes(self.files),
        }
        if self.first_error:
            document["error"] = self.first_error.to_json()
        return document


@dataclass(frozen=True, slots=True)
class PushResult:
    """The outcome of a push.

    Parameters
    ----------
    verdicts : tuple of SeriesVerdict
        One for each series wanted, in their order.
    rejected : tuple of FileVerdict
        Files of no known series: damaged ones. What is not DICOM is not among them.
    skipped : int
        Files that are not DICOM.
    seconds : float
        How long it took.
    arguments : mapping of str to object
        The options that the push was called with, names without dashes; no secret among them.
    """

    verdicts: tuple[SeriesVerdict, ...]
    rejected: tuple[FileVerdict, ...] = ()
    skipped: int = 0
    seconds: float = 0.0
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> PypxError | None:
        """The first error, where not everything is there."""
        of_series = (verdict.first_error for verdict in self.verdicts)
        of_rejected = (file.error for file in self.rejected)
        return next((error for error in (*of_series, *of_rejected) if error), None)

    @property
    def files(self) -> tuple[FileVerdict, ...]:
        return (*(file for verdict in self.verdicts for file in verdict.files), *self.rejected)

    def count(self, state: SeriesState) -> int:
        """How many series stand like this."""
        return sum(1 for verdict in self.verdicts if verdict.state is state)

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-push."""
        files = self.files
        there = [file for file in files if file.is_there]
        document: dict[str, Any] = {
            "status": "error" if self.error else "success",
            "args": dict(self.arguments),
            "summary": {
                "series": len(self.verdicts),
                **{_key(state.value): self.count(state) for state in SeriesState},
                "files": len(files),
                "uploaded": sum(1 for file in files if file.state is FileState.UPLOADED),
                "skipped": self.skipped,
                "bytes": _uploaded_bytes(files),
                "seconds": round(self.seconds, 3),
            },
            "data": [verdict.to_json() for verdict in self.verdicts],
            "localFileList": [str(file.file) for file in there],
            "objectFileList": [file.name for file in there],
            "files": [file.to_json() for file in files],
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document


def _uploaded_bytes(files: Sequence[FileVerdict]) -> int:
    return sum(file.size for file in files if file.state is FileState.UPLOADED)


def _key(words: str) -> str:
    first, *rest = words.split()
    return first + "".join(word.capitalize() for word in rest)
