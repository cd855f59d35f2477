"""What people see: notes on stderr, reports on stdout, never a raw control character on a terminal."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

#: Characters that move the cursor, change the terminal's state or turn the reading direction around.
_UNPRINTABLE = (
    {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
    | {code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
    | {0x200E: "\\u200e", 0x200F: "\\u200f", 0x061C: "\\u061c", 0xFEFF: "\\ufeff"}
    | dict.fromkeys(range(55296, 57344), "�")
    | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
)
_UNPRINTABLE_IN_TEXT = {code: shown for code, shown in _UNPRINTABLE.items() if code not in (0x0A, 0x09)}

#: ``--verbosity N`` as a level of the standard library's logging.
LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


def printable(value: str) -> str:
    """One value as it may be shown in one cell or line: every control character spelled out.

    >>> printable("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return value.translate(_UNPRINTABLE)


def printable_text(text: str) -> str:
    """A text of several lines as it may be shown: as :func:`printable`, line breaks and tabs kept."""
    return text.translate(_UNPRINTABLE_IN_TEXT)


def write_stdout(text: str) -> None:
    """Write a report or JSON to stdout; spelled out where a terminal would read it.

    Callers that colour their output make each value printable before they do, and use
    :func:`sys.stdout.write`.
    """
    sys.stdout.write(printable_text(text) if sys.stdout.isatty() else text)
    if not text.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()


def say(tool: str, text: str) -> None:
    """One sentence on stderr, with the tool's name before it."""
    sys.stderr.write(f"{tool}: {printable(text)}\n")
    sys.stderr.flush()


def wants_colour(stream: TextIO) -> bool:
    """Whether this stream is a terminal whose reader did not ask for NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Sentences(logging.Handler):
    """Log records as the sentences of :func:`say`."""

    def __init__(self, tool: str) -> None:
        super().__init__()
        self._tool = tool

    def emit(self, record: logging.LogRecord) -> None:
        say(self._tool, record.getMessage())


def show_log(tool: str, verbosity: int | None) -> None:
    """Send what :mod:`pypx` logs to stderr: warnings at 1, what it does at 2, DCMTK's command lines at 3.

    Parameters
    ----------
    tool : str
        The name before each line.
    verbosity : int or None
        What ``--verbosity`` said; None (not said) means 1 at a terminal and silence elsewhere.
    """
    if verbosity is None:
        verbosity = 1 if sys.stderr.isatty() else 0
    logger = logging.getLogger("pypx")
    logger.handlers = [_Sentences(tool)]
    logger.propagate = False
    logger.setLevel(LEVELS[min(verbosity, len(LEVELS) - 1)])
