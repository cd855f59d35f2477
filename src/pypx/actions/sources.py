"""Which files a person means: one, those of a directory, or those of all directories below it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pypx.errors import FileUnreadable, UsageError


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Files, as the options of the files group name them.

    Parameters
    ----------
    directory : pathlib.Path or None
        ``--xcrdir``.
    name : str
        ``--xcrfile``: this file of the directory alone.
    path : pathlib.Path or None
        ``--xcrdirfile``: this file alone.
    parts : tuple of str
        ``--parseAllFilesWithSubStr``: those files whose names have one of these in them.
    recursive : bool
        Those of all directories below, too.
    """

    directory: Path | None = None
    name: str = ""
    path: Path | None = None
    parts: tuple[str, ...] = ()
    recursive: bool = False

    def files(self, leaving_out: Collection[Path] = ()) -> Iterator[Path]:
        """The files, those of one directory in the order of their names; listed as they are asked for.

        Parameters
        ----------
        leaving_out : collection of pathlib.Path
            Directories not to go into, unless one of them is the very one that was named.

        Raises
        ------
        UsageError
            When no file and no directory is named.
        FileUnreadable
            When what is named does not exist or cannot be read.
        """
        if self.path:
            return iter([_file(self.path)])
        if self.name:
            return iter([_file((self.directory or Path()) / self.name)])
        if self.directory is None:
            raise UsageError(
                "No file is named", "Name a directory with --xcrdir, or a file with --xcrdirfile."
            )
        if not _existing(self.directory).is_dir():
            raise FileUnreadable(f"{self.directory} is not a directory", "Name a file with --xcrdirfile.")
        return self._walk(self.directory, {Path(os.path.realpath(path)) for path in leaving_out})

    def _walk(self, top: Path, leaving_out: Collection[Path]) -> Iterator[Path]:
        for directory, below, names in os.walk(top, onerror=_refuse):
            for name in sorted(names):
                if not self.parts or any(part in name for part in self.parts):
                    yield Path(directory, name)
            below[:] = sorted(below) if self.recursive else []
            if leaving_out:
                below[:] = [
                    name for name in below if Path(os.path.realpath(Path(directory, name))) not in leaving_out
                ]


def _file(path: Path) -> Path:
    if _existing(path).is_dir():
        raise FileUnreadable(f"{path} is a directory", "Name a directory with --xcrdir.")
    return path


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except OSError as error:
        _refuse(error)
    return path


def _refuse(error: OSError) -> NoReturn:
    raise FileUnreadable(f"{error.filename} cannot be read ({error.strerror})") from error
