"""A file that gets its name when all of its content is there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

#: The name is made from that of the file to be, so that the next writer finds what a killed one left. No
#: naming template gives a ~.
_NAME = re.compile(r"\.[0-9a-f]{32}\.part~")

#: What filesystems say that know no locks: there, two writers of one file may get in each other's way.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})


def is_unfinished(name: str) -> bool:
    """Whether a file's name says that it is not complete."""
    return _NAME.fullmatch(name) is not None


class Unfinished:
    """An empty file beside its target, on the same filesystem; a context manager.

    As long as it is open, whoever wants to write the same target waits. Unless it is finished it is removed.

    Parameters
    ----------
    target : pathlib.Path
        What it is to become; its directory is there.

    Raises
    ------
    OSError
    """

    def __init__(self, target: Path) -> None:
        digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]
        self._target = target
        self._path = target.with_name(f".{digest}.part~")
        self._is_finished = False
        self.file = self._open()

    def _open(self) -> BinaryIO:
        while True:
            # Not truncated before it is ours.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            file = os.fdopen(os.open(self._path, flags, 0o666), "r+b")
            try:
                _lock(file)
                if os.path.samestat(os.fstat(file.fileno()), self._path.lstat()):
                    file.truncate()
                    return file
            except FileNotFoundError:
                pass  # whoever had the lock before has finished it
            except BaseException:
                file.close()
                raise
            file.close()

    def finish(self) -> None:
        """Give it its name, in place of what may have had it; it would outlast a loss of power."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self._path.replace(self._target)
        self._is_finished = True
        directory = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._is_finished:
                self._path.unlink(missing_ok=True)
        finally:
            self.file.close()


def _lock(file: BinaryIO) -> None:
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
