"""How a catalogue of an earlier release becomes one of this release.

The steps are what was, once released, done to sites' catalogues: they do not change any more. A change of
:mod:`pypx.basemount.schema` adds a step and raises its VERSION.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from pypx.basemount import schema


@dataclass(frozen=True, slots=True)
class Step:
    """From one version of the tables to the next.

    Parameters
    ----------
    version : int
        Of the tables after it.
    what : str
        What it brings.
    statements : tuple of str
        SQL that SQLite and PostgreSQL both understand.
    """

    version: int
    what: str
    statements: tuple[str, ...]


STEPS = (
    Step(
        2,
        "the JSON tables of releases before 4, as they were imported",
        (
            "CREATE TABLE document (owner TEXT NOT NULL, path TEXT NOT NULL, "
            "content TEXT DEFAULT '' NOT NULL, "
            "PRIMARY KEY (owner, path))",
        ),
    ),
    Step(
        3,
        "the folders that series have in storage",
        (
            'CREATE TABLE storage_folder (target TEXT NOT NULL, "SeriesInstanceUID" TEXT NOT NULL, '
            "folder TEXT DEFAULT '' NOT NULL, PRIMARY KEY (target, \"SeriesInstanceUID\"))",
            "CREATE UNIQUE INDEX storage_folder_by_name ON storage_folder (target, folder)",
        ),
    ),
    Step(
        4,
        "instances of another study or patient than their series, of those that come from here on",
        (
            'CREATE TABLE stray ("SOPInstanceUID" TEXT NOT NULL, variant TEXT NOT NULL, '
            "\"StudyInstanceUID\" TEXT DEFAULT '' NOT NULL, patient TEXT DEFAULT '' NOT NULL, "
            'PRIMARY KEY ("SOPInstanceUID", variant))',
            'CREATE INDEX stray_by_study ON stray ("StudyInstanceUID")',
        ),
    ),
)

#: The earliest version that there is a way from.
EARLIEST = STEPS[0].version - 1


def migrate(connection: Connection, found: int) -> None:
    """Take the tables from the version that was found to that of this release.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        In a transaction that no other process shares; all of it happens in there, or nothing.
    found : int
        From EARLIEST on.
    """
    for step in STEPS:
        if step.version > found:
            for statement in step.statements:
                connection.exec_driver_sql(statement)
    connection.execute(schema.version.update().values(version=schema.VERSION))
