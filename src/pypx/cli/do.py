"""px-do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.imports import import_pydicom
from pypx.cli.options import catalogue_options, data_options, json_option
from pypx.cli.pacs import PACS_OPTIONS, PACS_WHOLE, binary_options, pacs_options
from pypx.cli.presentation import Presentation
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.cli.verbs import THEN, chain_of, move_option, then_options, told_with_verbs
from pypx.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from pypx.actions.found import Found

EXAMPLES = """
px-find … --PatientID 7654321 | px-do --then retrieve,status
px-find … --PatientID 7654321 > found.json; px-do --reportDataFile found.json --then retrieve,status
px-do --reportDataFile found.json --then retrieve,push,register --swift local --CUBE local --withFeedBack
px-do --reportDataFile found.json --then retrieve,push --thenArgs '{"jobs": 4};{"swift": "local"}'
"""

_INPUT = ("reportData", "reportDataFile")


@click.command("px-do", cls=edge.Tool, examples=EXAMPLES)
@pacs_options
@click.option(
    "--reportData",
    "reportData",
    metavar="JSON",
    help="The JSON of px-find, in place of standard input.",
)
@click.option(
    "--reportDataFile",
    "reportDataFile",
    metavar="FILE",
    help="A file with the JSON of px-find, in place of standard input.",
)
@then_options
@move_option(hidden=True)
@binary_options("findscu", "getscu", "movescu", "echoscu", "storescp")
@catalogue_options
@data_options
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Do with what px-find found what its --then would do: retrieve, status, report, push, register.

    The JSON of px-find is read on standard input. PACS, catalogue, storage and CUBE are those that px-find
    was given, unless options here say otherwise. The answer is that JSON with what was done to each series;
    the exit status is 0 only when all was done.
    """
    import_pydicom()
    terminal.show_log("px-do", verbosity)
    presentation = Presentation("px-do", edge.output_is_json(json), options["withFeedBack"])
    found = _found(options, SHELL)
    chain = chain_of(options, found.arguments, presentation.progress, presentation.report)
    return presentation.finish(found, chain, wait=options["waitForUserTerminate"])


def run(options: Mapping[str, Any], surroundings: Surroundings) -> Found:
    """Do the verbs with what was found before."""
    found = _found(options, surroundings)
    return chain_of(options, found.arguments, surroundings.progress).over(found)[0]


def _found(options: Mapping[str, Any], surroundings: Surroundings) -> Found:
    """What was found before, as if it had been found with the options given now."""
    if not options["then"]:
        raise UsageError("What shall be done?", "Give --then retrieve, or several verbs with commas between.")
    text, file = (options[name] for name in _INPUT)
    if text and file:
        raise UsageError("--reportData and --reportDataFile are two inputs", "Give one of them.")
    founds = surroundings.reading(text, file).founds(
        "With what shall it be done?",
        "Pipe px-find into px-do, or name a file with the JSON of px-find with --reportDataFile.",
    )
    if len(founds) > 1:
        raise InvalidInput("These are several finds", "Give them to px-do one by one.")
    found = founds[0]
    if found.studies_alone:
        raise UsageError(
            "These studies were found with --StudyOnly, without series to work on", "Run px-find without it."
        )
    old = set(THEN)
    if any(options[name] for name in PACS_WHOLE):
        # Another PACS: nothing of what was said of the first one holds.
        old |= set(PACS_OPTIONS)
    arguments = {name: value for name, value in found.arguments.items() if name not in old}
    given = {name: value for name, value in told_with_verbs(options).items() if name not in _INPUT}
    return replace(found, arguments=arguments | given)


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
