"""px-status."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.options import basemount_of, catalogue_options
from pypx.errors import UsageError

if TYPE_CHECKING:
    from pypx.actions.status import Status

EXAMPLES = """
px-status --StudyInstanceUID 1.2.840.113619.2.1
px-status --SeriesInstanceUID 1.2.840.113619.2.1.7 --db /data/dicom/log
px-find … --PatientID 7654321 | px-status
px-find … --PatientID 7654321 | px-status | jq '.data[] | select(.state != "complete")'
"""


#: Columns of the table, whatever is known.
_ALWAYS_SHOWN = ("requested", "received", "packed")


@click.command("px-status", cls=edge.Tool, examples=EXAMPLES)
@click.option("--StudyInstanceUID", "StudyInstanceUID", metavar="UID,…", help="All series of these studies.")
@click.option("--SeriesInstanceUID", "SeriesInstanceUID", metavar="UID,…", help="These series.")
@click.option(
    "--verifySeriesInStudy",
    "verifySeriesInStudy",
    is_flag=True,
    help="Fail where the series is not of the study.",
)
@catalogue_options
@click.option("--json", "json", is_flag=True, help="Answer in JSON, at a terminal too.")
def command(verbosity: int | None, json: bool, **options: Any) -> None:
    """Tell how far series are: requested, received, packed, pushed, registered.

    Without a UID, the JSON of px-find is read on standard input. Counts that nobody recorded are "unknown".
    """
    terminal.show_log("px-status", verbosity)
    status = _status(options)
    if edge.output_is_json(json):
        edge.write_json(status.to_json())
    elif not status.series:
        sys.stderr.write("No series.\n")
    else:
        show_status(status)


def _status(options: Mapping[str, Any]) -> Status:
    studies, series = _uids(options["StudyInstanceUID"]), _uids(options["SeriesInstanceUID"])
    if options["verifySeriesInStudy"] and not (len(studies) == 1 and series):
        raise UsageError(
            "--verifySeriesInStudy compares series with one study",
            "Give --SeriesInstanceUID and one --StudyInstanceUID.",
        )
    from pypx.actions.status import status_of_found, status_of_series, status_of_studies
    from pypx.basemount.smdb import Catalogue

    if not studies and not series:
        founds = _founds()
        with Catalogue.open(basemount_of(options, founds[0].arguments)) as catalogue:
            return status_of_found(catalogue, founds)
    with Catalogue.open(basemount_of(options)) as catalogue:
        if series:
            return status_of_series(
                catalogue, series, in_study=studies[0] if options["verifySeriesInStudy"] else None
            )
        return status_of_studies(catalogue, studies)


def _uids(text: str | None) -> list[str]:
    parts = (part.strip() for part in (text or "").replace("\\", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))


def _founds() -> list[Any]:
    from pypx.actions.found import from_json, read_documents

    if sys.stdin.isatty():
        raise UsageError(
            "The status of what?",
            "Give --StudyInstanceUID or --SeriesInstanceUID, or pipe px-find into px-status.",
        )
    return [from_json(document) for document in read_documents(sys.stdin.read())]


def show_status(status: Status) -> None:
    """A table for a person; counts that nobody recorded of any series have no column."""
    from itertools import groupby

    from rich import box
    from rich.console import Console
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
    table = Table(box=box.SIMPLE, header_style="bold")
    table.add_column("Series", overflow="fold", min_width=12)
    table.add_column("Mod.", no_wrap=True)
    for name in names:
        table.add_column(name.capitalize(), justify="right", no_wrap=True)
    table.add_column("State", overflow="fold")
    for _, of_study in groupby(status.series, lambda record: record.study_uid):
        for record in of_study:
            numbers = (counts(record)[name] for name in names)
            cells = (
                record.description or record.series_uid,
                record.modality,
                *(UNKNOWN if count is None else str(count) for count in numbers),
                state(record),
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
        table.add_section()
    Console().print(table)


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
