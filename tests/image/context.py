"""What an engine is sent of the checkout: all that .dockerignore does not leave out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .dockerfile import NotUnderstood


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    is_exception: bool


@dataclass(frozen=True, slots=True)
class Context:
    """The files of a directory that instructions may copy.

    Parameters
    ----------
    directory : pathlib.Path
    rules : tuple
        Of .dockerignore; the last one that applies decides.
    """

    directory: Path
    rules: tuple[_Rule, ...]

    @classmethod
    def of(cls, directory: Path) -> Context:
        """The context of this directory.

        Raises
        ------
        NotUnderstood
            When .dockerignore holds a pattern with more than ``*`` and ``**``.
        """
        lines = (directory / ".dockerignore").read_text().splitlines()
        return cls(directory, tuple(_rule(line.strip()) for line in lines if line.strip() and line[0] != "#"))

    def holds(self, path: str) -> bool:
        """Whether the file at this path, from the top of the directory, is sent."""
        is_left_out = False
        parts = PurePosixPath(path).parts
        names = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        for rule in self.rules:
            # What is said of a directory is said of all that is in it.
            if any(rule.pattern.fullmatch(name) for name in names):
                is_left_out = not rule.is_exception
        return not is_left_out

    def files(self, source: str) -> Iterator[tuple[Path, str]]:
        """The files that ``COPY source`` takes, and the path of each below its destination ("" for a file).

        Raises
        ------
        FileNotFoundError
            When there is none.
        """
        top = self.directory / source
        paths = (
            [top]
            if top.is_file()
            else sorted(Path(parent, name) for parent, _, names in os.walk(top) for name in names)
        )
        held = [path for path in paths if self.holds(path.relative_to(self.directory).as_posix())]
        if not held:
            raise FileNotFoundError(f"{source}: no such file or directory, or .dockerignore leaves it out")
        for path in held:
            yield path, "" if path == top else path.relative_to(top).as_posix()


def _rule(line: str) -> _Rule:
    pattern = line.removeprefix("!").strip("/")
    if re.search(r"[?\[\\!]", pattern):
        raise NotUnderstood(f".dockerignore: the pattern {line} is not known")
    parts = re.split(r"(\*\*/|\*\*|\*)", pattern)
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return _Rule(re.compile("".join(meaning.get(part) or re.escape(part) for part in parts)), line[0] == "!")
