"""What is to be pushed: series of the catalogue, or files, each with its header read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pypx.actions.push.result import FileState, FileVerdict
from pypx.basemount.layout import Basemount
from pypx.basemount.pushed import instances_of_series
from pypx.basemount.records import HeldInstance
from pypx.basemount.smdb import Catalogue
from pypx.dicom.header import Header, read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, NothingFound, PypxError

#: Of each file, whatever the templates need.
_ALWAYS = frozenset({"SeriesDescription"})


@dataclass(frozen=True, slots=True, eq=False)
class ReadFile:
    """A file that is to be pushed, and what names it.

    Parameters
    ----------
    path : pathlib.Path
    header : Header
    variant : str
        What tells it from other content of the same SOP Instance UID, in the catalogue; else "".
    """

    path: Path
    header: Header
    variant: str = ""

    @property
    def sop_uid(self) -> str:
        return self.header.sop_instance_uid

    @property
    def values(self) -> Mapping[str, str]:
        """The attributes that templates name it by."""
        header = self.header
        return {
            **header.values,
            "PatientID": header.patient_id,
            "SOPClassUID": header.sop_class_uid,
            "SOPInstanceUID": header.sop_instance_uid,
            "StudyInstanceUID": header.study_instance_uid,
            "SeriesInstanceUID": header.series_instance_uid,
        }


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a series: those that can be pushed, by SOP Instance UID, and those that cannot."""

    files: tuple[ReadFile, ...] = ()
    rejected: tuple[FileVerdict, ...] = ()
    error: PypxError | None = None

    @property
    def description(self) -> str:
        return self.files[0].header.values.get("SeriesDescription", "") if self.files else ""


class WantedSeries(Protocol):
    """A series that is to be pushed."""

    @property
    def study_uid(self) -> str: ...

    @property
    def series_uid(self) -> str: ...

    def __len__(self) -> int:
        """How many files there seem to be."""

    def read(self, keywords: Collection[str]) -> Contents:
        """Read what names its files."""


@dataclass(frozen=True, slots=True)
class CataloguedSeries:
    """A series as the catalogue has it; its files are read when their turn comes."""

    study_uid: str
    series_uid: str
    data: Path
    held: tuple[HeldInstance, ...]

    def __len__(self) -> int:
        return len(self.held)

    def read(self, keywords: Collection[str]) -> Contents:
        if not self.held:
            return Contents(
                error=NothingFound(
                    f"The catalogue has no image of the series {self.series_uid}",
                    "Retrieve it first, with px-move, or check the UID and --db.",
                )
            )
        read: list[ReadFile] = []
        rejected: list[FileVerdict] = []
        for held in self.held:
            path = self.data / held.path
            try:
                header = read_header(path, {*keywords, *_ALWAYS})
                if header.series_instance_uid != self.series_uid:
                    raise FileDamaged(
                        f"{path} is of another series than the catalogue has it in",
                        "Run px-smdb --action check.",
                    )
                read.append(ReadFile(path, header, held.variant))
            except (NotDicom, FileDamaged, FileUnreadable) as error:
                rejected.append(_rejected(path, error, held.sop_uid))
        return Contents(tuple(read), tuple(rejected))


@dataclass(slots=True)
class GatheredSeries:
    """The files of one series among those that a person named."""

    study_uid: str
    series_uid: str
    files: list[ReadFile] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.files)

    def read(self, keywords: Collection[str]) -> Contents:
        return Contents(tuple(sorted(self.files, key=lambda file: (file.sop_uid, str(file.path)))))


@dataclass(frozen=True, slots=True)
class Gathered:
    """What files there are among those that a person named."""

    series: tuple[GatheredSeries, ...]
    rejected: tuple[FileVerdict, ...]
    skipped: int


def catalogued(
    catalogue: Catalogue, basemount: Basemount, series_uids: Sequence[str]
) -> tuple[CataloguedSeries, ...]:
    """Series by UID, each once and in this order, whether there is something of them or not."""
    uids = tuple(dict.fromkeys(series_uids))
    held = instances_of_series(catalogue, uids)
    records = catalogue.series_status(uids)
    return tuple(
        CataloguedSeries(records[uid].study_uid if uid in records else "", uid, basemount.data, held[uid])
        for uid in uids
    )


def gathered(files: Iterable[Path], keywords: Collection[str]) -> Gathered:
    """Files, each with its series; those that are not DICOM are counted, damaged ones are rejected."""
    series: dict[str, GatheredSeries] = {}
    rejected: list[FileVerdict] = []
    skipped = 0
    for path in files:
        try:
            header = read_header(path, {*keywords, *_ALWAYS})
        except NotDicom:
            skipped += 1
        except (FileDamaged, FileUnreadable) as error:
            rejected.append(_rejected(path, error))
        else:
            uid = header.series_instance_uid
            of_it = series.setdefault(uid, GatheredSeries(header.study_instance_uid, uid))
            of_it.files.append(ReadFile(path, header))
    return Gathered(tuple(series.values()), tuple(rejected), skipped)


def _rejected(path: Path, error: PypxError, sop_uid: str = "") -> FileVerdict:
    return FileVerdict(path, "", FileState.FAILED, sop_uid, error=error)
