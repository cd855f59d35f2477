"""px-repack."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.cli import edge, terminal
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    files_of,
    files_options,
    template_options,
    templates_of,
)

if TYPE_CHECKING:
    from pypx.actions.repack import RepackResult

EXAMPLES = """
px-repack --xcrdir /media/cdrom --recursive
px-repack --xcrdir . --parseAllFilesWithSubStr .dcm,.ima --db /data/dicom/log
px-repack --xcrdirfile scan.dcm --cleanup
px-repack --xcrdir /media/cdrom --recursive --json | jq .summary
"""


@click.command("px-repack", cls=edge.Tool, examples=EXAMPLES)
@files_options
@click.option("--cleanup", "cleanup", is_flag=True, help="Remove each file once its image is safe.")
@catalogue_options
@data_options
@template_options
@click.option("--json", "json", is_flag=True, help="Answer in JSON, at a terminal too.")
def command(verbosity: int | None, json: bool, cleanup: bool, **options: Any) -> int:
    """Put DICOM files into the tree of images, under names a person can read, and tell the catalogue.

    What is not DICOM is left out. What is there already is not stored twice. Damaged files are kept in
    BASEMOUNT/quarantine, each with the reason beside it. The files themselves stay where and as they are,
    unless --cleanup is given.
    """
    from pypx.actions.repack import Source, pack
    from pypx.basemount.smdb import Catalogue
    from pypx.cli.progress import progress_bar

    terminal.show_log("px-repack", verbosity)
    templates = templates_of(options)
    basemount = basemount_of(options)
    sources = files_of(options)
    ours = (basemount.data, basemount.log, basemount.incoming, basemount.quarantine, basemount.services)
    files = sources.files(leaving_out=ours)
    # Worth a look at the names beforehand only where somebody watches.
    total = sum(1 for _ in sources.files(leaving_out=ours)) if sys.stderr.isatty() else None
    basemount.prepare()
    with Catalogue.open(basemount) as catalogue, progress_bar() as progress:
        result = pack(
            files,
            basemount,
            catalogue,
            templates,
            source=Source.TAKE if cleanup else Source.KEEP,
            progress=progress,
            total=total,
        )
    if edge.output_is_json(json):
        edge.write_json(result.to_json())
    else:
        _show(result)
    if result.error:
        terminal.say("px-repack", f"{result.error.message}. {result.error.hint}")
    return 0 if result.ok else 1


def _show(result: RepackResult) -> None:
    """The counts for a person, those that are none left out."""
    said = (
        (result.stored + result.conflicts, "new"),
        (result.duplicates, "here already"),
        (result.conflicts, "of them beside another of the same UID"),
        (len(result.quarantined), "damaged, in quarantine"),
        (result.skipped, "not DICOM"),
        (len(result.failed), "failed"),
    )
    counts = [f"{count} {words}" for count, words in said if count or words == "new"]
    series = len(result.series)
    terminal.write_stdout(f"{', '.join(counts)}; {series} series, {result.seconds:.1f} s.")


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
