"""Receive for as long as asked: a provider as a service, with a state that others can read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pypx.actions.receiving.admission import Admission
from pypx.actions.receiving.receiver import Association, Observer, Receiver
from pypx.actions.repack import RepackResult
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.basemount.trouble import unusable
from pypx.dcmtk.binaries import Binaries
from pypx.errors import ListenerNotRunning, PypxError

logger = logging.getLogger(__name__)

DEFAULT_PORT = 10402

#: Seconds between two looks at what is finished, and between two states written.
_TICK = 0.5
_STATE_INTERVAL = 2.0

#: A state older than this many seconds is that of a listener that hangs.
_STALE = 30.0


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
    """

    port: int
    admission: Admission
    quiet: float = 5.0
    grace: float = 60.0
    binaries: Binaries = field(default_factory=Binaries)
    templates: TreeTemplates = field(default_factory=TreeTemplates)


@dataclass(frozen=True, slots=True)
class Line:
    """Something to tell, in one line without the name of a patient.

    Parameters
    ----------
    is_problem : bool
    text : str
    """

    is_problem: bool
    text: str


@dataclass
class _Series:
    """A series that is arriving."""

    description: Mapping[str, str]
    images: int = 0
    last: float = 0.0


class Listener:
    """A receiving service.

    Parameters
    ----------
    request : ListenRequest
    basemount : Basemount
    tell : callable
        Gets a Line for each series that is finished and each problem.
    """

    def __init__(self, request: ListenRequest, basemount: Basemount, tell: Callable[[Line], None]) -> None:
        self._request = request
        self._basemount = basemount
        self._tell = tell
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last_error = ""
        self._arriving: dict[str, _Series] = {}
        self._since = datetime.now(UTC)

    def stop(self) -> None:
        """Take no more associations, finish what runs, pack it, and return from :meth:`run`."""
        self._stopping.set()

    def run(self, on_ready: Callable[[int], None] = lambda _port: None) -> None:
        """Receive until :meth:`stop`.

        Parameters
        ----------
        on_ready : callable
            Gets the port, once peers can connect.

        Raises
        ------
        PortInUse, BinaryMissing, BasemountUnusable, CatalogueDamaged, CatalogueLocked
        """
        request, basemount = self._request, self._basemount
        basemount.prepare()
        observer = Observer(self._association, self._packed, self._problem)
        with Catalogue.open(basemount) as catalogue:
            receiver = Receiver(
                request.port,
                request.admission,
                basemount,
                catalogue,
                request.templates,
                request.binaries,
                observer,
            )
            with _held_state_file(basemount, receiver.port) as state:
                try:
                    on_ready(receiver.port)
                    self._watch(receiver, state)
                finally:
                    receiver.close(request.grace)
                    self._tell_finished(0.0)

    def _watch(self, receiver: Receiver, state: Path) -> None:
        next_state = 0.0
        while not self._stopping.wait(_TICK):
            self._tell_finished(self._request.quiet)
            if time.monotonic() >= next_state:
                with contextlib.suppress(OSError):  # the disk may be full, and receiving goes on
                    _write_state(state, self._state(receiver))
                next_state = time.monotonic() + _STATE_INTERVAL

    def _state(self, receiver: Receiver) -> dict[str, Any]:
        with self._lock:
            return {
                "pid": os.getpid(),
                "port": receiver.port,
                "aet": self._request.admission.ae_title,
                "since": self._since.isoformat(timespec="seconds"),
                "updated": datetime.now(UTC).isoformat(timespec="seconds"),
                "open": receiver.associations,
                "associations": self._counts["associations"],
                "refused": self._counts["refused"],
                "received": self._counts["received"],
                "duplicates": self._counts["duplicates"],
                "waiting": receiver.waiting,
                "failed": self._counts["failed"],
                "lastError": self._last_error,
            }

    def _association(self, association: Association) -> None:
        peer = association.address
        if association.request:
            peer = f"{association.request.calling_ae_title}@{peer}"
        with self._lock:
            self._counts["refused" if association.refusal else "associations"] += 1
        if association.refusal:
            self._say_problem(f"{peer} was refused: {association.refusal}")
        elif association.served and association.served.problems:
            words = "; ".join(f"{text} ({times}x)" for text, times in association.served.problems)
            self._say_problem(f"{peer}, {association.served.images} images: {words}")

    def _packed(self, result: RepackResult) -> None:
        with self._lock:
            self._counts["received"] += result.stored + result.conflicts
            self._counts["duplicates"] += result.duplicates
            self._counts["failed"] += len(result.quarantined) + len(result.failed)
            for one in result.series:
                uid = one.series.get("SeriesInstanceUID", "")
                arriving = self._arriving.setdefault(uid, _Series(one.series))
                arriving.images += sum(one.counts.values())
                arriving.last = time.monotonic()
        for damaged in result.quarantined:
            self._say_problem(f"An image is damaged and in quarantine: {damaged.reason}")
        for failed in result.failed:
            self._say_problem(failed.error.message)

    def _problem(self, error: PypxError) -> None:
        with self._lock:
            self._counts["failed"] += 1
        self._say_problem(f"{error.message}. {error.hint}")

    def _say_problem(self, text: str) -> None:
        with self._lock:
            self._last_error = text
        self._tell(Line(True, text))

    def _tell_finished(self, quiet: float) -> None:
        now = time.monotonic()
        with self._lock:
            finished = {uid: one for uid, one in self._arriving.items() if now - one.last >= quiet}
            for uid in finished:
                del self._arriving[uid]
        for uid, one in finished.items():
            modality = one.description.get("Modality", "")
            self._tell(
                Line(False, f"Series {uid} {modality}: {one.images} images received".replace("  ", " "))
            )


@contextlib.contextmanager
def _held_state_file(basemount: Basemount, port: int) -> Iterator[Path]:
    """The file with the state of the listener on this port, locked for as long as it runs."""
    state = basemount.log / f"listen-{port}.json"
    try:
        lock = os.open(state.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise unusable(error, state) from error
    try:
        yield state
    finally:
        state.unlink(missing_ok=True)
        os.close(lock)


def _write_state(file: Path, state: Mapping[str, Any]) -> None:
    new = file.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(state, written)
    new.replace(file)


def listening(basemount: Basemount, port: int | None = None) -> list[dict[str, Any]]:
    """The state of each px-listen that runs on this BASEMOUNT.

    Parameters
    ----------
    basemount : Basemount
    port : int, optional
        Only of the one on this port.

    Raises
    ------
    ListenerNotRunning
        When none runs, or one hangs.
    """
    pattern = "*" if port is None else str(port)
    states = [
        state for file in sorted(basemount.log.glob(f"listen-{pattern}.json")) if (state := _live(file))
    ]
    where = f"on {basemount.root}" if port is None else f"on port {port} and {basemount.root}"
    if not states:
        raise ListenerNotRunning(f"No px-listen runs {where}")
    for state in states:
        age = datetime.now(UTC) - datetime.fromisoformat(state["updated"])
        if age.total_seconds() > _STALE:
            raise ListenerNotRunning(
                f"px-listen on port {state['port']} has not said anything since {state['updated']}",
                f"Look at process {state['pid']}, end it, and start px-listen again.",
            )
    return states


def _live(file: Path) -> dict[str, Any] | None:
    """The state in this file, if its owner still holds the lock."""
    try:
        lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            state = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) and {"pid", "port", "updated"} <= state.keys() else None
    else:
        return None
    finally:
        os.close(lock)
