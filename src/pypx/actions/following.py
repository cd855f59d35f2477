"""How far a retrieve is: all of it, and each of its transfers."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from pypx.actions.plan import Request
from pypx.actions.progress import Progress, Step

#: Characters by which a series is named that has no description.
_LAST = 12


@dataclass
class _Sum:
    images: int = 0
    size: int = 0


class Following:
    """Adds up what arrives, and tells of it; may be called from several threads.

    Parameters
    ----------
    words : str
        What is done, for people.
    asked : sequence of Request
    progress : callable
    """

    def __init__(self, words: str, asked: Sequence[Request], progress: Progress) -> None:
        counts = [request.expected for request in asked]
        self._total = None if None in counts else sum(count for count in counts if count is not None)
        self._words = words
        self._progress = progress
        self._lock = threading.Lock()
        self._all = _Sum()
        self._of: dict[int, _Sum] = {}
        self._over: set[int] = set()
        self._progress(Step(words, 0, self._total))

    def arrived(self, request: Request, images: int, size: int) -> None:
        """Note what is new of a request."""
        with self._lock:
            of_request = self._of.setdefault(id(request), _Sum())
            for one in (self._all, of_request):
                one.images += images
                one.size += size
            self._progress(Step(self._words, self._all.images, self._total, self._all.size))
            # What arrives after the answer is of no transfer that runs.
            if id(request) not in self._over:
                self._progress(self._step(request, of_request))

    def ended(self, request: Request) -> None:
        """Note that a request is answered."""
        with self._lock:
            self._over.add(id(request))
            self._progress(self._step(request, self._of.pop(id(request), _Sum()), is_over=True))

    def _step(self, request: Request, of_request: _Sum, is_over: bool = False) -> Step:
        first = request.series[0]
        # UIDs of one maker begin alike.
        words = first.description or f"…{first.series_uid[-_LAST:]}"
        if more := len(request.series) - 1:
            words = f"{words} + {more} series"
        images, total = of_request.images, request.expected
        return Step(words, images, total, of_request.size, f"{id(request)}", is_over)
