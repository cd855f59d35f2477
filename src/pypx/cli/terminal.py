"""What people see: notes on stderr, reports on stdout, never a raw control character on a terminal."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from pypx.discretion import DiscreetFormatter, discreet
from pypx.printable import printable, printable_text

#: ``--verbosity N`` as a level of the standard library's logging.
LEVELS = (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)


#: What the operating system says of an output that takes nothing.
_TAKES_NOTHING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EBADF, errno.EIO, errno.EFBIG})


def open_missing_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr were closed, as in ``px-find … >&-``.

    Else the next file that is opened would get their number, and what is meant for a person would go there.
    Of the one for stdout nothing can be written, so that nobody takes a lost result for a good one.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)
    sys.stdin = sys.stdin or os.fdopen(0, "r")
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def give_up_stdout() -> None:
    """Let what is yet to be written to stdout go nowhere; Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def is_of_stdout(error: Exception) -> bool:
    """Whether this is what stdout says when it takes nothing; of a file, the name would be there."""
    return isinstance(error, OSError) and error.errno in _TAKES_NOTHING and error.filename is None


def write_stdout(text: str) -> None:
    """Write a report or JSON to stdout; spelled out where a terminal would read it.

    Callers that colour their output make each value printable before they do, and use
    :func:`sys.stdout.write`.
    """
    write_pieces([text])


def write_pieces(pieces: Iterable[str], spelled_out: Callable[[str], str] = printable_text) -> None:
    """As :func:`write_stdout`, for a text that is not held as a whole.

    Parameters
    ----------
    pieces : iterable of str
    spelled_out : callable
        Makes each printable for a terminal.
    """
    accept_any_character(sys.stdout)
    is_terminal = sys.stdout.isatty()
    last = ""
    for last in pieces:
        sys.stdout.write(spelled_out(last) if is_terminal else last)
    if not last.endswith("\n"):
        sys.stdout.write("\n")
    sys.stdout.flush()


def accept_any_character(stream: TextIO) -> None:
    """Make a stream spell out what its encoding lacks; programs get UTF-8 whatever the locale says.

    JSON is UTF-8 between programs (RFC 8259, 8.1), and a lone surrogate spelled out is JSON's own escape.
    """
    if isinstance(stream, io.TextIOWrapper):
        encoding = stream.encoding if stream.isatty() else "utf-8"
        stream.reconfigure(encoding=encoding, errors="backslashreplace")


def say(tool: str, text: str) -> None:
    """One sentence on stderr, with the tool's name before it, and without those of patients."""
    write_stderr(f"{tool}: {discreet(text)}")


def write_stderr(line: str) -> None:
    """One line on stderr, which nobody may be listening to."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{printable(line)}\n")
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
    handler = _Sentences(tool)
    handler.setLevel(LEVELS[min(verbosity, len(LEVELS) - 1)])
    _attach(handler)


def keep_log(file: Path) -> None:
    """Keep all that :mod:`pypx` logs, DCMTK's command lines and output among it, in a file of its own.

    Parameters
    ----------
    file : pathlib.Path
        Made for its owner alone: with ``--log-phi``, what DCMTK says can hold names of patients.

    Raises
    ------
    OSError
    """
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    handler = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(DiscreetFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.DEBUG)
    _attach(handler)


def _attach(handler: logging.Handler) -> None:
    logger = logging.getLogger("pypx")
    logger.addHandler(handler)
    logger.propagate = False
    shown = [each.level for each in logger.handlers if not isinstance(each, logging.NullHandler)]
    logger.setLevel(min(shown))
