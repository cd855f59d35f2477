"""px-status."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.options import basemount_of, catalogue_options, json_option, uids_of
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from pypx.actions.found import Found
    from pypx.actions.status import Status

logger = logging.getLogger("pypx.status")

EXAMPLES = """
px-status --StudyInstanceUID 1.2.840.113619.2.1
px-status --SeriesInstanceUID 1.2.840.113619.2.1.7 --db /data/dicom/log
px-find … --PatientID 7654321 | px-status
px-find … --PatientID 7654321 | px-status --watch
px-find … --PatientID 7654321 | px-status | jq '.data[] | select(.packed != .requested)'
"""


#: Columns of the table, whatever is known.
_ALWAYS_SHOWN = ("requested", "received", "packed")

#: The longest word of a state.
_STATE_WIDTH = len("incomplete,")


@click.command("px-status", cls=edge.Tool, examples=EXAMPLES, goes_on=False)
@click.option("--StudyInstanceUID", "StudyInstanceUID", metavar="UID,…", help="All series of these studies.")
@click.option("--SeriesInstanceUID", "SeriesInstanceUID", metavar="UID,…", help="These series.")
@click.option(
    "--verifySeriesInStudy",
    "verifySeriesInStudy",
    is_flag=True,
    help="Fail where a series is not of the study that is named, or that it was found in.",
)
@click.option("--watch", "watch", is_flag=True, help="Follow until all is here, or Ctrl-C.")
@catalogue_options
@json_option
def command(verbosity: int | None, json: bool, watch: bool, **options: Any) -> int:
    """Tell how far series are: requested, received, packed, pushed, registered.

    Without a UID, the JSON of px-find is read on standard input. Counts that nobody recorded are "unknown".
    With --watch, the table follows what happens; where a program reads, the JSON comes once all is here.
    """
    terminal.show_log("px-status", verbosity)
    as_json = edge.output_is_json(json)
    with _asking(options, SHELL, awaiting=watch) as ask:
        if not watch:
            status = ask()
        elif as_json:
            status = _last(ask)
        else:
            status = _shown_until_complete(ask)

    def show(result: Status) -> None:
        if not watch or not result.series:
            show_status(result)

    return edge.finish("px-status", status, show, json=json)


def run(options: Mapping[str, Any], surroundings: Surroundings) -> Status:
    """The status of what the options name, or of what was found before."""
    with _asking(options, surroundings, awaiting=False) as ask:
        return ask()


@contextmanager
def _asking(
    options: Mapping[str, Any], surroundings: Surroundings, awaiting: bool
) -> Iterator[Callable[[], Status]]:
    """What gives the status of what the options ask for, as often as it is called."""
    studies, series = uids_of(options, "StudyInstanceUID"), uids_of(options, "SeriesInstanceUID")
    verify = bool(options["verifySeriesInStudy"])
    if verify and series and not studies:
        raise UsageError(
            "--verifySeriesInStudy compares series with a study",
            "Give --StudyInstanceUID, too; or pipe px-find into px-status.",
        )
    from pypx.actions.status import status_of_found, status_of_series, status_of_studies
    from pypx.basemount.smdb import Catalogue

    founds = [] if studies or series else _founds(surroundings)
    inherited = founds[0].arguments if founds else None
    with Catalogue.open(basemount_of(options, inherited)) as catalogue:

        def ask() -> Status:
            if founds:
                return status_of_found(catalogue, founds, verify=verify)
            if series:
                in_studies = studies if verify else ()
                return status_of_series(catalogue, series, in_studies, awaiting=awaiting)
            return status_of_studies(catalogue, studies, awaiting=awaiting, verify=verify)

        yield ask


def _last(ask: Callable[[], Status]) -> Status:
    """The status once all is here."""
    from collections import deque

    from pypx.actions.status import follow

    return deque(follow(_telling(ask)), maxlen=1).pop()


def _shown_until_complete(ask: Callable[[], Status]) -> Status:
    """Show the table, and what changes in it, until all is here."""
    from rich.live import Live

    from pypx.actions.status import follow

    with Live(auto_refresh=False) as live:
        for status in follow(_telling(ask)):
            live.update(_table(status), refresh=True)
    return status


def _telling(ask: Callable[[], Status]) -> Callable[[], Status]:
    """Say once why there may be no end."""
    told = False

    def asked() -> Status:
        nonlocal told
        status = ask()
        if status.without_end and not told:
            told = True
            logger.warning(
                "Nobody knows how many images %d of the series will have: Ctrl-C ends this",
                status.without_end,
            )
        return status

    return asked


def _founds(surroundings: Surroundings) -> list[Found]:
    return surroundings.founds(
        "The status of what?",
        "Give --StudyInstanceUID or --SeriesInstanceUID, or pipe px-find into px-status.",
    )


def show_status(status: Status) -> None:
    """A table for a person."""
    if not status.series:
        sys.stderr.write("No series.\n")
        return
    from rich.console import Console

    Console().print(_table(status))


def _table(status: Status) -> Table:
    """A row for each series; counts that nobody recorded of any series have no column."""
    from itertools import groupby

    from rich.table import Table
    from rich.text import Text

    from pypx.actions.status import UNKNOWN, counts, state
    from pypx.printable import printable

    known = [counts(record) for record in status.series]
    names = [
        name
        for name in ("requested", "received", "packed", "pushed", "registered")
        if name in _ALWAYS_SHOWN or any(of_one[name] is not None for of_one in known)
    ]
    # One space between columns: with all counts, 80 columns have no room for more.
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("Series", overflow="fold", min_width=12)
    table.add_column("Mod.", no_wrap=True)
    for name in names:
        table.add_column(name.capitalize(), justify="right", no_wrap=True)
    table.add_column("State", overflow="fold", min_width=_STATE_WIDTH)
    for _, of_study in groupby(status.series, lambda record: record.study_uid):
        if table.row_count:
            table.add_row()
        for record in of_study:
            numbers = (counts(record)[name] for name in names)
            cells = (
                record.description or record.series_uid or record.study_uid,
                record.modality,
                *(UNKNOWN if count is None else str(count) for count in numbers),
                state(record),
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
