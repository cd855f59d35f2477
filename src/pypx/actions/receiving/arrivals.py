"""Which files in a directory are complete: told by the kernel (inotify), and by looking now and then."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from inotify_simple import INotify, flags

from pypx.actions.receiving.bell import Bell
from pypx.basemount.incoming import IncomingDirectory
from pypx.errors import BasemountUnusable

# Plain numbers: the arithmetic of enumerations takes longer than all else that is done with an event.
_CLOSED = int(flags.CLOSE_WRITE)
_OVERFLOW = int(flags.Q_OVERFLOW)
_WATCHED = flags.CLOSE_WRITE | flags.ONLYDIR


class Arrivals:
    """The files that arrive in an incoming directory.

    Parameters
    ----------
    incoming : IncomingDirectory
        Ours; files are written into it by other programs.

    Raises
    ------
    BasemountUnusable
        When the kernel does not watch it for us.
    """

    def __init__(self, incoming: IncomingDirectory) -> None:
        self._incoming = incoming
        #: Whether there are files of which nothing was heard: from before now, to begin with.
        self.missed = True
        try:
            self._inotify = INotify()
            self._inotify.add_watch(incoming.path, _WATCHED)
        except OSError as error:
            raise BasemountUnusable(
                f"{incoming.path} cannot be watched ({error.strerror})",
                "Where many programs watch files: raise fs.inotify.max_user_instances with sysctl.",
            ) from error

    def close(self) -> None:
        self._inotify.close()

    def wait(self, seconds: float, bell: Bell | None = None) -> list[Path]:
        """The files that were closed since the last call; waits so long for the first, or for the bell.

        ``missed`` is set when there were more than the kernel keeps in mind.
        """
        names: dict[str, None] = {}
        if seconds and bell:
            poll = select.poll()
            for each in (self._inotify, bell):
                poll.register(each, select.POLLIN)
            poll.poll(round(seconds * 1000))
            seconds = 0.0
        for event in self._inotify.read(timeout=round(seconds * 1000)):
            # The lock that makes the directory ours is a file in it, which others open to try it.
            if event.mask & _CLOSED and not event.name.startswith("."):
                names[event.name] = None
            elif event.mask & _OVERFLOW:
                self.missed = True
        return [self._incoming.path / name for name in names]

    def sweep(self) -> Iterator[Path]:
        """All files that nobody writes any more, whatever the kernel said of them."""
        self.missed = False
        for path in self._incoming.files():
            if not is_being_written(path):
                yield path


def is_being_written(path: Path) -> bool:
    """Whether some process has this file open for writing, as far as the filesystem tells.

    The kernel grants a read lease (fcntl(2), F_SETLEASE) only while nobody does. Where there are no leases,
    as on NFS, a file is taken as complete: a partial one is seen when it is read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Should somebody open it just now, the kernel sends us a signal; SIGIO, the usual one, would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
