"""The tree of JSON tables that releases before 4 kept under ``log/``: its files, and reading them.

==================================================  =======================================================
``patientData/<PatientID>.json``                    a patient, and the list of the studies
``studyData/<StudyUID>-meta.json``                  a study
``studyData/<StudyUID>-series/<SeriesUID>-meta.json``  a series of it, with the attributes of one image
``seriesData/<SeriesUID>-meta.json``                a series
``seriesData/<SeriesUID>-retrieve.json``            how many images the PACS has
``seriesData/<SeriesUID>-pack.json``                that it was packed
``seriesData/<SeriesUID>-push.json``                where it was pushed to
``seriesData/<SeriesUID>-register.json``            where it was registered
``seriesData/<SeriesUID>-img/<file>.json``          an image, and where it lies
==================================================  =======================================================

Whoever wrote such a tree may have written anything: a file is read when it is a plain file with a name of one
of these forms, of a sane size, and holds JSON of the right shape.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

from pypx.dicom.uid import is_uid
from pypx.errors import FileUnreadable, InvalidInput

Kind: TypeAlias = Literal[
    "patient", "study", "study-series", "meta", "retrieve", "pack", "push", "register", "image"
]

#: What stands where releases before 4 knew no value.
NOT_DEFINED = "Not defined"

#: The largest were some hundred kB.
LARGEST = 16 * 1024 * 1024

_PARTS_OF_SERIES: Mapping[str, Kind] = {
    "meta": "meta",
    "retrieve": "retrieve",
    "pack": "pack",
    "push": "push",
    "register": "register",
}
_SERIES_FILE = re.compile(r"([0-9.]+)-(meta|retrieve|pack|push|register)\.json", re.ASCII)
_STUDY_FILE = re.compile(r"([0-9.]+)-meta\.json", re.ASCII)
_DIRECTORY = re.compile(r"([0-9.]+)-(series|img)", re.ASCII)


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of the tree.

    Parameters
    ----------
    kind : str
    owner : str
        The patient's name of the file, or the UID of the study or series.
    path : str
        In the tree.
    name : str
        Of the series in a study, or of the image.
    """

    kind: Kind
    owner: str
    path: str
    name: str = ""


def patient_file(name: str) -> TableFile:
    return TableFile("patient", name, f"patientData/{name}.json")


def study_file(study_uid: str) -> TableFile:
    return TableFile("study", study_uid, f"studyData/{study_uid}-meta.json")


def study_series_file(study_uid: str, series_uid: str) -> TableFile:
    path = f"studyData/{study_uid}-series/{series_uid}-meta.json"
    return TableFile("study-series", study_uid, path, series_uid)


def series_file(series_uid: str, kind: Kind) -> TableFile:
    return TableFile(kind, series_uid, f"seriesData/{series_uid}-{kind}.json")


def image_file(series_uid: str, name: str) -> TableFile:
    return TableFile("image", series_uid, f"seriesData/{series_uid}-img/{name}.json", name)


