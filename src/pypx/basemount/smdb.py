"""The catalogue (smdb): what lies in data/, and what happened to it.

Many processes write at once. Each write is one short transaction, and writing the same again changes
nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, select

from pypx.basemount import rows, schema, series_records, services, strays
from pypx.basemount.database import Database
from pypx.basemount.layout import Basemount
from pypx.basemount.records import (
    Added,
    Event,
    HeldInstance,
    PackedInstance,
    QuarantinedFile,
    SeriesRecord,
)

#: The file in the log directory.
FILE_NAME = "smdb.sqlite"

#: In the environment: the URL of a PostgreSQL database to use in its place.
URL_VARIABLE = "PYPX_SMDB_URL"

#: Values in one list of a query; SQLite takes 32,766 parameters, PostgreSQL 65,535.
_CHUNK = 500

_Value = TypeVar("_Value")


class Catalogue:
    """The catalogue of one BASEMOUNT; it comes to be when something is first written into it.

    Use :meth:`open`. May be used by several threads. What is rarely asked stands in modules of its own beside
    this one, on its ``database``.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.insert = _insert_of(database.dialect)

    @classmethod
    def open(cls, basemount: Basemount, wait: float = 30.0) -> Catalogue:
        """The catalogue in the log directory, or the database that is named in its place.

        That is what the environment's PYPX_SMDB_URL says, or services/smdb.json.

        Parameters
        ----------
        basemount : Basemount
            Whose catalogue.
        wait : float
            Seconds to wait for another process that writes.

        Raises
        ------
        InvalidValue
            When what is named is not the URL of a PostgreSQL database, or its driver is not installed.
        ServicesUnreadable, BasemountUnusable
            When services/smdb.json cannot be read.
        """
        if url := os.environ.get(URL_VARIABLE):
            return cls(Database(url, wait, URL_VARIABLE))
        file = basemount.log / FILE_NAME
        # A group may read the catalogue, and not the secrets beside it.
        is_private = not os.access(basemount.services, os.X_OK) and os.access(file, os.R_OK)
        if not is_private and (url := services.catalogue_url(basemount)):
            return cls(Database(url, wait, "services/smdb.json"))
        return cls(Database(file, wait))

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()

    # All reading raises CatalogueLocked, CatalogueDamaged or BasemountUnusable; writing DiskFull as well.

    def held_counts(self, series_uids: Collection[str]) -> dict[str, int]:
        """How many instances (distinct SOP Instance UIDs) of each series are held; 0 for one not known.

        Strays are none of it (:mod:`pypx.basemount.strays`).
        """
        counts = dict.fromkeys(series_uids, 0)
        with self.database.reading() as connection:
            if connection:
                for chunk in chunks(counts):
                    counts.update(series_records.packed(connection, chunk))
        return counts

    def held_instances(self, series_uid: str) -> set[str]:
        """The SOP Instance UIDs that are held of a series, strays left out."""
        table = schema.instance.c
        of_series = table.SeriesInstanceUID == series_uid
        query = select(table.SOPInstanceUID).where(of_series, strays.IS_NONE).distinct()
        with self.database.reading() as connection:
            return set(connection.scalars(query)) if connection else set()

    def held(self, sop_uids: Collection[str]) -> dict[str, list[HeldInstance]]:
        """What is held under these SOP Instance UIDs, the first content of each before its variants."""
        found: dict[str, list[HeldInstance]] = {}
        with self.database.reading() as connection:
            if connection:
                for chunk in chunks(sop_uids):
                    for one in _held(connection, chunk):
                        found.setdefault(one.sop_uid, []).append(one)
        return found

    def series_of_study(self, study_uid: str) -> tuple[str, ...]:
        """The series of a study of which there is an instance or an event: their UIDs, by SeriesNumber."""
        with self.database.reading() as connection:
            return tuple(series_records.of_study(connection, study_uid)) if connection else ()

    def series_status(self, series_uids: Collection[str]) -> dict[str, SeriesRecord]:
        """What is known of each of these series, those left out of which there is nothing."""
        records: dict[str, SeriesRecord] = {}
        with self.database.reading() as connection:
            if connection:
                for chunk in chunks(series_uids):
                    records.update(series_records.gather(connection, chunk))
        return records

    def described(self, series_uids: Collection[str]) -> dict[str, tuple[str, str]]:
        """Of which study and patient series are: UID and PatientID; those left out that are not known."""
        found: dict[str, tuple[str, str]] = {}
        with self.database.reading() as connection:
            if connection:
                for chunk in chunks(series_uids):
                    found |= strays.described(connection, chunk)
        return found

    def record(self, events: Iterable[Event]) -> None:
        """Write down what happened to series."""
        happened = [rows.of_event(event) for event in events]
        happened.sort(key=lambda row: (row["SeriesInstanceUID"], row["kind"], row["time"], row["target"]))
        if happened:
            with self.database.writing() as connection:
                self.put(connection, schema.event, happened)

    def add(
        self,
        instances: Sequence[PackedInstance],
        quarantined: Sequence[QuarantinedFile] = (),
        restored: Sequence[PackedInstance] = (),
    ) -> Added:
        """Write down, in one transaction, instances that have their place and files in quarantine.

        The events ``received`` and ``packed`` of their series are written with them.

        Parameters
        ----------
        instances : sequence of PackedInstance
            That are in data/.
        quarantined : sequence of QuarantinedFile
            That are in quarantine/.
        restored : sequence of PackedInstance
            That are in data/ again, after the file that the catalogue knew was gone.

        Returns
        -------
        Added
            Which instances were not known before. Of the others another process, or an earlier run, has
            written an instance under the same key, perhaps with another path.
        """
        if not instances and not quarantined and not restored:
            return Added()
        # Sorted, so that two processes never wait for each other's rows in a circle.
        ordered = sorted(instances, key=lambda instance: instance.key)
        again = sorted(restored, key=lambda instance: instance.key)
        with self.database.writing() as connection:
            patients = self._describe(connection, (instance.values for instance in (*ordered, *again)))
            new = self.put(connection, schema.instance, [rows.of_instance(each) for each in ordered])
            keys = {(sop_uid, variant) for sop_uid, variant in new}
            files = sorted(quarantined, key=lambda file: file.name)
            damaged = self.put(connection, schema.quarantined, [rows.of_quarantined(file) for file in files])
            names = {name for (name,) in damaged}
            arrivals = rows.of_arrivals(
                [instance for instance in ordered if instance.key in keys],
                # One that came several times at once is one.
                {file.name: file for file in quarantined if file.name in names}.values(),
            )
            self.put(connection, schema.event, list(arrivals))
            for instance in again:
                _replace(connection, instance)
            known: dict[str, tuple[str, str]] = {}
            for chunk in chunks({uid for uid, _, _ in patients}):
                known |= strays.described(connection, chunk)
            said = strays.straying(patients, known)
            # As a rule nothing is, and no instance is looked at once more.
            written = [*(one for one in ordered if one.key in keys), *again] if said else ()
            straying = strays.rows_of(written, said, patients)
            self.put(connection, schema.stray, straying)
        return Added(frozenset(keys), frozenset((row["SOPInstanceUID"], row["variant"]) for row in straying))

    def describe(self, described: Iterable[Mapping[str, str]]) -> None:
        """Write down what is said of patients, studies and series, as far as it is not known yet.

        Parameters
        ----------
        described : iterable of mapping
            Keyword to text; of each series at least its UID and that of its study.
        """
        with self.database.writing() as connection:
            self._describe(connection, described)

    def claim_folders(self, claims: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Make directories at the top of data/ their patients', as far as they are nobody else's.

        Parameters
        ----------
        claims : collection of (str, str)
            Name of a directory and PatientID (0010,0020); of several for one name the first has it.

        Returns
        -------
        set of (str, str)
            Those claims whose directory is the patient's now, or was already.
        """
        names = {name for name, _ in claims}
        with self.database.reading() as connection:
            owners = _owners(connection, names) if connection else {}
        nobodys = [claim for claim in claims if claim[0] not in owners]
        if nobodys:
            nobodys.sort(key=lambda claim: claim[0])
            with self.database.writing() as connection:
                self.put(connection, schema.folder, [rows.of_folder(*claim) for claim in nobodys])
                owners = _owners(connection, names)
        return {(name, patient) for name, patient in claims if owners[name] == rows.storable(patient)}

    def _describe(
        self, connection: Connection, described: Iterable[Mapping[str, str]]
    ) -> dict[strays.Said, str]:
        """Write down what is not known yet; what instances say that they are of, and the patients' keys."""
        keys: dict[strays.Said, str] = {}
        patients: dict[str, dict[str, str]] = {}
        studies: dict[str, dict[str, str]] = {}
        series: dict[str, dict[str, str]] = {}
        for values in described:
            said = (values["SeriesInstanceUID"], values["StudyInstanceUID"], values.get("PatientID", ""))
            if said in keys:
                continue
            uid, study_uid, _ = said
            keys[said] = patient = rows.patient_key(values)
            patients[patient] = {"patient": patient, **rows.texts(values, schema.PATIENT_ATTRIBUTES)}
            studies.setdefault(
                study_uid,
                {
                    "StudyInstanceUID": study_uid,
                    "patient": patient,
                    **rows.texts(values, schema.STUDY_ATTRIBUTES),
                },
            )
            series.setdefault(
                uid,
                {
                    "SeriesInstanceUID": uid,
                    "StudyInstanceUID": study_uid,
                    **rows.texts(values, schema.SERIES_ATTRIBUTES),
                },
            )
        for table, found in ((schema.patient, patients), (schema.study, studies), (schema.series, series)):
            self.put(connection, table, [found[key] for key in sorted(found)])
        return keys

    def put(self, connection: Connection, table: Table, values: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Insert the rows that are not there yet; those rows' primary keys."""
        if not values:
            return []
        statement = self.insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
        return list(connection.execute(statement, list(values)))


def _insert_of(dialect: str) -> Any:
    """The insert statement with ``on conflict``; each dialect takes long to import."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


def chunks(values: Collection[_Value]) -> Iterator[list[_Value]]:
    """The values, so many together as one query takes."""
    ordered = list(values)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]


def _held(connection: Connection, sop_uids: Sequence[str]) -> Iterator[HeldInstance]:
    table = schema.instance.c
    query = (
        select(table.SOPInstanceUID, table.variant, table.path, table.size)
        .where(table.SOPInstanceUID.in_(sop_uids))
        .order_by(table.SOPInstanceUID, table.variant)
    )
    for row in connection.execute(query):
        yield HeldInstance(*row)


def _replace(connection: Connection, instance: PackedInstance) -> None:
    sop_uid, variant = instance.key
    table = schema.instance
    strays.forget(connection, sop_uid, variant)
    connection.execute(
        table.update()
        .where(table.c.SOPInstanceUID == sop_uid, table.c.variant == variant)
        .values(rows.of_instance(instance))
    )


def _owners(connection: Connection, folders: Collection[str]) -> dict[str, str]:
    table = schema.folder.c
    owners: dict[str, str] = {}
    for chunk in chunks(folders):
        found = connection.execute(select(table.name, table.PatientID).where(table.name.in_(chunk)))
        owners.update((row[0], row[1]) for row in found)
    return owners
