"""px-smdb."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    files_options,
    former_options,
    json_option,
)
from pypx.cli.query import query_options
from pypx.cli.smdb_actions import ACTIONS, Outcome
from pypx.cli.smdb_asked import Asked
from pypx.errors import UsageError

EXAMPLES = """
px-smdb --action search --PatientID 'P-00*' --StudyDate last-7-days
px-smdb --action search --Modality MR --json | px-status
px-smdb --action imageDirsPatientID --actionArgs 7654321
px-smdb --action check --repair
px-smdb --action PACS --actionArgs '{"archive": {"aec": "ARCHIVE", "ip": "192.0.2.1", "port": "104"}}'
px-smdb --action swift --reveal
px-smdb --action import --actionArgs /old/dicom/log
px-smdb --action export --actionArgs /tmp/tables
"""


class _Action(click.ParamType[str]):
    """The name of an action; of one that is not known, the nearest."""

    name = "action"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in ACTIONS:
            self.fail(f"There is no action {value!r}. {_meant(str(value))}", param, ctx)
        return str(value)


def _meant(name: str) -> str:
    from difflib import get_close_matches

    by_lower = {action.lower(): action for action in ACTIONS}
    near = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return f"Did you mean {by_lower[near[0]]}?" if near else f"The actions are: {', '.join(ACTIONS)}."


@click.command("px-smdb", cls=edge.Tool, examples=EXAMPLES)
@click.option("--action", "action", type=_Action(), metavar="NAME", help="What to do; see above.")
@click.option("--actionArgs", "actionArgs", metavar="TEXT", help="What to do it with: JSON, or a text.")
@click.option("--repair", "repair", is_flag=True, help="check: mend what can be mended.")
@click.option("--reveal", "reveal", is_flag=True, help="Show passwords and the like, which are *** else.")
@click.option(
    "--limit", "limit", type=click.IntRange(1), metavar="N", help="search: no more studies than so many."
)
@query_options
@files_options
@catalogue_options
@data_options
@json_option
@former_options("cleanup", "debug")
def command(verbosity: int | None, json: bool, action: str | None, **options: Any) -> int:
    """Ask the catalogue, keep it right, and keep what is known of PACS, storage and CUBE.

    \b
    search                       studies and series that are held, as px-find shows them
    imageDirsPatientID           where a patient's images lie: --actionArgs PatientID
    imageDirsSeriesInstanceUID   where a series lies: --actionArgs UID
    seriesDirLocation            where the series lie that the query options mean
    seriesMap_DBtablesGet        all that is known of a series: a file of it, or --actionArgs UID
    studyMap_DBtablesGet         of a study: a file of it, or --actionArgs UID
    patientMap_DBtablesGet       of a patient: a file of theirs, or --actionArgs PatientID
    mapsUpdateForFile            catalogue files that lie in data/ already
    mapsUpdateForPatient         the same for all of a patient's: --actionArgs PatientID
    endOfStudy                   how far a study is that has ended: --actionArgs UID, or its files
    check                        compare directories and catalogue; with --repair, mend
    import, export               the JSON tables of releases before 4: --actionArgs DIR
    PACS, swift, storage, CUBE   show the keys of a service, or add --actionArgs JSON, @FILE, or @- (stdin)
    smdb                         the same, for the database that holds the catalogue
    """
    terminal.show_log("px-smdb", verbosity)
    if action is None:
        raise UsageError("No action is named", f"Name one with --action: {', '.join(ACTIONS)}.")
    outcome = ACTIONS[action](Asked(action, options, basemount_of(options)))
    as_json = edge.output_is_json(json)
    edge.write_json_pieces(outcome.pieces, shown=as_json or outcome.show is None)
    if not as_json and outcome.show:
        outcome.show()
    _say_error(outcome)
    return 1 if outcome.error else 0


def _say_error(outcome: Outcome) -> None:
    if outcome.error:
        terminal.say("px-smdb", outcome.error.sentence)
    sys.stdout.flush()


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
