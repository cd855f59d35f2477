"""Lines of a report in the colours of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypx.actions.report.lines import Line, Role

#: Styles, by what ``--colorize`` says of the terminal's background; no colour where it says nothing, since
#: what is readable on one is not on the other.
THEMES: Mapping[str, Mapping[Role, str]] = {
    "": {"title": "bold", "rule": "dim", "label": "dim", "heading": "bold", "muted": "dim"},
    "dark": {
        "title": "bold bright_yellow",
        "rule": "bright_black",
        "label": "cyan",
        "heading": "bold cyan",
        "muted": "bright_black",
    },
    "light": {
        "title": "bold magenta",
        "rule": "bright_black",
        "label": "blue",
        "heading": "bold blue",
        "muted": "bright_black",
    },
}

#: For terminals whose encoding has no lines.
_PLAIN_LINES = str.maketrans("━─│├└", "=-||`")


def painted(lines: Iterable[Line], theme: str) -> Iterator[str]:
    """The lines with escape sequences for the roles of their parts.

    Parameters
    ----------
    lines : iterable of Line
        Their text printable.
    theme : str
        A key of :data:`THEMES`.
    """
    from rich.color import ColorSystem
    from rich.style import Style

    styles = {role: Style.parse(words) for role, words in THEMES[theme].items()}

    @lru_cache(maxsize=4096)
    def paint(text: str, role: Role) -> str:
        style = styles.get(role)
        return style.render(text, color_system=ColorSystem.STANDARD) if style else text

    for line in lines:
        yield "".join(paint(text, role) for text, role in line)


def unpainted(lines: Iterable[Line]) -> Iterator[str]:
    """The text of the lines alone."""
    return ("".join(text for text, _ in line) for line in lines)


def drawable(text: str, encoding: str) -> str:
    """A line whose rules are drawn with what the encoding has."""
    return text if _has_lines(encoding) else text.translate(_PLAIN_LINES)


@lru_cache(maxsize=8)
def _has_lines(encoding: str) -> bool:
    try:
        "━─│├└".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
