"""How the catalogue's database is reached: an SQLite file, or a PostgreSQL server."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from pypx.basemount.modes import make_directory, open_file
from pypx.errors import InvalidValue

#: SQLite's result codes for what another process holds (https://sqlite.org/rescode.html).
SQLITE_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

#: Rows in one statement: one of a thousand takes megabytes when it is compiled, and no less time for a row.
_ROWS_AT_ONCE = 50

#: Compiled statements that a connection keeps. Each number of rows is another one.
_CACHED_STATEMENTS = 64

#: Execution option of connections that write.
WRITES = "pypx_writes"


def sqlite_code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else sqlite3.SQLITE_ERROR


def make_sqlite_file(file: Path, wait: float) -> None:
    """Make SQLite's file, with a write-ahead log where the filesystem takes it: readers never wait.

    Raises
    ------
    sqlite3.Error, OSError
    """
    if file.exists() and file.stat().st_size:
        return
    make_directory(file.parent)
    # SQLite gives its other files the mode of this one.
    os.close(open_file(file, os.O_RDWR | os.O_CREAT))
    connection = sqlite3.connect(file, timeout=wait, isolation_level=None)
    deadline = time.monotonic() + wait
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait for others here.
                if sqlite_code(error) not in SQLITE_LOCKED or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
    finally:
        connection.close()


def sqlite_damage(file: Path) -> str:
    """What is wrong with an SQLite file itself; "" where nothing is, or there is none.

    Raises
    ------
    sqlite3.Error
        When it cannot be looked into: locked, unreadable.
    """
    if not file.exists():
        return ""
    try:
        connection = sqlite3.connect(_sqlite_uri(file), uri=True, timeout=30)
        try:
            said = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if sqlite_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
        raise
    return "" if said == ("ok",) else " ".join(str(said[0]).split())


def sqlite_engine(file: Path, wait: float) -> Engine:
    """Connections to a file that is there."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            _sqlite_uri(file),
            uri=True,
            timeout=wait,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        # An instance's incoming name goes once it is committed: that must outlast a loss of power.
        connection.execute("PRAGMA synchronous = FULL")
        return connection

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=QueuePool,
        insertmanyvalues_page_size=_ROWS_AT_ONCE,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer.
        writes = connection.get_execution_options().get(WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _sqlite_uri(file: Path) -> str:
    if not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists():
        # Where nothing can be written SQLite cannot share a write-ahead log, and there is none to share.
        return f"{file.as_uri()}?mode=ro&immutable=1"
    return f"{file.as_uri()}?mode=rw"


def postgresql_url(text: str, named_by: str) -> URL:
    """The URL of a PostgreSQL database.

    Parameters
    ----------
    text : str
        ``postgresql://user:password@host:port/database``.
    named_by : str
        Where it was found, for the error: nothing of the text stands in it, since it may hold a password.

    Raises
    ------
    InvalidValue
        When it is something else.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    # An @ in a password ends it early, and would have the rest of it shown as a part of the host's name.
    if url is None or url.get_backend_name() not in ("postgresql", "postgres") or "@" in (url.host or ""):
        raise InvalidValue(
            f"{named_by} does not hold the URL of a PostgreSQL database",
            "Write postgresql://user:password@host/database (in the password %40 for @), "
            "or leave it out for a file in the log directory.",
        )
    return url.set(drivername="postgresql+psycopg")


def postgresql_name(url: URL) -> str:
    """The database as it may be shown: host and database, no password wherever it stands."""
    host = url.host or url.query.get("host") or "localhost"
    return f"postgresql://{host}{f':{url.port}' if url.port else ''}/{url.database or ''}"


def postgresql_engine(url: URL, wait: float) -> Engine:
    """Connections to a PostgreSQL server, made when they are needed.

    Raises
    ------
    InvalidValue
        When its driver is not installed.
    """
    try:
        return create_engine(
            url,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": max(2, int(wait)),
                "options": f"-c lock_timeout={int(wait * 1000)} {_options(url)}".strip(),
            },
        )
    except (ImportError, NoSuchModuleError) as error:
        raise InvalidValue(
            f"The catalogue {postgresql_name(url)} is a PostgreSQL database, and its driver is not installed",
            "Install it with: pip install 'pypx[postgresql]'.",
        ) from error


def _options(url: URL) -> str:
    """What the URL itself says in ``?options=``."""
    said = url.query.get("options", "")
    return said if isinstance(said, str) else " ".join(said)
