"""Every command that README.rst and docs/ show is run, in its order, on real servers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import click
import pytest

from demo.cube import Cube
from demo.studies import invented_studies
from manual import pages
from manual.before import BEFORE
from manual.omitted import OMITTED, is_omitted
from manual.scene import ManualOrthanc, Scene, Servers
from servers.cube import swift_names
from servers.needs import require
from servers.postgresql import Postgresql
from servers.swift import Swift

_PAGES = pages.all_pages()
_NAMES = [str(page.relative_to(pages.CHECKOUT)) for page in _PAGES]
_WITH_COMMANDS = [
    name for name, page in zip(_NAMES, _PAGES, strict=True) if "code-block:: bash" in page.read_text()
]


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManualOrthanc]:
    """The manual's PACS, which holds the patients of bin/demo."""
    require("dcmsend", "dcmtk")
    files = tmp_path_factory.mktemp("files")
    with ManualOrthanc(tmp_path_factory.mktemp("manual-orthanc")) as server:
        server.store(path for study in invented_studies() for path in study.write(files))
        yield server


@pytest.fixture
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """Those that a page may need, none of them started before."""
    with ExitStack() as closing:

        @cache
        def swift() -> tuple[Swift, str]:
            server: Swift = request.getfixturevalue("swift")
            container = f"users-{uuid.uuid4().hex}"
            server.request("PUT", container)
            return server, container

        @cache
        def cube() -> Cube:
            return closing.enter_context(Cube(swift_names(*swift()), wait=1.0))

        @cache
        def database() -> str:
            server: Postgresql = request.getfixturevalue("postgresql")
            return server.url_with_password(server.fresh_database())

        yield Servers(swift, cube, database)


@pytest.fixture
def scene(tmp_path: Path, pacs: ManualOrthanc, servers: Servers) -> Iterator[Scene]:
    made = Scene(tmp_path, pacs, servers)
    yield made
    made.end()


@pytest.mark.parametrize("name", _WITH_COMMANDS)
def test_the_commands_of_a_page_do_what_they_are_shown_for(name: str, scene: Scene) -> None:
    require("jq", "jq")
    for text in BEFORE.get(name, ()):
        scene.run(text)
    for command in pages.commands(pages.CHECKOUT / name):
        if not is_omitted(command.text):
            scene.run(command.text)


@pytest.mark.parametrize("name", _NAMES)
def test_no_command_hides_in_a_block_that_is_not_marked_as_one_of_commands(name: str) -> None:
    assert pages.hidden_commands((pages.CHECKOUT / name).read_text()) == []


@pytest.mark.parametrize("name", [*_NAMES, "CHANGELOG.rst"])
def test_the_commands_within_sentences_are_understood(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in pages.commands_in_sentences((pages.CHECKOUT / name).read_text()):
        called = list(pages.calls(command))
        assert called, command
        for tool, words in called:
            _parse(tool, words)


def _parse(tool: str, words: list[str]) -> None:
    """Have a tool read its command line; … is a value, or stands for any options."""
    command = pages.generator().tools()[tool]
    try:
        try:
            command.make_context(tool, list(words))
        except click.UsageError:
            command.make_context(tool, [word for word in words if word != "…"])
    except click.exceptions.Exit:
        pass  # --help and the like
    except click.ClickException as error:
        pytest.fail(f"{tool} {' '.join(words)}: {error.format_message()}")


def test_each_reason_not_to_run_a_command_is_needed() -> None:
    shown = [command.text for page in _PAGES for command in pages.commands(page)]
    for pattern in OMITTED:
        assert any(re.match(pattern, text) for text in shown), f"no page shows a command like {pattern!r}"


def test_each_page_for_which_something_is_done_before_has_commands() -> None:
    assert set(BEFORE) <= set(_WITH_COMMANDS)


_PAGE = """
Title
=====

.. code-block:: bash

    # a comment
    px-find … |
        px-report
    cat > it <<'END'
    one
    END
    echo 'two
    lines'

As in ``px-find … --PatientID 1 | px-move
--get`` and ``px-move``, or::

    px-status

and::

    $ px-find --help
"""


def test_what_is_a_command_on_a_page_is_seen() -> None:
    page = pages.CHECKOUT / "docs" / "page.rst"
    found = pages.commands(page, _PAGE)
    assert [command.text for command in found] == [
        "px-find … |\n    px-report",
        "cat > it <<'END'\none\nEND",
        "echo 'two\nlines'",
    ]
    assert str(found[0]).startswith("docs/page.rst, the block at line 5: px-find")
    assert pages.commands_in_sentences(_PAGE) == ["px-find … --PatientID 1 | px-move --get"]
    assert pages.hidden_commands(_PAGE) == ["$ px-find --help"]
    assert list(pages.calls("A=1 px-find … --PatientID 1 | px-move --get; ls")) == [
        ("px-find", ["…", "--PatientID", "1"]),
        ("px-move", ["--get"]),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "px-find pacs.example.org:THEIRS:104 --PatientID",
        "px-fnid pacs.example.org:THEIRS:104",
        "px-find pacs.example.org:THEIRS:104 --PatientID 7654321 | false | cat",
        "px-echo elsewhere.example.org:THEIRS:104",
        "px-status … | px-report",
    ],
)
def test_a_command_that_does_not_work_is_a_failure(text: str, scene: Scene) -> None:
    with pytest.raises(AssertionError):
        scene.run(text)
