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
        tasks: dict[str, TaskID] = {}

        def show(step: Step) -> None:
            if step.what not in tasks:
                tasks[step.what] = bars.add_task(printable(step.what), total=step.total)
            task = tasks[step.what]
            bars.update(task, completed=step.done, total=step.total, size=step.size)

        yield show
        for task in bars.tasks:
            # Nobody knew how many there were until there were no more.
            bars.update(task.id, total=task.completed if task.total is None else task.total)


def _columns() -> Iterator[ProgressColumn]:
    from rich.filesize import decimal
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.text import Text

    class Size(TextColumn):
        """Bytes so far, where bytes are counted."""

        def render(self, task: Task) -> Text:
            size = task.fields.get("size")
            return Text(decimal(size) if size else "")

    yield TextColumn("{task.description}", markup=False)
    yield BarColumn()
    yield MofNCompleteColumn()
    yield Size("")
    yield TimeElapsedColumn()
