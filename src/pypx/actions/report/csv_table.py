"""The report as comma-separated values (RFC 4180), for spreadsheets and programs.

Quoting loses nothing: Python's csv module, or any other reader of RFC 4180, gives back the values that the
PACS sent, line breaks, quotes and separators included. One thing is added: a spreadsheet runs a cell that
starts with ``=``, ``+``, ``-`` or ``@`` (or a tab or line end, which some of them drop) as a formula, so such
a value has an apostrophe before it. See :func:`defused` and :func:`restored`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from pypx.actions.found import FoundStudy
from pypx.actions.report import cells
from pypx.actions.report.layout import Layout
from pypx.actions.report.studies import Reported
from pypx.errors import UsageError
from pypx.printable import printable

#: What a spreadsheet may take as the start of a formula; the wide forms are those of Japanese keyboards.
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")

#: Columns of ``--csvSummarize`` behind those of the study.
SUMMARY = ("Series", "Instances", "Modalities")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the table is written.

    Parameters
    ----------
    separator : str
        One character between values.
    headings : bool
        Whether the first row names the columns.
    aligned : bool
        Whether columns are filled up with spaces for people's eyes; no longer RFC 4180 then.
    summarized : bool
        Whether there is one row a study, with counts, in place of one a series.
    line_end : str
        RFC 4180 asks for CR LF.
    """

    separator: str = ","
    headings: bool = False
    aligned: bool = False
    summarized: bool = False
    line_end: str = "\r\n"

    def __post_init__(self) -> None:
        if len(self.separator) != 1 or self.separator in '"\r\n\0':
            raise UsageError(
                f"The separator {self.separator!r} is not one character that can stand between values",
                "Use one such as , or ; or | or \\t.",
            )


def defused(value: str) -> str:
    """The value with an apostrophe before it where a spreadsheet would take it as a formula.

    Where such a start follows apostrophes they get one more, so that :func:`restored` always undoes it.

    >>> defused("=1+1"), defused("1+1")
    ("'=1+1", '1+1')
    """
    return f"'{value}" if _FORMULA.match(value) else value


def restored(value: str) -> str:
    """The value as it was before :func:`defused`.

    >>> restored("'=1+1"), restored("'t Hooft")
    ('=1+1', "'t Hooft")
    """
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value


def csv_table(reported: Reported, layout: Layout, dialect: Dialect) -> Iterator[str]:
    """Write the table: a row a series, with the attributes of its study before its own.

    A study without series has one row all the same, and every column is always there, so that a program finds
    each at its place whatever a PACS returns.
    """
    headings = [*layout.study, *layout.header_series, *(SUMMARY if dialect.summarized else layout.series)]
    rows = _summary_rows(reported, layout) if dialect.summarized else _series_rows(reported, layout)
    if dialect.aligned:
        yield from _aligned(headings, list(rows), dialect)
        return
    line = io.StringIO()
    writer = csv.writer(line, delimiter=dialect.separator, lineterminator=dialect.line_end)
    if dialect.headings:
        writer.writerow([defused(heading) for heading in headings])
    for row in rows:
        writer.writerow([defused(value) for value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()
    yield line.getvalue()


def _series_rows(reported: Reported, layout: Layout) -> Iterator[list[str]]:
    for study in reported.studies:
        header = _header(study, layout)
        if not study.series:
            yield [*header, *(study.values.get(tag, "") for tag in layout.series)]
        for series in study.series:
            yield [*header, *(cells.of_series(study, series, tag) for tag in layout.series)]


def _summary_rows(reported: Reported, layout: Layout) -> Iterator[list[str]]:
    for study in reported.studies:
        counts = (cells.study_series(study), cells.study_instances(study))
        yield [
            *_header(study, layout),
            *("" if count is None else str(count) for count in counts),
            cells.among_series(study, "Modality") or cells.of_study(study, "ModalitiesInStudy"),
        ]


def _header(study: FoundStudy, layout: Layout) -> list[str]:
    return [
        *(cells.of_study(study, tag) for tag in layout.study),
        *(cells.in_header(study, tag) for tag in layout.header_series),
    ]


def _aligned(headings: Sequence[str], rows: Iterable[Sequence[str]], dialect: Dialect) -> Iterator[str]:
    table = [[printable(value) for value in row] for row in rows]
    if dialect.headings:
        table.insert(0, [printable(heading) for heading in headings])
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    for row in table:
        filled = [text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True)]
        yield f" {dialect.separator} ".join(filled).rstrip() + "\n"
