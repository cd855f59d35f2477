"""Which files a person means: one, those of a directory, those of all directories below it, or of a list."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from pypx.errors import FileUnreadable, InvalidInput, UsageError

#: Of a list, in bytes; no name is as long.
_PIECE = 64 * 1024


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
    listed : typing.BinaryIO or None
        ``--files-from``: names of files, one a line, or from the first NUL on each with a NUL after
        it; relative ones are of ``directory``. They can be asked for once.
    nul_separated : bool
        ``--null``: names are ended by NULs alone.
    """

    directory: Path | None = None
    name: str = ""
    path: Path | None = None
    parts: tuple[str, ...] = ()
    recursive: bool = False
    listed: BinaryIO | None = None
    nul_separated: bool = False

    @property
    def is_list(self) -> bool:
        """Whether the files are those of a list."""
        return self.listed is not None

    @property
    def is_one(self) -> bool:
        """Whether it is a file that is named itself."""
        return bool(self.path or self.name)

    def files(self, leaving_out: Collection[Path] = ()) -> Iterator[Path]:
        """The files, those of one directory in the order of their names; looked for as they are asked for.

        Parameters
        ----------
        leaving_out : collection of pathlib.Path
            Directories not to go into, unless one of them is the very one that was named.

        Raises
        ------
        UsageError
            When no file, directory or list is named, or a list and a file.
        FileUnreadable
            When what is named does not exist or cannot be read; what is named in a list may.
        """
        outside = {Path(os.path.realpath(path)) for path in leaving_out}
        if self.listed is not None:
            if self.path or self.name:
                raise UsageError("A list of files and a file are named", "Name one of them.")
            return self._of_list(self.listed, outside)
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
        return self._walk(self.directory, outside)

    def _of_list(self, listed: BinaryIO, leaving_out: Collection[Path]) -> Iterator[Path]:
        for name in _names(listed, self.nul_separated):
            path = (self.directory or Path()) / os.fsdecode(name)
            # Not is_dir(), which fails where a name is too long.
            if self.recursive and os.path.isdir(path):  # noqa: PTH112
                yield from self._walk(path, leaving_out)
            elif self._is_meant(path.name):
                yield path

    def _walk(self, top: Path, leaving_out: Collection[Path]) -> Iterator[Path]:
        unreadable: list[Path] = []

        def note(error: OSError) -> None:
            if isinstance(error, PermissionError):
                unreadable.append(Path(error.filename))
            elif not isinstance(error, FileNotFoundError):
                _refuse(error)
            # What has gone since it was listed holds nothing any more.

        for directory, below, names in os.walk(top, onerror=note):
            for name in sorted(names):
                if self._is_meant(name):
                    yield Path(directory, name)
            below[:] = sorted(below) if self.recursive else []
            if leaving_out:
                below[:] = [
                    name for name in below if Path(os.path.realpath(Path(directory, name))) not in leaving_out
                ]
        # As if they were files, to be told of as such, after all that can be read.
        yield from unreadable

    def _is_meant(self, name: str) -> bool:
        return not self.parts or any(part in name for part in self.parts)


def _names(listed: BinaryIO, nul_separated: bool) -> Iterator[bytes]:
    """The names of a list as they come in, those that are empty left out."""
    rest = b""
    while piece := os.read(listed.fileno(), _PIECE):
        rest += piece
        # No name has a NUL in it, but one may have a line break.
        nul_separated = nul_separated or b"\0" in piece
        *names, rest = rest.split(b"\0" if nul_separated else b"\n")
        yield from filter(None, names)
        if len(rest) > _PIECE:
            raise InvalidInput(
                f"The list of files has a name of more than {_PIECE} bytes",
                "Write one name a line, as in: find . -name '*.dcm' | px-repack --files-from -",
            )
    if rest:
        yield rest


def _file(path: Path) -> Path:
    if _existing(path).is_dir():
        raise FileUnreadable(f"{path} is a directory", "Name a directory with --xcrdir.")
    return path


def _existing(path: Path) -> Path:
    try:
        path.stat()
    except OSError as error:
        _refuse(error)
    except ValueError as error:
        raise FileUnreadable(f"{str(path)!r} cannot be a file's name ({error})") from error
    return path


def _refuse(error: OSError) -> NoReturn:
    raise FileUnreadable(f"{error.filename} cannot be read ({error.strerror})") from error
