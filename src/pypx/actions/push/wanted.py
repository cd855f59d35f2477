"""What is to be pushed: series of the catalogue, or files, each with its header read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pypx.actions.push.result import FileState, FileVerdict
from pypx.basemount import strays
from pypx.basemount.layout import Basemount
from pypx.basemount.pushed import HeldFile, files_of_series
from pypx.basemount.records import SeriesRecord
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.header import Header, read_header
from pypx.errors import FileDamaged, FileUnreadable, NotDicom, NothingFound, PypxError, StrayImages

#: Whatever the templates need.
_ALWAYS = frozenset({"SeriesDescription"})

#: What the catalogue says of each instance; a template that needs no more has no file read.
_CATALOGUED = frozenset({"InstanceNumber", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"})


@dataclass(frozen=True, slots=True, eq=False)
class WantedFile:
    """A file that is to be pushed, and what names it.

    Parameters
    ----------
    path : pathlib.Path
    sop_uid : str
        SOP Instance UID (0008,0018).
    values : mapping of str to str
        Keyword to text: what its own name is made of.
    size : int
        In bytes.
    variant : str
        What tells it from other content of the same SOP Instance UID, in the catalogue; else "".
    """

    path: Path
    sop_uid: str
    values: Mapping[str, str]
    size: int
    variant: str = ""

    @classmethod
    def of_header(cls, path: Path, header: Header, variant: str = "") -> WantedFile:
        """A file whose header has been read."""
        values = {
            **header.values,
            "PatientID": header.patient_id,
            "SOPClassUID": header.sop_class_uid,
            "SOPInstanceUID": header.sop_instance_uid,
            "StudyInstanceUID": header.study_instance_uid,
            "SeriesInstanceUID": header.series_instance_uid,
        }
        return cls(path, header.sop_instance_uid, values, header.size, variant)


@dataclass(frozen=True, slots=True)
class Contents:
    """The files of a series.

    Parameters
    ----------
    files : tuple of WantedFile
        Those that can be pushed, by SOP Instance UID.
    values : mapping of str to str
        Keyword to text, of the first of them: what the series' folder is named after.
    rejected : tuple of FileVerdict
        Those that cannot.
    error : PypxError or None
        Why there are none, or not all that have its UID.
    """

    files: tuple[WantedFile, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    rejected: tuple[FileVerdict, ...] = ()
    error: PypxError | None = None

    @property
    def description(self) -> str:
        return self.values.get("SeriesDescription", "")


@dataclass(frozen=True, slots=True)
class Keywords:
    """The attributes that names are made of.

    Parameters
    ----------
    folder : frozenset of str
        Of a series' folder.
    image : frozenset of str
        Of each file in it.
    """

    folder: frozenset[str] = frozenset()
    image: frozenset[str] = frozenset()

    @classmethod
    def of_templates(cls, templates: TreeTemplates) -> Keywords:
        levels = (templates.root, templates.study, templates.series)
        return cls(frozenset().union(*(level.keywords for level in levels)), templates.image.keywords)

    @property
    def all(self) -> frozenset[str]:
        return self.folder | self.image | _ALWAYS


class WantedSeries(Protocol):
    """A series that is to be pushed."""

    @property
    def study_uid(self) -> str: ...

    @property
    def series_uid(self) -> str: ...

    def __len__(self) -> int:
        """How many files there seem to be."""

    def read(self, keywords: Keywords) -> Contents:
        """Find out what names its files."""


@dataclass(frozen=True, slots=True)
class CataloguedSeries:
    """A series as the catalogue has it; its files are looked at when their turn comes."""

    study_uid: str
    series_uid: str
    data: Path
    held: tuple[HeldFile, ...]
    strays: int = 0

    def __len__(self) -> int:
        return len(self.held)

    def read(self, keywords: Keywords) -> Contents:
        why = stray_images(self.series_uid, self.strays) if self.strays else None
        if not self.held:
            return Contents(
                error=why
                or NothingFound(
                    f"The catalogue has no image of the series {self.series_uid}",
                    "Retrieve it first, with px-move, or check the UID and --db.",
                )
            )
        files: list[WantedFile] = []
        rejected: list[FileVerdict] = []
        has_all = keywords.image <= _CATALOGUED
        for held in self.held:
            path = self.data / held.path
            try:
                # The first says what the folder is named after. What has another size than when it was packed
                # may be damaged, or be another file.
                if files and has_all and _size(path) == held.size:
                    files.append(WantedFile(path, held.sop_uid, self._values(held), held.size, held.variant))
                else:
                    files.append(self._read(path, held, keywords))
            except (NotDicom, FileDamaged, FileUnreadable) as error:
                rejected.append(_rejected(path, error, held.sop_uid))
        return Contents(tuple(files), files[0].values if files else {}, tuple(rejected), why)

    def _values(self, held: HeldFile) -> dict[str, str]:
        return {
            "InstanceNumber": held.instance_number,
            "SOPInstanceUID": held.sop_uid,
            "SeriesInstanceUID": self.series_uid,
            "StudyInstanceUID": self.study_uid,
        }

    def _read(self, path: Path, held: HeldFile, keywords: Keywords) -> WantedFile:
        header = read_header(path, keywords.all)
        if (header.series_instance_uid, header.sop_instance_uid) != (self.series_uid, held.sop_uid):
            raise FileDamaged(
                f"{path} is another instance than the catalogue has there", "Run px-smdb --action check."
            )
        return WantedFile.of_header(path, header, held.variant)


@dataclass(frozen=True, slots=True)
class UnknownStudy:
    """A study of which the catalogue has nothing, in the place of its series."""

    study_uid: str
    series_uid: str = field(default="", init=False)

    def __len__(self) -> int:
        return 0

    @property
    def error(self) -> NothingFound:
        return NothingFound(
            f"The catalogue has nothing of the study {self.study_uid}",
            "Retrieve it first, with px-move, or check the UID and --db.",
        )

    def read(self, _keywords: Keywords) -> Contents:
        return Contents(error=self.error)


@dataclass(frozen=True, slots=True)
class StraySeries:
    """Images of another patient or study than their series, in the place of that series.

    Somebody named the series as of that study or patient: the images that the catalogue has as its own are
    not those that are meant.
    """

    study_uid: str
    series_uid: str
    images: int

    def __len__(self) -> int:
        return 0

    @property
    def error(self) -> StrayImages:
        return stray_images(self.series_uid, self.images)

    def read(self, _keywords: Keywords) -> Contents:
        return Contents(error=self.error)


def stray_images(series_uid: str, count: int) -> StrayImages:
    """Why images are not pushed that have a series' UID."""
    words = "image says that it is" if count == 1 else "images say that they are"
    return StrayImages(f"{count} {words} of another patient or study than their series {series_uid}")


