"""The outcome of a retrieve: a verdict for each series, and what they add up to."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pypx.actions.plan import Wanted
from pypx.actions.repack import RepackResult
from pypx.dcmtk.dimse import Transfer
from pypx.errors import NothingFound, PypxError, RetrieveIncomplete


class State(enum.Enum):
    """How a series stands after a retrieve; the value is what JSON and reports say."""

    ALREADY_HERE = "already here"
    COMPLETE = "complete"
    SENT = "sent"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one series.

    Parameters
    ----------
    series : Wanted
        With the count of instances that the PACS is now known to have.
    state : State
    held : int
        Instances of it that are here now.
    received : int
        Those of them that came new with this retrieve.
    error : PypxError or None
        Why it is not complete.
    missing : mapping of str to int
        Kinds of the instances that the PACS has and that are not here, as far as it tells, and how many.
    """

    series: Wanted
    state: State
    held: int
    received: int
    error: PypxError | None = None
    missing: Mapping[str, int] = field(default_factory=dict)

    def with_missing(self, kinds: Mapping[str, int]) -> Verdict:
        """The same, with what is missing named in the error, too."""
        if not kinds or not self.error:
            return self
        words = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        error = type(self.error)(f"{self.error.message}; missing: {words}", self.error.hint)
        return replace(self, error=error, missing=dict(kinds))

    def of_other_study(self, study_uid: str) -> Verdict:
        """The same, where it turned out that the images say that they are of another study."""
        error = RetrieveIncomplete(
            f"The images of the series {self.series.series_uid} say that they are of the study {study_uid},"
            f" the PACS that they are of {self.series.study_uid}",
            "Ask the PACS administrator which is right; they are kept as they came.",
        )
        return replace(self, state=State.INCOMPLETE, error=error)

    def with_strays(self, count: int) -> Verdict:
        """The same, with images named in the error that have the series' UID and are of somebody else."""
        if not count or not self.error:
            return self
        error = _incomplete(self.series, self.held) if isinstance(self.error, NothingFound) else self.error
        words = "image says that it is" if count == 1 else "images say that they are"
        message = f"{error.message}; {count} {words} of another patient or study"
        hint = "Ask the PACS administrator whose they are; px-smdb --action check tells where they are kept."
        return replace(self, error=type(error)(message, hint))

    @property
    def is_good(self) -> bool:
        return self.state in (State.ALREADY_HERE, State.COMPLETE, State.SENT)

    def to_json(self) -> dict[str, Any]:
        """One member of "data" in the JSON of px-move."""
        document: dict[str, Any] = {
            "StudyInstanceUID": self.series.study_uid,
            "SeriesInstanceUID": self.series.series_uid,
            "SeriesDescription": self.series.description,
            "state": self.state.value,
            "expected": "unknown" if self.series.expected is None else self.series.expected,
            "held": self.held,
            "received": self.received,
        }
        if self.error:
            document["error"] = self.error.to_json()
        if self.missing:
            document["missing"] = dict(self.missing)
        return document


def judge(
    series: Wanted, held_before: int, held: int, transfer: Transfer | None, error: PypxError | None
) -> Verdict:
    """Decide how a series stands.

    Parameters
    ----------
    series : Wanted
        With the best count known.
    held_before, held : int
        Instances here before and after the retrieve.
    transfer : Transfer or None
        What the PACS said last; None when it was not asked.
    error : PypxError or None
        What went wrong with the request, if anything.
    """
    received = max(0, held - held_before)
    sent_nothing = (
        series.expected is None and error is None and transfer is not None and transfer.all_sent and not held
    )
    if series.expected == 0 or sent_nothing:
        error = NothingFound(f"The PACS has no images of the series {series.series_uid}")
        return Verdict(series, State.FAILED, held, received, error)
    if transfer is None and error is None:
        return Verdict(series, State.ALREADY_HERE, held, received)
    # What was asked for although it was here, and did not come, is not complete for having been here; nor is
    # what nobody can count, where something went wrong.
    came_to_nothing = error is not None and (held <= held_before or series.expected is None)
    if held and has_all(series, held, transfer) and not came_to_nothing:
        return Verdict(series, State.COMPLETE, held, received)
    if error and not held:
        return Verdict(series, State.FAILED, held, received, error)
    return Verdict(series, State.INCOMPLETE, held, received, error or _incomplete(series, held))


