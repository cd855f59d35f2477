"""The report as plain text: a line a fact of the study, a line a series; for grep, awk and mail."""

from __future__ import annotations

from collections.abc import Iterator

from pypx.actions.report import cells
from pypx.actions.report.layout import Layout
from pypx.actions.report.studies import Reported
from pypx.printable import printable


def raw_text(reported: Reported, layout: Layout) -> Iterator[str]:
    """Give the lines: "Keyword: value", those of a series with a tab between; an empty line between studies.

    Values are whole, control characters in them spelled out, so that a tab or line end is never part of one.
    """
    study_tags, series_tags = layout.shown(layout.study), layout.shown(layout.series)
    for number, study in enumerate(reported.studies):
        if number:
            yield ""
        for tag in study_tags:
            yield _fact(tag, cells.of_study(study, tag))
        for tag in layout.header_series:
            yield _fact(tag, cells.in_header(study, tag))
        for series in study.series:
            yield "\t".join(_fact(tag, cells.of_series(study, series, tag)) for tag in series_tags)


def _fact(tag: str, text: str) -> str:
    return printable(f"{tag}: {text}".rstrip(" "))
