"""What px-smdb shows to a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pypx.cli import terminal
from pypx.printable import printable
from pypx.wording import counted

if TYPE_CHECKING:
    from pypx.actions.smdb.findings import CheckResult
    from pypx.actions.smdb.locations import Locations


def show_locations(found: Locations) -> None:
    """The directories, one a line: they are to be copied."""
    for location in found.all:
        terminal.write_stdout(f"{location.directory}  ({counted(location.images, 'image', 'images')})")


def show_check(result: CheckResult) -> None:
    """What is wrong, what was done about it, and a sentence."""
    for finding in result.findings:
        said = "; ".join(part for part in (finding.detail, finding.done) if part)
        mark = "+" if finding.is_mended else "!"
        terminal.write_stdout(f"{mark} {finding.fault.value}: {finding.file}{f' ({said})' if said else ''}")
    mended = len(result.findings) - len(result.left)
    counts = [
        counted(result.files, "file", "files"),
        f"{counted(result.instances, 'instance', 'instances')} in the catalogue",
    ]
    counts += [f"{mended} mended"] if mended else []
    counts += [f"{counted(len(result.left), 'thing', 'things')} wrong" if result.left else "nothing wrong"]
    if result.busy:
        busy = counted(result.busy, "directory", "directories")
        counts.append(f"{busy} that others receive into left alone")
    terminal.write_stdout(f"{', '.join(counts)}; {result.seconds:.1f} s.")


def show_keys(keys: Mapping[str, Mapping[str, Any]]) -> None:
    """A row for each key."""
    if not keys:
        terminal.write_stdout("No keys.")
        return
    fields = list(dict.fromkeys(name for of_key in keys.values() for name in of_key))
    rows = ([key, *(_cell(of_key.get(name)) for name in fields)] for key, of_key in sorted(keys.items()))
    _show_table(["Key", *fields], rows)


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, header_style="bold")
    for heading in headings:
        table.add_column(Text(printable(heading)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    Console().print(table)
