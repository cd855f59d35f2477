"""Names of objects: parts with slashes between, which never lead anywhere else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pypx.errors import InvalidValue
from pypx.storage.names import checked_name, checked_prefix

GOOD = ["a", "a/b.dcm", "SERVICES/PACS/BCH/x", "...", "a/..b", ".hidden", "山田/ü", "a b", "-x", "a" * 255]
BAD = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "a\0b",
    "a\nb",
    "a\x1b[31m",
    "a\x7f",
    "a\x85b",
    "a" * 256,
    "/".join(["a" * 200] * 6),
    "a\ud800",
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name_is_kept_as_it_is(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue):
        checked_name(name)


@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "a/b/", "a/.b", "a/..b"])
def test_a_beginning_of_a_name(prefix: str) -> None:
    assert checked_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["/", "/a", "a//", "..", "../", "a/..", "a/../", "./a", "a\0"])
def test_what_no_name_starts_with(prefix: str) -> None:
    with pytest.raises(InvalidValue):
        checked_prefix(prefix)


@given(st.text(alphabet=st.sampled_from("./\\a~ü\0\n-"), max_size=12))
@example("a/../../b")
def test_a_name_that_is_let_through_stays_below_its_directory(name: str) -> None:
    try:
        checked_name(name)
    except InvalidValue:
        return
    top = Path("/top")
    below = Path(os.path.normpath(top / name))
    assert below != top
    assert below.is_relative_to(top)
    assert str(below) == f"/top/{name}"
