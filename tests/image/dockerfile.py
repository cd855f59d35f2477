"""Read a Dockerfile: its instructions, with their flags, one stage after another."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

#: The instructions that are understood, and the flags of each.
KNOWN: Mapping[str, frozenset[str]] = {
    "FROM": frozenset(),
    "ARG": frozenset(),
    "RUN": frozenset(),
    "COPY": frozenset({"from", "chmod"}),
    "ENV": frozenset(),
    "LABEL": frozenset(),
    "WORKDIR": frozenset(),
    "USER": frozenset(),
    "VOLUME": frozenset(),
    "EXPOSE": frozenset(),
    "STOPSIGNAL": frozenset(),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "retries"}),
    "ENTRYPOINT": frozenset(),
}

_FLAG = re.compile(r"--(?P<name>[a-z-]+)=(?P<value>\S+)\s+")
_DIRECTIVE = re.compile(r"#\s*(escape|syntax|check)\s*=", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<default>[^{}]*))?\}|(?P<plain>\w+))")


class NotUnderstood(Exception):
    """Something in a Dockerfile that this reader does not know; an engine may."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Parameters
    ----------
    line : int
        Where it begins, from 1.
    keyword : str
        In capitals.
    flags : mapping
        ``{"from": "build"}`` of ``--from=build``.
    text : str
        What follows, on one line, without comments.
    """

    line: int
    keyword: str
    flags: Mapping[str, str]
    text: str

    def __str__(self) -> str:
        return " ".join(
            (self.keyword, *(f"--{name}={value}" for name, value in self.flags.items()), self.text)
        )

    @property
    def command(self) -> list[str]:
        """The command in exec form, ``["program", "argument"]``.

        Raises
        ------
        NotUnderstood
            When it is in shell form, which has a shell between an engine's signals and the program.
        """
        try:
            command = json.loads(
                self.text.removeprefix("CMD ") if self.keyword == "HEALTHCHECK" else self.text
            )
        except ValueError:
            raise NotUnderstood(f"line {self.line}: {self.keyword} is not in exec form") from None
        return [str(argument) for argument in command]

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """The words of the text, with variables in place.

        Raises
        ------
        NotUnderstood
            When a variable has no value, or a quotation is of a kind that a shell would treat otherwise.
        """
        if re.search(r"['\\*?\[]", self.text):
            raise NotUnderstood(f"line {self.line}: a single quote, backslash or pattern in {self}")
        return [self._expanded(word, variables) for word in shlex.split(self.text)]

    def pairs(self, variables: Mapping[str, str]) -> dict[str, str]:
        """``name=value name="other value"``."""
        pairs = [word.partition("=") for word in self.words(variables)]
        if not all(equals for _, equals, _ in pairs):
            raise NotUnderstood(f"line {self.line}: {self} has a name without a value")
        return {name: value for name, _, value in pairs}

    def _expanded(self, word: str, variables: Mapping[str, str]) -> str:
        def value(found: re.Match[str]) -> str:
            name = found["braced"] or found["plain"]
            known = variables.get(name) or found["default"]
            if known is None:
                raise NotUnderstood(f"line {self.line}: ${name} has no value here")
            return known

        return _VARIABLE.sub(value, word)


@dataclass(frozen=True, slots=True)
class Stage:
    """What lies between one FROM and the next.

    Parameters
    ----------
    base : str
        The image that it is from, or the name of an earlier stage.
    name : str
        Its own, or "".
    instructions : tuple of Instruction
        Without the FROM.
    """

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def only(self, keyword: str) -> Instruction:
        """The one instruction of this kind.

        Raises
        ------
        LookupError
            When there is none, or another one takes its place.
        """
        found = [each for each in self.instructions if each.keyword == keyword]
        if len(found) != 1:
            raise LookupError(f"{len(found)} instructions {keyword}")
        return found[0]


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile, the last of which is the image.

    Raises
    ------
    NotUnderstood
        When it holds an instruction, a flag or a form that is not known here.
    """
    stages: list[Stage] = []
    gathered: list[Instruction] = []
    for instruction in _instructions(path.read_text()):
        if instruction.keyword == "FROM":
            stages = _closed(stages, gathered)
            gathered = []
            stages.append(_stage(instruction))
        elif not stages:
            raise NotUnderstood(f"line {instruction.line}: {instruction.keyword} before the first FROM")
        else:
            gathered.append(instruction)
    return _closed(stages, gathered)


def _closed(stages: list[Stage], gathered: list[Instruction]) -> list[Stage]:
    if not stages:
        return stages
    return [*stages[:-1], Stage(stages[-1].base, stages[-1].name, tuple(gathered))]


def _stage(instruction: Instruction) -> Stage:
    words = instruction.words({})
    if len(words) == 3 and words[1].upper() == "AS":
        return Stage(words[0], words[2], ())
    if len(words) == 1:
        return Stage(words[0], "", ())
    raise NotUnderstood(f"line {instruction.line}: {instruction}")


def _instructions(text: str) -> Iterator[Instruction]:
    for line, logical in _logical_lines(text):
        keyword, _, rest = logical.partition(" ")
        keyword, flags, rest = keyword.upper(), {}, rest.strip()
        if keyword not in KNOWN:
            raise NotUnderstood(f"line {line}: the instruction {keyword} is not known")
        while rest.startswith("--"):
            flag = _FLAG.match(rest)
            if not flag or flag["name"] not in KNOWN[keyword]:
                raise NotUnderstood(f"line {line}: {keyword} with {rest.split()[0]} is not known")
            flags[flag["name"]] = flag["value"]
            rest = rest[flag.end() :]
        if "<<" in rest:
            raise NotUnderstood(f"line {line}: here-documents are not known")
        yield Instruction(line, keyword, flags, rest)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that a backslash continues as one; comments, also between those, left out."""
    begun = 0
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if _DIRECTIVE.match(stripped):
            raise NotUnderstood(f"line {number}: {stripped} is not known")
        if not stripped or stripped.startswith("#"):
            continue
        begun = begun if parts else number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            yield begun, " ".join(parts)
            parts = []
    if parts:
        raise NotUnderstood(f"line {begun}: the file ends in the middle of an instruction")
