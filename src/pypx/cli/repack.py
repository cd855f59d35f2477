"""px-repack."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pypx.actions.progress import ignore_progress
from pypx.cli import edge, terminal
from pypx.cli.auditing import audited
from pypx.cli.imports import import_pydicom
from pypx.cli.options import (
    basemount_of,
    catalogue_options,
    data_options,
    files_of,
    files_options,
    former_options,
    json_option,
    template_options,
    templates_of,
)
from pypx.cli.surroundings import SHELL, Surroundings
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.actions.progress import Progress
    from pypx.actions.repack import RepackResult
    from pypx.actions.sources import SourceFiles

#: Files after which a person wants to see something move.
_MANY = 1000

EXAMPLES = """
px-repack --xcrdir /media/cdrom --recursive
find /scans -name '*.dcm' -newer last -print0 | px-repack --files-from -
px-repack --xcrdir . --parseAllFilesWithSubStr .dcm,.ima --db /data/dicom/log
px-repack --xcrdirfile scan.dcm --cleanup
px-repack --xcrdir /media/cdrom --recursive --json | jq .summary
"""


@click.command("px-repack", cls=edge.Tool, examples=EXAMPLES)
@files_options
@click.option(
    "--files-from",
    "files_from",
    metavar="FILE",
    help="The files that FILE names, one a line or ended by NULs (find -print0); - is standard input.",
)
@click.option("-0", "--null", "null", is_flag=True, help="Of --files-from: names are ended by NULs alone.")
@click.option("--cleanup", "cleanup", is_flag=True, help="Remove each file once its image is safe.")
@catalogue_options
@data_options
@template_options
@click.option(
    "--jobs",
    "jobs",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Processes that read files.  [default: 2 once there are many files, where there are 2 processors]",
)
@former_options("debug")
@json_option
def command(verbosity: int | None, json: bool, **options: Any) -> int:
    """Put DICOM files into the tree of images, under names a person can read, and tell the catalogue.

    What is not DICOM is left out, unless it is the one file that is named. What is there already is not
    stored twice. Damaged files are kept in BASEMOUNT/quarantine, each with the reason beside it. The files
    themselves stay where and as they are, unless --cleanup is given.
    """
    import_pydicom()
    terminal.show_log("px-repack", verbosity)
    return edge.finish("px-repack", run(options, SHELL), _show, json=json)


def run(options: Mapping[str, Any], surroundings: Surroundings) -> RepackResult:
    """Pack the files that the options name."""
    from pypx.actions.repack import Fate, Source, pack
    from pypx.basemount.smdb import Catalogue

    cleanup = options["cleanup"]
    templates = templates_of(options)
    basemount = basemount_of(options)
    ours = (basemount.data, basemount.log, basemount.incoming, basemount.quarantine, basemount.services)
    with _sources(options) as sources:
        files = sources.files(leaving_out=ours)
        basemount.prepare()
        with Catalogue.open(basemount) as catalogue, surroundings.progress() as progress:
            # Worth a look at the names beforehand only where somebody watches.
            is_watched = progress is not ignore_progress and not sources.is_list
            total = _count(sources.files(leaving_out=ours), progress) if is_watched else None
            # With --cleanup, files that are safe are removed.
            with audited(basemount, "pack", keys=("cleanup",) if cleanup else ()) as doing:
                result = pack(
                    files,
                    basemount,
                    catalogue,
                    templates,
                    source=Source.TAKE if cleanup else Source.KEEP,
                    # With --cleanup, an earlier run over the same list has removed what is safe.
                    missing=Fate.FAILED if sources.is_list and not cleanup else Fate.SKIPPED,
                    foreign=Fate.FAILED if sources.is_one else Fate.SKIPPED,
                    jobs=options["jobs"],
                    progress=progress,
                    total=total,
                )
                doing.packed(result)
            return result


def _count(files: Iterable[Path], progress: Progress) -> int:
    """How many files there are; that this is being found out is shown where it takes long."""
    from pypx.actions.progress import Step

    count = 0
    for count, _ in enumerate(files, 1):
        if count % _MANY == 0:
            progress(Step("Looking for files", count, None))
    return count


@contextmanager
def _sources(options: Mapping[str, Any]) -> Iterator[SourceFiles]:
    """The files that the options name, in a list that is open for as long as the ``with`` block lasts."""
    from pypx.errors import FileUnreadable, UsageError

    named = files_of(options)
    name, null = options["files_from"], options["null"]
    if name is None:
        if null:
            raise UsageError(
                "--null is about a list of files, and there is none", "Name it with --files-from."
            )
        yield named
    elif name == "-":
        yield replace(named, listed=sys.stdin.buffer, nul_separated=null)
    else:
        try:
            opened = at_home(name).open("rb")
        except OSError as error:
            raise FileUnreadable(f"{name} cannot be read ({error.strerror})") from error
        with opened:
            yield replace(named, listed=opened, nul_separated=null)


def _show(result: RepackResult) -> None:
    """The counts for a person, those that are none left out."""
    said = (
        (result.stored + result.conflicts, "new"),
        (result.duplicates, "here already"),
        (result.conflicts, "of them beside another of the same UID"),
        (result.strays, "of them of another patient or study than their series"),
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
