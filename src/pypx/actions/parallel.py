"""Pieces of work side by side, each of which runs a program."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from pypx.dcmtk.process import Processes

_Result = TypeVar("_Result")


def side_by_side(
    processes: Processes, jobs: int, work: Sequence[Callable[[], _Result]]
) -> Generator[_Result, None, None]:
    """Do pieces of work in a few threads, and hand over each result as it is there.

    Whoever may stop before the last result closes this (:func:`contextlib.closing`): then no thread is left.

    Parameters
    ----------
    processes : Processes
        In which the work runs its programs. They are ended when one piece fails, or whoever takes the results
        stops: the threads wait for their programs, and would hold everything up.
    jobs : int
        How many at a time.
    work : sequence of callable
    """
    futures: list[Future[_Result]] = []
    with ThreadPoolExecutor(max(1, min(jobs, len(work)))) as pool:
        try:
            futures += [pool.submit(piece) for piece in work]
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            processes.end()
            pool.shutdown(cancel_futures=True)
            raise
