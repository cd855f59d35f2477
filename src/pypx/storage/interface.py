"""What every object storage does, whatever it is made of."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

#: Bytes read at a time.
PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as its storage describes it.

    Parameters
    ----------
    name : str
        Parts with slashes between.
    size : int
        In bytes.
    checksum : str
        As :meth:`Storage.checksum` gives it for a file of the same content; "" where a listing does not say.
    modified : str
        When it was last written, in UTC (ISO 8601); "" where the storage does not say.
    content_type : str
        As the storage has it; "" where it has none.
    """

    name: str
    size: int
    checksum: str = ""
    modified: str = ""
    content_type: str = ""


class Storage(abc.ABC):
    """A storage of objects by name; a context manager. May be used by several threads.

    Every method raises InvalidValue for a name that is none, and StorageUnreachable, StorageRefused or
    StorageFailed when the storage does not do its part.
    """

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """What it goes by in catalogue and reports: the same for the same storage, without a secret."""

    @abc.abstractmethod
    def checksum(self, file: Path) -> str:
        """What this storage gives as the checksum of an object with the content of a file.

        Raises
        ------
        FileUnreadable
        """

    @abc.abstractmethod
    def put(self, name: str, file: Path, *, replace: bool = False) -> StoredObject:
        """Store a file's content under a name: all of it, or nothing.

        Returns
        -------
        StoredObject
            As the storage has it now; its checksum has been compared.

        Raises
        ------
        ObjectExists
            When something has that name already and is not to be replaced. Of several that are put at the
            same moment, the last may replace the others all the same.
        ObjectCorrupt
            When the storage holds something else than the file.
        FileUnreadable
            When the file cannot be read.
        """

    @abc.abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """The objects whose names start with a text, in the order of their names.

        A checksum may be missing where the storage would have to compute it.
        """

    @abc.abstractmethod
    def stat(self, name: str) -> StoredObject | None:
        """One object with its checksum; None where there is none."""

    @abc.abstractmethod
    def get(self, name: str, file: Path) -> StoredObject:
        """Write an object's content into a file, which is there with all of it or not at all.

        Raises
        ------
        ObjectMissing
        ObjectCorrupt
            When what came is not what the storage says it holds.
        FileUnreadable
            When the file cannot be written.
        """

    @abc.abstractmethod
    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is removed already."""

    def close(self) -> None:  # noqa: B027  (most have nothing to close)
        """Give up connections; what waits to try again gives up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def md5_of(file: Path) -> str:
    """The MD5 of a file's content, which is what object storages keep.

    Raises
    ------
    OSError
    """
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, _md5).hexdigest()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
