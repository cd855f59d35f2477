"""Receive for as long as asked: a provider as a service, with a state that others can read."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pypx.actions.receiving.admission import Admission
from pypx.actions.receiving.arriving import ArrivingSeries
from pypx.actions.receiving.follow_up import FollowUp, Run
from pypx.actions.receiving.line import Line
from pypx.actions.receiving.receiver import Association, Observer, Receiver
from pypx.actions.receiving.state import ListenerState, StateFile
from pypx.actions.repack import RepackResult
from pypx.actions.repack.outcome import words_of_strays
from pypx.basemount.audit import Entry
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.dcmtk.binaries import Binaries
from pypx.dicom.tls import TlsSettings
from pypx.discretion import discreet, hide_below
from pypx.errors import AssociationRejected, PypxError, RequestFailed
from pypx.wording import counted

logger = logging.getLogger(__name__)

DEFAULT_PORT = 10402

#: Seconds between two looks at what is finished, each with a new state for others to read.
_TICK = 0.5

#: Seconds in which the same problem is not told again.
_REPEAT_INTERVAL = 60.0


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """How to receive.

    Parameters
    ----------
    port : int
    admission : Admission
    quiet : float
        Seconds without an image after which a series counts as finished.
    grace : float
        Seconds that open associations have to end, once it is to stop.
    binaries : Binaries
    templates : TreeTemplates
    tls : TlsSettings or None
        How peers must protect their associations; None where they must not.
    """

    port: int
    admission: Admission
    quiet: float = 5.0
    grace: float = 60.0
    binaries: Binaries = field(default_factory=Binaries)
    templates: TreeTemplates = field(default_factory=TreeTemplates)
    tls: TlsSettings | None = None


def _keep_no_audit(_entry: Entry) -> None:
    pass


class Listener:
    """A receiving service.

    Parameters
    ----------
    request : ListenRequest
    basemount : Basemount
    tell : callable
        Gets a Line for each series that is finished and each problem; called from several threads.
    then : callable, optional
        Does verbs with each series that is finished.
    audit : callable, optional
        Gets an entry for each association and each series that is finished.
    """

    def __init__(
        self,
        request: ListenRequest,
        basemount: Basemount,
        tell: Callable[[Line], None],
        then: Run | None = None,
        audit: Callable[[Entry], None] = _keep_no_audit,
    ) -> None:
        self._audit = audit
        self._request = request
        self._basemount = basemount
        self._tell = tell
        self._then = then
        self._following: FollowUp | None = None
        self._stops = 0
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last_error = ""
        self._told: dict[str, float] = {}
        self._since = datetime.now(UTC)
        hide_below(basemount.data)

    @property
    def uses_tls(self) -> bool:
        """Whether it takes associations over TLS, and no others."""
        return self._request.tls is not None

    def stop(self) -> None:
        """Take no more associations, finish what runs, pack it, and return from :meth:`run`.

        Said a second time: do not wait for open associations. A signal handler may call it: it takes no lock,
        which the thread that was interrupted could hold.
        """
        self._stops += 1

    def run(self, on_ready: Callable[[int], None] = lambda _port: None) -> None:
        """Receive until :meth:`stop`.

        Parameters
        ----------
        on_ready : callable
            Gets the port, once peers can connect.

        Raises
        ------
        PortInUse, BinaryMissing, BasemountUnusable
        PypxError
            At the end, when something that was received could not be packed: the next start takes it up.
        """
        request, basemount = self._request, self._basemount
        basemount.prepare()
        observer = Observer(self._association, self._packed, self._problem)
        with Catalogue.open(basemount) as catalogue, self._following_up(catalogue):
            self._arriving = ArrivingSeries(catalogue, request.quiet)
            receiver = Receiver(
                request.port,
                request.admission,
                basemount,
                catalogue,
                request.templates,
                request.binaries,
                observer,
                request.tls,
            )
            try:
                with StateFile.own(basemount, receiver.port) as state:
                    state.write(self._state(receiver))
                    on_ready(receiver.port)
                    self._watch(receiver, state)
                    self._say_that_it_ends(receiver)
                    receiver.close(request.grace, lambda: self._stops > 1)
            finally:
                receiver.close(0.0)
                self._tell_finished(all_of_them=True)
        if left := receiver.failure or receiver.left:
            raise left

    @property
    def owed(self) -> int:
        """Series that ``--then`` is still to be done with."""
        return self._following.waiting if self._following else 0

    def _say_that_it_ends(self, receiver: Receiver) -> None:
        if count := receiver.associations:
            some = counted(count, "association", "associations")
            seconds = f"{self._request.grace:g} s"
            self._tell(Line(False, f"stopping; {some} may finish within {seconds}; told again, it ends them"))

    def _watch(self, receiver: Receiver, state: StateFile) -> None:
        while not self._stops and not receiver.failure:
            time.sleep(_TICK)
            self._tell_finished()
            self._write_journal()
            state.write(self._state(receiver))

    def _state(self, receiver: Receiver) -> ListenerState:
        with self._lock:
            return ListenerState(
                pid=os.getpid(),
                port=receiver.port,
                tls=self._request.tls is not None,
                aet=self._request.admission.ae_title,
                since=self._since.isoformat(timespec="seconds"),
                updated=datetime.now(UTC).isoformat(timespec="seconds"),
                open=receiver.associations,
                associations=self._counts["associations"],
                refused=self._counts["refused"],
                received=self._counts["received"],
                duplicates=self._counts["duplicates"],
                waiting=receiver.waiting,
                owed=self.owed,
                failed=self._counts["failed"],
                last_error=self._last_error,
            )

    def _association(self, association: Association) -> None:
        served = association.served
        if not served and not association.refusal:
            return  # a load balancer, or somebody who looks whether the port is open
        self._audit(_received(association))
        with self._lock:
            self._counts["associations" if served else "refused"] += 1
        if not served:
            self._say_problem(f"{association.peer} was refused: {association.refusal}")
        elif served.problems:
            words = "; ".join(f"{text} ({times}x)" for text, times in served.problems)
            self._say_problem(f"{association.peer}, {served.images} images: {words}")

    def _packed(self, result: RepackResult) -> None:
        self._arriving.take(result)
        if self._following:
            self._following.take(result)
        with self._lock:
            self._counts["received"] += result.stored + result.conflicts
            self._counts["duplicates"] += result.duplicates
            self._counts["failed"] += len(result.quarantined) + len(result.failed)
        for damaged in result.quarantined:
            self._say_problem(f"An image is damaged and in quarantine: {damaged.reason}")
        for series in result.series:
            if series.strays:
                self._say_problem(words_of_strays(series.series["SeriesInstanceUID"], series.strays))
        for failed in result.failed:
            self._say_problem(failed.error.message)

    def _problem(self, error: PypxError) -> None:
        if self._say_problem(error.sentence):
            with self._lock:
                self._counts["failed"] += 1

    def _say_problem(self, text: str) -> bool:
        """Say it, unless it was said a moment ago; whether it was not."""
        text = discreet(text)
        now = time.monotonic()
        with self._lock:
            self._last_error = text
            self._told = {said: when for said, when in self._told.items() if now - when < _REPEAT_INTERVAL}
            if text in self._told:
                # It goes on: whoever retries every few seconds says so once in a while.
                return False
            self._told[text] = now
        self._tell(Line(True, text))
        return True

    def _tell_finished(self, all_of_them: bool = False) -> None:
        try:
            finished = self._arriving.finished(all_of_them)
        except PypxError as error:
            logger.info("%s", error.message)
            return
        for series in finished:
            self._tell(Line(False, series.line))
            counts = {"images": series.images}
            self._audit(Entry("pack", studies=(series.study_uid,), series=(series.uid,), counts=counts))
        if self._following:
            self._following.finished(series.uid for series in finished)

    @contextmanager
    def _following_up(self, catalogue: Catalogue) -> Iterator[None]:
        """Do verbs with what is received, if there are any to do, for as long as the ``with`` block lasts."""
        if self._then is None:
            yield
            return

        def tell(line: Line) -> None:
            if line.is_problem:
                self._say_problem(line.text)
            else:
                self._tell(Line(False, discreet(line.text)))

        name = f"then-{self._request.port}"
        self._following = FollowUp(self._then, self._basemount, catalogue, name, tell)
        try:
            # Before anything is received: from here on, what is owed can be found out.
            self._write_journal()
            yield
        finally:
            with self._telling_of_journal():
                self._following.close(lambda: self._stops > 1)

    def _write_journal(self) -> None:
        if self._following:
            with self._telling_of_journal():
                self._following.write_journal()

    @contextmanager
    def _telling_of_journal(self) -> Iterator[None]:
        """Say that it cannot be written, and go on."""
        try:
            yield
        except OSError as error:
            self._say_problem(f"What --then is still to be done with cannot be written down ({error})")


def _received(association: Association) -> Entry:
    """An association as the audit log has it; which series came is written when they are finished."""
    served = association.served
    if not served:
        return Entry("receive", AssociationRejected.code, source=association.peer)
    outcome = RequestFailed.code if served.problems else "success"
    return Entry("receive", outcome, source=association.peer, counts={"images": served.images})
