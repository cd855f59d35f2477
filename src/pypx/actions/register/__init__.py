"""Register with CUBE, the backend of ChRIS, what was pushed into its storage."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from pypx.actions.progress import Progress, ignore_progress
from pypx.actions.register.asking import Registrar
from pypx.actions.register.result import RegisterResult, State, Verdict
from pypx.actions.register.storages import Storages
from pypx.actions.register.wanted import Wanted
from pypx.actions.workers import Workers
from pypx.basemount.history import events_of
from pypx.basemount.layout import Basemount
from pypx.basemount.records import Event
from pypx.basemount.smdb import Catalogue
from pypx.cube.address import CubeAddress
from pypx.cube.api import DEFAULT_RETRIES, DEFAULT_TIMEOUT, Cube
from pypx.errors import PypxError
from pypx.storage.interface import Storage

__all__ = ["RegisterRequest", "RegisterResult", "State", "Verdict", "Wanted", "register"]

DEFAULT_JOBS = 12


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """What to register, and where.

    Parameters
    ----------
    address : CubeAddress
    wanted : sequence of Wanted
    storage : Storage or None
        Where all of it is, closed by whoever opened it. Where this is not given, the storage that each series
        was pushed to is looked into, as far as services/ has its login.
    jobs : int
        Requests at once.
    timeout : float
        Seconds in which an answer must come. CUBE itself waits up to 30 s for files to come to be in storage.
    retries : int
        How often a request is made again that failed for a reason that may pass.
    """

    address: CubeAddress
    wanted: Sequence[Wanted]
    storage: Storage | None = None
    jobs: int = DEFAULT_JOBS
    timeout: float = DEFAULT_TIMEOUT
    retries: int = DEFAULT_RETRIES


def register(
    request: RegisterRequest, basemount: Basemount, progress: Progress = ignore_progress
) -> RegisterResult:
    """Register series; what CUBE knows already is done already.

    May run in many processes at once, over the same series; may be killed at any point and run again.

    Parameters
    ----------
    request : RegisterRequest
    basemount : Basemount
        Whose catalogue records what is registered, and whose services/ has the logins of storages.
    progress : callable
        Told of series that are done, or of files where CUBE registers them one by one.

    Returns
    -------
    RegisterResult
        A verdict for each series.

    Raises
    ------
    BasemountUnusable, CatalogueLocked, CatalogueDamaged, DiskFull
        When nothing more can be done. What is done is kept, and the same call goes on from there.
    """
    begun = time.monotonic()
    verdicts: dict[int, Verdict] = {}
    with (
        Catalogue.open(basemount) as catalogue,
        closing(_verdicts(request, basemount, progress)) as coming,
    ):
        for place, verdict in coming:
            verdicts[place] = verdict
            catalogue.record(_events(catalogue, verdict, request.address.url))
    ordered = tuple(verdicts[place] for place in range(len(request.wanted)))
    return RegisterResult(request.address.url, ordered, time.monotonic() - begun)


def _verdicts(
    request: RegisterRequest, basemount: Basemount, progress: Progress
) -> Generator[tuple[int, Verdict], None, None]:
    """The verdict on each series and its place among those wanted, as soon as it is there."""
    if all(wanted.error for wanted in request.wanted):
        # Nothing to ask CUBE.
        yield from ((place, Verdict(one, error=one.error)) for place, one in enumerate(request.wanted))
        return
    try:
        cube = Cube.connect(request.address, request.timeout, request.retries)
    except PypxError as error:
        for place, wanted in enumerate(request.wanted):
            yield place, Verdict(wanted, files=len(wanted.names), error=wanted.error or error)
        return
    with (
        Workers(request.jobs) as files,
        Workers(min(request.jobs, len(request.wanted))) as workers,
        Storages(basemount, request.storage) as storages,
        cube,
    ):
        registrar = Registrar(cube, storages.of, files, progress, request.wanted)
        futures = {
            workers.submit(partial(registrar.register, wanted)): place
            for place, wanted in enumerate(request.wanted)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def _events(catalogue: Catalogue, verdict: Verdict, cube: str) -> Iterator[Event]:
    """What the catalogue is told of a series, where it does not know it yet."""
    uid, study_uid = verdict.series.series_uid, verdict.series.study_uid
    if not uid:
        return
    known = [one for one in events_of(catalogue, [uid])[uid] if one.target == cube]
    last = known[-1] if known else None
    is_known = last and last.kind == "registered" and last.count == verdict.registered
    if verdict.registered and not is_known:
        yield Event(uid, "registered", study_uid, verdict.registered, cube, verdict.series.folder)
    if verdict.error:
        yield Event(uid, "failed", study_uid, target=cube, detail=verdict.error.message)
