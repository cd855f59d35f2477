"""px-report."""

from __future__ import annotations

import io
import json as json_text
import logging
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TextIO, TypeAlias

import click

from pypx.cli import edge, terminal
from pypx.cli.options import former_options
from pypx.cli.surroundings import Surroundings
from pypx.errors import FileUnreadable, UsageError
from pypx.home import at_home
from pypx.printable import printable_json, printable_text

if TYPE_CHECKING:
    from pypx.actions.found import Found
    from pypx.actions.report.csv_table import Dialect
    from pypx.actions.report.layout import Asked, Layout
    from pypx.actions.report.lines import Line
    from pypx.actions.report.studies import Reported
    from pypx.errors import PypxError

Form: TypeAlias = Literal["tabular", "rawText", "csv", "json", "tree", "html"]

FORMS: tuple[Form, ...] = ("tabular", "rawText", "csv", "json", "tree", "html")

#: Terminals that say they are narrower are drawn as if they were this wide.
_LEAST_WIDTH = 20

EXAMPLES = """
px-find … --PatientID 7654321 | px-report
px-find … | px-report --printReport csv --csvPrintHeaders > studies.csv
px-find … | px-report --printReport html > studies.html
px-find … | px-report --reportBodySeriesTags SeriesDescription,ProtocolName,0018,1030
px-status --StudyInstanceUID 1.2.840.… --json | px-report
px-find … | px-move --get | px-report
(px-find … --PatientID 1; px-find … --PatientID 2) | px-report --printReport tree
"""


@click.command("px-report", cls=edge.Tool, examples=EXAMPLES, goes_on=False)
@click.option(
    "--reportData", "reportData", metavar="JSON", help="The JSON itself, in place of standard input."
)
@click.option(
    "--reportDataFile",
    "reportDataFile",
    metavar="FILE",
    help="A file with the JSON, in place of standard input.",
)
@click.option(
    "--printReport",
    "printReport",
    type=click.Choice(FORMS),
    help="The form of the report.  [default: tabular]",
)
@click.option("--json", "json", is_flag=True, help="The same as --printReport json.")
@click.option(
    "--colorize",
    "colorize",
    type=click.Choice(["", "dark", "light"]),
    default="",
    metavar="[dark|light]",
    help="Colours for a terminal with a dark or a light background.",
)
@click.option(
    "--reportHeaderStudyTags",
    "reportHeaderStudyTags",
    metavar="A,B",
    help="Attributes of the study in its header: keywords or gggg,eeee.",
)
@click.option(
    "--reportHeaderSeriesTags",
    "reportHeaderSeriesTags",
    metavar="A,B",
    help="Attributes of its series in the header of the study: each value that occurs.",
)
@click.option(
    "--reportBodySeriesTags",
    "reportBodySeriesTags",
    metavar="A,B",
    help="Attributes of each series, in its row.",
)
@click.option(
    "--reportLayout",
    "reportLayout",
    metavar="JSON",
    help='All three at once: {"header": {"study": [A], "series": [B]}, "body": {"series": [C]}}.',
)
@click.option(
    "--seriesSpecial",
    "seriesSpecial",
    type=click.Choice(["", "seriesStatus"]),
    default="",
    metavar="seriesStatus",
    help="A column with what px-status said of each series.",
)
@click.option(
    "--csvPrintHeaders", "csvPrintHeaders", is_flag=True, help="csv: a first row names the columns."
)
@click.option("--csvPrettify", "csvPrettify", is_flag=True, help="csv: columns aligned for people's eyes.")
@click.option("--csvSummarize", "csvSummarize", is_flag=True, help="csv: one row a study, with counts.")
@click.option(
    "--csvSeparator",
    "csvSeparator",
    metavar="C",
    help="csv: the character between values; \\t is a tab.  [default: , and with --csvPrettify |]",
)
@former_options("dblogbasepath", "ReportLineOverwrite", valued=True)
@former_options("waitForUserTerminate")
def command(verbosity: int | None, **options: Any) -> int:
    """Show what px-find, px-do, px-status and px-move tell, in a form for people or for other programs.

    Reads one or several JSON documents from standard input and makes one report of them. Values are whole in
    every form. In csv, one that a spreadsheet would run as a formula has an apostrophe before it: take the
    first away where apostrophes stand before = + - @, a tab or a line end.
    """
    from pypx.actions.found import read_stream

    terminal.show_log("px-report", verbosity)
    form = _form(options)
    _say_what_means_nothing(options, form)
    with _input(options) as lines:
        text, failures = _rendered(form, read_stream(lines), options, sys.stdout)
    if edge.keeps_json():
        text = list(text)
        edge.write_json_pieces(_kept(form, text, failures), shown=False)
    _write(text, sys.stdout)
    for failure in failures:
        terminal.say("px-report", failure.sentence)
    return 1 if failures else 0


