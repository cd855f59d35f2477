"""The html report in a real browser: it is there, it sorts, it runs nothing of what a PACS sends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from browser import Browser
from datasets import AWKWARD_TEXTS
from finds import found, series, study, text_of
from tools import run_tool

_HOSTILE = [
    *AWKWARD_TEXTS.values(),
    "<img src=x onerror=\"document.title='run'\">",
    "</script><script>document.title='run'</script>",
    '"><svg onload="document.title=\'run\'">',
    "x" * 10_000,
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium") / "profile") as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three studies; the first has every awkward value, the second what is to be sorted."""
    odd = study(
        "1.1",
        *(series(f"1.1.{number}", SeriesDescription=text) for number, text in enumerate(_HOSTILE)),
        PatientName=_HOSTILE[-2],
        PatientID="ODD",
    )
    counts = {"b": "10", "ä": "9", "C": "100", "": ""}
    sorted_study = study(
        "1.2",
        *(
            series(f"1.2.{number}", SeriesDescription=text, NumberOfSeriesRelatedInstances=count)
            for number, (text, count) in enumerate(counts.items())
        ),
        PatientName="Müller^Jürgen",
        PatientID="SORT",
    )
    plain = study(
        "1.3", series("1.3.1", Modality="MR"), PatientName="山田^太郎", PatientID="P", StudyDate="20200229"
    )
    ran = run_tool("px-report", "--printReport", "html", stdin=text_of(found(odd, sorted_study, plain)))
    assert ran.status == 0
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(ran.stdout)
    return file


def column(browser: Browser, table: str, number: int) -> list[str]:
    cells = f"{table} tbody td:nth-child({number})"
    texts: list[str] = browser.evaluate(
        f"Array.from(document.querySelectorAll({cells!r}), cell => cell.textContent)"
    )
    return texts


def headings(browser: Browser, table: str) -> list[str]:
    texts: list[str] = browser.evaluate(
        f"Array.from(document.querySelectorAll({table + ' th'!r}), cell => cell.textContent)"
    )
    return texts


def test_the_tables_are_there(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.evaluate("document.querySelectorAll('table').length") == 4
    assert headings(browser, "#studies") == [
        "Study",
        "Patient",
        "Patient ID",
        "Study Date",
        "Modalities",
        "Series",
        "Images",
    ]
    assert column(browser, "#studies", 3) == ["ODD", "SORT", "P"]
    # Spelled out is what no page may hold; line breaks and all else are there to the last character.
    shown = column(browser, "#study-1", 1)
    for text in _HOSTILE:
        if not set(text) & set("\r\x1b\x07\u202e\u2066"):
            assert text in shown


def test_nothing_runs_and_nothing_is_fetched(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.evaluate("document.title") == "Studies and series"
    assert browser.complaints() == []
    assert [address for address in browser.requests() if not address.startswith("file:")] == []
    assert len(browser.requests()) == 1


def test_the_policy_stops_what_is_not_of_the_page(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate(
        "document.body.append(document.createElement('script'));"
        "document.body.lastChild.textContent = 'document.title = 1'"
    )
    assert browser.evaluate("document.title") == "Studies and series"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints())


@pytest.mark.parametrize(
    ("number", "upwards", "downwards"),
    [
        (1, ["ä", "b", "C", ""], ["C", "b", "ä", ""]),
        (3, ["9", "10", "100", ""], ["100", "10", "9", ""]),
    ],
)
def test_a_click_on_a_heading_sorts(
    browser: Browser, page: Path, number: int, upwards: list[str], downwards: list[str]
) -> None:
    browser.open(page)
    heading = f"#study-2 th:nth-child({number})"
    browser.click(f"{heading} button")
    assert column(browser, "#study-2", number) == upwards
    browser.click(f"{heading} button")
    assert column(browser, "#study-2", number) == downwards
    assert browser.evaluate(f"document.querySelector({heading!r}).getAttribute('aria-sort')") == "descending"
    assert column(browser, "#study-3", 2) == ["MR"]


def test_the_keyboard_sorts_too(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.evaluate("document.querySelector('#study-2 th:nth-child(3) button').focus()")
    for kind in ("keyDown", "keyUp"):
        browser.ask(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            windowsVirtualKeyCode=13,
            text="\r",
        )
    assert column(browser, "#study-2", 3) == ["9", "10", "100", ""]


def test_it_can_be_read_without_javascript(browser: Browser, page: Path) -> None:
    browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        assert column(browser, "#study-2", 1) == ["b", "ä", "C", ""]
        assert browser.evaluate("document.querySelectorAll('button').length") == 0
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_is_not_wider_than_the_window(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screenshot_shows_the_table(browser: Browser, page: Path, scheme: str, tmp_path: Path) -> None:
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page, 1000, 700)
    with_table, without = tmp_path / "with.png", tmp_path / "without.png"
    browser.screenshot(with_table)
    browser.evaluate("document.querySelector('#studies').replaceChildren()")
    browser.screenshot(without)
    assert with_table.read_bytes() != without.read_bytes()
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = browser.evaluate("getComputedStyle(document.body).color")
    assert (brightness(paper) > brightness(ink)) is (scheme == "light")
    assert abs(brightness(paper) - brightness(ink)) > 150


def brightness(colour: str) -> float:
    """The mean of "rgb(1, 2, 3)"."""
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3


def test_it_prints_in_black_on_white(browser: Browser, page: Path) -> None:
    browser.ask(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    try:
        browser.open(page)
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="", features=[])
