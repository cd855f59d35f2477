"""What is done with each series that was received: verbs, once it is complete, until they have succeeded.

The series that they are still owed to stand in a journal in the log directory: a listener that is killed goes
on with them at its next start.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from pypx.actions.do import Done, SeriesDone
from pypx.actions.found import Found, FoundSeries, FoundStudy
from pypx.actions.receiving.line import Line
from pypx.actions.repack import RepackResult
from pypx.backoff import doubled
from pypx.basemount.history import received_since
from pypx.basemount.layout import Basemount
from pypx.basemount.modes import open_file
from pypx.basemount.smdb import Catalogue
from pypx.errors import (
    CatalogueLocked,
    ConnectionLost,
    ConnectionRefused,
    CubeFailed,
    CubeUnreachable,
    DiskFull,
    HostUnknown,
    InternalError,
    NotInStorage,
    ObjectCorrupt,
    PeerTimeout,
    PypxError,
    StorageFailed,
    StorageUnreachable,
)

logger = logging.getLogger(__name__)

#: Does the verbs with series.
Run: TypeAlias = Callable[[Found], Done]

#: What may be gone later, however long that takes.
_PASSING = (
    CatalogueLocked,
    ConnectionLost,
    ConnectionRefused,
    CubeFailed,
    CubeUnreachable,
    DiskFull,
    HostUnknown,
    NotInStorage,
    ObjectCorrupt,
    PeerTimeout,
    StorageFailed,
    StorageUnreachable,
)

#: Seconds before what failed is tried again; doubled each time, up to the longest.
FIRST_PAUSE = 10.0
LONGEST_PAUSE = 600.0

#: Seconds between two writes of the journal when nothing changes. What another tool packs in as many seconds
#: before a listener is killed is taken for received by it.
_JOURNAL_INTERVAL = 10.0

#: Between the time of an event and its being in the catalogue.
_MARGIN = timedelta(seconds=2)


@dataclass(slots=True)
class _Owed:
    """A series that something is still to be done with.

    Parameters
    ----------
    study_uid : str
    version : int
        Grows with every image that arrives.
    due : float or None
        When it is to be done (monotonic clock); None while the series arrives, and where there is no use in
        it before the next start.
    failures : int
        In a row.
    """

    study_uid: str
    version: int = 0
    due: float | None = None
    failures: int = 0


class FollowUp:
    """Does verbs with series as they become complete, in a thread of its own.

    Parameters
    ----------
    run : callable
        Does the verbs.
    basemount : Basemount
    catalogue : Catalogue
    name : str
        Of the journal: one for each listener of a BASEMOUNT.
    tell : callable
        Gets a Line for each series.
    """

    def __init__(
        self,
        run: Run,
        basemount: Basemount,
        catalogue: Catalogue,
        name: str,
        tell: Callable[[Line], None],
    ) -> None:
        self._run = run
        self._log = str(basemount.log)
        self._tell = tell
        self._journal = basemount.log / f"{name}.json"
        self._changing = threading.Condition()
        self._owed = {
            uid: _Owed(study_uid, due=time.monotonic())
            for uid, study_uid in _of_journal(self._journal, catalogue).items()
        }
        self._is_changed, self._written = True, 0.0
        self._is_ending = False
        self._thread = threading.Thread(target=self._work, name="follow-up", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many series verbs are still to be done with."""
        return len(self._owed)

    def take(self, result: RepackResult) -> None:
        """Note which series images came for."""
        with self._changing:
            for one in result.series:
                uid = one.series.get("SeriesInstanceUID", "")
                if uid:
                    owed = self._owed.setdefault(uid, _Owed(one.series.get("StudyInstanceUID", "")))
                    owed.version += 1
                    owed.due = None
                    self._is_changed = True

    def finished(self, series_uids: Iterable[str]) -> None:
        """Have the verbs done with series that are complete."""
        with self._changing:
            for uid in series_uids:
                if owed := self._owed.get(uid):
                    owed.due = time.monotonic()
            self._changing.notify()

    def write_journal(self) -> None:
        """Write down what is owed, where that changed or was written a while ago.

        Raises
        ------
        OSError
        """
        now = time.monotonic()
        with self._changing:
            if not self._is_changed and now - self._written < _JOURNAL_INTERVAL:
                return
            self._is_changed, self._written = False, now
            since = datetime.now(UTC) - _MARGIN
            document = {
                "since": since.isoformat(timespec="seconds"),
                "series": {uid: owed.study_uid for uid, owed in self._owed.items()},
            }
        _write(self._journal, document)

    def close(self, is_impatient: Callable[[], bool]) -> None:
        """Do once more what is due, leave the rest to the next start, and end.

        Parameters
        ----------
        is_impatient : callable
            Whether not even that is waited for.

        Raises
        ------
        OSError
            When what is left cannot be written down.
        """
        with self._changing:
            self._is_ending = True
            self._changing.notify()
        while self._thread.is_alive() and not is_impatient():
            self._thread.join(0.1)
        with self._changing:
            series = {uid: owed.study_uid for uid, owed in self._owed.items()}
        if series:
            _write(self._journal, {"since": None, "series": series})
        else:
            self._journal.unlink(missing_ok=True)

    def _work(self) -> None:
        while True:
            with self._changing:
                due = self._due()
                while not due and not self._is_ending:
                    self._changing.wait(1.0)
                    due = self._due()
                versions = {uid: self._owed[uid].version for uid in due}
                found = _found(due, self._owed, self._log)
            if not due:
                return
            results = self._results(found)
            for uid in due:
                self._settle(uid, versions[uid], results.get(uid, ()))

    def _due(self) -> list[str]:
        now = time.monotonic()
        return [uid for uid, owed in self._owed.items() if owed.due is not None and owed.due <= now]

    def _results(self, found: Found) -> dict[str, tuple[SeriesDone, ...]]:
        """What each verb did with each series."""
        try:
            done = self._run(found)
        except Exception as error:
            # Whatever it is: the listener goes on.
            logger.debug("internal error", exc_info=True)
            internal = InternalError(f"{type(error).__name__}: {error}")
            return {
                series.uid: (SeriesDone(series.uid, {}, internal.message, internal),)
                for series in found.series
            }
        results: dict[str, tuple[SeriesDone, ...]] = {}
        for verb in done.verbs:
            for one in (one for _, of_study in verb.studies for one in of_study):
                results[one.series_uid] = (*results.get(one.series_uid, ()), one)
        return results

    def _settle(self, uid: str, version: int, results: Sequence[SeriesDone]) -> None:
        error = next((one.error for one in results if one.error), None)
        with self._changing:
            owed = self._owed[uid]
            self._is_changed = True
            # Of one that more has come for since, the verbs wait until it is complete again.
            if owed.version == version:
                if error is None:
                    del self._owed[uid]
                elif isinstance(error, _PASSING):
                    owed.due = time.monotonic() + pause_after(owed.failures)
                    owed.failures += 1
                else:
                    owed.due = None
        self._tell(_line(uid, results, error))