def _kept(form: Form, text: Sequence[str], failures: Sequence[PypxError]) -> edge.JsonPieces:
    """What is kept of a report that was written piece by piece: it in JSON, if that is not its form."""
    if form == "json":
        return lambda _: text
    document = Report("".join(text), tuple(failures)).to_json()
    return lambda indent: [json_text.dumps(document, ensure_ascii=False, indent=indent)]


def run(options: Mapping[str, Any], surroundings: Surroundings) -> Report:
    """The report of what the tool before told."""
    documents = surroundings.given("Nothing to report", "Give the JSON of px-find as reportData.")
    form = _form(options)
    if form == "json":
        from pypx.actions.report.json_document import merged

        document, failures = merged(iter(documents))
        return Report(document, tuple(failures))
    # As for a file: who calls may have a terminal, and the report is not for it.
    no_terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    text, of_documents = _rendered(form, iter(documents), options, no_terminal)
    return Report("".join(text), tuple(of_documents))


@dataclass(frozen=True, slots=True)
class Report:
    """A report as a value.

    Parameters
    ----------
    content : str or dict
        The text, or the JSON document.
    failures : tuple of PypxError
        Why documents are not part of it.
    """

    content: str | dict[str, Any]
    failures: tuple[PypxError, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The report and how it went."""
        document: dict[str, Any] = {
            "status": "error" if self.failures else "success",
            "report": self.content,
        }
        return {**document, "error": self.failures[0].to_json()} if self.failures else document


def show_report(founds: Sequence[Found]) -> None:
    """Write the tabular report of finds, as wide as the terminal and in its colours."""
    from pypx.actions.report.layout import Asked, for_report
    from pypx.actions.report.studies import gather
    from pypx.actions.report.tabular import tabular

    reported = gather(founds)
    lines = tabular(reported, for_report(Asked(), reported), _width(sys.stdout))
    _write(_drawn(lines, "", sys.stdout), sys.stdout)


def show_as_asked(founds: Sequence[Found], options: Mapping[str, Any], output: TextIO) -> None:
    """Write the report of finds that px-report makes with these options."""
    from pypx.actions.found import to_json

    text, _ = _rendered(_form(options), map(to_json, founds), options, output)
    _write(text, output)


def check(options: Mapping[str, Any]) -> None:
    """Raise what is wrong with how the options ask to have a find reported.

    Raises
    ------
    UsageError
    """
    from pypx.actions.report.layout import for_report
    from pypx.actions.report.studies import gather

    for name in ("reportData", "reportDataFile"):
        if options[name]:
            raise UsageError(f"The verb report does not take {name}", "It reports what was found.")
    if _form(options) == "csv":
        _dialect(options, sys.stdout)
    for_report(asked_of(options), gather([]))


def _form(options: Mapping[str, Any]) -> Form:
    form: Form = options["printReport"] or ("json" if options["json"] else "tabular")
    if options["json"] and form != "json":
        raise UsageError(f"--json and --printReport {form} are two reports", "Give one of them.")
    return form


def _say_what_means_nothing(options: Mapping[str, Any], form: Form) -> None:
    log = logging.getLogger("pypx.report")
    for name in ("csvPrintHeaders", "csvPrettify", "csvSummarize"):
        if options[name] and form != "csv":
            log.info("--%s means nothing to a report in the form %s.", name, form)


@contextmanager
def _input(options: Mapping[str, Any]) -> Iterator[Iterable[str]]:
    text, name = options["reportData"], options["reportDataFile"]
    if text and name:
        raise UsageError("--reportData and --reportDataFile are two inputs", "Give one of them.")
    if text:
        yield (text,)
    elif name and name != "-":
        with _opened(name) as file:
            yield file
    elif sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "Nothing is piped into px-report",
            "Write px-find … | px-report, or name a file with --reportDataFile.",
        )
    else:
        yield io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8")


def _opened(name: str) -> TextIO:
    try:
        return at_home(name).open(encoding="utf-8")
    except OSError as error:
        raise FileUnreadable(f"{name} cannot be read ({error.strerror})") from error


def _rendered(
    form: Form, documents: Iterator[object], options: Mapping[str, Any], output: TextIO
) -> tuple[Iterable[str], Sequence[PypxError]]:
    """The report's text for this output, piece by piece, and why documents are not part of it."""
    if form == "json":
        from pypx.actions.report.json_document import merged

        document, failures = merged(documents)
        text = json_text.dumps(document, ensure_ascii=False, indent=2)
        return _spelled_out((text, "\n"), output, printable_json), failures
    from pypx.actions.report.layout import for_report
    from pypx.actions.report.studies import read

    dialect = _dialect(options, output) if form == "csv" else None
    asked = asked_of(options)
    reported = read(documents)
    layout = for_report(asked, reported)
    if dialect:
        from pypx.actions.report.csv_table import csv_table

        return _spelled_out(csv_table(reported, layout, dialect), output), reported.failures
    if form == "html":
        from pypx.actions.report.html_page import html_page

        return _spelled_out(html_page(reported, layout), output), reported.failures
    if form == "rawText":
        from pypx.actions.report.raw_text import raw_text

        return (f"{line}\n" for line in raw_text(reported, layout)), reported.failures
    lines = _lines(form, reported, layout, _width(output))
    return _drawn(lines, options["colorize"], output), reported.failures


def _lines(form: Form, reported: Reported, layout: Layout, width: int | None) -> Iterator[Line]:
    if form == "tree":
        from pypx.actions.report.tree import tree

        return tree(reported, layout, width)
    from pypx.actions.report.tabular import tabular

    return tabular(reported, layout, width)


def asked_of(options: Mapping[str, Any]) -> Asked:
    """What the options ask to see; the layout as a whole gives way to the lists."""
    from pypx.actions.report.layout import Asked, from_json, tag_list

    asked = from_json(options["reportLayout"]) if options["reportLayout"] else Asked()
    return Asked(
        study=tag_list(options["reportHeaderStudyTags"] or "") or asked.study,
        header_series=tag_list(options["reportHeaderSeriesTags"] or "") or asked.header_series,
        series=tag_list(options["reportBodySeriesTags"] or "") or asked.series,
        status_column=bool(options["seriesSpecial"]),
    )


def _dialect(options: Mapping[str, Any], output: TextIO) -> Dialect:
    from pypx.actions.report.csv_table import Dialect

    separator = options["csvSeparator"] or ("|" if options["csvPrettify"] else ",")
    return Dialect(
        separator="\t" if separator == "\\t" else separator,
        headings=options["csvPrintHeaders"],
        aligned=options["csvPrettify"],
        summarized=options["csvSummarize"],
        line_end="\n" if output.isatty() else "\r\n",
    )


def _width(output: TextIO) -> int | None:
    """Of the terminal; None where a program reads."""
    return max(shutil.get_terminal_size().columns, _LEAST_WIDTH) if output.isatty() else None


def _drawn(lines: Iterable[Line], theme: str, output: TextIO) -> Iterator[str]:
    from pypx.cli.painting import drawable, painted, unpainted

    texts = painted(lines, theme) if terminal.wants_colour(output) else unpainted(lines)
    return (drawable(text, output.encoding) + "\n" for text in texts)


def _spelled_out(
    pieces: Iterable[str], output: TextIO, spell_out: Callable[[str], str] = printable_text
) -> Iterable[str]:
    """The text as it is, but where a terminal reads it: no control character reaches that raw."""
    return map(spell_out, pieces) if output.isatty() else pieces


def _write(pieces: Iterable[str], output: TextIO) -> None:
    terminal.accept_any_character(output)
    for piece in pieces:
        output.write(piece)
    output.flush()


def main() -> NoReturn:
    """The console script."""
    edge.run(command)
