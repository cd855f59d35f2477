"""A docker and a podman for the tests, which run no engine: they write down how they were called.

They answer as the tool in the container would.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import Ran, run_tool

CHECKOUT = Path(__file__).parents[1]
PACS_QR = CHECKOUT / "PACS_QR.sh"

_ENGINE = """\
#!{python} -I
import json, os, sys
stdin = sys.stdin.read() if "--interactive" in sys.argv and "--tty" not in sys.argv else None
with open({record!r}, "a") as record:
    record.write(json.dumps({{"argv": sys.argv, "stdin": stdin}}) + "\\n")
print(os.environ.get("ANSWER", '{{"status": "success", "data": []}}'))
sys.exit(int(os.environ.get("ENDS_WITH", "0")))
"""

#: What a shell would do something with, what it would take apart, and what a terminal would obey.
HOSTILE = (
    "$HOME",
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "a|touch pwned&",
    "a>pwned",
    "<(touch pwned)",
    "*",
    "?",
    "[a-z]*",
    "~",
    "{a,b}",
    "!!",
    "#",
    "\\",
    "\\n\\",
    "1.2\\1.3",
    "%s%n",
    "--then",
    "-x",
    "--",
    "",
    "a b",
    " a  b ",
    "a\tb",
    "a\nb\n",
    "a\r",
    "O'Brien^*",
    'the "new" one',
    "\x1b[2J\x07",
    "Müller^Jürgen",
    "山田　太郎",
    "a=b=c",
    "&amp;\\&",
    "'",
    '"',
    "'\"'\"",
)


@dataclass(frozen=True, slots=True)
class Call:
    """How an engine was called."""

    argv: list[str]
    stdin: str | None

    @property
    def tool(self) -> list[str]:
        """The image and what follows it."""
        return self.argv[self.argv.index("pypx") :]


@dataclass(frozen=True, slots=True)
class Engines:
    """A docker and a podman that only write down how they were called."""

    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.directory}:{os.environ['PATH']}", "HOME": str(self.directory)}

    @property
    def calls(self) -> list[Call]:
        record = self.directory / "record"
        lines = record.read_text().splitlines() if record.exists() else []
        return [
            Call(**{**one, "argv": [Path(one["argv"][0]).name, *one["argv"][1:]]})
            for one in map(json.loads, lines)
        ]

    def run(self, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> Ran:
        return run_tool(PACS_QR, *arguments, environment={**self.environment, **(environment or {})})

    @classmethod
    def made_in(cls, directory: Path) -> Engines:
        """Both of them, in a directory that is made for them."""
        directory.mkdir()
        text = _ENGINE.format(python=sys.executable, record=str(directory / "record"))
        for name in ("docker", "podman"):
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)
        return cls(directory)


def quoted(value: str) -> str:
    """A value in quotation marks, as a search has it."""
    return (
        "".join(f'"{part}"' if part == "'" else f"'{part}'" for part in re.split("(')", value) if part)
        or "''"
    )


def query_of(values: tuple[str, ...]) -> tuple[list[str], str]:
    """A search that has these values: as words, and as one text."""
    words = [word for value in values for word in ("--query", f"StudyID={value}")]
    return words, " ".join(word if word == "--query" else f"StudyID={quoted(word[8:])}" for word in words)
