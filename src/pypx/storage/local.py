"""Files of ours at one end of a transfer: their failures must not be taken for those of the network."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from pypx.errors import FileUnreadable


def unreadable(error: OSError, path: Path) -> FileUnreadable:
    """The error for one of the operating system's about a file of ours."""
    return FileUnreadable(f"{path} cannot be used ({error.strerror or error})")


class Source:
    """A part of an open file, to read from.

    Parameters
    ----------
    file : binary file
        Open; only one part is read at a time.
    path : pathlib.Path
        Its name.
    start, size : int
        The part, in bytes.
    """

    def __init__(self, file: BinaryIO, path: Path, start: int, size: int) -> None:
        self._file = file
        self._path = path
        self._left = size
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises
        ------
        FileUnreadable
            When they cannot be read, or are not there any more.
        """
        wanted = self._left if size < 0 else min(size, self._left)
        try:
            piece = self._file.read(wanted)
        except OSError as error:
            raise unreadable(error, self._path) from error
        if wanted and not piece:
            raise FileUnreadable(f"{self._path} became shorter while it was read")
        self._left -= len(piece)
        return piece


class Sink:
    """An open file, to write to.

    Parameters
    ----------
    file : binary file
        Open.
    path : pathlib.Path
        The name that it is to have.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self.size = 0

    def write(self, piece: bytes) -> None:
        """Write the next bytes.

        Raises
        ------
        FileUnreadable
        """
        try:
            self._file.write(piece)
        except OSError as error:
            raise unreadable(error, self._path) from error
        self.size += len(piece)
