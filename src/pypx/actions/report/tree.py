"""The report as a tree: patients, their studies, the series of those, with counts at each level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.cells import cell_len

from pypx.actions.found import FoundStudy
from pypx.actions.report import cells
from pypx.actions.report.layout import Layout
from pypx.actions.report.lines import Line, Role, fold
from pypx.actions.report.outcomes import SERIES_STATUS, STATUS
from pypx.actions.report.studies import Reported
from pypx.printable import printable
from pypx.wording import counted

#: Attributes of the patient that are of one study all the same (PS3.3, C.7.2.2).
_OF_THE_DAY = frozenset({"PatientAge", "PatientSize", "PatientWeight"})

_BETWEEN = "  "
_LEAST = 8


@dataclass(frozen=True, slots=True)
class _Node:
    """One line of the tree, and how the lines below it begin."""

    first: str
    below: str
    text: str
    counts: str
    role: Role


def tree(reported: Reported, layout: Layout, width: int | None) -> Iterator[Line]:
    """Lay the report out as lines.

    Parameters
    ----------
    reported : Reported
        The studies.
    layout : Layout
        The attributes shown: those of the patient with the patient, those of the study with the study. UIDs
        only where they were asked for.
    width : int or None
        Of the terminal, in cells; None where there is none, so that no value is folded.

    Yields
    ------
    Line
    """
    patients = _patients(reported.studies)
    heading = f"{counted(len(patients), 'patient', 'patients')}, {cells.counts(reported.studies)}"
    for text in fold(heading, width) if width else [heading]:
        yield ((text, "title"),)
    for node in _patient_nodes(patients, layout):
        yield from _lines(node, width)


def _patients(studies: Iterable[FoundStudy]) -> list[list[FoundStudy]]:
    patients: dict[tuple[str, str], list[FoundStudy]] = {}
    for study in studies:
        # Two hospitals give the same ID to different people, so the name tells them apart.
        key = (cells.of_study(study, "PatientID"), cells.of_study(study, "PatientName"))
        patients.setdefault(key, []).append(study)
    return list(patients.values())


def _patient_nodes(patients: Sequence[Sequence[FoundStudy]], layout: Layout) -> Iterator[_Node]:
    of_patient = [tag for tag in _named(layout, layout.study) if _is_of_patient(tag)]
    for studies, first, below in _branches(patients, ""):
        text = _joined(cells.of_study(studies[0], tag) for tag in of_patient)
        yield _Node(first, below, text or "no name, no ID", cells.counts(studies), "heading")
        yield from _study_nodes(studies, below, layout)


def _study_nodes(studies: Sequence[FoundStudy], above: str, layout: Layout) -> Iterator[_Node]:
    named = [tag for tag in _named(layout, layout.study) if not _is_of_patient(tag)]
    of_study = sorted(named, key=_OF_THE_DAY.__contains__)
    for study, first, below in _branches(studies, above):
        texts = [cells.of_study(study, tag) for tag in of_study]
        texts += [cells.in_header(study, tag) for tag in layout.header_series]
        yield _Node(first, below, _joined(texts) or study.uid or "no UID", cells.study_counts(study), "label")
        yield from _series_nodes(study, below, layout)


def _series_nodes(study: FoundStudy, above: str, layout: Layout) -> Iterator[_Node]:
    # Counts without their headings would say nothing, so that the status has one sentence.
    tags = [tag for tag in _named(layout, layout.series) if not (tag in STATUS and tag in layout.optional)]
    status = not {SERIES_STATUS, *STATUS}.intersection(tags)
    for series, first, below in _branches(study.series, above):
        texts = [cells.of_series(study, series, tag) for tag in tags]
        text = _joined([*texts, cells.status(series)] if status else texts)
        images = counted(cells.instances(series), "image", "images")
        yield _Node(first, below, text or series.uid or "no UID", images, "text")


_T = TypeVar("_T")


def _branches(nodes: Sequence[_T], above: str) -> Iterator[tuple[_T, str, str]]:
    """Each node with the beginning of its line and of the lines below it."""
    for place, node in enumerate(nodes, 1):
        last = place == len(nodes)
        yield node, above + ("└── " if last else "├── "), above + ("    " if last else "│   ")


def _named(layout: Layout, tags: Iterable[str]) -> list[str]:
    """Tags that tell one node from another: no counts, which stand there anyway, and no UID unasked."""
    return [
        tag
        for tag in layout.shown(tags)
        if not tag.startswith("NumberOf") and not (tag.endswith("UID") and tag in layout.optional)
    ]


def _is_of_patient(tag: str) -> bool:
    return tag.startswith("Patient") and tag not in _OF_THE_DAY


def _joined(texts: Iterable[str]) -> str:
    return _BETWEEN.join(printable(text) for text in texts if text)


def _lines(node: _Node, width: int | None) -> Iterator[Line]:
    counts = f"({node.counts})"
    # A terminal too narrow for the branches still gets some letters a line.
    room = max(width - len(node.first), _LEAST) if width else None
    *before, last = fold(node.text, room) if room else [node.text]
    first = node.first
    for text in before:
        yield ((first, "rule"), (text, node.role))
        first = node.below
    if room is None or cell_len(last) + len(_BETWEEN) + len(counts) <= room:
        yield ((first, "rule"), (last, node.role), (_BETWEEN + counts, "muted"))
        return
    yield ((first, "rule"), (last, node.role))
    for text in fold(counts, room):
        yield ((node.below, "rule"), (text, "muted"))
