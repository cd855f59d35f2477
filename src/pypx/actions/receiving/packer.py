"""One thread that takes files as they are complete, and puts them into data/ and the catalogue in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pypx.actions.receiving.arrivals import Arrivals
from pypx.actions.repack import RepackResult, Source, pack, resume
from pypx.basemount.incoming import IncomingDirectory
from pypx.basemount.layout import Basemount
from pypx.basemount.smdb import Catalogue
from pypx.basemount.templates import TreeTemplates
from pypx.errors import PypxError

logger = logging.getLogger(__name__)

#: Files in one batch, and seconds for which the first of a batch waits for others.
LARGEST_BATCH = 500
GATHERING = 0.05

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
        self._claim()
        self._waiting: dict[Path, None] = {}
        self._draining = threading.Event()
        self._thread = threading.Thread(target=self._work, name="packer", daemon=True)
        self._thread.start()

    @property
    def incoming(self) -> IncomingDirectory:
        """Where files are to be written at this moment: another directory when the first was removed."""
        return self._incoming

    @property
    def waiting(self) -> int:
        """How many complete files are not packed yet."""
        return len(self._waiting)

    def drain(self) -> None:
        """Pack all that has arrived, and end. Nobody may write any more."""
        self._draining.set()
        self._thread.join()

    def _claim(self) -> None:
        self._incoming = self._basemount.claim_incoming("listen")
        self._arrivals = Arrivals(self._incoming)

    def _work(self) -> None:
        self._try(self._resume)
        next_sweep = time.monotonic() + SWEEP_INTERVAL
        while not self._draining.is_set():
            self._hear(_TICK)
            if self._arrivals.is_gone:
                self._try(self._start_anew)
            if self._arrivals.missed or time.monotonic() >= next_sweep:
                self._waiting.update(dict.fromkeys(self._arrivals.sweep()))
                next_sweep = time.monotonic() + SWEEP_INTERVAL
            self._pack_waiting()
        self._waiting.update(dict.fromkeys(self._arrivals.sweep()))
        self._pack_waiting()
        self._arrivals.close()
        self._incoming.release()

    def _hear(self, seconds: float) -> None:
        """Wait for a file, and then a little for those that come right behind it."""
        wait = 0.0 if self._waiting else seconds
        heard = self._arrivals.wait(wait)
        until = time.monotonic() + GATHERING
        while heard and len(self._waiting) + len(heard) < LARGEST_BATCH and time.monotonic() < until:
            more = self._arrivals.wait(GATHERING / 5)
            heard += more
        self._waiting.update(dict.fromkeys(heard))

    def _pack_waiting(self) -> None:
        while self._waiting:
            batch = list(self._waiting)[:LARGEST_BATCH]
            if not self._try(lambda batch=batch: self._pack(batch)):  # type: ignore[misc]
                return
            for path in batch:
                self._waiting.pop(path, None)

    def _pack(self, batch: list[Path]) -> None:
        # A file that a peer's abort removed again is nothing to tell of.
        there = [path for path in batch if path.exists()]
        if there:
            self._on_packed(
                pack(there, self._basemount, self._catalogue, self._templates, source=Source.TAKE)
            )

    def _resume(self) -> None:
        taken_up = resume(self._basemount, self._catalogue, self._templates)
        if taken_up:
            self._on_packed(taken_up)

    def _start_anew(self) -> None:
        logger.warning("%s was removed; receiving into a new one", self._incoming.path)
        self._arrivals.close()
        self._incoming.release()
        self._claim()

    def _try(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except PypxError as error:
            self._on_problem(error)
            self._draining.wait(PAUSE_AFTER_FAILURE)
            return False
        return True
