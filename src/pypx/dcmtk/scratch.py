"""Directories for the files that a program is given, and those that it writes while it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.errors import ScratchUnusable

#: Where Linux has files in memory: thousands of small ones cost nothing there, and no name of a patient
#: reaches a disk.
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  (what is made in it is for its owner alone)

#: Bytes that must be free in memory; a container's may be small.
_ROOM = 48 * 1024 * 1024

#: With less than this left, what a program could not write is put down to lack of space.
_NOTHING_LEFT = 64 * 1024


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory of one's own, gone at the end: in memory, or in TMPDIR where that is set.

    Raises
    ------
    ScratchUnusable
        When it cannot be made.
    """
    try:
        directory = TemporaryDirectory(prefix="pypx-", dir=_parent(), ignore_cleanup_errors=True)
    except OSError as error:
        raise unusable(error) from error
    with directory as name:
        yield Path(name)


def unusable(error: OSError) -> ScratchUnusable:
    """What the operating system said, as one of ours."""
    where = f" in {Path(error.filename).parent}" if isinstance(error.filename, str) else ""
    return ScratchUnusable(f"No temporary files can be written{where} ({error.strerror or error})")


def is_full(directory: Path) -> bool:
    """Whether there is no space left."""
    return shutil.disk_usage(directory).free < _NOTHING_LEFT


def _parent() -> Path | None:
    """None for what the standard library chooses."""
    if os.environ.get("TMPDIR") or not os.access(_IN_MEMORY, os.W_OK | os.X_OK):
        return None
    return _IN_MEMORY if shutil.disk_usage(_IN_MEMORY).free >= _ROOM else None
