"""A storage from the fields of its key, whatever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypx.errors import InvalidValue
from pypx.storage.interface import Storage
from pypx.storage.retries import Retries

#: Seconds without a byte after which a storage is taken as hung.
DEFAULT_TIMEOUT = 60.0


def open_storage(
    fields: Mapping[str, Any], retries: Retries | None = None, timeout: float = DEFAULT_TIMEOUT
) -> Storage:
    """Open a storage.

    Parameters
    ----------
    fields : mapping
        Of a key in swift.json or storage.json: ``storagetype`` ("swift" where it is not there, or "fs"), and
        then ``storepath`` of a filesystem, or what
        :meth:`pypx.storage.swift_access.SwiftAccess.of_fields` reads.
    retries : Retries, optional
        Of each request to a Swift.
    timeout : float

    Raises
    ------
    InvalidValue
        When a field is missing or wrong.
    StorageUnreachable
        When a filesystem is not there. A Swift is first asked when something is wanted of it.
    """
    kind = str(fields.get("storagetype") or "swift")
    if kind == "fs":
        from pypx.storage.filesystem import FilesystemStorage

        path = str(fields.get("storepath") or "")
        if not path:
            raise InvalidValue(
                "The storage has no directory", 'Give --storeBaseLocation, or add "storepath" to its key.'
            )
        return FilesystemStorage(Path(path))
    if kind != "swift":
        raise InvalidValue(f"{kind!r} is not a kind of storage", 'The field "storagetype" is swift or fs.')
    from pypx.storage.swift import SwiftStorage
    from pypx.storage.swift_access import SwiftAccess

    return SwiftStorage(SwiftAccess.of_fields(fields), retries, timeout)
