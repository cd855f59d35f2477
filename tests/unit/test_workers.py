"""Threads that work for as long as somebody wants their results."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import pytest

from pypx.actions.workers import Workers


def test_results_come_from_several_threads() -> None:
    barrier = threading.Barrier(3, timeout=60)
    with Workers(3) as workers:
        futures = [workers.submit(lambda number=number: (barrier.wait(), number)[1]) for number in range(3)]
        assert [future.result(60) for future in futures] == [0, 1, 2]


def test_an_error_reaches_whoever_waits_and_the_thread_goes_on() -> None:
    def fail() -> None:
        raise ValueError("no")

    with Workers(1) as workers:
        failed, fine = workers.submit(fail), workers.submit(lambda: 7)
        assert fine.result(60) == 7
        with pytest.raises(ValueError, match="no"):
            failed.result(60)


def test_at_the_end_all_is_done() -> None:
    done = []
    with Workers(2) as workers:
        for number in range(20):
            workers.submit(lambda number=number: done.append(number))
    assert sorted(done) == list(range(20))


def test_after_an_error_nothing_more_begins_and_nobody_waits() -> None:
    release = threading.Event()
    begun = []

    def work() -> None:
        begun.append(1)
        release.wait(30)

    started = time.monotonic()
    futures = []
    with pytest.raises(KeyboardInterrupt), Workers(1) as workers:  # noqa: PT012
        futures = [workers.submit(work) for _ in range(5)]
        while not begun:
            time.sleep(0.001)
        raise KeyboardInterrupt
    assert time.monotonic() - started < 25
    release.set()
    futures[0].result(60)
    for future in futures[1:]:
        with pytest.raises(CancelledError):
            future.result(60)
    assert begun == [1]
