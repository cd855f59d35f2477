"""Each line of the page on reliability is backed by a test that exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "reliability.rst").read_text()

_NAMED = re.compile(r"``(test_\w+\.py)::(test_\w+)``")

#: The lines of all tables but their headings.
ROWS = [
    row for row in re.split(r"^    \* - ", PAGE, flags=re.MULTILINE)[1:] if not row.startswith("What happens")
]


def names_in(file: str) -> set[str]:
    """The tests that files of this name have."""
    return {
        node.name
        for path in TESTS.rglob(file)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_the_page_has_lines() -> None:
    assert len(ROWS) > 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.splitlines()[0][:60])
def test_the_tests_of_a_line_exist(row: str) -> None:
    named = _NAMED.findall(row)
    assert named, "no test stands behind this line"
    for file, name in named:
        assert name in names_in(file), f"{file} has no test {name}"


def test_a_test_that_is_not_there_is_seen() -> None:
    assert "test_that_never_was" not in names_in("test_listen.py")
    assert "test_status" in names_in("test_listen.py")
