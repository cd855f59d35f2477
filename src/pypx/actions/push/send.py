"""Series into another PACS, by C-STORE."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

from pypx.actions.echo import explained
from pypx.actions.parallel import side_by_side
from pypx.actions.progress import Progress, Step
from pypx.actions.push.result import FileState, FileVerdict, SeriesVerdict
from pypx.actions.push.wanted import Contents, Keywords, WantedFile, WantedSeries
from pypx.dcmtk import dcmsend, dimse
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.dcmsend import Sent
from pypx.errors import (
    AssociationRejected,
    BinaryFailed,
    ConnectionLost,
    ConnectionRefused,
    HostUnknown,
    PeerTimeout,
    PypxError,
    RequestFailed,
    ServiceNotOffered,
)
from pypx.storage.retries import Patience, Retries

logger = logging.getLogger("pypx.push")

#: Files of one association: enough that opening it costs nothing, few enough that a loss costs little.
_TOGETHER = 200

#: Failures that may be gone a moment later.
_PASSING = (ConnectionLost, ConnectionRefused, PeerTimeout)

#: Failures that every further association would meet just the same.
_GENERAL = (AssociationRejected, ConnectionRefused, HostUnknown)

#: Statuses of a PACS that may take the image later: out of resources (PS3.4, B.2.3).
_LATER = range(0xA700, 0xA800)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Files that go over one association."""

    files: tuple[WantedFile, ...]
    decompress: bool = False


class Sender:
    """Sends series to one PACS.

    Parameters
    ----------
    caller : Caller
        We, towards that PACS.
    jobs : int
        Associations side by side.
    retries : Retries
        Of what failed for a moment.
    progress : callable
    """

    def __init__(self, caller: Caller, jobs: int, retries: Retries, progress: Progress) -> None:
        self._caller = caller
        self._jobs = jobs
        self._retries = retries
        self._patience = Patience()
        self._progress = progress
        self._counting = threading.Lock()
        self._stored = self._total = 0
        self._outcomes: dict[WantedFile, PypxError | None] = {}
        self._was_there = False
        self._given_up: PypxError | None = None

    @property
    def target(self) -> str:
        """The PACS, as the catalogue has it."""
        return f"dicom://{self._caller.node}"

    def send(self, wanted: Sequence[WantedSeries]) -> list[SeriesVerdict]:
        """Send series, all together; what goes wrong is in the verdicts."""
        contents = [series.read(Keywords()) for series in wanted]
        files = [file for one in contents for file in one.files]
        self._total = len(files)
        self._progress(Step("Sending", 0, self._total))
        for attempt in range(self._retries.count + 1):
            if not files:
                break
            if attempt:
                pause = self._retries.pause(attempt)
                logger.warning("%d files were not taken; sending them again in %.1f s", len(files), pause)
                self._patience.wait(pause)
                self._given_up = None
            self._send([_Batch(tuple(some)) for some in _together(files)])
            files = [file for file in files if self._is_passing(self._outcomes[file])]
            if not self._was_there:
                break
        return [self._verdict(series, one) for series, one in zip(wanted, contents, strict=True)]

    def _send(self, batches: Sequence[_Batch]) -> None:
        """Send batches; what the PACS does not take as it is, again in a form that every PACS takes."""
        refused: list[WantedFile] = []
        work = [partial(self._send_batch, batch) for batch in batches]
        with closing(side_by_side(self._caller.processes, self._jobs, work)) as done:
            for batch, sending in done:
                for file, sent in zip(batch.files, sending.sent, strict=True):
                    self._outcomes[file] = self._error(sent, sending.error)
                    if sent.is_not_accepted and not batch.decompress:
                        refused.append(file)
        if refused:
            self._send([_Batch(tuple(some), decompress=True) for some in _together(refused)])

    def _send_batch(self, batch: _Batch) -> tuple[_Batch, dcmsend.Sending]:
        if self._given_up:
            return batch, dcmsend.Sending((Sent(),) * len(batch.files), self._given_up)
        paths = [file.path for file in batch.files]
        sending = dcmsend.send(self._caller, paths, self._count, decompress=batch.decompress)
        if isinstance(sending.error, _GENERAL):
            with self._counting:
                self._given_up = self._given_up or explained(sending.error, self._caller)
            sending = replace(sending, error=self._given_up)
        return batch, sending

    def _count(self) -> None:
        with self._counting:
            self._was_there = True
            self._stored += 1
            self._progress(Step("Sending", self._stored, self._total))

    def _is_passing(self, error: PypxError | None) -> bool:
        return isinstance(error, (*_PASSING, _OutOfResources))

    def _error(self, sent: Sent, of_run: PypxError | None) -> PypxError | None:
        """Why a file is not there; None where it is."""
        node = self._caller.node
        if sent.is_stored:
            return None
        if sent.status is not None:
            failed = dimse.request_failed(node, "C-STORE", sent.status)
            if sent.status.code in _LATER:
                return _OutOfResources(failed.message, failed.hint)
            return failed
        if sent.is_not_accepted:
            return ServiceNotOffered(
                f"{node} does not take images of this kind or in this transfer syntax",
                "Ask the PACS administrator whether it may store them.",
            )
        if of_run:
            return of_run
        return BinaryFailed(f"dcmsend could not send the file ({sent.fault or 'it gave no reason'})")

    def _verdict(self, series: WantedSeries, contents: Contents) -> SeriesVerdict:
        files = tuple(self._file_verdict(file) for file in contents.files)
        uids = {file.sop_uid for file in files if file.is_there}
        return SeriesVerdict(
            series.study_uid,
            series.series_uid,
            contents.description,
            self.target,
            files=(*files, *contents.rejected),
            instances=len(uids),
            error=contents.error,
        )

    def _file_verdict(self, file: WantedFile) -> FileVerdict:
        verdict = FileVerdict(file.path, file.sop_uid, FileState.UPLOADED, file.sop_uid, size=file.size)
        error = self._outcomes[file]
        return replace(verdict, state=FileState.FAILED, error=error) if error else verdict


class _OutOfResources(RequestFailed):
    """The PACS may take it later."""


def _together(files: Sequence[WantedFile]) -> Iterator[Sequence[WantedFile]]:
    for start in range(0, len(files), _TOGETHER):
        yield files[start : start + _TOGETHER]
