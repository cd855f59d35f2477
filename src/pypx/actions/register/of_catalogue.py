"""What the catalogue says was pushed, as series to be registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pypx.actions.register.wanted import Wanted
from pypx.basemount.held import Asked, series_that_may_fit
from pypx.basemount.history import events_of
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue, chunks
from pypx.cube.fields import SERVICES
from pypx.errors import NothingFound, NotInStorage, PypxError


@dataclass(frozen=True, slots=True)
class Place:
    """Which pushes count.

    Parameters
    ----------
    label : str
        Those into this storage; "" for any.
    pacs_name : str
        Those under this name of a PACS; "" for any.
    """

    label: str = ""
    pacs_name: str = ""

    def has(self, target: str) -> bool:
        """Whether this is where a push went to; another PACS is no storage."""
        label, services, pacs_name = target.rpartition(f"/{SERVICES}/")
        return bool(services) and self.label in ("", label) and self.pacs_name in ("", pacs_name)


def of_catalogue(catalogue: Catalogue, series_uids: Sequence[str], place: Place) -> list[Wanted]:
    """Series by UID, each once and in this order, as they were last pushed.

    Raises
    ------
    CatalogueLocked, CatalogueDamaged, BasemountUnusable
    """
    uids = tuple(dict.fromkeys(series_uids))
    described = _described(catalogue, uids)
    events = events_of(catalogue, uids)
    held = catalogue.held_counts(uids)
    return [_wanted(uid, described.get(uid, {}), events[uid], held[uid], place) for uid in uids]


def last_push(events: Iterable[Event], place: Place) -> Event | None:
    """The last push into a storage among the events of a series."""
    pushes = [event for event in events if event.kind == "pushed" and place.has(event.target)]
    return pushes[-1] if pushes else None


def _described(catalogue: Catalogue, series_uids: Sequence[str]) -> dict[str, Mapping[str, str]]:
    return {
        one.series["SeriesInstanceUID"]: {**one.study, **one.series}
        for chunk in chunks(series_uids)
        for one in series_that_may_fit(catalogue, [Asked("SeriesInstanceUID", "UI", "\\".join(chunk))])
    }


def _wanted(uid: str, values: Mapping[str, str], events: Sequence[Event], held: int, place: Place) -> Wanted:
    last = last_push(events, place)
    study_uid = values.get("StudyInstanceUID") or next((one.study_uid for one in events if one.study_uid), "")
    if last is None:
        return Wanted(uid, study_uid, values, error=_not_pushed(uid, bool(values or events), place))
    count = last.count or 0
    error: PypxError | None = None
    if not values:
        error = NothingFound(
            f"The catalogue knows that the series {uid} was pushed, and not what it is",
            "Pipe px-push into px-register, or px-repack its files first.",
        )
    elif count < held:
        error = NotInStorage(f"{count} of the {held} images of the series {uid} were pushed")
    return Wanted(
        uid,
        study_uid,
        values,
        folder=last.detail,
        at_least=count,
        is_its_own=True,
        target=last.target,
        error=error,
    )


def _not_pushed(uid: str, is_known: bool, place: Place) -> PypxError:
    if not is_known:
        return NothingFound(
            f"The catalogue has nothing of the series {uid}",
            "Retrieve it with px-move and push it with px-push first, or check the UID and --db.",
        )
    where = f" as {place.pacs_name!r}" if place.pacs_name else ""
    into = f" into {place.label}" if place.label else ""
    return NotInStorage(f"The series {uid} was not pushed{into}{where}", "Push it first, with px-push.")
