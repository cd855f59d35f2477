"""px-find."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.auditing import audited, node_named
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    jobs_option,
    json_option,
    timeout_option,
)
from pypx.cli.pacs import binaries_of, binary_options, node_of, pacs_options
from pypx.cli.presentation import Presentation
from pypx.cli.query import matching_of, query_options, returning_of
from pypx.cli.surroundings import Surroundings
from pypx.cli.verbs import (
    Chain,
    ShowingProgress,
    ShowingReport,
    chain_of,
    move_option,
    then_options,
    told_with_verbs,
)
from pypx.errors import UsageError

if TYPE_CHECKING:
    from pypx.actions.found import Found

EXAMPLES = """
px-find pacs.example.org:ORTHANC:4242 --PatientID 7654321
px-find pacs.example.org:ORTHANC:4242 --PatientName 'M*ller^*' --StudyDate last-7-days
px-find … --PatientID 7654321 --Modality MR | px-report
px-find … --PatientID 7654321 | px-move --get
px-find … --PatientID 7654321 --then retrieve,status --withFeedBack
px-find … --PatientID 7654321 --then retrieve,push,register --swift local --CUBE local
px-find … --PatientID 7654321 --json | jq -r '.data[].StudyInstanceUID.value'
"""


def _goes_on(options: Mapping[str, Any]) -> bool:
    """A find begins anew; what has been retrieved, pushed or registered is not done again."""
    return any(verb in (options.get("then") or "") for verb in ("retrieve", "push", "register"))


@click.command("px-find", cls=edge.Tool, examples=EXAMPLES, goes_on=_goes_on)
@pacs_options
@query_options
@click.option("--StudyOnly", "StudyOnly", is_flag=True, help="Do not ask for the series of the studies.")
@click.option(
    "--QueryReturnTags", "QueryReturnTags", metavar="A,B", help="Attributes to ask for beside the usual ones."
)
@click.option(
    "--limit", "limit", type=click.IntRange(1, 1_000_000), metavar="N", help="Stop after so many studies."
)
@jobs_option("Associations side by side for the series of many studies.", default=2, most=32)
@timeout_option("Seconds without an answer after which the PACS is taken as hung.", default=120.0)
@binary_options("findscu", "getscu", "movescu", "echoscu", "storescp")
@catalogue_options
@data_options
@then_options
@move_option()
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Ask a PACS what it has: studies, and the series of each (C-FIND).

    At a terminal the answer is a report; piped, or with --json, it is JSON for the other tools. With --then,
    the series found are retrieved, pushed, registered and so on, without another command.
    """
    import_pydicom()
    terminal.show_log("px-find", verbosity)
    as_json = edge.output_is_json(json)
    # Feedback is of verbs: without any, there would be nothing to see.
    with_feedback = options["withFeedBack"] and bool(options["then"])
    presentation = Presentation("px-find", as_json, with_feedback)
    chain = _chain(options, presentation.progress, presentation.report)
    found = _find(options, presentation.progress)
    if not as_json and not found.error and not found.studies:
        sys.stderr.write("No study matches.\n")
    return presentation.finish(found, chain, wait=options["waitForUserTerminate"])


def run(options: Mapping[str, Any], surroundings: Surroundings) -> Found:
    """Ask the PACS that the options name, and do the verbs of ``--then``."""
    chain = _chain(options, surroundings.progress)
    return chain.over(_find(options, surroundings.progress))[0]


def _chain(
    options: Mapping[str, Any], progress: ShowingProgress, show_report: ShowingReport | None = None
) -> Chain:
    chain = chain_of(options, options, progress, show_report)
    if chain.verbs and options["StudyOnly"]:
        raise UsageError("--StudyOnly finds no series for --then to work on", "Leave one of them out.")
    return chain


def _find(options: Mapping[str, Any], showing: ShowingProgress) -> Found:
    from pypx.actions.find import FindRequest, find

    request = FindRequest(
        node=node_of(options),
        matching=matching_of(options),
        returning=returning_of(options),
        study_only=options["StudyOnly"],
        limit=options["limit"],
        jobs=options["jobs"],
        timeout=options["timeout"],
        binaries=binaries_of(options),
        arguments=told_with_verbs(options),
    )
    audit = audited(basemount_of(options), "find", source=node_named(request.node), keys=request.matching)
    with showing() as progress, audit as doing:
        result = find(request, progress)
        doing.found(result)
    return result


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
