"""px-push."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.auditing import audited, node_named
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    files_of,
    files_options,
    jobs_option,
    json_option,
    storage_template_options,
    templates_of,
    told,
    uids_of,
)
from pypx.cli.pacs import binaries_of, binary_options, called_title_of, node_of, pacs_options
from pypx.cli.storage import names_storage, retry_options, storage_of, storage_options
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.errors import UsageError
from pypx.printable import printable

if TYPE_CHECKING:
    from pypx.actions.found import Found
    from pypx.actions.push import PushResult, Target

logger = logging.getLogger("pypx.push")

EXAMPLES = """
px-find … --PatientID 7654321 | px-push --swift local
px-push --swift local --swiftServicesPACS BCH --SeriesInstanceUID 1.2.840.113619.2.1.7
px-push --storeBaseLocation /mnt/chris --swiftServicesPACS BCH --xcrdir /media/cd --recursive
px-push research.example.org:ARCHIVE:104 --StudyInstanceUID 1.2.840.113619.2.1
px-push --swift local --swiftServicesPACS BCH --StudyInstanceUID 1.2.840.113619.2.1 --json | px-register …
"""

#: What px-register takes over from a find that was pushed.
_HANDED_ON = ("db", "swift", "CUBE", "swiftServicesPACS")

_PACS = ("pacs", "PACS", "aec", "serverIP", "serverPort")


@click.command("px-push", cls=edge.Tool, examples=EXAMPLES)
@storage_options
@click.option(
    "--swiftServicesPACS",
    "swiftServicesPACS",
    metavar="NAME",
    help="The PACS that it is from: it goes to SERVICES/PACS/NAME.  [default: --aec of the px-find before]",
)
@pacs_options
@click.option("--StudyInstanceUID", "StudyInstanceUID", metavar="UID,…", help="All series of these studies.")
@click.option("--SeriesInstanceUID", "SeriesInstanceUID", metavar="UID,…", help="These series.")
@files_options
@click.option(
    "--swiftPackEachDICOM",
    "swiftPackEachDICOM",
    is_flag=True,
    help="Place each file by what it says itself, as is always done.",
)
@jobs_option("Uploads, or associations, side by side.", default=8, most=64)
@retry_options
@catalogue_options
@data_options
@storage_template_options
@binary_options("dcmsend")
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Put series into storage (Swift, or a mounted filesystem), or send them to another PACS.

    The series are named by UID, by the JSON of px-find on standard input, or by files. What is there and
    equal is not sent again. The answer is a verdict for each series and each file; the exit status is 0 only
    when all are there.
    """
    import_pydicom()
    terminal.show_log("px-push", verbosity)
    if options["swiftPackEachDICOM"]:
        logger.info("--swiftPackEachDICOM changes nothing: each file is placed by what it says itself")
    return edge.finish("px-push", run(options, SHELL), _show, json=json)


def run(options: Mapping[str, Any], surroundings: Surroundings) -> PushResult:
    """Push what the options name, or what was found before."""
    to_pacs = _to_pacs(options)
    if to_pacs:
        node_of(options)  # what is wrong with it is said before anything is read

    from contextlib import ExitStack

    from pypx.actions.push import PushRequest, push, series_named
    from pypx.storage.retries import Retries

    named = {name: uids_of(options, name) for name in ("SeriesInstanceUID", "StudyInstanceUID")}
    files = files_of(options)
    has_files = any(options[name] for name in ("xcrdir", "xcrfile", "xcrdirfile"))
    founds = () if has_files or any(named.values()) else _founds(surroundings)
    inherited = founds[0].arguments if founds else {}
    basemount = basemount_of(options, inherited)
    with ExitStack() as closing:
        target = _target(options, inherited, closing, to_pacs=to_pacs)
        meant = series_named(basemount, named["SeriesInstanceUID"], named["StudyInstanceUID"], founds)
        request = PushRequest(
            target,
            meant.series_uids,
            meant.refused,
            files.files() if has_files else (),
            files.is_one,
            options["jobs"],
            Retries(options["retries"]),
        )
        progress = closing.enter_context(surroundings.progress())
        with audited(basemount, "push", target=_named(target)) as doing:
            result = push(request, basemount, progress)
            doing.pushed(result)
    handed_on = {name: inherited[name] for name in _HANDED_ON if name in inherited}
    return replace(result, arguments=handed_on | told(options))


def check(options: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    """Raise what is wrong with where it shall go.

    Raises
    ------
    UsageError
    """
    from contextlib import ExitStack

    with ExitStack() as closing:
        _target(options, inherited, closing, to_pacs=_to_pacs(options))


def _to_pacs(options: Mapping[str, Any]) -> bool:
    """Whether it goes to a PACS, and not to a storage."""
    to_pacs = any(options[name] not in (None, "") for name in _PACS)
    if to_pacs and names_storage(options):
        raise UsageError("A storage and a PACS are named", "Push to one of them, then to the other.")
    return to_pacs


def _target(
    options: Mapping[str, Any], inherited: Mapping[str, Any], closing: Any, *, to_pacs: bool
) -> Target:
    from pypx.actions.push import PacsTarget, StorageTarget
    from pypx.basemount.templates import STORAGE_TEMPLATES

    if to_pacs:
        # The find's own PACS is where the series are from.
        return PacsTarget(node_of(options), binaries_of(options), options["timeout"])
    templates = templates_of(options, STORAGE_TEMPLATES)
    storage = closing.enter_context(storage_of(options, inherited))
    pacs_name = (
        options["swiftServicesPACS"] or inherited.get("swiftServicesPACS") or called_title_of(inherited)
    )
    if not pacs_name:
        raise UsageError(
            "Which PACS is it from?",
            "Give --swiftServicesPACS NAME: the series go to SERVICES/PACS/NAME in the storage.",
        )
    return StorageTarget(storage, str(pacs_name), templates)


def _named(target: Target) -> str:
    from pypx.actions.push import PacsTarget

    return node_named(target.node) if isinstance(target, PacsTarget) else target.storage.label


def _founds(surroundings: Surroundings) -> Sequence[Found]:
    return surroundings.founds(
        "What shall be pushed?",
        "Give --SeriesInstanceUID, --StudyInstanceUID or --xcrdir, or pipe px-find into px-push.",
    )


def _show(result: PushResult) -> None:
    """The verdicts for a person."""
    from pypx.actions.push import SeriesState

    for verdict in result.verdicts:
        is_good = verdict.state in (SeriesState.PUSHED, SeriesState.ALREADY_THERE)
        count = f"{verdict.count_there} of {len(verdict.files)}"
        name = printable(verdict.description or verdict.series_uid or verdict.study_uid)
        terminal.write_stdout(f"{'+' if is_good else '!'} {count:<12} {name}  {verdict.state.value}")
    for file in result.rejected:
        terminal.write_stdout(f"! {printable(str(file.file))}  {file.state.value}")
    document = result.to_json()["summary"]
    good = document["pushed"] + document["alreadyThere"]
    said = [
        f"{good} of {len(result.verdicts)} series there",
        f"{document['uploaded']} of {document['files']} files uploaded",
        *([f"{result.skipped} not DICOM"] if result.skipped else []),
        f"{result.seconds:.1f} s",
    ]
    terminal.write_stdout(f"{', '.join(said)}.")


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
