"""What can still be read of a damaged file."""

from __future__ import annotations

import logging
from pathlib import Path

from pypx.dicom.fileformat import meta_text, opened
from pypx.dicom.uid import is_uid
from pypx.errors import FileDamaged, FileUnreadable, NotDicom

logger = logging.getLogger(__name__)

_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x00020003

_IDENTIFIERS = {
    0x00080018: "SOPInstanceUID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
}


def surviving_identifiers(path: Path) -> dict[str, str]:
    """Which instance a file was, as far as it can be read: SOP Instance, Study and Series Instance UID.

    Returns
    -------
    dict of str to str
        Keyword to UID; what is missing, or no UID, is not there.
    """
    found: dict[str, str] = {}
    try:
        with opened(path) as file:
            found["SOPInstanceUID"] = meta_text(file.meta, _MEDIA_STORAGE_SOP_INSTANCE_UID)
            for tag, _, length, start, _ in file.elements():
                if tag in _IDENTIFIERS:
                    value = file.source.bytes_at(start, min(length, 64))
                    found[_IDENTIFIERS[tag]] = value.decode("ascii", "replace").strip(" \0")
    except (FileDamaged, FileUnreadable, NotDicom):
        # It ends where it ends; what stood before is found.
        pass
    except Exception:
        # Nor does what nobody foresaw keep a file from being kept.
        logger.debug("%s cannot be read to its end", path, exc_info=True)
    return {keyword: uid for keyword, uid in found.items() if is_uid(uid)}
