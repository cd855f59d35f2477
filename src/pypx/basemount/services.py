"""What a BASEMOUNT knows of PACS, storage and CUBE: ``services/<name>.json``, each ``{"<key>": {fields}}``.

The files hold passwords, so they are their owner's alone (mode 0600), and nothing of a value ever stands in
an error.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from pypx.basemount.layout import Basemount
from pypx.basemount.modes import make_directory, open_file, share
from pypx.basemount.trouble import unusable
from pypx.errors import ServiceKeyUnknown, ServicesUnreadable

#: The fields of one key.
Fields: TypeAlias = Mapping[str, Any]

#: The files, without ".json", and the action of px-smdb that adds to each.
ACTIONS: Mapping[str, str] = {
    "pacs": "PACS",
    "swift": "swift",
    "storage": "storage",
    "cube": "CUBE",
    "smdb": "smdb",
}


def read(basemount: Basemount, name: str) -> dict[str, Fields]:
    """All keys of one service, none where there is no file.

    Parameters
    ----------
    basemount : Basemount
    name : str
        One of ACTIONS.

    Raises
    ------
    ServicesUnreadable
        When the file has another form.
    BasemountUnusable
        When it may not be read.
    """
    file = _file(basemount, name)
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError as error:
        raise ServicesUnreadable(f"{file} is not UTF-8") from error
    except OSError as error:
        raise unusable(error, file) from error
    try:
        keys = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ServicesUnreadable(f"{file} is not JSON") from error
    if not isinstance(keys, dict) or not all(isinstance(fields, dict) for fields in keys.values()):
        raise ServicesUnreadable(f"{file} does not hold one object a key")
    return keys


def fields_of(basemount: Basemount, name: str, key: str) -> Fields:
    """The fields of one key.

    Raises
    ------
    ServiceKeyUnknown
        When there is no such key; the known ones are named.
    """
    keys = read(basemount, name)
    if key not in keys:
        raise ServiceKeyUnknown(
            f"{_file(basemount, name)} has no key {key!r}",
            _hint(keys, name),
        )
    return keys[key]


def storage_fields(basemount: Basemount, key: str) -> Fields:
    """What is known of the storage of this key (``--swift KEY``): of swift.json, else of storage.json.

    Raises
    ------
    ServiceKeyUnknown
        When neither has it.
    """
    for name in ("swift", "storage"):
        keys = read(basemount, name)
        if key in keys:
            return keys[key]
    raise ServiceKeyUnknown(
        f"Neither swift.json nor storage.json in {basemount.services} has the key {key!r}",
        _hint({**read(basemount, "swift"), **read(basemount, "storage")}, "swift"),
    )


def catalogue_url(basemount: Basemount) -> str | None:
    """The database that smdb.json names for the catalogue: ``{"catalogue": {"url": "postgresql://…"}}``.

    Raises
    ------
    ServicesUnreadable
        When there is such a file, and it says something else. None would be a catalogue that nobody meant.
    """
    keys = read(basemount, "smdb")
    if not keys:
        return None
    url = keys.get("catalogue", {}).get("url")
    if not isinstance(url, str) or not url:
        raise ServicesUnreadable(
            f"{_file(basemount, 'smdb')} does not name the catalogue's database",
            'Correct it: {"catalogue": {"url": "postgresql://user:password@host/database"}}.',
        )
    return url


def merge(basemount: Basemount, name: str, keys: Mapping[str, Fields]) -> dict[str, Fields]:
    """Add keys, or fields to keys that are there; all keys after that.

    Processes that merge at the same time wait for each other, and each one's fields are kept.

    Raises
    ------
    ServicesUnreadable
        When the file has another form; it is left as it is.
    BasemountUnusable, DiskFull
        When it cannot be written.
    """
    file = _file(basemount, name)
    try:
        make_directory(file.parent, private=True)
        with _locked(file.with_suffix(".lock")):
            merged = read(basemount, name)
            for key, fields in keys.items():
                merged[key] = {**merged.get(key, {}), **fields}
            _replace(file, json.dumps(merged, indent=2, ensure_ascii=False) + "\n")
            return merged
    except OSError as error:
        raise unusable(error, file) from error


def _hint(known: Collection[str], name: str) -> str:
    if known:
        return f"The known ones are: {', '.join(sorted(known))}."
    return f"Add it with: px-smdb --action {ACTIONS[name]}."


def _file(basemount: Basemount, name: str) -> Path:
    return basemount.services / f"{name}.json"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    lock = open_file(file, os.O_RDWR | os.O_CREAT, private=True)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(file: Path, text: str) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            share(descriptor, private=True)
            written.write(text)
            written.flush()
            os.fsync(written.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
