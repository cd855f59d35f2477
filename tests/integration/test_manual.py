"""The manual as a whole: it can be built, no link leads nowhere, what comes from the code is up to date.

Its commands are run by test_manual_commands.py; test_manual_json.py is about its page on JSON.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from manual import pages
from manual.release_3 import OPTIONS
from tools import run_tool

_GENERATOR = pages.generator()


def test_sphinx_builds_it_without_a_warning(tmp_path: Path) -> None:
    # Of each page, and of links to what is not there.
    options = ("-W", "--keep-going", "-n", "-q", "-d", str(tmp_path / "doctrees"), "-b", "html")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *options, str(pages.DOCS), str(tmp_path / "html")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.stderr == ""
    assert built.returncode == 0
    assert (tmp_path / "html" / "tools" / "px-find.html").exists()


def test_the_pages_that_come_from_the_code_are_up_to_date() -> None:
    stale = [str(page.relative_to(pages.CHECKOUT)) for page in _GENERATOR.stale_pages()]
    assert stale == [], f"Run: python docs/generate.py (and commit {', '.join(stale)})"


def test_a_page_that_is_not_up_to_date_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_GENERATOR, "DOCS", tmp_path)
    monkeypatch.setattr(_GENERATOR, "TOOLS", tmp_path / "tools")
    (tmp_path / "tools").mkdir()
    for page, text in _GENERATOR.pages().items():
        page.write_text(text)
    assert _GENERATOR.stale_pages() == []
    (tmp_path / "errors.rst").write_text("")
    (tmp_path / "tools" / "px-find.rst").unlink()
    (tmp_path / "tools" / "px-gone.rst").write_text("")
    stale = {page.name for page in _GENERATOR.stale_pages()}
    assert stale == {"errors.rst", "px-find.rst", "px-gone.rst"}


@pytest.mark.parametrize("tool", sorted(_GENERATOR.scripts()))
def test_the_page_of_a_tool_has_all_options_and_examples_of_its_help(tool: str) -> None:
    page = (_GENERATOR.TOOLS / f"{tool}.rst").read_text()
    shown = run_tool(tool, "--help").stdout
    options, _, examples = shown.partition("\nExamples:\n")
    names = re.findall(r"^  (?:(-\w), )?(--?[\w-]+)", options, re.MULTILINE)
    assert len(names) > 5
    for name in {name for both in names for name in both if name}:
        assert re.search(rf"``{name}(?: [^`]+)?``", page), name
    for line in examples.strip().splitlines():
        assert f"    {line.strip()}\n" in page


def test_the_readme_leads_to_pages_that_are_there() -> None:
    text = (pages.CHECKOUT / "README.rst").read_text()
    targets = re.findall(r"<([^:>]+)>`_", text)
    assert len(targets) > 10
    for target in targets:
        assert (pages.CHECKOUT / target).exists(), target
    of_docs = {page.stem for page in pages.DOCS.glob("*.rst")} - {"index"}
    assert of_docs <= {Path(target).stem for target in targets}, (
        "README.rst does not name each page of the manual"
    )


def test_the_readme_is_valid_where_it_is_shown_without_sphinx() -> None:
    from docutils.core import publish_string
    from docutils.utils import Reporter

    settings = {
        "halt_level": Reporter.WARNING_LEVEL,
        "report_level": Reporter.SEVERE_LEVEL,
        "syntax_highlight": "none",
    }
    publish_string((pages.CHECKOUT / "README.rst").read_text(), writer="html5", settings_overrides=settings)


@pytest.mark.parametrize("tool", sorted(OPTIONS))
def test_the_options_of_release_3_are_there(tool: str) -> None:
    command = _GENERATOR.tools()[tool]
    known = {name for parameter in command.get_params(click.Context(command)) for name in parameter.opts}
    # Click adds the one on help when it is called.
    assert set(OPTIONS[tool]) - known - {"-h", "--help"} == set()
    assert run_tool(tool, "-h").status == 0
