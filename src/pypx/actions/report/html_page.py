"""The report as one HTML file that needs nothing else: no network, and no script to be read.

The script that sorts tables is inside it. The page's policy lets nothing else run and nothing be fetched, so
that a value could do nothing even if it were not escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from pypx.actions.found import FoundStudy
from pypx.actions.report import cells
from pypx.actions.report.layout import Layout
from pypx.actions.report.lines import label
from pypx.actions.report.studies import Reported
from pypx.printable import printable_text

#: Facts longer than this have the page's width for themselves.
_LONG = 60

#: Shown of each study in the table of contents, where the report has them.
_CONTENTS = ("PatientName", "PatientID", "StudyDate", "StudyDescription", "ModalitiesInStudy")


def html_page(reported: Reported, layout: Layout) -> Iterator[str]:
    """Write the page: a table of the studies where there are several, then each study with its series."""
    style, script = _resource("page.css"), _resource("page.js")
    yield _HEAD.format(
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        counts=escape(cells.counts(reported.studies)),
    )
    if len(reported.studies) > 1:
        yield from _contents(reported.studies, layout)
    for number, study in enumerate(reported.studies, 1):
        yield from _study(number, study, layout)
    yield f"</main>\n<script>{script}</script>\n</body>\n</html>\n"


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex, nofollow">
<title>Studies and series</title>
<style>{style}</style>
</head>
<body>
<main>
<header>
<h1>Studies and series</h1>
<p>{counts}</p>
</header>
"""


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """What a Content-Security-Policy names an inline element by (W3C CSP, level 2, 4.2.5)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _contents(studies: Sequence[FoundStudy], layout: Layout) -> Iterator[str]:
    tags = [tag for tag in _CONTENTS if tag in layout.shown(layout.study)]
    yield '<section>\n<table id="studies">\n<thead><tr><th class="number">Study</th>'
    yield "".join(_heading(tag) for tag in tags)
    yield '<th class="number">Series</th><th class="number">Images</th></tr></thead>\n<tbody>\n'
    for number, study in enumerate(studies, 1):
        counts = (cells.study_series(study), cells.study_instances(study))
        yield f'<tr><td class="number"><a href="#study-{number}">{number}</a></td>'
        yield "".join(_cell(tag, cells.of_study(study, tag)) for tag in tags)
        yield "".join(f'<td class="number">{"" if count is None else count}</td>' for count in counts)
        yield "</tr>\n"
    yield "</tbody>\n</table>\n</section>\n"


def _study(number: int, study: FoundStudy, layout: Layout) -> Iterator[str]:
    name = cells.of_study(study, "PatientName") or cells.of_study(study, "PatientID")
    yield f'<section id="study-{number}">\n<h2>{_value(name or f"Study {number}")}'
    yield f"<small>{escape(cells.study_counts(study))}</small></h2>\n<dl>\n"
    for tag in layout.shown(layout.study):
        yield _fact(tag, cells.of_study(study, tag))
    for tag in layout.header_series:
        yield _fact(tag, cells.in_header(study, tag))
    yield "</dl>\n"
    if study.series:
        yield from _series(study, layout.shown(layout.series))
    else:
        yield '<p class="none">No series.</p>\n'
    yield "</section>\n"


def _series(study: FoundStudy, tags: Sequence[str]) -> Iterator[str]:
    yield '<table class="series">\n<thead><tr>'
    yield "".join(map(_heading, tags))
    yield "</tr></thead>\n<tbody>\n"
    for series in study.series:
        yield "<tr>"
        yield "".join(_cell(tag, cells.of_series(study, series, tag)) for tag in tags)
        yield "</tr>\n"
    yield "</tbody>\n</table>\n"


def _fact(tag: str, text: str) -> str:
    place = ' class="long"' if len(text) > _LONG or tag.endswith("UID") else ""
    return f"<div{place}><dt>{escape(label(tag))}</dt><dd{_kind(tag)}>{_value(text)}</dd></div>\n"


def _heading(tag: str) -> str:
    kind = ' class="number"' if tag in cells.NUMBERS else ""
    return f"<th{kind}>{escape(label(tag))}</th>"


def _cell(tag: str, text: str) -> str:
    return f"<td{_kind(tag)}>{_value(text)}</td>"


def _kind(tag: str) -> str:
    if tag in cells.NUMBERS:
        return ' class="number"'
    return ' class="uid"' if tag.endswith("UID") else ""


def _value(text: str) -> str:
    """A value that keeps its reading direction to itself, and its line breaks."""
    return f"<bdi>{escape(printable_text(text))}</bdi>" if text else ""
