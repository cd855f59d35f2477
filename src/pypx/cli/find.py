"""px-find."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.imports import import_pydicom
from pypx.cli.options import catalogue_options
from pypx.cli.pacs import binaries_of, binary_options, node_of, pacs_options
from pypx.cli.query import matching_of, query_options, returning_of
from pypx.cli.types import Seconds

EXAMPLES = """
px-find pacs.example.org:ORTHANC:4242 --PatientID 7654321
px-find pacs.example.org:ORTHANC:4242 --PatientName 'M*ller^*' --StudyDate last-7-days
px-find … --PatientID 7654321 --Modality MR | px-report
px-find … --PatientID 7654321 | px-move --get
px-find … --PatientID 7654321 --json | jq -r '.data[].StudyInstanceUID.value'
"""


@click.command("px-find", cls=edge.Tool, examples=EXAMPLES, goes_on=False)
@pacs_options
@query_options
@click.option("--StudyOnly", "StudyOnly", is_flag=True, help="Do not ask for the series of the studies.")
@click.option(
    "--QueryReturnTags", "QueryReturnTags", metavar="A,B", help="Attributes to ask for beside the usual ones."
)
@click.option(
    "--limit", "limit", type=click.IntRange(1, 1_000_000), metavar="N", help="Stop after so many studies."
)
@click.option(
    "--jobs",
    "jobs",
    type=click.IntRange(1, 32),
    default=2,
    show_default=True,
    metavar="N",
    help="Associations side by side for the series of many studies.",
)
@click.option(
    "--timeout",
    "timeout",
    type=Seconds(),
    default=120.0,
    show_default=True,
    metavar="S",
    help="Seconds without an answer after which the PACS is taken as hung.",
)
@binary_options("findscu")
@catalogue_options
@click.option("--json", "json", is_flag=True, help="Answer in JSON, at a terminal too.")
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Ask a PACS what it has: studies, and the series of each (C-FIND).

    At a terminal the answer is a report; piped, or with --json, it is JSON for the other tools.
    """
    import_pydicom()
    from pypx.actions.find import FindRequest, find
    from pypx.actions.found import json_pieces
    from pypx.cli.progress import progress_bar

    terminal.show_log("px-find", verbosity)
    request = FindRequest(
        node=node_of(options),
        matching=matching_of(options),
        returning=returning_of(options),
        study_only=options["StudyOnly"],
        limit=options["limit"],
        jobs=options["jobs"],
        timeout=options["timeout"],
        binaries=binaries_of(options),
        arguments={name: value for name, value in options.items() if value not in (None, "", False, ())},
    )
    with progress_bar() as progress:
        found = find(request, progress)
    as_json = edge.output_is_json(json)
    edge.write_json_pieces(lambda indent: json_pieces(found, indent), shown=as_json)
    if not as_json and found.studies:
        from pypx.cli.report import show_report

        show_report([found])
    elif not as_json and not found.error:
        sys.stderr.write("No study matches.\n")
    if found.error:
        terminal.say("px-find", f"{found.error.message}. {found.error.hint}")
    return 1 if found.error else 0


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
