"""What the catalogue's tables say about series, gathered for a status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, and_, distinct, func, select

from pypx.basemount import schema, strays
from pypx.basemount.records import SeriesRecord
from pypx.dicom.numbers import by_number


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The last event of its kind that a series has."""

    kind: str
    count: int | None
    detail: str
    study_uid: str


def gather(connection: Connection, series_uids: Sequence[str]) -> dict[str, SeriesRecord]:
    """What is known of each of these series (few hundred), those left out of which there is nothing."""
    held = packed(connection, series_uids)
    described = _described(connection, series_uids)
    quarantined = _quarantined(connection, series_uids)
    events = _last_events(connection, series_uids)
    straying = strays.counts(connection, series_uids)
    known = {*held, *described, *quarantined, *events, *straying}
    return {
        uid: replace(
            _series_record(
                uid, described.get(uid, {}), held.get(uid, 0), quarantined.get(uid, 0), events.get(uid, [])
            ),
            strays=straying.get(uid, 0),
        )
        for uid in series_uids
        if uid in known
    }


def of_study(connection: Connection, study_uid: str) -> list[str]:
    """The SeriesInstanceUIDs of a study, by SeriesNumber; at the end those without, and of other studies."""
    table = schema.series.c
    query = select(table.SeriesInstanceUID, table.SeriesNumber).where(table.StudyInstanceUID == study_uid)
    numbers = {row.SeriesInstanceUID: row.SeriesNumber for row in connection.execute(query)}
    for other in (schema.event, schema.quarantined):
        uids = select(other.c.SeriesInstanceUID).where(other.c.StudyInstanceUID == study_uid).distinct()
        numbers |= {uid: "" for uid in connection.scalars(uids) if uid and uid not in numbers}
    numbers |= {uid: "" for uid in strays.series_of_study(connection, study_uid) if uid not in numbers}
    return sorted(numbers, key=lambda uid: (by_number(numbers[uid]), uid))


def packed(connection: Connection, series_uids: Sequence[str]) -> dict[str, int]:
    """How many instances of each series are held, strays left out, and those series that have none."""
    table = schema.instance.c
    query = (
        select(table.SeriesInstanceUID, func.count(distinct(table.SOPInstanceUID)))
        .where(table.SeriesInstanceUID.in_(series_uids), strays.IS_NONE)
        .group_by(table.SeriesInstanceUID)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _described(connection: Connection, series_uids: Sequence[str]) -> dict[str, Mapping[str, str]]:
    table = schema.series.c
    query = select(
        table.SeriesInstanceUID, table.StudyInstanceUID, table.SeriesDescription, table.Modality
    ).where(table.SeriesInstanceUID.in_(series_uids))
    return {row["SeriesInstanceUID"]: dict(row) for row in connection.execute(query).mappings()}


def _quarantined(connection: Connection, series_uids: Sequence[str]) -> dict[str, int]:
    """Instances of which a whole file came later, or before, do not count."""
    table = schema.quarantined.c
    held = select(schema.instance.c.SOPInstanceUID).where(
        schema.instance.c.SOPInstanceUID == table.SOPInstanceUID
    )
    query = (
        select(table.SeriesInstanceUID, func.count(distinct(table.SOPInstanceUID)))
        .where(table.SeriesInstanceUID.in_(series_uids), ~held.exists())
        .group_by(table.SeriesInstanceUID)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _last_events(connection: Connection, series_uids: Sequence[str]) -> dict[str, list[LastEvent]]:
    """Of each series the last event of each kind, the latest of all at the end."""
    table = schema.event.c
    last = (
        select(table.SeriesInstanceUID, table.kind, func.max(table.time).label("time"))
        .where(table.SeriesInstanceUID.in_(series_uids))
        .group_by(table.SeriesInstanceUID, table.kind)
        .subquery()
    )
    is_last = and_(
        table.SeriesInstanceUID == last.c.SeriesInstanceUID,
        table.kind == last.c.kind,
        table.time == last.c.time,
    )
    query = (
        select(table.SeriesInstanceUID, table.kind, table["count"], table.detail, table.StudyInstanceUID)
        .join_from(last, schema.event, is_last)
        .order_by(table.time, table.target)
    )
    found: dict[str, list[LastEvent]] = {}
    for uid, kind, count, detail, study_uid in connection.execute(query):
        found.setdefault(uid, []).append(LastEvent(kind, count, detail, study_uid))
    return found


def _series_record(
    series_uid: str,
    description: Mapping[str, str],
    packed: int,
    quarantined: int,
    events: Sequence[LastEvent],
) -> SeriesRecord:
    counts = {event.kind: event.count for event in events}
    last = events[-1] if events else None
    return SeriesRecord(
        series_uid=series_uid,
        study_uid=description.get("StudyInstanceUID")
        or next((event.study_uid for event in events if event.study_uid), ""),
        description=description.get("SeriesDescription", ""),
        modality=description.get("Modality", ""),
        packed=packed,
        quarantined=quarantined,
        requested=counts.get("requested"),
        pushed=counts.get("pushed"),
        registered=counts.get("registered"),
        failure=(last.detail or "it does not say why") if last and last.kind == "failed" else "",
    )
