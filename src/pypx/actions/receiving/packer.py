"""One thread that takes files as they are complete, and puts them into data/ and the catalogue in batches."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pypx.actions.receiving.arrivals import Arrivals
from pypx.actions.receiving.bell import Bell
from pypx.actions.repack import RepackResult, Source, pack, resume
from pypx.actions.repack.reading import BATCH_FILES
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.errors import BasemountUnusable, InternalError, PypxError

logger = logging.getLogger(__name__)

#: Seconds for which the first file of a batch waits for others, unless as many are there as are written down
#: in one transaction; and how often it is looked. Where many came together and no more come, they go on.
GATHERING = 0.05
_LOOKS = 10
_MANY = 50

#: Seconds between two looks for files of which nothing was heard.
SWEEP_INTERVAL = 60.0

#: Seconds between two looks at whether it is to end.
_TICK = 0.2

#: Seconds to wait after a batch could not be packed: disk full, catalogue locked.
PAUSE_AFTER_FAILURE = 2.0


class Packer:
    """Packs what arrives, until it is drained.

    Parameters
    ----------
    basemount, catalogue, templates
        Where to.
    on_packed : callable
        Gets the result of each batch.
    on_problem : callable
        Gets each error for which a batch has to wait.
    """

    def __init__(
        self,
        basemount: Basemount,
        catalogue: Catalogue,
        templates: TreeTemplates,
        on_packed: Callable[[RepackResult], None],
        on_problem: Callable[[PypxError], None],
    ) -> None:
        self._basemount = basemount
        self._catalogue = catalogue
        self._templates = templates
        self._on_packed = on_packed
        self._on_problem = on_problem
        #: Why the last step failed, if it did.
        self.problem: PypxError | None = None
        #: Why it no longer works at all.
        self.failure: PypxError | None = None
        self._incoming = basemount.claim_incoming("listen")
        try:
            self._arrivals = Arrivals(self._incoming)
        except BaseException:
            self._incoming.release()
            raise
        self._changing = threading.Lock()
        self._stuck: dict[Path, PypxError] = {}
        self._waiting: dict[Path, None] = {}
        self._draining = threading.Event()
        self._bell = Bell()
        self._thread = threading.Thread(target=self._work, name="packer", daemon=True)
        self._thread.start()

    @contextmanager
    def held_directory(self) -> Iterator[tuple[Path, int]]:
        """Where files are to be written, and a descriptor that keeps it ours while somebody has it."""
        with self._changing:
            path, lock = self._incoming.path, os.dup(self._incoming.lock)
        try:
            yield path, lock
        finally:
            os.close(lock)

    @property
    def waiting(self) -> int:
        """How many complete files are not packed yet."""
        return len(self._waiting) + len(self._stuck)

    @property
    def left(self) -> PypxError | None:
        """Why not all that arrived is packed, where it is not."""
        if self._waiting:
            return self.problem
        return next(iter(self._stuck.values()), None)

    def drain(self) -> None:
        """Pack all that has arrived, and end. Nobody may write any more."""
        self._draining.set()
        self._bell.ring()
        self._thread.join()

    def _work(self) -> None:
        try:
            self._pack_until_drained()
        except Exception as error:
            logger.debug("internal error", exc_info=True)
            self.failure = InternalError(f"{type(error).__name__}: {error}")
        finally:
            self._bell.close()
            self._arrivals.close()
            self._incoming.release()

    def _pack_until_drained(self) -> None:
        next_sweep = 0.0
        while not self._draining.is_set():
            if time.monotonic() >= next_sweep:
                self._try(self._resume)
                self._arrivals.missed = True
                next_sweep = time.monotonic() + SWEEP_INTERVAL
            self._hear(_TICK)
            if not self._incoming.is_there:
                self._try(self._start_anew)
            if self._arrivals.missed:
                self._sweep()
            self._pack_waiting()
        self._sweep()
        self._pack_waiting()

    def _hear(self, seconds: float) -> None:
        """Wait for a file, and then a little for those that come right behind it."""
        heard = self._arrivals.wait(0.0 if self._waiting else seconds, self._bell)
        until = time.monotonic() + GATHERING
        while heard and len(self._waiting) + len(heard) < BATCH_FILES and time.monotonic() < until:
            time.sleep(GATHERING / _LOOKS)
            more = self._arrivals.wait(0.0)
            if not more and len(heard) >= _MANY:
                break
            heard += more
        self._waiting.update(dict.fromkeys(heard))

    def _sweep(self) -> None:
        for path in self._arrivals.sweep():
            # What was in the way of one that is stuck may be gone by now.
            self._waiting[path] = None
        self._stuck = {path: error for path, error in self._stuck.items() if path.exists()}

    def _pack_waiting(self) -> None:
        while self._waiting:
            batch = list(islice(self._waiting, BATCH_FILES))
            if not self._try(lambda batch=batch: self._pack(batch)):  # type: ignore[misc]
                return
            for path in batch:
                self._waiting.pop(path, None)

    def _pack(self, batch: list[Path]) -> None:
        # A file that a peer's abort removed again is left out, and is nothing to tell of.
        self._tell(pack(batch, self._basemount, self._catalogue, self._templates, source=Source.TAKE), batch)

    def _resume(self) -> None:
        taken_up = resume(self._basemount, self._catalogue, self._templates)
        if taken_up:
            self._tell(taken_up, ())

    def _tell(self, packed: RepackResult, batch: Collection[Path]) -> None:
        """Tell of what is done, also where it was not all; that is a problem as any other."""
        failed = {one.path: one.error for one in packed.failed}
        new = tuple(one for one in packed.failed if one.path not in self._stuck)
        for path in batch:
            self._stuck.pop(path, None)
        self._stuck.update(failed)
        self._on_packed(replace(packed, failed=new))
        packed.raise_if_stopped()

    def _start_anew(self) -> None:
        """Make the directory again that somebody removed: those who write go on where they were told to."""
        with self._changing:
            self._incoming = self._incoming.claim_again()
        self._arrivals.close()
        self._arrivals = Arrivals(self._incoming)
        self._on_problem(
            BasemountUnusable(
                f"{self._incoming.path} was removed, and is made again",
                "What had arrived there and was not packed yet is lost: find out who removes it.",
            )
        )

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except PypxError as error:
            self.problem = error
        except Exception as error:
            logger.debug("internal error", exc_info=True)
            self.problem = InternalError(f"{type(error).__name__}: {error}")
        else:
            self.problem = None
            return True
        self._on_problem(self.problem)
        self._draining.wait(PAUSE_AFTER_FAILURE)
        return False
