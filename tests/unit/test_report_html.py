"""html: one file that holds everything and runs nothing of what a PACS sends."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from datasets import AWKWARD_TEXTS
from finds import found, plain_find, series, study
from pypx.actions.found import Found
from pypx.actions.report.html_page import html_page
from pypx.actions.report.layout import Asked, for_report
from pypx.actions.report.studies import gather
from pypx.printable import printable_text

_HOSTILE = [
    *AWKWARD_TEXTS.values(),
    "</bdi></td></table><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "</script><script>alert(1)</script>",
    "</style><style>*{display:none}</style>",
    "<!--",
    "&lt;already&gt;",
    "\0\ud800",
    "x" * 10_000,
]

_ELEMENTS = (
    {"html", "head", "meta", "title", "style", "script", "body", "main", "header", "section", "h1", "h2", "p"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
    | {"dl", "dt", "dd", "div", "a", "bdi", "small"}
)


class _Page(HTMLParser):
    """Elements with their attributes, and the text of each bdi."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.values: list[str] = []
        self.inline: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag != "meta":
            self._open.append(tag)
        if tag == "bdi":
            self.values.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, text: str) -> None:
        if self._open and self._open[-1] == "bdi":
            self.values[-1] += text
        if self._open and self._open[-1] in ("style", "script"):
            self.inline[self._open[-1]] = text


def page_of(find: Found) -> str:
    reported = gather([find])
    return "".join(html_page(reported, for_report(Asked(), reported)))


@pytest.fixture(scope="module")
def hostile() -> str:
    of_it = [
        series(f"1.{number}", SeriesDescription=text, Modality=text) for number, text in enumerate(_HOSTILE)
    ]
    return page_of(found(study("1", *of_it, PatientName=_HOSTILE[-2]), study("2", PatientName="<b>")))


def test_every_value_is_text_and_nothing_else(hostile: str) -> None:
    page = _Page(hostile)
    for text in _HOSTILE:
        assert not text or page.values.count(printable_text(text)) >= 2
    assert {tag for tag, _ in page.elements} <= _ELEMENTS
    assert [tag for tag, _ in page.elements].count("script") == 1


def test_no_attribute_comes_from_a_value(hostile: str) -> None:
    for tag, attributes in _Page(hostile).elements:
        allowed = {"class", "id", "href", "lang", "charset", "name", "content", "http-equiv"}
        assert set(attributes) <= allowed, (tag, attributes)
        assert re.fullmatch(r"#study-[0-9]+", attributes.get("href") or "#study-1")


def test_nothing_is_fetched(hostile: str) -> None:
    page = _Page(hostile)
    assert not [attributes for _, attributes in page.elements if "src" in attributes]
    assert not re.search(r"url\(|@import|https?:", page.inline["style"] + page.inline["script"])


def test_the_policy_allows_what_is_inside_and_nothing_else(hostile: str) -> None:
    page = _Page(hostile)
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    for kind, rule in (("style", "style-src"), ("script", "script-src")):
        digest = base64.b64encode(hashlib.sha256(page.inline[kind].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert rules["default-src"] == "'none'"
    # A policy after the first element that it could stop is no policy.
    assert hostile.index("Content-Security-Policy") < hostile.index("<style>")


def test_a_table_a_study_and_one_of_all_studies() -> None:
    page = _Page(page_of(plain_find()))
    tables = [
        attributes.get("id") or attributes.get("class") for tag, attributes in page.elements if tag == "table"
    ]
    assert tables == ["studies", "series", "series"]
    assert {"Doe^Jane", "Müller^Jürgen", "T1", "Thorax", "040Y"} <= set(page.values)


def test_one_study_needs_no_table_of_studies() -> None:
    assert 'id="studies"' not in page_of(found(study("1", series("1.1"))))


def test_nothing_found() -> None:
    assert "0 studies, 0 series, 0 images" in page_of(found())
