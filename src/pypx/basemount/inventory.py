"""What the catalogue says lies where: paths of instances, and names of files in quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import Column, ColumnElement, Connection, exists, func, select

from pypx.basemount import rows, schema, strays
from pypx.basemount.records import Event, now
from pypx.basemount.smdb import Catalogue, chunks
from pypx.dicom.numbers import by_number

#: Rows that are fetched together of those that may be millions.
_FETCHED = 2000

# All reading raises CatalogueLocked, CatalogueDamaged or BasemountUnusable; writing DiskFull as well.


@dataclass(frozen=True, slots=True)
class Placed:
    """Where an instance lies.

    Parameters
    ----------
    path : str
        Below data/.
    size : int
        Of the file, in bytes.
    sop_uid, variant : str
        What it is known by.
    series_uid : str
        SeriesInstanceUID (0020,000E).
    number : str
        InstanceNumber (0020,0013).
    """

    path: str
    size: int
    sop_uid: str
    variant: str
    series_uid: str
    number: str = ""


_PLACED = (
    schema.instance.c.path,
    schema.instance.c.size,
    schema.instance.c.SOPInstanceUID,
    schema.instance.c.variant,
    schema.instance.c.SeriesInstanceUID,
    schema.instance.c.InstanceNumber,
)


def in_order(catalogue: Catalogue) -> Iterator[Placed]:
    """All instances by the bytes of their paths, fetched as they are asked for, as of one moment."""
    with catalogue.database.reading() as connection:
        if connection:
            query = select(*_PLACED).order_by(_bytewise(connection, schema.instance.c.path))
            streamed = connection.execution_options(yield_per=_FETCHED).execute(query)
            yield from (Placed(*row) for row in streamed)


def of_series(catalogue: Catalogue, series_uids: Collection[str]) -> dict[str, list[Placed]]:
    """The instances of these series, each by its number, strays left out."""
    found: dict[str, list[Placed]] = {uid: [] for uid in series_uids}
    with catalogue.database.reading() as connection:
        if connection:
            for chunk in chunks(series_uids):
                in_chunk = schema.instance.c.SeriesInstanceUID.in_(chunk)
                for row in connection.execute(select(*_PLACED).where(in_chunk, strays.IS_NONE)):
                    found[row.SeriesInstanceUID].append(Placed(*row))
    for instances in found.values():
        instances.sort(key=lambda placed: (by_number(placed.number), placed.path))
    return found


def strays_of_series(
    catalogue: Catalogue, series_uids: Collection[str]
) -> dict[tuple[str, str, str], list[Placed]]:
    """The strays of these series, by what each says that it is of: PatientID, study and series."""
    found: dict[tuple[str, str, str], list[Placed]] = {}
    said = (schema.patient.c.PatientID, schema.stray.c.StudyInstanceUID)
    with catalogue.database.reading() as connection:
        if connection is None:
            return found
        for chunk in chunks(series_uids):
            query = (
                select(*said, *_PLACED)
                .join_from(schema.stray, schema.instance, strays.OF_INSTANCE)
                .join(schema.patient, schema.patient.c.patient == schema.stray.c.patient)
                .where(schema.instance.c.SeriesInstanceUID.in_(chunk))
            )
            for patient_id, study_uid, *row in connection.execute(query):
                placed = Placed(*row)
                found.setdefault((patient_id, study_uid, placed.series_uid), []).append(placed)
    return found


def directories(placed: Iterable[Placed]) -> Mapping[str, int]:
    """The directories below data/ that these instances lie in, and how many in each."""
    return Counter(str(PurePosixPath(one.path).parent) for one in placed)


def at(catalogue: Catalogue, paths: Collection[str]) -> dict[str, Placed]:
    """The instances at these paths, as the catalogue has it now; one pass over all that it has."""
    found: dict[str, Placed] = {}
    wanted = set(paths)
    if wanted:
        with catalogue.database.reading() as connection:
            if connection:
                streamed = connection.execution_options(yield_per=_FETCHED).execute(select(*_PLACED))
                found.update((row.path, Placed(*row)) for row in streamed if row.path in wanted)
    return found


def forget(catalogue: Catalogue, gone: Sequence[Placed], why: str = "gone from data/") -> int:
    """Take out instances whose files are gone, or are to be catalogued anew; how many there were.

    One that another process has put elsewhere meanwhile stays. The series' events tell of it.
    """
    table = schema.instance
    forgotten = 0
    for chunk in chunks(sorted(gone, key=lambda placed: (placed.sop_uid, placed.variant))):
        taken: Counter[str] = Counter()
        with catalogue.database.writing() as connection:
            for placed in chunk:
                done = connection.execute(
                    table.delete().where(
                        table.c.SOPInstanceUID == placed.sop_uid,
                        table.c.variant == placed.variant,
                        table.c.path == placed.path,
                    )
                )
                taken[placed.series_uid] += done.rowcount
                if done.rowcount:
                    strays.forget(connection, placed.sop_uid, placed.variant)
            time = now()
            events = [
                rows.of_event(Event(uid, "packed", count=-count, detail=why, time=time))
                for uid, count in sorted(taken.items())
                if count
            ]
            catalogue.put(connection, schema.event, events)
        forgotten += taken.total()
    return forgotten


def straying(catalogue: Catalogue) -> list[tuple[str, str, int]]:
    """Where strays lie: the series whose UID they have, a directory below data/, and how many are there."""
    table = schema.instance.c
    query = select(table.SeriesInstanceUID, table.path).join_from(
        schema.stray, schema.instance, strays.OF_INSTANCE
    )
    with catalogue.database.reading() as connection:
        found = connection.execute(query) if connection else ()
        counts = Counter((uid, str(PurePosixPath(path).parent)) for uid, path in found)
    return sorted((uid, directory, count) for (uid, directory), count in counts.items())


def strays_alone(catalogue: Catalogue) -> list[Placed]:
    """The strays of series of which nothing else is held, by series and number."""
    series_uid = schema.instance.c.SeriesInstanceUID
    query = (
        select(*_PLACED)
        .join_from(schema.stray, schema.instance, strays.OF_INSTANCE)
        .where(~_has_own(series_uid))
    )
    with catalogue.database.reading() as connection:
        found = [Placed(*row) for row in connection.execute(query)] if connection else []
    return sorted(found, key=lambda placed: (placed.series_uid, by_number(placed.number), placed.path))


def forget_descriptions(catalogue: Catalogue, series_uids: Collection[str]) -> None:
    """Forget of which studies these series are, and of which patients those studies of which nothing is held.

    What is catalogued next describes them anew. A series of which an instance came meanwhile stays as it is.
    """
    series, study = schema.series, schema.study
    is_held = exists().where(
        series.c.StudyInstanceUID == study.c.StudyInstanceUID, _has_own(series.c.SeriesInstanceUID)
    )
    for chunk in chunks(sorted(series_uids)):
        in_chunk = series.c.SeriesInstanceUID.in_(chunk)
        with catalogue.database.writing() as connection:
            studies = set(connection.scalars(select(series.c.StudyInstanceUID).where(in_chunk)))
            connection.execute(study.delete().where(study.c.StudyInstanceUID.in_(studies), ~is_held))
            connection.execute(series.delete().where(in_chunk, ~_has_own(series.c.SeriesInstanceUID)))


def _has_own(series_uid: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an instance of a series is held that is no stray."""
    own, stray = schema.instance.alias(), schema.stray.alias()
    is_stray = exists().where(
        stray.c.SOPInstanceUID == own.c.SOPInstanceUID, stray.c.variant == own.c.variant
    )
    return exists().where(own.c.SeriesInstanceUID == series_uid, ~is_stray)


