"""Results as a table of reStructuredText, in the section of their benchmark in RESULTS.rst."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from textwrap import fill

from bench.measuring import Measurement

RESULTS = Path(__file__).parent / "RESULTS.rst"

#: Where a section begins: at its heading.
_SECTION = re.compile(r"^(?=[^\n]+\n-{2,}$)", re.MULTILINE)

_WIDTH = 110

#: The section with a line of each benchmark.
ALL = "all"

_TITLE = """\
Benchmarks
==========

Each tool against the bare program that it stands on: the same data, in turns, medians. The numbers say what
one machine did on one day; the ratios say more. Written by the commands that stand in each section.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what was measured, what came out, and what is asked of it."""

    what: str
    result: str
    target: str = ""
    met: bool | None = None

    @classmethod
    def of_times(cls, what: str, measured: Measurement) -> Row:
        """The median and the spread of runs that are there for comparison."""
        return cls(what, spread(measured))

    def cells(self) -> tuple[str, str, str, str]:
        return self.what, self.result, self.target, {None: "", True: "yes", False: "**no**"}[self.met]


def spread(measured: Measurement) -> str:
    """The median, and the fastest and slowest run."""
    return f"{measured.seconds:.3f} s ({measured.fastest:.3f} to {measured.slowest:.3f})"


def megabytes(size: int) -> str:
    """Bytes, for people."""
    return f"{size / 1e6:.0f} MB"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table of all benchmarks.

    Parameters
    ----------
    work : str
    ours : Measurement
    program : str
        The bare program that does the same work, or as much of it as it can; "" where there is none.
    bare : Measurement or None
    earlier : Measurement or None
        Of release 3.12.6, where it can do the work at all.
    """

    work: str
    ours: Measurement
    program: str = ""
    bare: Measurement | None = None
    earlier: Measurement | None = None

    def cells(self) -> tuple[str, ...]:
        return (
            *(self.work, _duration(self.ours), self.program),
            *(_duration(self.bare), self._ratio(self.bare)),
            *(_duration(self.earlier), self._ratio(self.earlier)),
        )

    def _ratio(self, other: Measurement | None) -> str:
        return f"{self.ours.seconds / other.seconds:.2g}" if other else ""


def _duration(measured: Measurement | None) -> str:
    """The median, and how far from it half of what lies between the fastest and the slowest is."""
    if measured is None:
        return ""
    half = (measured.slowest - measured.fastest) / 2
    if measured.seconds < 0.01:
        return f"{measured.seconds * 1000:.2f} ms ± {half * 1000:.2f}"
    return f"{measured.seconds:.2f} s ± {half:.2f}"


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark has to say.

    Parameters
    ----------
    name : str
        Of the benchmark.
    command : str
        That made it.
    machine : str
    about : str
        What was measured, on what data.
    rows : sequence of Row
    comparisons : sequence of Comparison
        Its lines in the table of all benchmarks.
    """

    name: str
    command: str
    machine: str
    about: str
    rows: Sequence[Row]
    comparisons: Sequence[Comparison] = ()

    def without_targets(self) -> Section:
        """The same, of work too little for its times to mean anything."""
        return replace(self, rows=[Row(row.what, row.result) for row in self.rows])

    def text(self) -> str:
        table = _table(("What", "Result", "Target", "Met"), [row.cells() for row in self.rows])
        told = [_filled(self.about), _filled(f"``{self.command}`` on: {self.machine}")]
        heading = f"{self.name}\n{'-' * len(self.name)}"
        return "\n\n".join((heading, *told, table))

    @property
    def met(self) -> bool:
        """Whether every target is met."""
        return all(row.met is not False for row in self.rows)


_COLUMNS = ("Work", "pypx", "Bare program", "Takes", "Ratio", "Release 3.12.6", "Ratio")

_ABOUT_ALL = (
    "Medians, and half of the way from the fastest run to the slowest. *Ratio* is what pypx takes of what the"
    " other takes, start-up included wherever the sections below do not say otherwise: under 1, pypx is the"
    " faster one. Release 3.12.6 stands where it does the work at all: its px-push, px-register and px-status"
    " end with an error on what these benchmarks ask, and its px-find asks the PACS for each study anew."
)


def of_all(sections: Sequence[Section], command: str, machine: str) -> str:
    """The table of all benchmarks that were run in one go, as the text of a section."""
    lines = [comparison.cells() for section in sections for comparison in section.comparisons]
    told = [_filled(_ABOUT_ALL), _filled(f"``{command}`` on: {machine}")]
    return "\n\n".join((f"{ALL}\n{'-' * len(ALL)}", *told, _table(_COLUMNS, lines)))


def _filled(text: str) -> str:
    return fill(text, _WIDTH, break_on_hyphens=False)


def _table(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cells[place]) for cells in (titles, *lines)) for place in range(len(titles))]
    rule = " ".join("=" * width for width in widths)
    return "".join(
        f"{line}\n" for line in (rule, *_aligned([titles], widths), rule, *_aligned(lines, widths), rule)
    )


def _aligned(lines: Iterable[Sequence[str]], widths: Sequence[int]) -> Iterable[str]:
    for cells in lines:
        # An empty first cell would make the line go on with the one above.
        yield " ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def write(text: str, file: Path = RESULTS) -> None:
    """Put a section's text into the file: in the place of the one of the same name, else at the end.

    That of all benchmarks is the first one.
    """
    title, *sections = _SECTION.split(file.read_text() if file.exists() else _TITLE)
    texts = {ALL: "", **{one.split("\n", 1)[0]: one for one in sections}}
    texts[text.split("\n", 1)[0]] = text
    if not texts[ALL]:
        del texts[ALL]
    file.write_text("\n".join(one.rstrip("\n") + "\n" for one in (title, *texts.values())))
