"""Verbs in order over the studies and series of a find: retrieve, status, report, push, register.

What a verb does is handed in; here is only the order, what is skipped, and how it all ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.errors import PypxError, UsageError

#: The verbs, in the order in which they usually stand.
VERBS = ("retrieve", "status", "report", "push", "register")


#: Seconds: nobody means a pause of more than an hour.
_LONGEST_DELAY = 3600.0


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
    is_new : bool
        Whether there was something to do.
    is_skipped : bool
        Whether it was passed over, for an earlier verb's failure.
    """

    series_uid: str
    document: Mapping[str, Any]
    words: str
    error: PypxError | None = None
    is_new: bool = True
    is_skipped: bool = False


class Verb(Protocol):
    """One verb with its options."""

    @property
    def name(self) -> str:
        """One of VERBS."""

    def run(self, found: Found) -> Sequence[SeriesDone]:
        """Do it for all series of studies, one result for each.

        Raises
        ------
        PypxError
            When it could not be begun; then it failed for each series.
        """


@dataclass(frozen=True, slots=True)
class Feedback:
    """Who follows the work, study by study; each is called as it goes.

    Parameters
    ----------
    on_study : callable
        Before a verb is done with a study.
    on_series : callable
        After it is done with a series.
    """

    on_study: Callable[[str, FoundStudy], None]
    on_series: Callable[[FoundSeries, SeriesDone], None]


@dataclass(frozen=True, slots=True)
class Delay:
    """The pause after a series was retrieved, for a PACS that too many requests overwhelm.

    Parameters
    ----------
    fixed : float
        Seconds after each series.
    images_a_second : int
        Where this is not 0, the pause is a second for so many images of the series instead.
    """

    fixed: float = 0.0
    images_a_second: int = 0

    def seconds(self, series: FoundSeries) -> float:
        """How long to wait after this series."""
        if not self.images_a_second:
            return self.fixed
        # The count is the PACS's word, which may be anything.
        return min((series.instances or 0) / self.images_a_second, _LONGEST_DELAY)

    @classmethod
    def parse(cls, text: str) -> Delay:
        """Read "2.5" or "dynamic:6".

        Raises
        ------
        UsageError
        """
        word, colon, number = text.strip().partition(":")
        try:
            if word == "dynamic":
                delay = cls(images_a_second=int(number) if colon else 1)
                is_valid = delay.images_a_second > 0
            else:
                delay = cls(fixed=float(text))
                is_valid = 0 <= delay.fixed <= _LONGEST_DELAY
        except ValueError:
            is_valid = False
        if not is_valid:
            raise UsageError(
                f"--intraSeriesRetrieveDelay {text!r} is not a delay",
                "Give seconds, or dynamic:N for a second after each N images.",
            )
        return delay


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


def do(
    found: Found, verbs: Iterable[Verb], feedback: Feedback | None = None, delay: Delay | None = None
) -> Done:
    """Do verbs in order, each over all studies and series.

    A verb that fails for one series does not stop the others; a later verb passes over that series.

    Parameters
    ----------
    found : Found
    verbs : iterable of Verb
    feedback : Feedback, optional
        Without one, each verb gets all studies at once.
    delay : Delay, optional
        The pause after each series that is retrieved; without one, series come side by side.
    """
    failed: dict[str, str] = {}
    return Done(tuple(_one_verb(found, verb, failed, feedback, delay) for verb in verbs))


def _one_verb(
    found: Found, verb: Verb, failed: dict[str, str], feedback: Feedback | None, delay: Delay | None
) -> VerbDone:
    """Do one verb over all studies; what failed before, and with it, stands in ``failed``."""
    results: dict[str, SeriesDone] = {}
    pause = delay if verb.name == "retrieve" else None
    told: set[str] = set()
    for part in _parts(found, by_study=feedback is not None, by_series=pause is not None):
        if feedback and part[0].uid not in told:
            told.add(part[0].uid)
            feedback.on_study(verb.name, part[0])
        results |= _over(verb, found, part, failed)
        for series in (series for study in part for series in study.series):
            done = results[series.uid]
            if feedback:
                feedback.on_series(series, done)
            if done.error:
                failed.setdefault(series.uid, verb.name)
            if pause and done.is_new:
                time.sleep(pause.seconds(series))
    return VerbDone(
        verb.name,
        tuple((study.uid, tuple(results[one.uid] for one in study.series)) for study in found.studies),
    )


def _parts(found: Found, *, by_study: bool, by_series: bool) -> Iterator[tuple[FoundStudy, ...]]:
    """The studies in the portions in which a verb gets them."""
    if by_series:
        yield from ((replace(study, series=(one,)),) for study in found.studies for one in study.series)
    elif by_study:
        yield from ((study,) for study in found.studies)
    else:
        yield found.studies


def _over(
    verb: Verb, found: Found, part: Sequence[FoundStudy], failed: Mapping[str, str]
) -> dict[str, SeriesDone]:
    """The result of each series, those among them that an earlier verb failed for."""
    left = tuple(
        replace(study, series=series)
        for study in part
        if (series := tuple(one for one in study.series if one.uid not in failed))
    )
    wanted = [series for study in left for series in study.series]
    results: dict[str, SeriesDone] = {}
    if wanted:
        try:
            results = {done.series_uid: done for done in verb.run(replace(found, studies=left))}
        except PypxError as error:
            results = {series.uid: _failed(series, error) for series in wanted}
    return {
        series.uid: _skipped(series, failed[series.uid])
        if series.uid in failed
        else results.get(series.uid) or _failed(series, PypxError("Nothing was said of this series"))
        for study in part
        for series in study.series
    }


def _failed(series: FoundSeries, error: PypxError) -> SeriesDone:
    document = {"SeriesInstanceUID": series.uid, "state": "failed", "error": error.to_json()}
    return SeriesDone(series.uid, document, f"failed: {error.message}", error)


def _skipped(series: FoundSeries, verb: str) -> SeriesDone:
    words = f"skipped: {verb} failed"
    document = {"SeriesInstanceUID": series.uid, "state": words}
    return SeriesDone(series.uid, document, words, is_new=False, is_skipped=True)


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
    places = _places(text)
    while places and places[-1] is None:
        places.pop()
    if len(places) > len(verbs):
        raise UsageError(
            f"--thenArgs has {len(places)} objects for {len(verbs)} verbs",
            "Give one object a verb, or fewer.",
        )
    return (*(place or {} for place in places), *({} for _ in range(len(verbs) - len(places))))


def _places(text: str) -> list[dict[str, Any] | None]:
    """What stands before, between and after the semicolons; None where nothing does."""
    import json

    decoder = json.JSONDecoder()
    places: list[dict[str, Any] | None] = [None]
    position = 0
    while position < len(text):
        if text[position] in "; \t\r\n":
            if text[position] == ";":
                places.append(None)
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
        if places[-1] is not None:
            raise UsageError("--thenArgs has two objects in one place", "Put a semicolon between them.")
        places[-1] = value
    return places