@dataclass(slots=True)
class GatheredSeries:
    """The files of one series among those that a person named.

    Parameters
    ----------
    study_uid, series_uid : str
    files : list of WantedFile
    known : (str, str) or None
        Of which study and patient the series is; None where the catalogue does not know it, and the first
        of the files says that.
    """

    study_uid: str
    series_uid: str
    files: list[WantedFile] = field(default_factory=list)
    known: tuple[str, str] | None = None

    def __len__(self) -> int:
        return len(self.files)

    def read(self, keywords: Keywords) -> Contents:
        files = sorted(self.files, key=lambda file: (file.sop_uid, str(file.path)))
        known = self.known or _said_by(files[0])
        own = tuple(file for file in files if not strays.contradicts(*_said_by(file), known))
        if len(own) == len(files):
            return Contents(own, own[0].values)
        error = stray_images(self.series_uid, len(files) - len(own))
        rejected = tuple(_rejected(file.path, error, file.sop_uid) for file in files if file not in own)
        return Contents(own, own[0].values if own else {}, rejected, error)


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
    held = files_of_series(catalogue, uids)
    records = catalogue.series_status(uids)
    known = {uid: records.get(uid, SeriesRecord(uid)) for uid in uids}
    return tuple(
        CataloguedSeries(known[uid].study_uid, uid, basemount.data, held[uid], known[uid].strays)
        for uid in uids
    )


def gathered(files: Iterable[Path], keywords: Collection[str], *, are_named: bool = False) -> Gathered:
    """Files, each with its series; damaged ones are rejected.

    Parameters
    ----------
    files : iterable of pathlib.Path
    keywords : collection of str
        Attributes to read of each.
    are_named : bool
        Whether somebody named each of them, and not a directory: then those are rejected, too, that are not
        DICOM, which are only counted otherwise.
    """
    series: dict[str, GatheredSeries] = {}
    rejected: list[FileVerdict] = []
    skipped = 0
    for path in files:
        try:
            header = read_header(path, {*keywords, *_ALWAYS})
        except NotDicom as error:
            if are_named:
                rejected.append(_rejected(path, error))
            else:
                skipped += 1
        except (FileDamaged, FileUnreadable) as error:
            rejected.append(_rejected(path, error))
        else:
            uid = header.series_instance_uid
            of_it = series.setdefault(uid, GatheredSeries(header.study_instance_uid, uid))
            of_it.files.append(WantedFile.of_header(path, header))
    return Gathered(tuple(series.values()), tuple(rejected), skipped)


def _said_by(file: WantedFile) -> tuple[str, str]:
    """Of which study and patient a file says that it is."""
    return file.values["StudyInstanceUID"], file.values["PatientID"]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise FileUnreadable(f"{path} cannot be read ({error.strerror or error})") from error


def _rejected(path: Path, error: PypxError, sop_uid: str = "") -> FileVerdict:
    return FileVerdict(path, "", FileState.FAILED, sop_uid, error=error)
