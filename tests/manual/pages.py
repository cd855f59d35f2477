"""The pages of the manual, and the commands that they show.

A command stands in a block of its own, ``.. code-block:: bash``, or within a sentence between two backquotes.
Those in blocks are run, in their order; those in sentences must be understood by the tool that they name.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).parents[2]
DOCS = CHECKOUT / "docs"

_BLOCK = re.compile(r"^( *)\.\. code-block:: bash\n\n((?:\1 {4}.*\n|\n)+)", re.MULTILINE)
_OTHER_BLOCK = re.compile(
    r"^( *)(?:\.\. code-block:: (?!bash\n).*|(?!\.\. code-block).*::)\n\n((?:\1 +\S.*\n|\n)+)", re.MULTILINE
)
_TOOL = r"(?:px-[a-z]+|pfstorage)"
_IN_SENTENCE = re.compile(rf"(?<!`)``((?:[A-Z_]+=\S+ )?{_TOOL}\s[^`]+)``")
_PROMPT_OR_TOOL = re.compile(rf"(?:\$ |\|? *{_TOOL} +[-…\w]|sudo |docker |pip )")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page.

    Parameters
    ----------
    page : pathlib.Path
    line : int
        Of the block that it is in.
    text : str
        As a shell takes it; it may have several lines.
    """

    page: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(CHECKOUT)}, the block at line {self.line}: {self.text}"


@cache
def generator() -> ModuleType:
    """docs/generate.py."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def all_pages() -> list[Path]:
    """Every page, README.rst first."""
    return [CHECKOUT / "README.rst", *sorted(DOCS.rglob("*.rst"))]


def commands(page: Path, text: str | None = None) -> list[Command]:
    """The commands in the blocks of a page, in their order.

    Parameters
    ----------
    page : pathlib.Path
    text : str, optional
        What the page says, where that is not to be read.
    """
    text = page.read_text() if text is None else text
    return [
        Command(page, text.count("\n", 0, block.start()) + 1, command)
        for block in _BLOCK.finditer(text)
        for command in split(textwrap.dedent(block[2]))
    ]


def split(block: str) -> list[str]:
    """The commands of a block: what bash takes for a whole one, line by line; comments are none.

    Raises
    ------
    AssertionError
        When the last one is not whole.
    """
    found: list[str] = []
    lines: list[str] = []
    for line in block.splitlines():
        if not lines and (not line.strip() or line.lstrip().startswith("#")):
            continue
        lines.append(line)
        if _is_whole("\n".join(lines)):
            found.append("\n".join(lines))
            lines = []
    assert not lines, f"bash does not take this for a command: {lines}"
    return found


def _is_whole(text: str) -> bool:
    # Of a here-document that does not end it only warns.
    asked = subprocess.run(["bash", "-n", "-c", text], capture_output=True, check=False)
    return asked.returncode == 0 and not asked.stderr and not text.endswith("\\")


def hidden_commands(text: str) -> list[str]:
    """Lines that look like commands, in blocks that are not marked as such."""
    bodies = (textwrap.dedent(block[2]) for block in _OTHER_BLOCK.finditer(text))
    return [line for body in bodies for line in body.splitlines() if _PROMPT_OR_TOOL.match(line)]


def commands_in_sentences(text: str) -> list[str]:
    """Commands of the suite between two backquotes, outside of blocks."""
    prose = _BLOCK.sub("", text)
    return [" ".join(found.split()) for found in _IN_SENTENCE.findall(prose)]


def calls(command: str) -> Iterator[tuple[str, list[str]]]:
    """The tools of the suite that a command calls, each with its arguments."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in (*lexer, ";"):
        if set(word) <= set("|;&()<>"):
            yield from _call(words)
            words = []
        else:
            words.append(word)


def _call(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    if words and re.fullmatch(_TOOL, words[0]):
        yield words[0], words[1:]
