"""Put series into storage, or send them to another PACS, and say of each whether all of it is there."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pypx.actions.found import Found
from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.push.folders import Folders
from pypx.actions.push.naming import top_of
from pypx.actions.push.result import FileState, FileVerdict, PushResult, SeriesState, SeriesVerdict
from pypx.actions.push.send import Sender
from pypx.actions.push.series import SeriesPusher
from pypx.actions.push.wanted import StraySeries, UnknownStudy, WantedSeries, catalogued, gathered
from pypx.actions.workers import Workers
from pypx.basemount import strays
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import STORAGE_TEMPLATES, TreeTemplates
from pypx.dcmtk.binaries import Binaries
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Processes
from pypx.dicom.node import Node
from pypx.dicom.uid import is_uid
from pypx.errors import InvalidInput
from pypx.storage.interface import Storage
from pypx.storage.retries import Retries

__all__ = [
    "FileState",
    "FileVerdict",
    "Named",
    "PacsTarget",
    "PushRequest",
    "PushResult",
    "SeriesState",
    "SeriesVerdict",
    "StorageTarget",
    "StraySeries",
    "UnknownStudy",
    "push",
    "series_named",
]

DEFAULT_JOBS = 8

#: Series that are read, named and listed at a time, while their files are uploaded.
_SERIES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class StorageTarget:
    """A place in a storage.

    Parameters
    ----------
    storage : Storage
        Closed by whoever opened it.
    pacs_name : str
        Of the PACS that the series are from: they go to ``SERVICES/PACS/<pacs_name>/``.
    templates : TreeTemplates
        The names below that.

    Raises
    ------
    InvalidValue
        When CUBE would not take the name.
    """

    storage: Storage
    pacs_name: str
    templates: TreeTemplates = STORAGE_TEMPLATES

    def __post_init__(self) -> None:
        top_of(self.pacs_name)


@dataclass(frozen=True, slots=True)
class PacsTarget:
    """Another PACS.

    Parameters
    ----------
    node : Node
    binaries : Binaries
    timeout : float
        Seconds without progress after which it is taken as hung.
    """

    node: Node
    binaries: Binaries = field(default_factory=Binaries)
    timeout: float = 60.0


Target: TypeAlias = StorageTarget | PacsTarget


@dataclass(frozen=True, slots=True)
class PushRequest:
    """What to push, where to, and how.

    Parameters
    ----------
    target : StorageTarget or PacsTarget
    series_uids : sequence of str
        Series of the catalogue.
    refused : sequence of UnknownStudy or StraySeries
        What was asked for as well and fails.
    files : iterable of pathlib.Path
        And files, wherever they are; what is not DICOM is left out and counted.
    are_named : bool
        Whether somebody named each of the files: then what is not DICOM fails.
    jobs : int
        Uploads at once, or associations.
    retries : Retries
        Of what failed for a moment.
    """

    target: Target
    series_uids: Sequence[str] = ()
    refused: Sequence[UnknownStudy | StraySeries] = ()
    files: Iterable[Path] = ()
    are_named: bool = False
    jobs: int = DEFAULT_JOBS
    retries: Retries = field(default_factory=Retries)


def push(request: PushRequest, basemount: Basemount, progress: Progress = ignore_progress) -> PushResult:
    """Push series and files; what is there already, and equal, is not sent again.

    May run in many processes at once, over the same series; may be killed at any point and run again.

    Parameters
    ----------
    request : PushRequest
    basemount : Basemount
        Whose catalogue has the series, remembers their folders and records what was pushed.
    progress : callable
        Told of files that are done.

    Returns
    -------
    PushResult
        A verdict for each series and each file.

    Raises
    ------
    BasemountUnusable, CatalogueLocked, CatalogueDamaged
        When nothing more can be done. What is done is kept, and the same call goes on from there.
    BinaryMissing
        When a PACS is the target and DCMTK is not there.
    """
    begun = time.monotonic()
    target = request.target
    keywords = target.templates.keywords if isinstance(target, StorageTarget) else frozenset()
    with Catalogue.open(basemount) as catalogue:
        named = gathered(request.files, keywords, are_named=request.are_named)
        known = catalogue.described([series.series_uid for series in named.series])
        for series in named.series:
            series.known = known.get(series.series_uid)
        wanted: tuple[WantedSeries, ...] = (
            *catalogued(catalogue, basemount, request.series_uids),
            *request.refused,
            *named.series,
        )
        if isinstance(target, StorageTarget):
            verdicts = _into_storage(target, request, catalogue, wanted, progress)
        else:
            verdicts = _to_pacs(target, request, catalogue, wanted, progress)
    return PushResult(tuple(verdicts), named.rejected, named.skipped, time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class Named:
    """What somebody means.

    Parameters
    ----------
    series_uids : tuple of str
        The series, each once.
    refused : tuple of UnknownStudy or StraySeries
        The studies that the catalogue has nothing of, and series of which it has no image that is meant.
    """

    series_uids: tuple[str, ...]
    refused: tuple[UnknownStudy | StraySeries, ...]


def series_named(
    basemount: Basemount,
    series_uids: Sequence[str] = (),
    study_uids: Sequence[str] = (),
    founds: Sequence[Found] = (),
) -> Named:
    """The series that somebody means.

    Parameters
    ----------
    basemount : Basemount
        Whose catalogue knows which series a study has.
    series_uids, study_uids : sequence of str
    founds : sequence of Found
        Of a study whose series were not asked for, those count that the catalogue has.

    Raises
    ------
    InvalidInput
        When one has no valid UID.
    """
    studies = [*study_uids, *(uid for found in founds for uid in found.studies_alone)]
    # Each series, and of which study and patient it is said to be.
    said: list[strays.Said] = [(uid, "", "") for uid in series_uids]
    said += [
        (series.uid, series.study_uid or study.uid, study.patient_id)
        for found in founds
        for study in found.studies
        for series in study.series
    ]
    unknown: list[UnknownStudy] = []
    for uid in (*studies, *(one[0] for one in said)):
        if not is_uid(uid):
            raise InvalidInput(f"{uid!r} is not the UID of a study or a series", "Correct the UID.")
    with Catalogue.open(basemount) as catalogue:
        for uid in dict.fromkeys(studies):
            of_study = catalogue.series_of_study(uid)
            unknown += [] if of_study else [UnknownStudy(uid)]
            said += [(series_uid, uid, "") for series_uid in of_study]
        refused = _refused(catalogue, said)
    others = {one.series_uid for one in refused}
    named = dict.fromkeys(uid for uid, _, _ in said if uid not in others)
    return Named(tuple(named), (*unknown, *refused))


def _refused(catalogue: Catalogue, said: Sequence[strays.Said]) -> list[StraySeries]:
    """Series that are named as of another study or patient than they are, and have images of such.

    What is meant is those images, then. Without any, it may be but the PACS that has another PatientID.
    """
    wrong = strays.straying(said, catalogue.described({uid for uid, _, _ in said}))
    if not wrong:
        return []
    right = {one[0] for one in said if one not in wrong}
    studies = {uid: study_uid for uid, study_uid, _ in said if uid not in right}
    records = catalogue.series_status(studies)
    return [
        StraySeries(study_uid, uid, records[uid].strays)
        for uid, study_uid in studies.items()
        if records[uid].strays
    ]


def _into_storage(
    target: StorageTarget,
    request: PushRequest,
    catalogue: Catalogue,
    wanted: Sequence[WantedSeries],
    progress: Progress,
) -> list[SeriesVerdict]:
    folders = Folders(catalogue, target.storage, top_of(target.pacs_name), target.templates)
    total = sum(len(series) for series in wanted)
    with Workers(min(request.jobs, max(1, total))) as uploads, Workers(_SERIES_AT_ONCE) as series_workers:
        pusher = SeriesPusher(
            target.storage, folders, target.templates, uploads, request.retries, progress, total
        )
        try:
            futures = [
                series_workers.submit(partial(_push_one, pusher, catalogue, series)) for series in wanted
            ]
            return [future.result() for future in futures]
        finally:
            pusher.end()


def _push_one(pusher: SeriesPusher, catalogue: Catalogue, series: WantedSeries) -> SeriesVerdict:
    verdict = pusher.push(series)
    catalogue.record(_events(verdict))
    return verdict


def _to_pacs(
    target: PacsTarget,
    request: PushRequest,
    catalogue: Catalogue,
    wanted: Sequence[WantedSeries],
    progress: Progress,
) -> list[SeriesVerdict]:
    target.binaries.path("dcmsend")
    with Processes() as processes:
        caller = Caller(target.node, target.binaries, processes, target.timeout)
        verdicts = Sender(caller, request.jobs, request.retries, progress).send(wanted)
    catalogue.record(event for verdict in verdicts for event in _events(verdict))
    return verdicts


def _events(verdict: SeriesVerdict) -> Iterable[Event]:
    """What the catalogue is told of a series: how much of it is there, and what failed."""
    uid, study_uid, target = verdict.series_uid, verdict.study_uid, verdict.target
    if not uid:
        return
    if verdict.instances:
        yield Event(uid, "pushed", study_uid, verdict.instances, target, verdict.folder)
    if verdict.first_error:
        yield Event(uid, "failed", study_uid, target=target, detail=verdict.first_error.message)
