"""CUBE is asked: once a series, or once a file, side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from pypx.actions.progress import Progress, Step
from pypx.actions.register.result import Verdict
from pypx.actions.register.seeing import Seen, see
from pypx.actions.register.wanted import EXTENSION, Wanted
from pypx.actions.workers import Workers
from pypx.cube.api import Cube, Interface
from pypx.cube.fields import (
    LONGEST_FILE_PATH,
    LONGEST_SERIES_PATH,
    Fields,
    check_path,
    fields_of,
    pacs_name_of,
)
from pypx.errors import (
    CubeAnswer,
    CubeFailed,
    CubeRefused,
    CubeUnreachable,
    Interrupted,
    PypxError,
    RegistrationRejected,
    StorageRefused,
    StorageUnreachable,
)
from pypx.storage.interface import Storage

#: Failures of whoever is asked, which the next series would meet, too.
_OF_ALL = (CubeUnreachable, CubeRefused, CubeAnswer, StorageUnreachable, StorageRefused)

#: So many requests in a row on which CUBE failed after all retries are no accident.
_MOST_FAILURES = 3

#: Gives the storage that a series is in; None where it cannot be seen.
StorageOf: TypeAlias = Callable[[Wanted], Storage | None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What CUBE will be told of a series."""

    wanted: Wanted
    seen: Seen
    fields: Fields
    pacs_name: str

    def verdict(self, registered: int, new: int, error: PypxError | None = None, note: str = "") -> Verdict:
        return Verdict(
            self.wanted,
            files=self.seen.count,
            registered=registered,
            new=new,
            size=self.seen.size,
            notes=(*self.fields.notes, *([note] if note else [])),
            error=error,
        )


class Registrar:
    """Registers series with one CUBE; several threads may use it at once.

    Parameters
    ----------
    cube : Cube
    storage_of : callable
    files : Workers
        Which register the files, where CUBE is asked once a file.
    progress : callable
        Told of series that are done, or of files.
    all_wanted : sequence of Wanted
        What there is to do, for the progress.
    """

    def __init__(
        self,
        cube: Cube,
        storage_of: StorageOf,
        files: Workers,
        progress: Progress,
        all_wanted: Sequence[Wanted],
    ) -> None:
        self._cube = cube
        self._storage_of = storage_of
        self._files = files
        self._progress = progress
        self._by_folder = cube.interface is Interface.SERIES
        self._lock = threading.Lock()
        self._failures = 0
        self._end: PypxError | None = None
        self._done = 0
        self._total = sum(self._steps(wanted) for wanted in all_wanted)
        progress(Step("Registering", 0, self._total))

    def register(self, wanted: Wanted) -> Verdict:
        """Register one series; what goes wrong is in the verdict."""
        if wanted.error:
            return Verdict(wanted, error=wanted.error)
        try:
            plan = self._plan(wanted)
            verdict = self._register_folder(plan) if self._by_folder else self._register_files(plan)
        except Interrupted:
            raise
        except PypxError as error:
            self._consider(error)
            verdict = Verdict(wanted, files=len(wanted.names), error=error)
        if self._by_folder:
            self._count()
        return verdict

    def _plan(self, wanted: Wanted) -> _Plan:
        """See that CUBE would take it, and that it is there."""
        pacs_name = pacs_name_of(wanted.folder)
        fields = fields_of(wanted.values)
        paths = [wanted.folder] if self._by_folder else wanted.names
        for path in paths:
            check_path(path, LONGEST_SERIES_PATH if self._by_folder else LONGEST_FILE_PATH)
        self._go_on()
        seen = see(wanted, self._storage_of(wanted), by_folder=self._by_folder)
        return _Plan(wanted, seen, fields, pacs_name)

    def _register_folder(self, plan: _Plan) -> Verdict:
        count = plan.seen.count
        try:
            self._ask(plan, plan.wanted.folder, {"ndicom": count})
        except RegistrationRejected as rejected:
            folder = self._cube.series_folder(plan.wanted.series_uid, plan.pacs_name)
            if folder is None:
                return plan.verdict(0, 0, rejected)
            return self._known_folder(plan, folder or plan.wanted.folder)
        return plan.verdict(count, count)

    def _known_folder(self, plan: _Plan, folder: str) -> Verdict:
        """A series that is registered already, with the files that there were at that time."""
        count = plan.seen.count
        try:
            known = sum(1 for name in self._cube.files_below(folder) if name.endswith(EXTENSION))
        except CubeAnswer:
            return plan.verdict(count, 0, note="whether all of its files are registered could not be checked")
        if known >= count:
            return plan.verdict(count, 0)
        error = RegistrationRejected(
            f"CUBE has the series {plan.wanted.series_uid} with {known} of its {count} files",
            "CUBE adds nothing to what is registered: delete the series there, then register it again.",
        )
        return plan.verdict(known, 0, error)

    def _register_files(self, plan: _Plan) -> Verdict:
        names = frozenset(plan.seen.names)
        known = self._cube.files(plan.wanted.series_uid) & names
        self._count(len(known))
        asked: dict[str, Future[PypxError | None]] = {
            name: self._files.submit(partial(self._register_file, plan, name))
            for name in plan.seen.names
            if name not in known
        }
        failed = {name: error for name, future in asked.items() if (error := future.result())}
        new = len(asked) - len(failed)
        if any(isinstance(error, RegistrationRejected) for error in failed.values()):
            # Somebody else, or a request of ours whose answer got lost, may have been faster.
            known |= self._cube.files(plan.wanted.series_uid) & failed.keys()
            failed = {name: error for name, error in failed.items() if name not in known}
        return plan.verdict(len(known) + new, new, next(iter(failed.values()), None))

    def _register_file(self, plan: _Plan, name: str) -> PypxError | None:
        try:
            self._ask(plan, name, {})
        except Interrupted:
            raise
        except PypxError as error:
            self._consider(error)
            return error
        finally:
            self._count()
        return None

    def _ask(self, plan: _Plan, path: str, more: dict[str, int]) -> None:
        self._go_on()
        self._cube.register({**plan.fields.values, "pacs_name": plan.pacs_name, "path": path, **more})
        with self._lock:
            self._failures = 0

    def _go_on(self) -> None:
        """Unless somebody has found out that it has no sense."""
        if self._end:
            raise self._end

    def _consider(self, error: PypxError) -> None:
        with self._lock:
            self._failures += isinstance(error, CubeFailed)
            if isinstance(error, _OF_ALL) or self._failures >= _MOST_FAILURES:
                self._end = self._end or error

    def _steps(self, wanted: Wanted) -> int:
        return 1 if self._by_folder else max(1, len(wanted.names), wanted.at_least)

    def _count(self, done: int = 1) -> None:
        with self._lock:
            self._done += done
            self._progress(Step("Registering", self._done, max(self._total, self._done)))
