"""Lines for people's eyes: text with the role it plays, measured in cells of a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.cells import cell_len

from pypx.printable import printable

#: What a piece of a line is, for whoever paints it.
Role: TypeAlias = Literal["text", "title", "rule", "label", "heading", "muted"]

#: Text, already printable, and its role.
Span: TypeAlias = tuple[str, Role]

Line: TypeAlias = tuple[Span, ...]

#: Emoji presentation: makes the character before it two cells wide (Unicode technical standard 51).
_WIDENS = "\ufe0f"

#: Words for what stands often and long; DICOM's own keyword, split, for all else.
_LABELS = {
    "PatientName": "Patient",
    "PatientBirthDate": "Birth Date",
    "PatientAge": "Age",
    "PatientSex": "Sex",
    "StudyDescription": "Description",
    "SeriesDescription": "Description",
    "AccessionNumber": "Accession",
    "ModalitiesInStudy": "Modalities",
    "StudyInstanceUID": "Study UID",
    "SeriesInstanceUID": "Series UID",
    "SeriesNumber": "No.",
    "NumberOfStudyRelatedSeries": "Series",
    "NumberOfStudyRelatedInstances": "Images",
    "NumberOfSeriesRelatedInstances": "Images",
    "seriesStatus": "Status",
}

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def label(tag: str) -> str:
    """How an attribute is called above or beside its values.

    >>> label("PerformedStationAETitle")
    'Performed Station AE Title'
    """
    words = _LABELS.get(tag) or _WORD_STARTS.sub(" ", tag)
    # A document may call an attribute anything.
    return printable(words[:1].upper() + words[1:])


def fold(text: str, width: int) -> list[str]:
    """Break a text into lines no wider than this, behind a space where there is one; nothing is lost.

    Parameters
    ----------
    text : str
        Printable.
    width : int
        In cells, at least 2.
    """
    if cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    start = used = 0
    for index, character in enumerate(text):
        cells = 1 if character == _WIDENS else cell_len(character)
        if cells and used + cells > width:
            end = _break_before(text, start, index)
            lines.append(text[start:end])
            start, used = end, cell_len(text[end:index])
        used += cells
    lines.append(text[start:])
    return lines


def _break_before(text: str, start: int, end: int) -> int:
    """Behind the last space, when that leaves the line at least half full."""
    space = text.rfind(" ", start, end)
    return space + 1 if space - start >= (end - start) // 2 else end


@dataclass(frozen=True, slots=True)
class Cell:
    """Lines of text that stand in one column.

    Parameters
    ----------
    lines : sequence of str
        Printable. One that is wider than the column pushes what follows to the right.
    width : int
        Of the column, in cells.
    role : Role
        Of the text.
    to_the_right : bool
        Whether it stands at the right edge of the column.
    """

    lines: Sequence[str]
    width: int
    role: Role = "text"
    to_the_right: bool = False


def side_by_side(cells: Sequence[Cell], *, indent: str = " ", gap: str = "  ") -> Iterator[Line]:
    """The lines of a row of cells, without space behind the last text of each."""
    for number in range(max((len(cell.lines) for cell in cells), default=0)):
        line: list[Span] = []
        space = indent
        for cell in cells:
            text = cell.lines[number] if number < len(cell.lines) else ""
            if not text:
                space += " " * cell.width + gap
                continue
            missing = max(cell.width - cell_len(text), 0)
            if cell.to_the_right:
                space += " " * missing
                missing = 0
            line.append((space, "text"))
            line.append((text, cell.role))
            space = " " * missing + gap
        yield tuple(line)
