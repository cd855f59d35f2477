"""A mounted filesystem as a storage: an object is a file below one directory."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pypx.errors import (
    InvalidValue,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    StorageFailed,
    StorageRefused,
    StorageUnreachable,
)
from pypx.home import at_home
from pypx.storage.interface import PIECE, Storage, StoredObject, md5_of
from pypx.storage.local import unreadable
from pypx.storage.names import checked_name, checked_prefix
from pypx.storage.unfinished import Unfinished, is_unfinished

_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_AWAY = frozenset({errno.ESTALE, errno.ETIMEDOUT, errno.EIO, errno.ENOTCONN, errno.EHOSTDOWN})


class FilesystemStorage(Storage):
    """The files below a directory.

    Parameters
    ----------
    root : pathlib.Path
        The top; it must be there, lest a filesystem that is not mounted be filled up in its place.

    Raises
    ------
    StorageUnreachable
        When it is not there.
    InvalidValue
        When it holds what no path can.
    """

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(at_home(root)))
        if not self._root.is_dir():
            raise StorageUnreachable(
                f"{self._root} is not a directory",
                "Mount the filesystem, or make the directory once; correct --storeBaseLocation or storepath.",
            )

    @property
    def label(self) -> str:
        return self._root.as_uri()

    def checksum(self, file: Path) -> str:
        try:
            return md5_of(file)
        except OSError as error:
            raise unreadable(error, file) from error

    def put(self, name: str, file: Path, *, replace: bool = False) -> StoredObject:
        target = self._path(name)
        try:
            source = file.open("rb")
        except OSError as error:
            raise unreadable(error, file) from error
        with source, self._trouble(name):
            # Before anything is made, and once more: the link may have come in between.
            self._check_inside(target.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._check_inside(target.parent)
            with Unfinished(target) as unfinished:
                # Whoever writes the same object waits for us: nobody comes between.
                if not replace and os.path.lexists(target):
                    raise ObjectExists(f"{self.label} has an object {name!r} already")
                checksum = _copy(source, unfinished.file)
                unfinished.finish()
        stored = self.stat(name)
        if stored is None or stored.checksum != checksum:
            raise ObjectCorrupt(f"{self.label} does not hold {name!r} as it was written")
        return stored

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        checked_prefix(prefix)
        directory, _, beginning = prefix.rpartition("/")
        with self._trouble(prefix):
            self._check_inside(self._root / directory)
            yield from self._below(self._root / directory, beginning)

    def stat(self, name: str) -> StoredObject | None:
        try:
            with self._open(name) as opened:
                described = self._described(name, os.fstat(opened.fileno()))
                digest = hashlib.md5(usedforsecurity=False)
                while piece := opened.read(PIECE):
                    digest.update(piece)
        except ObjectMissing:
            return None
        return StoredObject(name, described.size, digest.hexdigest(), described.modified)

    def get(self, name: str, file: Path) -> StoredObject:
        with self._open(name) as opened:
            described = self._described(name, os.fstat(opened.fileno()))
            try:
                with Unfinished(file) as unfinished:
                    checksum = _copy(opened, unfinished.file)
                    unfinished.finish()
            except OSError as error:
                raise unreadable(error, file) from error
        return StoredObject(name, described.size, checksum, described.modified)

    def remove(self, name: str) -> None:
        path = self._path(name)
        with self._trouble(name):
            self._check_inside(path.parent)
            if path.is_dir() and not path.is_symlink():
                return  # other objects lie below; none has this name
            path.unlink(missing_ok=True)
            self._remove_empty(path.parent)

    def _remove_empty(self, directory: Path) -> None:
        """An object storage has no directories: those that hold nothing any more go."""
        while directory != self._root:
            try:
                directory.rmdir()
            except OSError:
                return
            directory = directory.parent

    def _path(self, name: str) -> Path:
        path = self._root / checked_name(name)
        if is_unfinished(path.name):
            raise InvalidValue(f"{name!r} is a name for unfinished files", "Choose another one.")
        return path

    def _check_inside(self, directory: Path) -> None:
        """A link below the top must not lead out of it."""
        if not Path(os.path.realpath(directory)).is_relative_to(self._root):
            raise StorageRefused(
                f"{directory} leads out of the storage {self._root}",
                "Remove that link, or name the directory that it leads to as a storage of its own.",
            )

    def _open(self, name: str) -> BinaryIO:
        path = self._path(name)
        with self._trouble(name):
            self._check_inside(path.parent)
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno in (*_GONE, errno.ELOOP, errno.ENXIO):
                    raise ObjectMissing(f"{self.label} has no object {name!r}") from error
                raise
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                raise ObjectMissing(f"{self.label} has no object {name!r}")
            return os.fdopen(descriptor, "rb")

    def _below(self, directory: Path, beginning: str = "") -> Iterator[StoredObject]:
        try:
            entries = sorted(os.scandir(directory), key=_as_object_name)
        except OSError as error:
            if error.errno in _GONE:
                return
            raise
        for entry in entries:
            if not entry.name.startswith(beginning) or is_unfinished(entry.name):
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(path)
            elif entry.is_file(follow_symlinks=False):
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed in this moment
                yield self._described(path.relative_to(self._root).as_posix(), found)

    def _described(self, name: str, found: os.stat_result) -> StoredObject:
        modified = datetime.fromtimestamp(found.st_mtime, UTC).isoformat(timespec="microseconds")
        return StoredObject(name, found.st_size, modified=modified)

    @contextmanager
    def _trouble(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = f"{self.label}, at {name!r}: {error.strerror or error}"
            if error.errno in _REFUSED:
                raise StorageRefused(reason, "Check who may read and write there.") from error
            if error.errno in _AWAY:
                raise StorageUnreachable(reason) from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFailed(reason, "Make space there, then run the same command again.") from error
            raise StorageFailed(reason) from error


def _as_object_name(entry: os.DirEntry[str]) -> str:
    """Names sort by their whole text, in which a directory is followed by a slash."""
    return f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


def _copy(source: BinaryIO, target: BinaryIO) -> str:
    """Copy all of a file's content; its MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    while piece := source.read(PIECE):
        digest.update(piece)
        target.write(piece)
    return digest.hexdigest()
