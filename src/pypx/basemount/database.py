"""Transactions on the catalogue's database, SQLite or PostgreSQL, and what their errors mean."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from pypx.basemount import engines, migrations, schema
from pypx.basemount.modes import open_file
from pypx.errors import BasemountUnusable, CatalogueDamaged, CatalogueLocked, DiskFull, PypxError

logger = logging.getLogger("pypx.catalogue")

#: Held while the tables are made or changed in PostgreSQL, where several processes may start at once.
_CREATION_LOCK = 7_079_000

#: SQLite's primary result codes (https://sqlite.org/rescode.html), and PostgreSQL's states (appendix A).
_LOCKED = {*engines.SQLITE_LOCKED, "55P03", "57014", "40P01", "40001"}
_FULL = {sqlite3.SQLITE_FULL, "53100"}
_UNUSABLE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    "25006",
    "42501",
}

#: The names of all tables; SQLAlchemy's way to ask for them takes longer than all else that a tool asks.
_TABLES = {
    "sqlite": "select name from sqlite_master where type = 'table'",
    "postgresql": "select tablename from pg_tables where schemaname = any(current_schemas(false))",
}

#: Classes of PostgreSQL's states that are about the server: no connection, no such user or database, too many
#: connections, shutting down.
_SERVER = ("08", "28", "3D", "53", "57")


class Database:
    """A catalogue's database, made when something is first written into it.

    Parameters
    ----------
    location : pathlib.Path or str
        SQLite's file, or the URL of a PostgreSQL database.
    wait : float
        Seconds to wait for another process that writes.
    named_by : str
        Where the URL was found, for errors about it.

    Raises
    ------
    InvalidValue
        When the URL is not one of PostgreSQL, or its driver is not installed.
    """

    def __init__(self, location: Path | str, wait: float, named_by: str = "") -> None:
        self._file = location if isinstance(location, Path) else None
        self._wait = wait
        self._named_by = named_by
        self._made = False
        self._identity: tuple[int, int] | None = None
        if isinstance(location, Path):
            self.name = str(location)
            self._engine = engines.sqlite_engine(location, wait)
        else:
            url = engines.postgresql_url(location, named_by)
            self.name = engines.postgresql_name(url)
            self._engine = engines.postgresql_engine(url, wait)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._engine.dialect.name

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """One consistent view of the catalogue; None where there is none yet.

        Raises
        ------
        CatalogueLocked, CatalogueDamaged, BasemountUnusable
            When it cannot be read.
        """
        with self._translated():
            if self._has_changed_hands():
                self._leave_former_file()
        if self._file and not self._made and not self._file.exists():
            yield None
            return
        with self._translated():
            with self._reader() as connection, connection.begin():
                version = schema.VERSION if self._made else self._version(connection)
                if version in (None, schema.VERSION):
                    yield connection if version else None
                    return
            self._make_current()
            with self._reader() as connection, connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, kept when the block ends and undone when it raises.

        Raises
        ------
        CatalogueLocked, CatalogueDamaged, BasemountUnusable, DiskFull
            When it cannot be written.
        """
        with self._translated():
            if self._has_changed_hands():
                self._leave_former_file()
            if not self._made:
                self._make()
            with self._writer() as connection, connection.begin():
                yield connection
            if self._has_changed_hands():
                raise BasemountUnusable(
                    f"The catalogue {self.name} was removed, or replaced, while it was written",
                    "Find out who does that; then run px-smdb --action check --repair.",
                )

    def _has_changed_hands(self) -> bool:
        """Whether another file, or none, has the place of the one that our connections are of."""
        return self._made and self._identity != self._found()

    def _found(self) -> tuple[int, int] | None:
        """What tells SQLite's file from any other; None where there is none."""
        if self._file is None:
            return None
        try:
            status = self._file.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _leave_former_file(self) -> None:
        """Give up connections to a file that is nobody's any more: what they wrote would be lost."""
        logger.warning(
            "The catalogue %s was removed or replaced, and is opened anew. For what stood in it alone, run"
            " px-smdb --action check --repair",
            self.name,
        )
        self.close()
        self._made = False

    def examine(self) -> None:
        """Go through SQLite's file; of PostgreSQL's the server takes care.

        Raises
        ------
        CatalogueDamaged
            When it is damaged, somewhere.
        CatalogueLocked, BasemountUnusable
        """
        if self._file:
            with self._translated():
                if said := engines.sqlite_damage(self._file):
                    raise CatalogueDamaged(f"The catalogue {self.name} is damaged ({said})", self._cure())

    def move_aside(self) -> Path | None:
        """Give SQLite's file another name, where it is damaged, so that it can be made anew.

        Returns
        -------
        pathlib.Path or None
            The new name; None where it is not that which is wrong with the catalogue.

        Raises
        ------
        CatalogueLocked, BasemountUnusable
        """
        if self._file is None:
            return None
        with self._translated(), _exclusively(self._file.with_name(f"{self._file.name}-recovery.lock")):
            # Another process may have been faster.
            if not engines.sqlite_damage(self._file):
                return None
            self.close()
            aside = self._file.with_name(f"{self._file.name}-damaged-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
            # Its log first: SQLite would apply it to the file that is made next.
            for suffix in ("-wal", "-shm", ""):
                part = Path(f"{self._file}{suffix}")
                if part.exists():
                    part.rename(f"{aside}{suffix}")
            self._made = False
            return aside

    def _reader(self) -> Connection:
        connection = self._engine.connect()
        if self.dialect == "postgresql":
            # As SQLite does: what is read in one transaction is of one moment.
            return connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return connection

    def _writer(self) -> Connection:
        return self._engine.connect().execution_options(**{engines.WRITES: True})

    def _version(self, connection: Connection) -> int | None:
        """The version of the tables, at most that of this release; None where there are none."""
        tables = set(connection.exec_driver_sql(_TABLES[self.dialect]).scalars())
        if schema.version.name not in tables:
            # A server's database may be shared with others; a file is ours or it is not.
            if tables if self._file else tables & set(schema.metadata.tables):
                raise CatalogueDamaged(
                    f"{self.name} is a database, but not a catalogue",
                    "Name another place for the catalogue, or move that database aside.",
                )
            return None
        found = connection.scalar(select(schema.version.c.version))
        if found is not None and not migrations.EARLIEST <= found <= schema.VERSION:
            raise CatalogueDamaged(
                f"The catalogue {self.name} was written by a later release of pypx (its tables are of "
                f"version {found}, this release knows {schema.VERSION})",
                "Use that release, or move the catalogue aside and run px-repack over data/ to make it anew.",
            )
        self._identity = self._found()
        self._made = found == schema.VERSION
        return found

    def _make(self) -> None:
        """Make the tables, or bring those of an earlier release up to date, unless another process has."""
        if self._file:
            engines.make_sqlite_file(self._file, self._wait)
        with self._writer() as connection, connection.begin():
            if self.dialect == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
            found = self._version(connection)
            if found is None:
                schema.metadata.create_all(connection)
                connection.execute(schema.version.insert().values(version=schema.VERSION))
            elif found < schema.VERSION:
                logger.info("The catalogue %s is of an earlier release and is brought up to date", self.name)
                migrations.migrate(connection, found)
        self._identity = self._found()
        self._made = True

    def _make_current(self) -> None:
        """Bring the tables of an earlier release up to date for somebody who only wants to read."""
        try:
            with self._translated():
                self._make()
        except BasemountUnusable as error:
            raise BasemountUnusable(
                f"The catalogue {self.name} is of an earlier release and cannot be brought up to date "
                f"({error.message})",
                "Run px-smdb --action check once as a user who may write it.",
            ) from error

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            raise self._meaning(original or error) from error
        except OSError as error:
            raise BasemountUnusable(f"{self.name} cannot be used ({error.strerror or error})") from error

    def _meaning(self, error: BaseException) -> PypxError:
        code = _code(error)
        said = " ".join(str(error).split())
        if code in _LOCKED:
            return CatalogueLocked(
                f"The catalogue {self.name} was held by another process for {self._wait:g} s"
            )
        if code in _FULL:
            return DiskFull(f"No space is left to write the catalogue {self.name}")
        if self.dialect == "postgresql" and (code is None or str(code).startswith(_SERVER)):
            return BasemountUnusable(
                f"The catalogue {self.name} does not answer ({said})",
                f"Check {self._named_by}, and that the database is up and lets this user in.",
            )
        if code in _UNUSABLE:
            return BasemountUnusable(f"The catalogue {self.name} cannot be used ({said})")
        return CatalogueDamaged(f"The catalogue {self.name} cannot be read ({said})", self._cure())

    def _cure(self) -> str:
        """What to do about a damaged catalogue: all of it but what was requested and pushed is in data/."""
        if self._file:
            return "Run px-smdb --action check --repair: it moves it aside and makes it anew from data/."
        return "Restore the database from its backup, then run px-smdb --action check --repair."


@contextmanager
def _exclusively(lock: Path) -> Iterator[None]:
    """Wait until no other process is in a block with this lock."""
    descriptor = open_file(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _code(error: BaseException) -> int | str | None:
    """SQLite's primary result code, or PostgreSQL's state."""
    if isinstance(error, sqlite3.Error):
        return engines.sqlite_code(error)
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None
