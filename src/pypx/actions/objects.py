"""Object storage by hand: list, put, pull and remove trees of objects."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.actions.workers import Workers
from pypx.errors import (
    FileUnreadable,
    InvalidValue,
    NothingFound,
    ObjectMissing,
    PypxError,
    UsageError,
)
from pypx.storage.interface import Storage, StoredObject
from pypx.storage.names import checked_name

DEFAULT_JOBS = 8


@dataclass(frozen=True, slots=True)
class Transferred:
    """A file and an object, one of which has been made from the other.

    Parameters
    ----------
    file : pathlib.Path
    name : str
        Of the object.
    size : int
        In bytes.
    is_new : bool
        Whether anything had to be sent.
    error : PypxError or None
        Why it was not.
    """

    file: Path
    name: str
    size: int = 0
    is_new: bool = False
    error: PypxError | None = None


def tree_of(path: str) -> str:
    """A place in storage whose objects are meant, without slashes around it.

    Raises
    ------
    UsageError
        When it is all of the storage.
    InvalidValue
        When it is no place.
    """
    place = path.strip().strip("/")
    if place in ("", "."):
        raise UsageError(
            "No place in storage is named, which would mean all of it",
            "Name one, such as SERVICES/PACS/BCH/7654321-Doe_Jane-19800229.",
        )
    return checked_name(place)


def find_objects(storage: Storage, beginning: str = "", part: str = "") -> Iterator[StoredObject]:
    """The objects whose names start with one text and have another in them.

    Raises
    ------
    StorageUnreachable, StorageRefused, StorageFailed, InvalidValue
    """
    while beginning.startswith(("/", "./")) or beginning == ".":
        # Scripts write a path as in a shell; no name starts so.
        beginning = beginning.partition("/")[2]
    return (one for one in storage.list(beginning) if part in one.name)


def objects_below(storage: Storage, path: str, part: str = "") -> Iterator[StoredObject]:
    """The object of this name, and those below it as below a directory.

    Raises
    ------
    UsageError
        When it is all of the storage.
    StorageUnreachable, StorageRefused, StorageFailed, InvalidValue
    """
    place = tree_of(path)
    found = (one for one in storage.list(place) if one.name == place or one.name.startswith(f"{place}/"))
    return (one for one in found if part in one.name)


def put_files(
    storage: Storage,
    files: Iterable[Path],
    over: Path,
    to: str,
    jobs: int = DEFAULT_JOBS,
    progress: Progress = ignore_progress,
) -> tuple[Transferred, ...]:
    """Store files, each under its path below a directory; what is there is replaced, unless it is equal.

    Parameters
    ----------
    storage : Storage
    files : iterable of pathlib.Path
    over : pathlib.Path
        The directory whose place in storage is ``to``.
    to : str
        "" for the top of the storage.
    jobs : int
        Uploads at once.
    progress : callable
    """
    prefix = to.strip().strip("/")
    named = [(file, _name_of(file, over, prefix)) for file in files]
    work = [partial(_put, storage, file, name) for file, name in named]
    return _side_by_side("Storing", work, jobs, progress)


def _name_of(file: Path, over: Path, prefix: str) -> str:
    # Not resolve(): a link among the files keeps its name.
    below = os.path.relpath(os.path.abspath(file), os.path.abspath(over))  # noqa: PTH100
    if below == ".." or below.startswith("../"):
        raise InvalidValue(f"{file} is not below {over}", "Correct mapLocationOver.")
    return PurePosixPath(prefix, *Path(below).parts).as_posix()


def _put(storage: Storage, file: Path, name: str) -> Transferred:
    try:
        found = storage.stat(checked_name(name))
        if found and found.checksum == storage.checksum(file):
            return Transferred(file, name, found.size)
        stored = storage.put(name, file, replace=True)
    except PypxError as error:
        return Transferred(file, name, error=error)
    return Transferred(file, name, stored.size, is_new=True)


def pull_objects(
    storage: Storage,
    path: str,
    to: Path,
    part: str = "",
    jobs: int = DEFAULT_JOBS,
    progress: Progress = ignore_progress,
) -> tuple[Transferred, ...]:
    """Write the objects of a tree into files below a directory.

    Parameters
    ----------
    storage : Storage
    path : str
        The place in storage whose directory is ``to``.
    to : pathlib.Path
    part : str
        Those alone that have this in their names.
    jobs : int
        At once.
    progress : callable

    Raises
    ------
    NothingFound
        When there is no object.
    """
    place = tree_of(path)
    work = [partial(_pull, storage, one, place, to) for one in objects_below(storage, place, part)]
    if not work:
        raise NothingFound(f"{storage.label} has no object below {place!r}", "See what it has: --action ls.")
    return _side_by_side("Fetching", work, jobs, progress)


def _pull(storage: Storage, found: StoredObject, place: str, to: Path) -> Transferred:
    below = found.name[len(place) :].strip("/") or place.rpartition("/")[2]
    file = to / below
    try:
        # Whoever filled the storage may have meant a name to lead elsewhere.
        checked_name(below)
        with _making(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            if not Path(os.path.realpath(file.parent)).is_relative_to(os.path.realpath(to)):
                raise FileUnreadable(f"{file.parent} leads out of {to}", "Remove that link.")
        if file.is_file() and not file.is_symlink() and _is_equal(storage, found, file):
            return Transferred(file, found.name, found.size)
        fetched = storage.get(found.name, file)
    except PypxError as error:
        return Transferred(file, found.name, error=error)
    return Transferred(file, found.name, fetched.size, is_new=True)


@contextmanager
def _making(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnreadable(f"{file} cannot be written ({error.strerror or error})") from error


def _is_equal(storage: Storage, found: StoredObject, file: Path) -> bool:
    if file.stat().st_size != found.size:
        return False
    described = found if found.checksum else storage.stat(found.name)
    return described is not None and described.checksum == storage.checksum(file)


def remove_objects(
    storage: Storage,
    found: Sequence[StoredObject],
    jobs: int = DEFAULT_JOBS,
    progress: Progress = ignore_progress,
) -> tuple[Transferred, ...]:
    """Remove objects.

    Parameters
    ----------
    storage : Storage
    found : sequence of StoredObject
        Of :func:`objects_below`.
    jobs : int
        At once.
    progress : callable
    """
    return _side_by_side("Removing", [partial(_remove, storage, one) for one in found], jobs, progress)


def _remove(storage: Storage, found: StoredObject) -> Transferred:
    try:
        storage.remove(found.name)
    except ObjectMissing:
        pass
    except PypxError as error:
        return Transferred(Path(), found.name, error=error)
    return Transferred(Path(), found.name, found.size, is_new=True)


def _side_by_side(
    words: str, work: Sequence[Callable[[], Transferred]], jobs: int, progress: Progress
) -> tuple[Transferred, ...]:
    done: list[Transferred] = []
    size = 0
    progress(Step(words, 0, len(work)))
    with Workers(min(jobs, max(1, len(work)))) as workers:
        for future in [workers.submit(piece) for piece in work]:
            done.append(future.result())
            size += done[-1].size
            progress(Step(words, len(done), len(work), size))
    return tuple(done)