def judge_sent(series: Wanted, transfer: Transfer, error: PypxError | None) -> Verdict:
    """Decide how a series stands that went to another node, where nothing but the PACS's word is known.

    Parameters
    ----------
    series : Wanted
    transfer : Transfer
        What the PACS said last.
    error : PypxError or None
        What went wrong with the request, if anything.
    """
    if error is None and transfer.all_sent:
        return Verdict(series, State.SENT, 0, 0)
    state = State.INCOMPLETE if transfer.completed else State.FAILED
    return Verdict(series, state, 0, 0, error or _incomplete(series, transfer.completed or 0))


def has_all(series: Wanted, held: int, transfer: Transfer | None) -> bool:
    """Whether all of a series is here: by its count, or by the PACS's word where nobody knows the count."""
    if series.expected is None:
        return transfer is not None and transfer.all_sent
    return held >= series.expected


def _incomplete(series: Wanted, held: int) -> RetrieveIncomplete:
    of = "an unknown number of" if series.expected is None else f"{series.expected}"
    return RetrieveIncomplete(f"{held} of {of} images of the series {series.series_uid} are here")


def described(verdicts: Iterable[Verdict], told: Mapping[str, str]) -> tuple[Verdict, ...]:
    """The verdicts, with the descriptions that the PACS did not give.

    Parameters
    ----------
    verdicts : iterable of Verdict
    told : mapping of str to str
        By SeriesInstanceUID what the images say.
    """
    return tuple(
        replace(verdict, series=replace(verdict.series, description=told.get(verdict.series.series_uid, "")))
        if not verdict.series.description
        else verdict
        for verdict in verdicts
    )


@dataclass(frozen=True, slots=True)
class MoveResult:
    """The outcome of a retrieve.

    Parameters
    ----------
    verdicts : tuple of Verdict
        One for each series wanted, in their order.
    packed : tuple of RepackResult
        What was stored, one for each request.
    seconds : float
        How long it took.
    """

    verdicts: tuple[Verdict, ...]
    packed: tuple[RepackResult, ...]
    seconds: float

    @property
    def error(self) -> PypxError | None:
        """The first error, where not every series is complete."""
        return next((verdict.error for verdict in self.verdicts if verdict.error), None)

    def count(self, state: State) -> int:
        """How many series stand like this."""
        return sum(1 for verdict in self.verdicts if verdict.state is state)

    def to_json(self) -> dict[str, Any]:
        """The JSON of px-move."""
        document: dict[str, Any] = {
            "status": "error" if self.error else "success",
            "summary": {
                "series": len(self.verdicts),
                **{_key(state): self.count(state) for state in State},
                "received": sum(verdict.received for verdict in self.verdicts),
                **_stored(self.packed),
                "seconds": round(self.seconds, 3),
            },
            "data": [verdict.to_json() for verdict in self.verdicts],
        }
        if self.error:
            document["error"] = self.error.to_json()
        return document


def _key(state: State) -> str:
    first, *rest = state.value.split()
    return first + "".join(word.capitalize() for word in rest)


def _stored(packed: Sequence[RepackResult]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for result in packed:
        total["stored"] += result.stored
        total["duplicates"] += result.duplicates
        total["conflicts"] += result.conflicts
        total["quarantined"] += len(result.quarantined)
        total["bytes"] += result.bytes
    return {name: total[name] for name in ("stored", "duplicates", "conflicts", "quarantined", "bytes")}
