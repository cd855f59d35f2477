"""px-find on the provider of the tests: what came out, and what was said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from servers.find_provider import FindProvider
from tools import Ran, run_tool


def find(pacs: FindProvider, *query: str | int, status: int = 0, verbosity: int = 1) -> Ran:
    """px-find as a script runs it that wants to hear warnings; its JSON must be there however it ends."""
    ran = run_tool("px-find", *pacs.node.options, "--verbosity", verbosity, *query)
    assert ran.status == status, ran.stderr
    assert ran.json["status"] == ("error" if status else "success")
    return ran


def values_of(members: Sequence[dict[str, Any]], keyword: str) -> list[str]:
    return [member[keyword]["value"] for member in members]


def numbers_of(ran: Ran) -> list[int]:
    """The studies of :func:`archives.archive` that were found, in order."""
    return [int(uid.rsplit(".", 1)[1]) for uid in values_of(ran.json["data"], "StudyInstanceUID")]


def series_of(ran: Ran) -> list[list[str]]:
    """The UIDs of the series of each study."""
    return [values_of(study["series"], "SeriesInstanceUID") for study in ran.json["data"]]


def assert_says(ran: Ran, *notes: str) -> None:
    """Each of these in a note of the JSON and in one line on stderr, and nothing else on stderr."""
    assert len(ran.stderr.splitlines()) == len(notes), ran.stderr
    for note in notes:
        assert [said for said in ran.json["notes"] if note in said], ran.json["notes"]
        assert [line for line in ran.stderr.splitlines() if note in line and line.startswith("px-find: ")]


def assert_fails(ran: Ran, code: str, *words: str, notes: Sequence[str] = ()) -> None:
    """The error of the JSON, and the same in one sentence on stderr, with the notes before it."""
    assert ran.error == code
    *others, line = ran.stderr.splitlines()
    assert line.startswith(f"px-find: {ran.json['error']['message']}")
    for word in words:
        assert word in line
    assert len(others) == len(notes), ran.stderr
    for note, other in zip(notes, others, strict=True):
        assert note in other