class Tree:
    """A tree of JSON tables that is there.

    Parameters
    ----------
    root : pathlib.Path
        The directory that holds patientData, studyData and seriesData.

    Raises
    ------
    FileUnreadable
        When it holds none of them, or cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.foreign: list[str] = []
        if not any(self._is_directory(name) for name in ("patientData", "studyData", "seriesData")):
            raise FileUnreadable(
                f"{root} holds no tables of an earlier release",
                "Name the log directory that holds patientData, studyData and seriesData.",
            )

    def patients(self) -> Iterator[TableFile]:
        """The files of patients. What does not belong to the tree is noted in ``foreign``, here and below."""
        for name, is_directory in self._entries("patientData"):
            if is_directory or not name.endswith(".json") or name == ".json":
                self.foreign.append(f"patientData/{name}")
            else:
                yield patient_file(name.removesuffix(".json"))

    def studies(self) -> Iterator[TableFile]:
        """The files of studies, and those of the series in them."""
        for name, is_directory in self._entries("studyData"):
            match = (_DIRECTORY if is_directory else _STUDY_FILE).fullmatch(name)
            if not match or not is_uid(match[1]) or (is_directory and match[2] != "series"):
                self.foreign.append(f"studyData/{name}")
            elif is_directory:
                yield from self._series_of_study(match[1])
            else:
                yield study_file(match[1])

    def _series_of_study(self, study_uid: str) -> Iterator[TableFile]:
        directory = f"studyData/{study_uid}-series"
        for name, is_directory in self._entries(directory):
            match = _STUDY_FILE.fullmatch(name)
            if is_directory or not match or not is_uid(match[1]):
                self.foreign.append(f"{directory}/{name}")
            else:
                yield study_series_file(study_uid, match[1])

    def series(self) -> Iterator[tuple[str, tuple[TableFile, ...], bool]]:
        """Of each series its UID, its files but those of images, and whether there is a directory of them."""
        files: dict[str, list[TableFile]] = {}
        with_images: set[str] = set()
        for name, is_directory in self._entries("seriesData"):
            match = (_DIRECTORY if is_directory else _SERIES_FILE).fullmatch(name)
            if not match or not is_uid(match[1]) or (is_directory and match[2] != "img"):
                self.foreign.append(f"seriesData/{name}")
            elif is_directory:
                files.setdefault(match[1], [])
                with_images.add(match[1])
            else:
                files.setdefault(match[1], []).append(series_file(match[1], _PARTS_OF_SERIES[match[2]]))
        for uid in sorted(files):
            yield uid, tuple(files[uid]), uid in with_images

    def images(self, series_uid: str) -> Iterator[TableFile]:
        """The files of the images of a series."""
        directory = f"seriesData/{series_uid}-img"
        for name, is_directory in self._entries(directory):
            if is_directory or not name.endswith(".json") or name == ".json":
                self.foreign.append(f"{directory}/{name}")
            else:
                yield image_file(series_uid, name.removesuffix(".json"))

    def read(self, file: TableFile) -> dict[str, Any]:
        """What a file says.

        Raises
        ------
        InvalidInput
            When it is not a JSON object, or no plain file of a sane size.
        FileUnreadable
        """
        return read_table(self.root / file.path)

    def modified(self, file: TableFile) -> float:
        """When a file was written last, in seconds since 1970; now, where it is gone meanwhile."""
        try:
            return (self.root / file.path).lstat().st_mtime
        except OSError:
            return time.time()

    def _entries(self, directory: str) -> list[tuple[str, bool]]:
        """Names of files, and of directories, in order; what is neither, links among it, is foreign."""
        entries: list[tuple[str, bool]] = []
        if not self._is_directory(directory):
            return entries
        try:
            with os.scandir(self.root / directory) as found:
                for entry in found:
                    if not _is_text(entry.name) or not (
                        entry.is_dir(follow_symlinks=False) or _is_file(entry)
                    ):
                        self.foreign.append(f"{directory}/{entry.name}")
                    else:
                        entries.append((entry.name, entry.is_dir(follow_symlinks=False)))
        except OSError as error:
            raise FileUnreadable(
                f"{self.root / directory} cannot be read ({error.strerror or error})"
            ) from error
        return sorted(entries)

    def _is_directory(self, name: str) -> bool:
        try:
            return stat.S_ISDIR((self.root / name).lstat().st_mode)
        except OSError:
            return False


def _is_text(name: str) -> bool:
    return name.isprintable() and not any("\ud800" <= character <= "\udfff" for character in name)


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def read_table(path: Path) -> dict[str, Any]:
    """The JSON object that a file holds; as :meth:`Tree.read`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput("It is no plain file")
            if status.st_size > LARGEST:
                raise InvalidInput(f"It is larger than {LARGEST // 1024**2} MB")
            text = file.read(LARGEST)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InvalidInput("It is a link") from error
        raise FileUnreadable(f"It cannot be read ({error.strerror or error})") from error
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidInput("It is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidInput("It is not a JSON object")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")
