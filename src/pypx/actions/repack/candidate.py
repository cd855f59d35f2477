"""An instance on its way into data/, and how it compares with what is there."""

from __future__ import annotations

import os
from pathlib import Path

from pypx.dicom.header import Header, read_header
from pypx.dicom.integrity import dataset_digest
from pypx.errors import FileDamaged, FileUnreadable, NotDicom

_PIECE = 1024 * 1024


class Candidate:
    """A file whose header has been read.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : Header
        Of it.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.directory, self.name = os.path.split(path)
        self.header = header
        self.values = {
            **header.values,
            "SOPClassUID": header.sop_class_uid,
            "SOPInstanceUID": header.sop_instance_uid,
            "StudyInstanceUID": header.study_instance_uid,
            "SeriesInstanceUID": header.series_instance_uid,
            "TransferSyntaxUID": header.transfer_syntax,
        }
        self._digest = ""

    @property
    def sop_uid(self) -> str:
        return self.header.sop_instance_uid

    @property
    def patient_id(self) -> str:
        return self.header.patient_id

    @property
    def variant(self) -> str:
        """What tells it from other content of its SOP Instance UID."""
        return self.digest[:16]

    @property
    def digest(self) -> str:
        """Of its data set; computed when it is first asked for."""
        self._digest = self._digest or dataset_digest(self.path)
        return self._digest

    def has_content_of(self, other: Path) -> bool:
        """Whether another file holds the same data set.

        Raises
        ------
        FileNotFoundError
            When one of the two is not there.
        """
        mine, its = self.path.stat(), other.stat()
        if os.path.samestat(mine, its):
            return True
        if mine.st_size == its.st_size and _have_same_bytes(self.path, other):
            return True
        try:
            its_digest = dataset_digest(other)
        except (NotDicom, FileDamaged, FileUnreadable):
            return False
        return self.digest == its_digest

    def has_uid_of(self, other: Path) -> bool:
        """Whether another file has the same SOP Instance UID."""
        try:
            return read_header(other, ()).sop_instance_uid == self.sop_uid
        except (NotDicom, FileDamaged, FileUnreadable):
            return False


def _have_same_bytes(one: Path, other: Path) -> bool:
    try:
        with one.open("rb") as first, other.open("rb") as second:
            while piece := first.read(_PIECE):
                if second.read(_PIECE) != piece:
                    return False
            return not second.read(1)
    except IsADirectoryError:
        return False
