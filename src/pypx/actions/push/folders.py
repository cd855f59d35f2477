"""Each series has one folder in a storage, and each folder one series."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from pypx.actions.push import naming
from pypx.actions.push.wanted import ReadFile
from pypx.basemount.pushed import claim_folder, folder_of_series
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.header import read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, ObjectCorrupt, ObjectMissing
from pypx.storage.interface import Storage, StoredObject

logger = logging.getLogger("pypx.push")

#: How many objects of a folder are looked into to see whose it is.
_LOOKED_AT = 5


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

    def of_series(self, series_uid: str, files: Iterable[ReadFile]) -> str:
        """The folder of a series; decided at its first push and the same ever after.

        Parameters
        ----------
        series_uid : str
        files : iterable of ReadFile
            Some of it, at least one. Where they disagree, that with the lowest SOP Instance UID counts.
        """
        known = folder_of_series(self._catalogue, self.target, series_uid)
        if known is not None:
            return known
        values = min(files, key=lambda file: (file.sop_uid, file.variant)).values
        for attempt in itertools.count():
            folder = naming.folder_name(self._top, self._templates, values, series_uid, attempt)
            if self._is_anothers(folder, series_uid):
                logger.info("%s is the folder of another series", folder)
                continue
            claimed = claim_folder(self._catalogue, self.target, series_uid, folder)
            if claimed is not None:
                return claimed
        raise AssertionError  # the count has no end

    def _is_anothers(self, folder: str, series_uid: str) -> bool:
        """Whether somebody whose catalogue is another one has put another series there."""
        found = list(itertools.islice(self._storage.list(f"{folder}/"), _LOOKED_AT))
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
