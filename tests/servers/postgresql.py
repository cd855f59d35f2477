"""PostgreSQL: the database of a site with several receiving hosts, from the Debian package postgresql."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from demo.server import HOST, Server, free_port
from servers.needs import require

#: The role that the tests connect as; from sockets without, over TCP with its password.
ROLE = "pypx"
PASSWORD = "p@ss:word/ä"  # noqa: S105


class Postgresql(Server):
    """A server with empty databases, one for each BASEMOUNT that asks.

    Its directory has a short name of its own: PostgreSQL refuses to run as root, whose directories nobody
    else may enter, and names of sockets are 107 bytes at most.
    """

    name = "postgresql"

    def __init__(self) -> None:
        self._bin = Path(os.path.realpath(_program("postgres"))).parent
        directory = Path(tempfile.mkdtemp(prefix="pypx-postgresql-"))
        super().__init__(directory)
        # Its socket is for everybody: tools are run as other users, too.
        directory.chmod(0o755)
        self._as_user: tuple[str, ...] = ()
        self._made = 0
        if os.geteuid() == 0:
            user = _unprivileged()
            os.chown(directory, user.pw_uid, user.pw_gid)
            ids = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}")
            # The death of its parent is asked for again: changing the user forgets it.
            self._as_user = ("setpriv", *ids, "--clear-groups", "--pdeathsig", "KILL")
        self._initialise()

    def _initialise(self) -> None:
        subprocess.run(
            [
                *self._as_user,
                *(self._bin / "initdb", "--pgdata", self.directory / "data", "--username", ROLE),
                *("--auth-local", "trust", "--auth-host", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C.UTF-8", "--no-sync"),
            ],
            cwd=self.directory,
            check=True,
            capture_output=True,
        )

    def configure(self) -> list[str]:
        self.port = free_port()
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.directory,
            "max_connections": 60,
            # Nothing in here is to outlast the tests.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*self._as_user, str(self._bin / "postgres"), "-D", str(self.directory / "data"), *options]

    def answers(self) -> bool:
        try:
            self.run("select 1", patience=2)
        except psycopg.OperationalError:
            return False
        return True

    def run(self, statement: str, database: str = "postgres", patience: int = 60) -> None:
        """One statement, as the owner of it all; seconds in which the server is to let us in."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=patience) as connection:
            connection.execute(sql.SQL(statement))  # type: ignore[arg-type]

    def url(self, database: str) -> str:
        """Of a database, through the socket."""
        return f"postgresql://{ROLE}@/{database}?host={self.directory}&port={self.port}"

    def url_with_password(self, database: str, password: str = PASSWORD) -> str:
        """Of a database, over TCP, where the role has to know its password."""
        from urllib.parse import quote

        return f"postgresql://{ROLE}:{quote(password, safe='')}@{HOST}:{self.port}/{database}"

    def fresh_database(self) -> str:
        """The name of an empty database that nobody else uses."""
        self._made += 1
        database = f"catalogue_{self._made}"
        self.run(f"create database {database}")
        return database

    def start(self) -> Self:
        super().start()
        self.run(f"alter role {ROLE} password '{PASSWORD}'")
        return self

    def end(self) -> None:
        # Else it waits until all who are connected have gone.
        self._signal(signal.SIGINT)
        super().end()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.directory)


def _program(name: str) -> str:
    """Debian keeps the server's programs in a directory of each version's own."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: len(str(path)))
    return str(versions[-1]) if versions else require(name, "postgresql")


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("there is no user to run PostgreSQL as")
