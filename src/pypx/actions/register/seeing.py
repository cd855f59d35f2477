"""What of a series is in storage, looked up before CUBE is asked: what it registers once stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pypx.actions.register.wanted import EXTENSION, Wanted
from pypx.errors import InvalidValue, NotInStorage
from pypx.storage.filesystem import FilesystemStorage
from pypx.storage.interface import Storage

#: Names that an error tells.
_TOLD = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """The files of a series that CUBE is to know.

    Parameters
    ----------
    names : tuple of str
        In storage; none where they are not known one by one.
    count : int
        How many there are.
    size : int
        Bytes of all of them; 0 where the storage cannot be seen.
    """

    names: tuple[str, ...]
    count: int
    size: int = 0


def see(wanted: Wanted, storage: Storage | None, *, by_folder: bool) -> Seen:
    """The files of a series in storage.

    Parameters
    ----------
    wanted : Wanted
    storage : Storage or None
        None where it cannot be seen from here; then what is known is believed.
    by_folder : bool
        Whether CUBE registers all that is in the folder.

    Raises
    ------
    InvalidValue
        When CUBE would not take a file for an image.
    NotInStorage
        When not all of the series is there, or CUBE would take something else for a part of it.
    StorageUnreachable, StorageRefused, StorageFailed
    """
    for name in wanted.names:
        if not name.endswith(EXTENSION):
            raise InvalidValue(
                f"CUBE counts files that end in {EXTENSION}, and {name!r} does not",
                f"Push the series again with an --imageTemplate that ends in {EXTENSION}.",
            )
    if storage is None:
        return _believed(wanted, by_folder)
    sizes = {one.name: one.size for one in storage.list(wanted.folder)}
    inside = {name: size for name, size in sizes.items() if name.startswith(f"{wanted.folder}/")}
    images = {name: size for name, size in inside.items() if name.endswith(EXTENSION)}
    missing = [name for name in wanted.names if name not in images]
    for name in missing:
        # A listing may lag behind what is stored; CUBE waits for it.
        if (found := storage.stat(name)) is None:
            break
        images[name] = found.size
    _check_complete(wanted, images, storage.label)
    if by_folder:
        _check_alone(wanted, images, [name for name in sizes if name not in inside], storage)
    names = tuple(sorted(images)) if wanted.is_its_own else wanted.names
    return Seen(names, len(names), sum(images[name] for name in names))


def _believed(wanted: Wanted, by_folder: bool) -> Seen:
    count = max(len(wanted.names), wanted.at_least)
    if not count or (len(wanted.names) < count and not by_folder):
        raise NotInStorage(
            f"The storage of the series {wanted.series_uid} cannot be seen, so that its files are not known",
            "Name the storage with --swift KEY, or pipe px-push into px-register.",
        )
    return Seen(wanted.names, count)


def _check_complete(wanted: Wanted, images: Iterable[str], label: str) -> None:
    there = set(images)
    missing = [name for name in wanted.names if name not in there]
    if missing:
        raise NotInStorage(
            f"{label} does not hold {len(missing)} of the {len(wanted.names)} files of the series"
            f" {wanted.series_uid}: {_some(missing)}"
        )
    if len(there) < max(1, wanted.at_least):
        raise NotInStorage(
            f"{label} holds {len(there)} of the {max(1, wanted.at_least)} files of the series"
            f" {wanted.series_uid} in {wanted.folder!r}"
        )


def _check_alone(wanted: Wanted, images: Iterable[str], beside: Sequence[str], storage: Storage) -> None:
    """See that CUBE counts nothing that is not of the series."""
    others = sorted(set(images) - set(wanted.names))
    if others and not wanted.is_its_own:
        raise NotInStorage(
            f"{storage.label} holds {len(others)} files in {wanted.folder!r} that are not known to be of the"
            f" series {wanted.series_uid}: {_some(others)}",
            "Name all files of the series, or remove with pfstorage those that are not of it.",
        )
    # An object storage lists by the text that names begin with, and so does CUBE: a/1 has a/10/x.dcm, too.
    counted = [name for name in beside if name.endswith(EXTENSION)]
    if counted and not isinstance(storage, FilesystemStorage):
        raise NotInStorage(
            f"CUBE would count files of another folder whose name begins with {wanted.folder!r}:"
            f" {_some(counted)}",
            "Push one of the two series under another name, with --seriesDirTemplate.",
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_TOLD])
    return shown if len(names) <= _TOLD else f"{shown} and {len(names) - _TOLD} more"
