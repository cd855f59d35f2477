"""Series into a storage: named, listed, uploaded, and seen to be there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from pypx.actions.progress import Progress, Step
from pypx.actions.push.folders import Folders
from pypx.actions.push.naming import distinct_name, image_name
from pypx.actions.push.result import FileState, FileVerdict, SeriesVerdict
from pypx.actions.push.upload import Placed, upload, upload_again
from pypx.actions.push.wanted import Contents, Keywords, WantedFile, WantedSeries
from pypx.actions.workers import Workers
from pypx.basemount.templates import TreeTemplates
from pypx.dicom.integrity import dataset_digest
from pypx.errors import Interrupted, ObjectCorrupt, PypxError
from pypx.storage.interface import Storage, StoredObject
from pypx.storage.retries import Patience, Retries

logger = logging.getLogger("pypx.push")


class SeriesPusher:
    """Pushes one series after another; several threads may use it at once.

    Parameters
    ----------
    storage : Storage
    folders : Folders
        Of it.
    templates : TreeTemplates
    uploads : Workers
        Which upload the files.
    retries : Retries
        How often a file is sent again that the storage said it stored and does not hold.
    progress : callable
    total : int
        How many files there are in all.
    """

    def __init__(
        self,
        storage: Storage,
        folders: Folders,
        templates: TreeTemplates,
        uploads: Workers,
        retries: Retries,
        progress: Progress,
        total: int,
    ) -> None:
        self._storage = storage
        self._folders = folders
        self._templates = templates
        self._keywords = Keywords.of_templates(templates)
        self._uploads = uploads
        self._retries = retries
        self._patience = Patience()
        self._progress = progress
        self._total = total
        self._counting = threading.Lock()
        self._done = self._bytes = 0
        progress(Step("Pushing", 0, total))

    def end(self) -> None:
        """Have those give up who wait before they try again."""
        self._patience.end()

    def push(self, series: WantedSeries) -> SeriesVerdict:
        """Push one series; what goes wrong is in the verdict."""
        contents = series.read(self._keywords)
        verdict = SeriesVerdict(
            series.study_uid,
            series.series_uid,
            contents.description,
            self._folders.target,
            files=contents.rejected,
            error=contents.error,
        )
        if not contents.files:
            return verdict
        try:
            folder = self._folders.of_series(series.series_uid, contents.values)
            listed = {} if folder.is_new else self._listed(folder.name)
            return self._push_files(replace(verdict, folder=folder.name), contents, listed)
        except Interrupted:
            raise
        except PypxError as error:
            failed = tuple(_failed(file, "", error) for file in contents.files)
            return replace(verdict, files=(*failed, *contents.rejected), error=error)

    def _push_files(
        self, verdict: SeriesVerdict, contents: Contents, listed: Mapping[str, StoredObject]
    ) -> SeriesVerdict:
        folder = verdict.folder
        names, twins = self._names(folder, contents.files)
        outcomes = self._upload(names.items(), listed)
        if any(isinstance(one, Placed) and _is_news(one, listed) for one in outcomes.values()):
            listed = self._verify(folder, outcomes)
        for file, twin in twins.items():
            outcomes[file] = _as_twin(file, outcomes[twin])
        files = [_verdict(file, names.get(file, ""), outcomes[file]) for file in contents.files]
        there = {one.name for one in outcomes.values() if isinstance(one, Placed)}
        others = len(listed.keys() - there - set(names.values()))
        uids = {one.sop_uid for one in files if one.is_there}
        return replace(verdict, files=(*files, *contents.rejected), instances=len(uids) + others)

    def _listed(self, folder: str) -> dict[str, StoredObject]:
        return {stored.name: stored for stored in self._storage.list(f"{folder}/")}

    def _names(
        self, folder: str, files: Sequence[WantedFile]
    ) -> tuple[dict[WantedFile, str], dict[WantedFile, WantedFile]]:
        """Each file's name; and of those whose content another has too, which that is."""
        taken: dict[str, WantedFile] = {}
        twins: dict[WantedFile, WantedFile] = {}
        for file in files:
            name = image_name(folder, self._templates, file)
            digest = ""
            while (other := taken.get(name)) is not None:
                digest = digest or dataset_digest(file.path)
                if other.sop_uid == file.sop_uid and dataset_digest(other.path) == digest:
                    twins[file] = other
                    break
                name = distinct_name(name, file.sop_uid, digest)
            else:
                taken[name] = file
        return {file: name for name, file in taken.items()}, twins

    def _upload(
        self, wanted: Iterable[tuple[WantedFile, str]], listed: Mapping[str, StoredObject]
    ) -> dict[WantedFile, Placed | PypxError]:
        return self._side_by_side(
            {file: partial(upload, self._storage, file, name, listed.get(name)) for file, name in wanted}
        )

    def _side_by_side(
        self, work: Mapping[WantedFile, Callable[[], Placed]]
    ) -> dict[WantedFile, Placed | PypxError]:
        futures = {file: self._uploads.submit(partial(self._one, file, run)) for file, run in work.items()}
        return {file: future.result() for file, future in futures.items()}

    def _one(self, file: WantedFile, run: Callable[[], Placed]) -> Placed | PypxError:
        outcome: Placed | PypxError
        try:
            outcome = run()
        except Interrupted:
            raise
        except PypxError as error:
            outcome = error
        self._count(file.size)
        return outcome

    def _count(self, size: int) -> None:
        with self._counting:
            # What is sent once more is no further file.
            self._done = min(self._done + 1, self._total)
            self._bytes += size
            self._progress(Step("Pushing", self._done, self._total, self._bytes))

    def _verify(self, folder: str, outcomes: dict[WantedFile, Placed | PypxError]) -> dict[str, StoredObject]:
        """See that what was stored is there and listed, and store again what is not; what is listed."""
        for attempt in range(self._retries.count + 1):
            if attempt:
                self._patience.wait(self._retries.pause(attempt))
            listed = self._listed(folder)
            placed = [one for one in outcomes.values() if isinstance(one, Placed)]
            absent = [one for one in placed if not _is_listed(one, listed)]
            if not absent:
                return listed
            lost = [one for one in absent if not self._holds(one)]
            if lost:
                logger.warning("%d files are not in storage although it took them", len(lost))
            if attempt < self._retries.count:
                outcomes.update(self._upload(((one.file, one.name) for one in lost), {}))
                # A listing may lag behind for a moment; of what came in the moment the storage went down, it
                # is never told.
                if attempt:
                    again = {
                        one.file: partial(upload_again, self._storage, one)
                        for one in absent
                        if one not in lost
                    }
                    outcomes.update(self._side_by_side(again))
        if unlisted := len(absent) - len(lost):
            logger.warning("%d files are in storage, and its listings do not tell of them yet", unlisted)
        for one in lost:
            outcomes[one.file] = ObjectCorrupt(
                f"{self._storage.label} says that it stored {one.name!r}, and does not hold it"
            )
        return listed

    def _holds(self, placed: Placed) -> bool:
        found = self._storage.stat(placed.name)
        return found is not None and found.checksum == placed.checksum


def _is_listed(placed: Placed, listed: Mapping[str, StoredObject]) -> bool:
    found = listed.get(placed.name)
    return found is not None and found.size == placed.size and found.checksum in ("", placed.checksum)


def _is_news(placed: Placed, listed: Mapping[str, StoredObject]) -> bool:
    """Whether the storage's listing has yet to tell of it."""
    return placed.state is FileState.UPLOADED or placed.name not in listed


def _as_twin(file: WantedFile, of_twin: Placed | PypxError) -> Placed | PypxError:
    return (
        replace(of_twin, file=file, state=FileState.ALREADY_THERE) if isinstance(of_twin, Placed) else of_twin
    )


def _verdict(file: WantedFile, name: str, outcome: Placed | PypxError) -> FileVerdict:
    if isinstance(outcome, PypxError):
        return _failed(file, name, outcome)
    return FileVerdict(file.path, outcome.name, outcome.state, file.sop_uid, outcome.size)


def _failed(file: WantedFile, name: str, error: PypxError) -> FileVerdict:
    return FileVerdict(file.path, name, FileState.FAILED, file.sop_uid, file.size, error)
