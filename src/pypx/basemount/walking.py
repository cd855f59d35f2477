"""The files of a tree, in the order of the bytes of their paths, however many there are."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pypx.basemount.trouble import unusable


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a tree.

    Parameters
    ----------
    path : str
        Below the tree.
    size : int
        In bytes.
    is_plain : bool
        Whether it is neither a link nor a device.
    """

    path: str
    size: int
    is_plain: bool = True


def files_in_order(tree: Path, below: str = "") -> Iterator[FoundFile]:
    """All files of a tree, or of one directory in it, by the bytes of their paths.

    What has yet to get its name (below a directory whose name ends in ~) is left out, and so are links to
    directories: they lead elsewhere. A tree that is not there has no files.

    Parameters
    ----------
    tree : pathlib.Path
    below : str
        A directory in the tree.

    Raises
    ------
    BasemountUnusable
        When a directory cannot be read.
    """
    try:
        with os.scandir(tree / below) as entries:
            found = sorted(entries, key=_in_a_path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(error, tree / below) from error
    for entry in found:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.endswith("~"):
                yield from files_in_order(tree, path)
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise unusable(error, tree / path) from error
        yield FoundFile(path, status.st_size, stat.S_ISREG(status.st_mode))


def _in_a_path(entry: os.DirEntry[str]) -> bytes:
    """In a path a directory's name ends with a slash, which is not the first of all characters."""
    return os.fsencode(f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name)
