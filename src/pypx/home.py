"""A ~ at the beginning of a path."""

from __future__ import annotations

import os
from pathlib import Path


def at_home(path: str | Path) -> Path:
    """The path with a home directory in place of its ~, as a shell has it.

    That of a user who is not known here stays as it is, and is no such file; pathlib would raise what
    is no OSError.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111
