"""Directories that files arrive in: each has one owner, and outlives it when the owner is killed.

The owner holds a lock (flock) on a file in the directory for as long as it lives. The kernel lets go of the
lock when the last process that holds it ends, however it ends, so that whoever can take the lock of a
directory may take up what lies in it.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from pypx.basemount.modes import make_directory, open_file
from pypx.basemount.trouble import unusable
from pypx.errors import BasemountUnusable

#: The file that the lock is on; a file rather than the directory because NFS locks only files.
_OWNER = ".owner"

#: How many fresh directories may be taken from under us before that is an error.
_ATTEMPTS = 100

#: Seconds in which who only looks at a lock is done with it, and how many of them may come one after another.
_LOOK, _LOOKS = 0.001, 100


class IncomingDirectory:
    """A directory that belongs to this process, until :meth:`release` or the end of a ``with`` block.

    Parameters
    ----------
    path : pathlib.Path
        The directory.
    lock : int
        The open file descriptor that holds the lock. A child process that is given it (``pass_fds``) keeps
        the directory owned for as long as it writes there, even when its parent is killed.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock

    @classmethod
    def claim(cls, parent: Path, purpose: str) -> IncomingDirectory:
        """Make a fresh directory ``<purpose>-<random>`` and own it.

        Parameters
        ----------
        parent : pathlib.Path
            Where to make it; made as well where it is missing.
        purpose : str
            A word for people who look: ``get``, ``move``.

        Raises
        ------
        BasemountUnusable
            When it cannot be made.
        """
        for _ in range(_ATTEMPTS):
            if owned := cls._make(parent / f"{purpose}-{secrets.token_hex(8)}"):
                return owned
        raise BasemountUnusable(f"No directory in {parent} can be kept: another process takes each")

    def claim_again(self) -> IncomingDirectory:
        """Make and own a directory in the place of this one, which somebody removed or moved away.

        What they moved away belongs to nobody once those who still write there have ended.

        Raises
        ------
        BasemountUnusable
            When it cannot be made.
        """
        for _ in range(_ATTEMPTS):
            if owned := self._make(self.path):
                self._unlock()
                return owned
        raise BasemountUnusable(f"{self.path} cannot be made again: another process takes it each time")

    @classmethod
    def _make(cls, path: Path) -> IncomingDirectory | None:
        try:
            make_directory(path, private=True)
        except FileNotFoundError:
            # Somebody clears away the parent, which is empty, as fast as it is made.
            return None
        except FileExistsError:
            pass
        except OSError as error:
            raise unusable(error, path) from error
        # Another process may see the directory before it is locked, and take it for abandoned.
        return cls.take_up(path)

    @classmethod
    def take_up(cls, path: Path) -> IncomingDirectory | None:
        """Own a directory whose owner is gone; None when its owner is alive, or it is gone or not ours.

        Raises
        ------
        BasemountUnusable
            When it cannot be opened or locked.
        """
        try:
            lock = open_file(path / _OWNER, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, private=True)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None
        except OSError as error:
            raise unusable(error, path) from error
        try:
            # Whoever had the lock before may have removed the file, and with it the directory.
            if _take(lock) and os.path.samestat(os.fstat(lock), (path / _OWNER).stat()):
                return cls(path, lock)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError as error:
            os.close(lock)
            raise unusable(error, path) from error
        os.close(lock)
        return None

    def part(self, name: str) -> Path:
        """A directory in it; the file that the lock is on is out of reach of who writes there.

        Raises
        ------
        BasemountUnusable
            When it cannot be made.
        """
        path = self.path / name
        try:
            make_directory(path, private=True)
        except OSError as error:
            raise unusable(error, path) from error
        return path

    def files(self) -> Iterator[Path]:
        """All files in it and below, in the order of their names."""
        for directory, below, names in os.walk(self.path):
            below.sort()
            for name in sorted(names):
                path = Path(directory, name)
                if path != self.path / _OWNER:
                    yield path

    def release(self) -> None:
        """Give it up: it is removed where nothing is left in it, else a later run takes it up."""
        if self.lock < 0:
            return
        if self._remove_empty():
            # Removed before the lock goes: a process that waits for it sees that the file is another one.
            try:
                (self.path / _OWNER).unlink()
                self.path.rmdir()
            except OSError:
                # Somebody put a file, or a lock of their own, here at the last moment.
                pass
        self._unlock()

    @property
    def is_there(self) -> bool:
        """Whether the directory is still in its place, with the file that the lock is on."""
        try:
            return os.path.samestat(os.fstat(self.lock), (self.path / _OWNER).stat())
        except OSError:
            return False

    def _unlock(self) -> None:
        # Forgotten first: after an interruption between the two it must not be closed twice.
        lock, self.lock = self.lock, -1
        os.close(lock)

    def _remove_empty(self) -> bool:
        """Remove the empty directories in it; whether nothing but the lock's file is left."""
        for directory, _, _ in os.walk(self.path, topdown=False):
            if Path(directory) != self.path:
                try:
                    Path(directory).rmdir()
                except OSError:
                    # Not empty, so it stays.
                    pass
        try:
            return all(path.name == _OWNER for path in self.path.iterdir())
        except OSError:
            return False

    def __enter__(self) -> IncomingDirectory:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.release()


def _take(lock: int) -> bool:
    """Take the lock unless an owner has it; who looks (:func:`is_owned`) shares it for a moment."""
    for _ in range(_LOOKS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return True
        try:
            # Beside an owner it cannot be shared either.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(_LOOK)
    return False


def is_owned(directory: Path) -> bool:
    """Whether a process that lives owns a directory; it is left as it is.

    Raises
    ------
    BasemountUnusable
        When that cannot be found out.
    """
    try:
        lock = os.open(directory / _OWNER, os.O_RDONLY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unusable(error, directory) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise unusable(error, directory) from error
    finally:
        os.close(lock)
    return False


def abandoned(parent: Path) -> Iterator[IncomingDirectory]:
    """Directories whose owner was killed, owned by this process from one step of the loop to the next.

    Parameters
    ----------
    parent : pathlib.Path
        Where they were claimed. One that does not exist holds none.

    Raises
    ------
    BasemountUnusable
        When it cannot be read, or one in it cannot be locked.
    """
    try:
        paths = sorted(parent.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(error, parent) from error
    for path in paths:
        owned = IncomingDirectory.take_up(path)
        if owned:
            with owned:
                yield owned
