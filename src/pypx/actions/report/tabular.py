"""The tabular report: a block a study, its facts and the table of its series.

Built from lines measured here, since one renderable a table takes rich twice as long as all else together
where a report has hundreds of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from pypx.actions.found import FoundStudy
from pypx.actions.report import cells
from pypx.actions.report.layout import Layout
from pypx.actions.report.lines import Cell, Line, Role, fold, label, side_by_side
from pypx.actions.report.studies import Reported
from pypx.printable import printable

#: Left out first where the table is too wide, unless asked for by name.
_LEFT_OUT_FIRST = ("SeriesInstanceUID", "SeriesNumber", "Modality", "NumberOfSeriesRelatedInstances")

#: Width of blocks that no terminal limits; values are whole there, however long.
_WIDTH_OF_TEXT = 100

#: What a column of text needs to be readable, in cells.
_READABLE = 20

#: Headings up to this length stand on one line.
_HEADING = 16

#: A column that no terminal limits is no wider than this; longer values stand out of it.
_WIDEST = 64

_GAP = "  "
_INDENT = " "


@dataclass(frozen=True, slots=True)
class _Column:
    place: int
    tag: str
    width: int

    @property
    def is_number(self) -> bool:
        return self.tag in cells.NUMBERS


def tabular(reported: Reported, layout: Layout, width: int | None) -> Iterator[Line]:
    """Lay the report out as lines.

    Parameters
    ----------
    reported : Reported
        The studies.
    layout : Layout
        The attributes shown.
    width : int or None
        Of the terminal, in cells; None where there is none, so that no value is folded.

    Yields
    ------
    Line
    """
    if not reported.studies:
        yield (("No studies.", "muted"),)
        return
    tables = [_rows(study, layout) for study in reported.studies]
    columns, left_out = _columns(layout, tables, width)
    any_series = any(tables)
    for number, (study, rows) in enumerate(zip(reported.studies, tables, strict=True), 1):
        yield from _title(number, len(tables), study, width)
        yield from _facts(_study_facts(study, layout), width)
        if any_series:
            yield ()
            yield from _series(layout, columns, rows, width)
        yield ()
    yield from _said(cells.counts(reported.studies), "title", width)
    if left_out:
        yield from _said(f"Left out at this width: {', '.join(left_out)}.", "muted", width)


def _rows(study: FoundStudy, layout: Layout) -> list[list[str]]:
    tags = layout.shown(layout.series)
    return [[printable(cells.of_series(study, one, tag)) for tag in tags] for one in study.series]


def _study_facts(study: FoundStudy, layout: Layout) -> list[tuple[str, str]]:
    facts = [(tag, cells.of_study(study, tag)) for tag in layout.shown(layout.study)]
    facts += [(tag, cells.in_header(study, tag)) for tag in layout.header_series]
    return [(label(tag), printable(text)) for tag, text in facts]


def _title(number: int, count: int, study: FoundStudy, width: int | None) -> Iterator[Line]:
    words, counts = f" Study {number:,} of {count:,} ", f" {cells.study_counts(study)} "
    space = (width or _WIDTH_OF_TEXT) - len(words) - len(counts) - 4
    if space >= 2:
        rule = "━" * space
        yield (("━━", "rule"), (words, "title"), (rule, "rule"), (counts, "muted"), ("━━", "rule"))
    else:
        yield from _said(words[1:], "title", width)
        yield from _said(counts[1:], "muted", width)


def _said(words: str, role: Role, width: int | None) -> Iterator[Line]:
    for text in fold(words.rstrip(), width) if width else [words]:
        yield ((text, role),)


def _facts(facts: Sequence[tuple[str, str]], width: int | None, *, indent: str = " ") -> Iterator[Line]:
    """Label and value, several beside each other; a value too long for that has lines for itself."""
    whole = (width or _WIDTH_OF_TEXT) - len(indent)
    beside = 1 if whole < 60 else 2 if whole < 120 else 3 if whole < 170 else 4
    share = (whole - len(_GAP) * (beside - 1)) // beside
    names = min(max((len(name) for name, _ in facts), default=0), max(share // 2, 6))
    room = max(share - names - len(_GAP), 2)
    row: list[Cell] = []
    for name, value in facts:
        long = cell_len(value) > room
        if row and (long or len(row) == 2 * beside):
            yield from side_by_side(row, indent=indent)
            row = []
        space = max(whole - names - len(_GAP), 2) if long else room
        row += (Cell(fold(name, names), names, "label"), _cell(value, space, width))
        if long:
            yield from side_by_side(row, indent=indent)
            row = []
    yield from side_by_side(row, indent=indent)


def _cell(text: str, room: int, width: int | None, *, to_the_right: bool = False) -> Cell:
    return Cell(fold(text, room) if width else (text,), room, to_the_right=to_the_right)


def _columns(
    layout: Layout, tables: Sequence[list[list[str]]], width: int | None
) -> tuple[list[_Column], list[str]]:
    """The columns of all tables, as wide as their values where there is room, and the tags left out.

    No columns at all where they would be too narrow to be read.
    """
    tags = layout.shown(layout.series)
    columns = [_natural_column(place, tag, tables) for place, tag in enumerate(tags)]
    if width is None:
        return [replace(column, width=min(column.width, _WIDEST)) for column in columns], []
    left_out = []
    for tag in _LEFT_OUT_FIRST:
        if tag in layout.optional and tag in tags and not _fit(columns, width):
            columns = [column for column in columns if column.tag != tag]
            left_out.append(tag)
    if not _fit(columns, width):
        return [], left_out
    most = _most([column.width for column in columns], _budget(width, len(columns)))
    return [replace(column, width=min(column.width, most)) for column in columns], left_out


def _natural_column(place: int, tag: str, tables: Sequence[list[list[str]]]) -> _Column:
    values = max((cell_len(row[place]) for rows in tables for row in rows), default=0)
    words = label(tag)
    longest_word = max(len(word) for word in words.split())
    return _Column(place, tag, max(values, longest_word, min(len(words), _HEADING)))


def _fit(columns: Sequence[_Column], width: int) -> bool:
    """Whether text remains readable in all of them, and UIDs whole."""
    needed = sum(
        column.width if column.tag.endswith("UID") else min(column.width, _READABLE) for column in columns
    )
    return needed <= _budget(width, len(columns))


def _budget(width: int, columns: int) -> int:
    """Cells that the columns share."""
    return width - len(_INDENT) - len(_GAP) * (columns - 1)


def _most(widths: Sequence[int], budget: int) -> int:
    """What the widest columns may take, so that narrower ones need not give way."""
    left, most = len(widths), 0
    for narrow in sorted(widths):
        most = budget // left
        if narrow > most:
            return most
        budget -= narrow
        left -= 1
    return max(widths, default=0)


def _series(
    layout: Layout, columns: Sequence[_Column], rows: Sequence[list[str]], width: int | None
) -> Iterator[Line]:
    if not rows:
        yield ((" No series.", "muted"),)
    elif columns:
        yield from _table(columns, rows, width)
    else:
        yield from _records(layout.shown(layout.series), rows, width)


def _table(columns: Sequence[_Column], rows: Sequence[list[str]], width: int | None) -> Iterator[Line]:
    headings = [fold(label(column.tag), column.width) for column in columns]
    height = max(len(lines) for lines in headings)
    yield from side_by_side(
        [
            Cell([""] * (height - len(lines)) + lines, column.width, "heading", column.is_number)
            for column, lines in zip(columns, headings, strict=True)
        ]
    )
    yield from side_by_side([Cell(["─" * column.width], column.width, "rule") for column in columns])
    for row in rows:
        yield from side_by_side(
            [
                _cell(row[column.place], column.width, width, to_the_right=column.is_number)
                for column in columns
            ]
        )


def _records(tags: Sequence[str], rows: Sequence[list[str]], width: int | None) -> Iterator[Line]:
    """Each series as facts: for more columns than fit beside each other."""
    for number, row in enumerate(rows):
        if number:
            yield ()
        facts = [(label(tag), text) for tag, text in zip(tags, row, strict=True)]
        yield from _facts(facts, width, indent="   ")
