"""The outcome of a registration: a verdict for each series, and what they add up to."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from pypx.actions.register.wanted import Wanted
from pypx.errors import PypxError


class State(enum.Enum):
    """How a series stands with CUBE; the value is what JSON and reports say."""

    REGISTERED = "registered"
    ALREADY_REGISTERED = "already registered"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one series.

    Parameters
    ----------
    series : Wanted
    files : int
        How many files CUBE was to know; 0 where it did not come to that.
    registered : int
        How many of them it knows now.
    new : int
        Those of them that were registered just now.
    size : int
        Bytes of the files in storage; 0 where it could not be seen.
    notes : tuple of str
        What a person should know although all is well.
    error : PypxError or None
        Why it is not registered, or not all of it.
    """

    series: Wanted
    files: int = 0
    registered: int = 0
    new: int = 0
    size: int = 0
    notes: tuple[str, ...] = ()
    error: PypxError | None = None

    @property
    def state(self) -> State:
        if self.error:
            return State.INCOMPLETE if self.registered else State.FAILED
        return State.REGISTERED if self.new else State.ALREADY_REGISTERED

    def to_json(self) -> dict[str, Any]:
        """One member of "data" in the JSON of px-register."""
        document: dict[str, Any] = {
            "StudyInstanceUID": self.series.study_uid,
            "SeriesInstanceUID": self.series.series_uid,
            "SeriesDescription": self.series.description,
            "state": self.state.value,
            "folder": self.series.folder,
            "files": self.files,
            "registered": self.registered,
            "new": self.new,
            "bytes": self.size,
        }
        if self.notes:
            document["notes"] = list(self.notes)
        if self.error:
            document["error"] = self.error.to_json()
        return document


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The outcome of a registration.

    Parameters
    ----------
    cube : str
        The root of CUBE's API.
    verdicts : tuple of Verdict
        One for each series wanted, in their order.
    seconds : float
        How long it took.
    """

    cube: str
    verdicts: tuple[Verdict, ...]
    seconds: float = 0.0

    @property
    def error(self) -> PypxError | None:
        """The first error, where not everything is registered."""
        return next((verdict.error for verdict in self.verdicts if verdict.error), None)

    def count(self, state: State) -> int:
        """How many series stand like this."""
        return sum(1 for verdict in self.verdicts if verdict.state is state)

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-register."""
        document: dict[str, Any] = {
            "status": "error" if self.error else "success",
            "summary": {
                "cube": self.cube,
                "series": len(self.verdicts),
                "registered": self.count(State.REGISTERED),
                "alreadyRegistered": self.count(State.ALREADY_REGISTERED),
                "incomplete": self.count(State.INCOMPLETE),
                "failed": self.count(State.FAILED),
                "files": sum(verdict.registered for verdict in self.verdicts),
                "newFiles": sum(verdict.new for verdict in self.verdicts),
                "bytes": sum(verdict.size for verdict in self.verdicts if not verdict.error),
                "seconds": round(self.seconds, 3),
            },
            "data": [verdict.to_json() for verdict in self.verdicts],
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document
