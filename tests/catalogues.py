"""Looking into the catalogue of a BASEMOUNT by SQL, past all of pypx: an SQLite file, or PostgreSQL."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import psycopg

#: A text, a quoted name, or a name that PostgreSQL takes for one of small letters unless it is quoted.
_TEXT_OR_NAME = re.compile(r"""'[^']*'|"[^"]*"|\b(?=\w*[A-Z])(?=\w*[a-z])[A-Za-z]\w*\b""")


def use(basemount: Path, url: str) -> None:
    """Have the catalogue of a BASEMOUNT in this PostgreSQL database."""
    (basemount / "services").mkdir(parents=True)
    file = basemount / "services" / "smdb.json"
    file.write_text(json.dumps({"catalogue": {"url": url}}))
    file.chmod(0o600)


def url_of(basemount: Path) -> str | None:
    """The PostgreSQL database of a BASEMOUNT; None where it has a file."""
    file = basemount / "services" / "smdb.json"
    return str(json.loads(file.read_text())["catalogue"]["url"]) if file.exists() else None


def rows(basemount: Path, query: str) -> list[tuple[Any, ...]]:
    """What the catalogue answers; nothing is written there."""
    return _run(basemount, query, wants_rows=True)


def execute(basemount: Path, *statements: str) -> None:
    """Change a catalogue behind the suite's back."""
    for statement in statements:
        _run(basemount, statement, wants_rows=False)


def _run(basemount: Path, statement: str, wants_rows: bool) -> list[tuple[Any, ...]]:
    statement = _TEXT_OR_NAME.sub(_quoted, statement)
    connection: Any
    if url := url_of(basemount):
        connection = psycopg.connect(url)
    else:
        connection = sqlite3.connect(basemount / "log" / "smdb.sqlite")
    try:
        done = connection.execute(statement)
        found = done.fetchall() if wants_rows else []
        connection.commit()
        return found
    finally:
        connection.close()


def _quoted(match: re.Match[str]) -> str:
    return match[0] if match[0][0] in "'\"" else f'"{match[0]}"'
