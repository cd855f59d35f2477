"""Files get their names: linked where that may be, copied where not, never over something that is there."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from pypx.basemount.incoming import IncomingDirectory, abandoned
from pypx.basemount.modes import make_directory, open_file, share, shared_modes
from pypx.errors import BasemountUnusable

#: What a filesystem says that has no hard links, or not between these two names.
_CANNOT_LINK = frozenset(
    {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES}
)

#: Directories that are remembered as made. A run may make any number.
_MOST_REMEMBERED = 4096

#: Where copies are completed: below the tree, so on its filesystem. No naming template gives a name with a ~.
_STAGING = ".incoming~"


class Placer:
    """Puts files into one tree; a context manager.

    A name appears with all of its content or not at all, and what a killed process had begun is cleared away
    by the next.

    Parameters
    ----------
    tree : pathlib.Path
        The top of the tree.
    lock : pathlib.Path
        A file to take turns by on filesystems without hard links, the same for all processes.
    """

    def __init__(self, tree: Path, lock: Path) -> None:
        self.tree = tree
        self._lock = lock
        self._staging: IncomingDirectory | None = None
        self._staged = 0
        self._modes = shared_modes()
        self._user = os.geteuid()
        self._made: set[str] = set()
        self._unsynced: set[str] = set()

    def __enter__(self) -> Placer:
        for left in abandoned(self.tree / _STAGING):
            _clear(left)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._staging:
            # An interruption may have come just before a copy was removed.
            _clear(self._staging)
            self._staging.release()
        try:
            (self.tree / _STAGING).rmdir()
        except OSError:
            # Another process copies there, or nobody ever did.
            pass

    def place(self, source: Path, place: str, *, keep: bool) -> None:
        """Give a file its name in the tree.

        Parameters
        ----------
        source : pathlib.Path
            Stays where it is; remove it when what is recorded of the target is safe.
        place : str
            Below the tree; its directories are made.
        keep : bool
            Whether the source is to live on beside the target. If so it is copied, since an edit of the one
            must not change the other.

        Raises
        ------
        FileExistsError
            When something has that name already. It stays as it is.
        NotADirectoryError
            When something else than a directory, or a link that leads nowhere, is where one is to be.
        FileNotFoundError
            When the source is gone.
        OSError
            When it cannot be done; nothing of the target is there then.
        """
        target = f"{self.tree}/{place}"
        directory = os.path.dirname(target)
        self._make(directory)
        if not keep and self._is_made_free_to_link(source):
            try:
                os.link(source, target, follow_symlinks=False)
                return
            except FileNotFoundError:
                # Somebody has cleared away the directory; or it is the source that is gone: we fail below.
                self._made.clear()
                self._make(directory)
            except OSError as error:
                if error.errno not in _CANNOT_LINK:
                    raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        staged = self._stage()
        try:
            _copy(source, staged, durable=not keep)
            self._reveal(staged, target)
        finally:
            staged.unlink(missing_ok=True)
        if not keep:
            self._unsynced.add(directory)

    def write(self, content: bytes, place: str) -> None:
        """Make a file with this content at a place below the tree.

        Raises
        ------
        FileExistsError
            When something has that name already.
        OSError
            When it cannot be done.
        """
        target = f"{self.tree}/{place}"
        self._make(os.path.dirname(target))
        staged = self._stage()
        try:
            with open(staged, "xb", opener=open_file) as file:
                file.write(content)
            self._reveal(staged, target)
        finally:
            staged.unlink(missing_ok=True)

    def sync(self) -> None:
        """Return when what was copied to stand in for its source would outlast a loss of power."""
        for directory in self._unsynced:
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._unsynced.clear()

    def _make(self, directory: str) -> None:
        if directory not in self._made:
            try:
                make_directory(Path(directory))
            except FileExistsError as error:
                # It is not the target that is there already.
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), error.filename) from error
            if len(self._made) == _MOST_REMEMBERED:
                self._made.clear()
            self._made.add(directory)

    def _stage(self) -> Path:
        if self._staging is None:
            try:
                self._staging = IncomingDirectory.claim(self.tree / _STAGING, "copy")
            except BasemountUnusable as error:
                # Whoever places a file wants to know what is the matter with the tree.
                raise error.__cause__ or error from error
        self._staged += 1
        return self._staging.path / str(self._staged)

    def _is_made_free_to_link(self, source: Path) -> bool:
        """Whether it is a file of ours with no other name, by which somebody could change it later.

        If so, it is given the mode of one in the tree.
        """
        status = os.lstat(source)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_uid != self._user:
            return False
        if not self._modes.are_of(status):
            descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                share(descriptor)
            finally:
                os.close(descriptor)
        return True

    def _reveal(self, staged: Path, target: str) -> None:
        try:
            os.link(staged, target)
        except OSError as error:
            if error.errno not in _CANNOT_LINK:
                raise
            with _turn(self._lock):
                if os.path.lexists(target):
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
                staged.rename(target)


def _clear(staging: IncomingDirectory) -> None:
    for file in staging.files():
        file.unlink()


def _copy(source: Path, target: Path, *, durable: bool) -> None:
    # Buffered: a raw file writes less than it is given where a disk is almost full, and says so to nobody.
    with source.open("rb") as reader, open(target, "xb", opener=open_file) as writer:
        if not _copied_by_kernel(reader.fileno(), writer.fileno()):
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer, 1024 * 1024)
            writer.flush()
        if os.fstat(writer.fileno()).st_size != os.fstat(reader.fileno()).st_size:
            raise OSError(errno.EIO, "it changed while it was copied", str(source))
        if durable:
            os.fsync(writer.fileno())


def _copied_by_kernel(reader: int, writer: int) -> bool:
    """Copy without the bytes passing through here; filesystems that share blocks do not even copy them."""
    left = os.fstat(reader).st_size
    try:
        while left > 0:
            copied = os.copy_file_range(reader, writer, left)
            if copied == 0:
                return False
            left -= copied
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        return False
    return True


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    make_directory(lock.parent)
    descriptor = open_file(lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
