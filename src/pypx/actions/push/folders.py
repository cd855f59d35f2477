"""Each series has one folder in a storage, and each folder one series."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.actions.push import naming
from pypx.basemount.pushed import claim_folder, folder_of_series
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.header import read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, ObjectCorrupt, ObjectMissing
from pypx.storage.interface import Storage, StoredObject

logger = logging.getLogger("pypx.push")

#: How many objects of a folder are looked into to see whose it is.
_LOOKED_AT = 5


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a series.

    Parameters
    ----------
    name : str
    is_new : bool
        Whether nothing was in it a moment ago.
    """

    name: str
    is_new: bool = False


class Folders:
    """The folders of one place in a storage.

    Parameters
    ----------
    catalogue : Catalogue
        Remembers them.
    storage : Storage
    top : str
        The place: ``SERVICES/PACS/<name>``.
    templates : TreeTemplates
    """

    def __init__(self, catalogue: Catalogue, storage: Storage, top: str, templates: TreeTemplates) -> None:
        self._catalogue = catalogue
        self._storage = storage
        self._top = top
        self._templates = templates

    @property
    def target(self) -> str:
        """The storage and the place in it, as the catalogue has them."""
        return f"{self._storage.label}/{self._top}"

    def of_series(self, series_uid: str, values: Mapping[str, str]) -> Folder:
        """The folder of a series; decided at its first push and the same ever after.

        Parameters
        ----------
        series_uid : str
        values : mapping of str to str
            Keyword to text. Where its instances disagree, those of one of them, always the same.
        """
        known = folder_of_series(self._catalogue, self.target, series_uid)
        if known is not None:
            return Folder(known)
        for attempt in itertools.count():
            name = naming.folder_name(self._top, self._templates, values, series_uid, attempt)
            found = list(itertools.islice(self._storage.list(f"{name}/"), _LOOKED_AT))
            if self._are_anothers(found, series_uid):
                logger.info("%s is the folder of another series", name)
                continue
            claimed = claim_folder(self._catalogue, self.target, series_uid, name)
            if claimed is not None:
                return Folder(claimed, is_new=claimed == name and not found)
        raise AssertionError  # the count has no end

    def _are_anothers(self, found: Sequence[StoredObject], series_uid: str) -> bool:
        """Whether somebody whose catalogue is another one has put another series there."""
        for stored in found:
            held = self._series_of(stored)
            if held:
                return held != series_uid
        return bool(found)

    def _series_of(self, stored: StoredObject) -> str:
        with TemporaryDirectory(prefix="px-push-") as scratch:
            file = Path(scratch) / "object"
            try:
                self._storage.get(stored.name, file)
                return read_header(file, ()).series_instance_uid
            except (NotDicom, FileDamaged, FileUnreadable, ObjectMissing, ObjectCorrupt):
                return ""
