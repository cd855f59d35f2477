"""Who may read what is in a BASEMOUNT: its owner, and the group that ``PYPX_GROUP`` names, if any.

Nobody else ever, whatever the umask of the process is. What is in services/ (secrets), in incoming/ (images
on their way) and in the audit log is for the owner in any case.
"""

from __future__ import annotations

import grp
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pypx.errors import InvalidValue

VARIABLE = "PYPX_GROUP"


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes of what is made.

    Parameters
    ----------
    directory, file : int
    group : int
        Its number; -1 to leave that as it comes.
    """

    directory: int
    file: int
    group: int = -1

    def are_of(self, status: os.stat_result) -> bool:
        """Whether a file with this status has its mode and group."""
        return status.st_mode & 0o7777 == self.file and self.group in (-1, status.st_gid)


PRIVATE = Modes(0o700, 0o600)


def shared_modes() -> Modes:
    """The modes of what is for the group as well, where there is one.

    Raises
    ------
    InvalidValue
        When ``PYPX_GROUP`` names a group that is none, or not ours.
    """
    return _of_group(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=8)
def _of_group(name: str) -> Modes:
    if not name:
        return PRIVATE
    try:
        group = grp.getgrnam(name).gr_gid
    except KeyError:
        raise InvalidValue(
            f"{VARIABLE} names {name!r}, which is no group here", "Correct it, or leave it empty."
        ) from None
    if os.geteuid() != 0 and group not in (os.getegid(), *os.getgroups()):
        raise InvalidValue(
            f"{VARIABLE} names {name!r}, a group that this user is not in", "Add the user to it."
        )
    # Set-group-ID: what is made in there is the group's, too.
    return Modes(0o2750, 0o640, group)


def make_directory(directory: Path, *, private: bool = False) -> None:
    """Make a directory, and those above it that are missing; one that is there stays as it is.

    Parameters
    ----------
    directory : pathlib.Path
    private : bool
        For the owner in any case.

    Raises
    ------
    FileExistsError
        When there is something else than a directory.
    OSError
        When it cannot be made.
    """
    modes = PRIVATE if private else shared_modes()
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise
        return
    except FileNotFoundError:
        if directory.parent == directory:
            raise
        make_directory(directory.parent, private=private)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _apply(descriptor, modes.directory, modes.group)
    finally:
        os.close(descriptor)


def open_file(file: str | Path, flags: int, *, private: bool = False) -> int:
    """Open a file, which gets its mode where it is made; an opener for :func:`open`.

    Raises
    ------
    OSError
    """
    descriptor = os.open(file, flags | os.O_CLOEXEC, 0o600)
    try:
        share(descriptor, private=private)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def share(descriptor: int, *, private: bool = False) -> None:
    """Give an open file of ours the mode of a file in a BASEMOUNT."""
    modes = PRIVATE if private else shared_modes()
    status = os.fstat(descriptor)
    if not modes.are_of(status) and status.st_uid == os.geteuid():
        _apply(descriptor, modes.file, modes.group)


def _apply(descriptor: int, mode: int, group: int) -> None:
    # A filesystem without modes has who mounts it say who may read.
    with suppress(PermissionError):
        if group != -1:
            os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, mode)
