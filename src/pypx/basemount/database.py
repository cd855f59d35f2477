"""Transactions on the catalogue's database, SQLite or PostgreSQL, and what their errors mean."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    QueuePool,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from pypx.basemount import schema
from pypx.errors import (
    BasemountUnusable,
    CatalogueDamaged,
    CatalogueLocked,
    DiskFull,
    InvalidValue,
    PypxError,
)

#: Held while the tables are made in PostgreSQL, where several processes may start at once.
_CREATION_LOCK = 7_079_000

#: SQLite's primary result codes (https://sqlite.org/rescode.html), and PostgreSQL's states (appendix A).
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, "55P03", "57014", "40P01", "40001"}
_FULL = {sqlite3.SQLITE_FULL, "53100"}
_UNUSABLE = {
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
    "25006",
    "42501",
}


class Database:
    """A catalogue's database, made when something is first written into it.

    Parameters
    ----------
    location : pathlib.Path or str
        SQLite's file, or the URL of a PostgreSQL database.
    wait : float
        Seconds to wait for another process that writes.

    Raises
    ------
    InvalidValue
        When the URL is not one of PostgreSQL.
    """

    def __init__(self, location: Path | str, wait: float) -> None:
        self._file = location if isinstance(location, Path) else None
        self._wait = wait
        self._made = False
        if isinstance(location, Path):
            self._name = str(location)
            self._engine = _sqlite(location, wait)
        else:
            url = _postgresql_url(location)
            self._name = url.render_as_string(hide_password=True)
            self._engine = _postgresql(url, wait)

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
        if self._file and not self._made and not self._file.exists():
            yield None
            return
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection if self._made or self._is_made(connection) else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, kept when the block ends and undone when it raises.

        Raises
        ------
        CatalogueLocked, CatalogueDamaged, BasemountUnusable, DiskFull
            When it cannot be written.
        """
        with self._translated():
            if not self._made:
                self._make()
            with self._writer() as connection, connection.begin():
                yield connection

    def _writer(self) -> Connection:
        return self._engine.connect().execution_options(pypx_writes=True)

    def _is_made(self, connection: Connection) -> bool:
        tables = inspect(connection).get_table_names()
        if schema.version.name not in tables:
            if tables and self._file:
                raise CatalogueDamaged(f"{self._name} is a database, but not a catalogue")
            return False
        found = connection.scalar(select(schema.version.c.version))
        if found is not None and found > schema.VERSION:
            raise CatalogueDamaged(
                f"The catalogue {self._name} was written by a later release of pypx (its tables are of "
                f"version {found}, this release knows {schema.VERSION})",
                "Use that release, or move the catalogue aside and run px-repack over data/ to make it anew.",
            )
        self._made = found is not None
        return self._made

    def _make(self) -> None:
        """Make the tables, unless another process has."""
        if self._file:
            self._make_file(self._file)
        with self._writer() as connection, connection.begin():
            if self.dialect == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _CREATION_LOCK})
            if not self._is_made(connection):
                schema.metadata.create_all(connection)
                connection.execute(schema.version.insert().values(version=schema.VERSION))
        self._made = True

    def _make_file(self, file: Path) -> None:
        """Make SQLite's file, with a write-ahead log where the filesystem takes it: readers never wait."""
        if file.exists() and file.stat().st_size:
            return
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=self._wait, isolation_level=None)
        deadline = time.monotonic() + self._wait
        try:
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as error:
                    # SQLite does not wait for others here.
                    if _code(error) not in _LOCKED or time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
        finally:
            connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            raise self._meaning(original or error) from error
        except OSError as error:
            raise BasemountUnusable(f"{self._name} cannot be used ({error.strerror or error})") from error

    def _meaning(self, error: BaseException) -> PypxError:
        code = _code(error)
        said = " ".join(str(error).split())
        if code in _LOCKED:
            return CatalogueLocked(
                f"The catalogue {self._name} was held by another process for {self._wait:g} s"
            )
        if code in _FULL:
            return DiskFull(f"No space is left to write the catalogue {self._name}")
        if code in _UNUSABLE:
            return BasemountUnusable(f"The catalogue {self._name} cannot be used ({said})")
        if self.dialect == "postgresql" and code is None:
            return BasemountUnusable(
                f"The catalogue {self._name} does not answer ({said})",
                "Check PYPX_SMDB_URL, and that the database is up and lets this user in.",
            )
        return CatalogueDamaged(f"The catalogue {self._name} cannot be read ({said})")


def _code(error: BaseException) -> int | str | None:
    """SQLite's primary result code, or PostgreSQL's state."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code & 0xFF if isinstance(code, int) else sqlite3.SQLITE_ERROR
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def _sqlite(file: Path, wait: float) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            _sqlite_uri(file), uri=True, timeout=wait, isolation_level=None, check_same_thread=False
        )
        # An instance's incoming name goes once it is committed: that must outlast a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer.
        writes = connection.get_execution_options().get("pypx_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_uri(file: Path) -> str:
    if not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists():
        # Where nothing can be written SQLite cannot share a write-ahead log, and there is none to share.
        return f"{file.as_uri()}?mode=ro&immutable=1"
    return f"{file.as_uri()}?mode=rw"


def _postgresql_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() != "postgresql":
        raise InvalidValue(
            "PYPX_SMDB_URL is not the URL of a PostgreSQL database",
            "Write postgresql://user:password@host/database, or unset it for a file in the log directory.",
        )
    return url.set(drivername="postgresql+psycopg")


def _postgresql(url: URL, wait: float) -> Engine:
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(2, int(wait)),
                "options": f"-c lock_timeout={int(wait * 1000)}",
            },
        )
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise InvalidValue(
            "PYPX_SMDB_URL names a PostgreSQL database, and its driver is not installed",
            "Install it with: pip install 'psycopg[binary]'.",
        ) from error
