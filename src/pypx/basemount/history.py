"""What happened to series, event by event, and which there are."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, union

from pypx.basemount import schema
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue, chunks

# All of it raises CatalogueLocked, CatalogueDamaged or BasemountUnusable.


def events_of(catalogue: Catalogue, series_uids: Collection[str]) -> dict[str, list[Event]]:
    """The events of these series, in the order of time."""
    table = schema.event.c
    found: dict[str, list[Event]] = {uid: [] for uid in series_uids}
    with catalogue.database.reading() as connection:
        if connection:
            for chunk in chunks(series_uids):
                query = select(schema.event).where(table.SeriesInstanceUID.in_(chunk)).order_by(table.time)
                for row in connection.execute(query).mappings():
                    found[row["SeriesInstanceUID"]].append(
                        Event(
                            series_uid=row["SeriesInstanceUID"],
                            kind=row["kind"],
                            study_uid=row["StudyInstanceUID"],
                            count=row["count"],
                            target=row["target"],
                            detail=row["detail"],
                            time=datetime.fromisoformat(row["time"]),
                        )
                    )
    return found


def received_since(catalogue: Catalogue, since: datetime) -> dict[str, str]:
    """The series of which an instance came after a moment: SeriesInstanceUID to StudyInstanceUID."""
    table = schema.event.c
    query = select(table.SeriesInstanceUID, table.StudyInstanceUID).where(
        table.kind == "received", table.time >= since.isoformat()
    )
    with catalogue.database.reading() as connection:
        return dict(row._tuple() for row in connection.execute(query)) if connection else {}


def all_series(catalogue: Catalogue) -> list[str]:
    """The UIDs of all series that are described or that something happened to."""
    return _all(
        catalogue,
        union(select(schema.series.c.SeriesInstanceUID), select(schema.event.c.SeriesInstanceUID)),
    )


def all_studies(catalogue: Catalogue) -> list[str]:
    """The UIDs of all studies that are described."""
    return _all(catalogue, select(schema.study.c.StudyInstanceUID))


def all_patients(catalogue: Catalogue) -> list[str]:
    """Each PatientID once, whoever else has it, too."""
    return _all(catalogue, select(schema.patient.c.PatientID).distinct())


def _all(catalogue: Catalogue, query: object) -> list[str]:
    with catalogue.database.reading() as connection:
        return sorted(connection.scalars(query)) if connection else []  # type: ignore[call-overload]
