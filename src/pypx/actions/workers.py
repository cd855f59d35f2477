"""Threads that work for as long as somebody wants their results, and keep nobody waiting afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

_Result = TypeVar("_Result")


class Workers:
    """A few threads; a context manager.

    Leaving it with an error lets them go as they are: what they are at is given up when the process ends, and
    nothing that has not begun begins.

    Parameters
    ----------
    count : int
        How many work at a time.
    """

    def __init__(self, count: int) -> None:
        self._waiting: SimpleQueue[tuple[Future[object], Callable[[], object]] | None] = SimpleQueue()
        # An interrupted program must not wait for a network: threads of concurrent.futures would make it.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(max(1, count))]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have a piece of work done; its result is in the future."""
        future: Future[_Result] = Future()
        self._waiting.put((future, work))  # type: ignore[arg-type]  # each future gets the result of its work
        return future

    def _work(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            future, work = waiting
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  (whoever waits for the future gets it)
                future.set_exception(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while kind is not None:
            try:
                waiting = self._waiting.get_nowait()
            except Empty:
                break
            if waiting:
                waiting[0].cancel()
        for _ in self._threads:
            self._waiting.put(None)
        if kind is None:
            for thread in self._threads:
                thread.join()
