"""Directories for the files that a program is given, and those that it writes while it runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pypx.errors import ScratchUnusable

#: Where Linux has files in memory: thousands of small ones cost nothing there, and no name of a patient
#: reaches a disk.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  (what is made in it is for its owner alone)

_PREFIX = "pypx-scratch-"

#: Bytes that must be free in memory; a container's may be small.
_ROOM = 48 * 1024 * 1024

#: With less than this left, what a program could not write is put down to lack of space.
_NOTHING_LEFT = 64 * 1024

#: Seconds after which a directory that nobody holds was left behind, and is not about to be held.
_ABANDONED = 60.0


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory of one's own, gone at the end: in memory, or in TMPDIR where that is set.

    Those of processes that were killed go, too.

    Raises
    ------
    ScratchUnusable
        When it cannot be made.
    """
    try:
        parent = _parent()
        _remove_abandoned(parent)
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        held = _hold(directory)
    except OSError as error:
        raise unusable(error) from error
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if held is not None:
            os.close(held)


def unusable(error: OSError) -> ScratchUnusable:
    """What the operating system said, as one of ours."""
    where = f" in {Path(error.filename).parent}" if isinstance(error.filename, str) else ""
    return ScratchUnusable(f"No temporary files can be written{where} ({error.strerror or error})")


def is_full(directory: Path) -> bool:
    """Whether there is no space left."""
    return shutil.disk_usage(directory).free < _NOTHING_LEFT


def _parent() -> Path:
    if os.environ.get("TMPDIR") or not os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        return Path(tempfile.gettempdir())
    has_room = shutil.disk_usage(_IN_MEMORY).free >= _ROOM
    return _IN_MEMORY if has_room else Path(tempfile.gettempdir())


def _hold(directory: Path) -> int | None:
    """Lock a directory for as long as we live; None where somebody else does, or it cannot be done."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_abandoned(parent: Path) -> None:
    """Remove what a killed process of ours could not: answers of a PACS, which name patients."""
    for directory in parent.glob(f"{_PREFIX}*"):
        try:
            status = directory.lstat()
        except OSError:
            continue  # its owner has just removed it
        if status.st_uid != os.geteuid() or time.time() - status.st_mtime < _ABANDONED:
            continue
        held = _hold(directory)
        if held is not None:
            shutil.rmtree(directory, ignore_errors=True)
            os.close(held)