def quarantined(catalogue: Catalogue) -> dict[str, str]:
    """The files that were put into quarantine/, by name, with their reason."""
    table = schema.quarantined.c
    with catalogue.database.reading() as connection:
        if connection is None:
            return {}
        found = connection.execute(select(table.name, table.reason))
        return {row.name: row.reason for row in found}


def replaced(catalogue: Catalogue) -> set[str]:
    """The files in quarantine/ of whose instance a whole file is held."""
    table = schema.quarantined.c
    held = select(schema.instance.c.SOPInstanceUID).where(
        schema.instance.c.SOPInstanceUID == table.SOPInstanceUID
    )
    with catalogue.database.reading() as connection:
        return set(connection.scalars(select(table.name).where(held.exists()))) if connection else set()


def forget_quarantined(catalogue: Catalogue, names: Collection[str]) -> None:
    """Take out files that are no longer in quarantine/."""
    table = schema.quarantined
    for chunk in chunks(sorted(names)):
        with catalogue.database.writing() as connection:
            connection.execute(table.delete().where(table.c.name.in_(chunk)))


def folders_of(catalogue: Catalogue, patient_id: str) -> tuple[str, ...]:
    """The directories at the top of data/ that are this patient's."""
    table = schema.folder.c
    with catalogue.database.reading() as connection:
        if connection is None:
            return ()
        query = select(table.name).where(table.PatientID == rows.storable(patient_id)).order_by(table.name)
        return tuple(connection.scalars(query))


def instances(catalogue: Catalogue) -> int:
    """How many instances there are."""
    with catalogue.database.reading() as connection:
        query = select(func.count()).select_from(schema.instance)
        return int(connection.scalar(query) or 0) if connection else 0


def _bytewise(connection: Connection, column: Column[str]) -> ColumnElement[str]:
    return column.collate("C") if connection.dialect.name == "postgresql" else column
