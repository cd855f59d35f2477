"""One file into a storage: under its name where that is free, beside what is there where it is not."""

from __future__ import annotations

import enum
import logging
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.actions.push.naming import distinct_name
from pypx.actions.push.result import FileState
from pypx.actions.push.wanted import WantedFile
from pypx.dicom.header import read_header
from pypx.dicom.integrity import dataset_digest
from pypx.errors import FileDamaged, NotDicom, ObjectCorrupt, ObjectExists
from pypx.storage.interface import Storage, StoredObject

logger = logging.getLogger("pypx.push")

#: How often a name may turn out to be taken while we look.
_ATTEMPTS = 8


class Held(enum.Enum):
    """What an object is that has the name which a file was to get."""

    SAME = "the same instance with the same content"
    OTHER = "another instance, or other content"
    DAMAGED = "not a whole instance"


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that is in storage.

    Parameters
    ----------
    file : WantedFile
    name : str
        Of its object.
    state : FileState
        ``UPLOADED`` or ``ALREADY_THERE``.
    size : int
        Of the object.
    checksum : str
        That the storage must give for it.
    """

    file: WantedFile
    name: str
    state: FileState
    size: int
    checksum: str


def upload(storage: Storage, file: WantedFile, name: str, found: StoredObject | None) -> Placed:
    """See that a file is in storage.

    Parameters
    ----------
    storage : Storage
    file : WantedFile
    name : str
        What it is to be called.
    found : StoredObject or None
        What a listing has under this name.

    Raises
    ------
    PypxError
        When it cannot be stored.
    """
    path = file.path
    for _ in range(_ATTEMPTS):
        if found is None:
            try:
                return _placed(file, FileState.UPLOADED, storage.put(name, path))
            except ObjectExists:
                found = storage.stat(name)
                continue
        if not found.checksum:
            found = storage.stat(name)
            continue
        if found.checksum == storage.checksum(path):
            return _placed(file, FileState.ALREADY_THERE, found)
        held = compare(storage, file, found)
        if held is Held.SAME:
            return _placed(file, FileState.ALREADY_THERE, found)
        if held is Held.DAMAGED:
            logger.warning("%s is damaged in storage and is replaced", name)
            return _placed(file, FileState.UPLOADED, storage.put(name, path, replace=True))
        name = distinct_name(name, file.sop_uid, dataset_digest(path))
        logger.warning("There is another instance under the name of %s, which goes to %s", path, name)
        found = storage.stat(name)
    raise ObjectExists(f"{name!r} changes in storage while it is looked at")


def upload_again(storage: Storage, placed: Placed) -> Placed:
    """Store once more what is in storage and not in its listings, so that these learn of it.

    Raises
    ------
    PypxError
        When it cannot be stored.
    """
    return _placed(placed.file, placed.state, storage.put(placed.name, placed.file.path, replace=True))


def _placed(file: WantedFile, state: FileState, stored: StoredObject) -> Placed:
    return Placed(file, stored.name, state, stored.size, stored.checksum)


def compare(storage: Storage, file: WantedFile, found: StoredObject) -> Held:
    """What an object is, seen from a file that was to get its name."""
    with TemporaryDirectory(prefix="px-push-") as scratch:
        copy = Path(scratch) / "object"
        try:
            storage.get(found.name, copy)
            if read_header(copy, ()).sop_instance_uid != file.sop_uid:
                return Held.OTHER
            return Held.SAME if dataset_digest(copy) == dataset_digest(file.path) else Held.OTHER
        except (NotDicom, FileDamaged, ObjectCorrupt):
            return Held.DAMAGED
