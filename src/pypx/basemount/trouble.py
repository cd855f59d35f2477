"""What the operating system said about a directory of the BASEMOUNT, as an error of pypx."""

from __future__ import annotations

import errno
from pathlib import Path

from pypx.errors import BasemountUnusable, DiskFull

#: No space, no quota: nothing more fits, whoever writes.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

#: Files are open, more than this process or this machine may have.
_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})


def unusable(error: OSError, path: Path) -> BasemountUnusable:
    """The error to raise for one of the operating system's about something in the BASEMOUNT.

    Parameters
    ----------
    error : OSError
        As it was raised.
    path : pathlib.Path
        What was being made, written or read.
    """
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        return DiskFull(f"No space is left to write {path} ({reason})")
    hint = "Raise how many files this process may have open (ulimit -n)." if error.errno in _TOO_MANY else ""
    return BasemountUnusable(f"{path} cannot be used ({reason})", hint)
