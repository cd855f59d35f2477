"""The progress bar: on stderr, and only where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pypx.actions.progress import Progress, Step, ignore_progress
from pypx.printable import printable

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task, TaskID

_LONGEST = 24


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show steps of work for as long as the ``with`` block lasts; notes on stderr stand above the bar.

    Examples
    --------
    >>> with progress_bar() as progress:
    ...     progress(Step("Reading", 1, 2))
    """
    if not sys.stderr.isatty():
        yield ignore_progress
        return
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(*_columns(), console=Console(stderr=True), redirect_stdout=False) as bars:
        tasks: dict[tuple[str, str], TaskID] = {}

        def show(step: Step) -> None:
            key = (step.what, step.part)
            if step.is_over:
                if key in tasks:
                    bars.remove_task(tasks.pop(key))
                return
            if key not in tasks:
                indent = "  " if step.part else ""
                tasks[key] = bars.add_task(indent + _short(printable(step.what)), total=step.total)
            bars.update(tasks[key], completed=step.done, total=step.total, size=step.size)

        yield show
        for task in bars.tasks:
            # Nobody knew how many there were until there were no more.
            bars.update(task.id, total=task.completed if task.total is None else task.total)


def _short(text: str) -> str:
    """A text that leaves room for the rest of a line of 80 columns."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _columns() -> Iterator[ProgressColumn]:
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Size(ProgressColumn):
        """Bytes so far and the rate, where bytes are counted."""

        def render(self, task: Task) -> Text:
            size = task.fields.get("size")
            if not size:
                return Text("")
            rate = f" {decimal(round(size / task.elapsed))}/s" if task.elapsed else ""
            return Text(decimal(size) + rate)

    yield TextColumn("{task.description}", markup=False)
    yield BarColumn(bar_width=None)
    yield MofNCompleteColumn()
    yield Size()
    yield TimeRemainingColumn(elapsed_when_finished=True)
