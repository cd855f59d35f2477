"""Verbs in order over the studies and series of a find: retrieve, status, report, push, register.

What a verb does is handed in; here is only the order, what is skipped, and how it all ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.errors import PypxError, UsageError

#: The verbs, in the order in which they usually stand.
VERBS = ("retrieve", "status", "report", "push", "register")


@dataclass(frozen=True, slots=True)
class SeriesDone:
    """What a verb did with one series.

    Parameters
    ----------
    series_uid : str
    document : mapping
        As the verb's own tool would tell of it in JSON.
    words : str
        The same in a few words, for a person.
    error : PypxError or None
        Why it failed.
    """

    series_uid: str
    document: Mapping[str, Any]
    words: str
    error: PypxError | None = None


class Verb(Protocol):
    """One verb with its options."""

    @property
    def name(self) -> str:
        """One of VERBS."""

    def run(self, study: FoundStudy) -> Sequence[SeriesDone]:
        """Do it for the series of a study, one result for each.

        Raises
        ------
        PypxError
            When it could not be begun; then it failed for each series.
        """


@dataclass(frozen=True, slots=True)
class Feedback:
    """Who follows the work; each is called as it goes.

    Parameters
    ----------
    on_study : callable
        Before a verb is done with a study.
    on_series : callable
        After it is done with a series.
    """

    on_study: Callable[[str, FoundStudy], None] = lambda _verb, _study: None
    on_series: Callable[[FoundSeries, SeriesDone], None] = lambda _series, _done: None


@dataclass(frozen=True, slots=True)
class VerbDone:
    """What one verb did.

    Parameters
    ----------
    name : str
    studies : tuple of (str, tuple of SeriesDone)
        StudyInstanceUID and the result of each of its series, in order.
    """

    name: str
    studies: tuple[tuple[str, tuple[SeriesDone, ...]], ...]


@dataclass(frozen=True, slots=True)
class Done:
    """What a chain of verbs did.

    Parameters
    ----------
    verbs : tuple of VerbDone
        In their order.
    """

    verbs: tuple[VerbDone, ...] = field(default=())

    @property
    def error(self) -> PypxError | None:
        """The first thing that failed."""
        return next(
            (
                done.error
                for verb in self.verbs
                for _, all_done in verb.studies
                for done in all_done
                if done.error
            ),
            None,
        )

    def to_json(self) -> dict[str, Any]:
        """The member "then" of a find's JSON."""
        return {
            f"{place:02d}-{verb.name}": {
                "study": [{uid: [dict(done.document) for done in all_done]} for uid, all_done in verb.studies]
            }
            for place, verb in enumerate(self.verbs)
        }


def do(found: Found, verbs: Iterable[Verb], feedback: Feedback | None = None) -> Done:
    """Do verbs in order, each over all studies and series.

    A verb that fails for one series does not stop the others; a later verb passes over that series.

    Parameters
    ----------
    found : Found
    verbs : iterable of Verb
    feedback : Feedback, optional
    """
    told = feedback or Feedback()
    failed: dict[str, str] = {}
    all_done = []
    for verb in verbs:
        studies = []
        for study in found.studies:
            told.on_study(verb.name, study)
            results = _over_study(verb, study, failed)
            for series, done in zip(study.series, results, strict=True):
                told.on_series(series, done)
                if done.error and series.uid not in failed:
                    failed[series.uid] = verb.name
            studies.append((study.uid, results))
        all_done.append(VerbDone(verb.name, tuple(studies)))
    return Done(tuple(all_done))


def _over_study(verb: Verb, study: FoundStudy, failed: Mapping[str, str]) -> tuple[SeriesDone, ...]:
    """One result for each series, those among them that an earlier verb failed for."""
    left = tuple(series for series in study.series if series.uid not in failed)
    results: dict[str, SeriesDone] = {}
    if left:
        try:
            results = {done.series_uid: done for done in verb.run(replace(study, series=left))}
        except PypxError as error:
            results = {series.uid: _failed(series, error) for series in left}
    return tuple(
        _skipped(series, failed[series.uid])
        if series.uid in failed
        else results.get(series.uid) or _failed(series, PypxError("Nothing was said of this series"))
        for series in study.series
    )


def _failed(series: FoundSeries, error: PypxError) -> SeriesDone:
    document = {"SeriesInstanceUID": series.uid, "state": "failed", "error": error.to_json()}
    return SeriesDone(series.uid, document, f"failed: {error.message}", error)


def _skipped(series: FoundSeries, verb: str) -> SeriesDone:
    words = f"skipped: {verb} failed"
    return SeriesDone(series.uid, {"SeriesInstanceUID": series.uid, "state": words}, words)


def parse_verbs(text: str) -> tuple[str, ...]:
    """Read "retrieve,push": names with commas between.

    Raises
    ------
    UsageError
        When one is not a verb; the nearest is named.
    """
    from difflib import get_close_matches

    names = tuple(part.strip() for part in text.split(",") if part.strip())
    for name in names:
        if name not in VERBS:
            close = get_close_matches(name, VERBS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"The verbs are {', '.join(VERBS)}."
            raise UsageError(f"{name!r} is not a verb of --then", hint)
    if not names:
        raise UsageError("--then names no verb", f"The verbs are {', '.join(VERBS)}.")
    return names


def parse_verb_options(text: str, verbs: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """Read "{…};{…}": one JSON object a verb, as many as verbs or fewer; what is left out is {}.

    Raises
    ------
    UsageError
        When it is not JSON objects, or there are more of them than verbs.
    """
    import json

    decoder = json.JSONDecoder()
    found: list[dict[str, Any]] = []
    position = 0
    text = text.strip()
    while position < len(text):
        if text[position] in "; \t\r\n":
            position += 1
            continue
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise UsageError(
                f"--thenArgs is not JSON ({error})",
                """Write one object a verb: '{"get": true};{"swift": "local"}'.""",
            ) from error
        if not isinstance(value, dict):
            raise UsageError("--thenArgs holds something else than objects", "Write one JSON object a verb.")
        found.append(value)
    if len(found) > len(verbs):
        raise UsageError(
            f"--thenArgs has {len(found)} objects for {len(verbs)} verbs", "Give one object a verb, or fewer."
        )
    return (*found, *({} for _ in range(len(verbs) - len(found))))
