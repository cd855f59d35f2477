"""The storages that series are in, opened when the first of their series comes."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from pypx.actions.register.wanted import Wanted
from pypx.basemount import services
from pypx.basemount.layout import Basemount
from pypx.cube.fields import SERVICES
from pypx.errors import InvalidValue, StorageUnreachable
from pypx.storage.filesystem import FilesystemStorage
from pypx.storage.interface import Storage
from pypx.storage.opening import open_storage

logger = logging.getLogger("pypx.register")


def _directory(label: str) -> Storage | None:
    """The directory that a label names, which may come from anybody's JSON; None where that cannot be one."""
    try:
        return FilesystemStorage(Path(unquote(urlsplit(label).path)))
    except (ValueError, InvalidValue):
        return None


class Storages:
    """Finds the storage of a series; a context manager, which closes what it opened.

    Parameters
    ----------
    basemount : Basemount
        Whose services/ has the logins.
    given : Storage or None
        The one that a person named, which all series are in; closed by whoever opened it.
    """

    def __init__(self, basemount: Basemount, given: Storage | None) -> None:
        self._basemount = basemount
        self._given = given
        self._found: dict[str, Storage | None] = {}
        self._lock = threading.Lock()
        self._opened = ExitStack()

    def of(self, wanted: Wanted) -> Storage | None:
        """The storage that a series was pushed to; None where it is not known, or has no key in services/.

        Raises
        ------
        StorageUnreachable
            When it is a filesystem that is not there.
        ServicesUnreadable, BasemountUnusable
        """
        if self._given or not wanted.target:
            return self._given
        label = wanted.target.rpartition(f"/{SERVICES}/")[0] or wanted.target
        with self._lock:
            if label not in self._found:
                self._found[label] = storage = self._open(label)
                if storage:
                    self._opened.enter_context(storage)
                else:
                    logger.warning("No key in services/ is that of %s: what is there is not looked up", label)
            return self._found[label]

    def _open(self, label: str) -> Storage | None:
        if label.startswith("file://"):
            return _directory(label)
        for name in ("swift", "storage"):
            for fields in services.read(self._basemount, name).values():
                try:
                    storage = open_storage(fields)
                except (InvalidValue, StorageUnreachable):
                    continue  # not complete, or of a filesystem that is not there
                if storage.label == label:
                    return storage
                storage.close()
        return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
