"""What px-push says that it put into storage, as series to be registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pypx.actions.register.wanted import Wanted, folder_of
from pypx.cube.fields import ATTRIBUTES
from pypx.dicom.header import Header, read_header
from pypx.errors import (
    FileDamaged,
    FileUnreadable,
    InvalidInput,
    InvalidValue,
    NotDicom,
    NotInStorage,
    PypxError,
)

#: What to do about an input that is none.
CURE = "Pipe the JSON of px-push into this tool: px-push … | px-register."


def is_push(document: object) -> bool:
    """Whether this is the JSON of px-push, and not that of px-find."""
    return isinstance(document, dict) and "objectFileList" in document


def of_push(document: object) -> list[Wanted]:
    """The series of one JSON document of px-push, each once.

    Raises
    ------
    InvalidInput
        When it is none, or that of a px-push that failed before it had begun.
    """
    if not isinstance(document, dict):
        raise InvalidInput("This is JSON, but not that of px-push", CURE)
    if document.get("status") == "error" and "objectFileList" not in document:
        error = document.get("error")
        message = error.get("message") if isinstance(error, dict) else None
        raise InvalidInput(
            f"The px-push before this failed ({message or 'it did not say why'})",
            "Run the px-push by itself until it succeeds.",
        )
    pairs = _pairs(document)
    verdicts = document.get("data", [])
    if not isinstance(verdicts, list) or not all(isinstance(one, dict) for one in verdicts):
        raise InvalidInput('The member "data" is not as px-push writes it', CURE)
    by_folder: dict[str, list[tuple[Path, str]]] = {}
    for path, name in pairs:
        by_folder.setdefault(folder_of(name), []).append((path, name))
    wanted = [_of_verdict(verdict, by_folder.pop(_text(verdict, "folder"), [])) for verdict in verdicts]
    return [*wanted, *of_files(pair for of_it in by_folder.values() for pair in of_it)]


def of_lists(local: Sequence[str], objects: Sequence[str]) -> list[Wanted]:
    """The series of files and of what they are in storage, index by index.

    Raises
    ------
    InvalidInput
        When one list is longer than the other.
    """
    return of_push({"localFileList": list(local), "objectFileList": list(objects)})


def of_files(pairs: Iterable[tuple[Path, str]]) -> list[Wanted]:
    """The series of files that are in storage under these names; each file is read to see whose it is."""
    headers: dict[str, tuple[Header, dict[str, list[str]]]] = {}
    unreadable: list[Wanted] = []
    for path, name in sorted(pairs, key=lambda pair: pair[1]):
        try:
            header = read_header(path, ATTRIBUTES)
        except (NotDicom, FileDamaged, FileUnreadable) as error:
            unreadable.append(Wanted("", folder=folder_of(name), names=(name,), error=error))
            continue
        _, folders = headers.setdefault(header.series_instance_uid, (header, {}))
        folders.setdefault(folder_of(name), []).append(name)
    shared = _shared(headers)
    return [*(_of_header(header, folders, shared) for header, folders in headers.values()), *unreadable]


def _shared(headers: Mapping[str, tuple[Header, Mapping[str, list[str]]]]) -> frozenset[str]:
    """The folders that more than one series has files in."""
    folders = [folder for _, of_it in headers.values() for folder in of_it]
    return frozenset(folder for folder in folders if folders.count(folder) > 1)


def _of_header(header: Header, folders: Mapping[str, list[str]], shared: frozenset[str]) -> Wanted:
    error: PypxError | None = None
    if len(folders) > 1 or shared & folders.keys():
        fault = "in several folders" if len(folders) > 1 else "in a folder with those of another series"
        error = InvalidValue(
            f"The files of the series {header.series_instance_uid} are {fault} of the storage",
            "A series has one folder in storage; px-push puts it there.",
        )
    return Wanted(
        header.series_instance_uid,
        header.study_instance_uid,
        values_of(header),
        next(iter(folders)),
        tuple(name for names in folders.values() for name in names),
        error=error,
    )


def values_of(header: Header) -> dict[str, str]:
    """The attributes of a header that CUBE is told."""
    return {
        **header.values,
        "PatientID": header.patient_id,
        "StudyInstanceUID": header.study_instance_uid,
        "SeriesInstanceUID": header.series_instance_uid,
    }


def _of_verdict(verdict: Mapping[str, Any], pairs: Sequence[tuple[Path, str]]) -> Wanted:
    """A series as px-push had it; one of its files is read for what it says of itself."""
    uid, study_uid = _text(verdict, "SeriesInstanceUID"), _text(verdict, "StudyInstanceUID")
    folder, target = _text(verdict, "folder"), _text(verdict, "target")
    names = tuple(sorted({name for _, name in pairs}))
    told = {"SeriesDescription": _text(verdict, "SeriesDescription")}
    error, values = _why_not(verdict, folder, names), dict[str, str]()
    if error is None:
        try:
            values = _values(uid, pairs)
        except PypxError as reading:
            error = reading
    return Wanted(uid, study_uid, values or told, folder, names, is_its_own=True, target=target, error=error)


def _why_not(verdict: Mapping[str, Any], folder: str, names: Sequence[str]) -> PypxError | None:
    failed = verdict.get("error")
    if failed:
        reason = failed.get("message") if isinstance(failed, dict) else failed
        return NotInStorage(f"px-push did not put all of the series into storage: {reason}")
    if not folder:
        return NotInStorage(
            "The series went to another PACS, and not into storage", "Push it to the storage of CUBE."
        )
    return None if names else NotInStorage("px-push names no file of the series")


def _values(series_uid: str, pairs: Sequence[tuple[Path, str]]) -> dict[str, str]:
    """What the first file says that can be read.

    Raises
    ------
    FileUnreadable, NotDicom, FileDamaged
        When none can.
    InvalidInput
        When it is of another series.
    """
    first: PypxError | None = None
    for path, _ in sorted(pairs, key=lambda pair: pair[1]):
        try:
            header = read_header(path, ATTRIBUTES)
        except (NotDicom, FileDamaged, FileUnreadable) as error:
            first = first or error
            continue
        if header.series_instance_uid != series_uid:
            raise InvalidInput(f"{path} is not of the series {series_uid!r} that px-push says it is of")
        return values_of(header)
    raise first or InvalidInput("px-push names no file of the series")


def _pairs(document: Mapping[str, Any]) -> list[tuple[Path, str]]:
    lists = [document.get(name) for name in ("localFileList", "objectFileList")]
    for texts in lists:
        if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
            raise InvalidInput("localFileList and objectFileList are not lists of names", CURE)
    local, objects = (list(texts or ()) for texts in lists)
    if len(local) != len(objects):
        raise InvalidInput(
            f"localFileList has {len(local)} names and objectFileList {len(objects)}",
            "They belong together, index by index.",
        )
    return [(Path(path), name) for path, name in zip(local, objects, strict=True)]


def _text(verdict: Mapping[str, Any], name: str) -> str:
    value = verdict.get(name, "")
    return value if isinstance(value, str) else ""