def pause_after(failures: int) -> float:
    """Seconds until what failed is tried again.

    Parameters
    ----------
    failures : int
        How often it had failed before.
    """
    return doubled(FIRST_PAUSE, failures, LONGEST_PAUSE)


def _line(uid: str, results: Sequence[SeriesDone], error: PypxError | None) -> Line:
    if error:
        again = "" if isinstance(error, _PASSING) else " at the next start"
        return Line(True, f"Series {uid}: {error.message}; it is tried again{again}. {error.hint}".rstrip())
    return Line(False, f"Series {uid}: {', '.join(' '.join(one.words.split()) for one in results)}")


def _found(uids: Sequence[str], owed: Mapping[str, _Owed], log: str) -> Found:
    """The series as if they had been found, study by study."""
    studies: dict[str, list[str]] = {}
    for uid in uids:
        studies.setdefault(owed[uid].study_uid, []).append(uid)
    return Found(
        tuple(
            FoundStudy(
                {"StudyInstanceUID": study},
                tuple(FoundSeries({"StudyInstanceUID": study, "SeriesInstanceUID": uid}) for uid in of_it),
            )
            for study, of_it in studies.items()
        ),
        arguments={"db": log},
    )


def _of_journal(file: Path, catalogue: Catalogue) -> dict[str, str]:
    """What was owed when the last listener ended, by SeriesInstanceUID its StudyInstanceUID."""
    try:
        document = json.loads(file.read_text("utf-8"))
        series = {str(uid): str(study) for uid, study in document["series"].items()}
        since = datetime.fromisoformat(document["since"]) if document["since"] else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("%s cannot be read (%s): what was owed before is not known", file, error)
        return {}
    # It was killed. What it packed after it wrote this is in the catalogue.
    return series if since is None else series | received_since(catalogue, since)


def _write(file: Path, document: Mapping[str, Any]) -> None:
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = open_file(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        json.dump(document, written)
    unfinished.replace(file)
