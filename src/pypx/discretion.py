"""What is said in the log and in sentences, without the names and the IDs of patients.

Names in data/ and in storage are made of them, DCMTK shows the matching keys that it is given, and a PACS may
repeat in its words what it was asked for. What a person asked a tool to show is not concerned.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from pathlib import Path

#: In the place of what is not said.
HIDDEN = "…"

#: Shorter words are in every second sentence, and tell nobody who it is.
_SHORTEST = 3

#: Values that are remembered; a service that goes on for months is asked for any number.
_MOST = 1000

#: What follows a directory: up to a space, without what closes a quotation or a clause after it. Peers put
#: what they like into it: the time that it takes grows with its length alone.
_BELOW = r"/[^\s\"'),;:](?:\S*[^\s\"'),;:.])?"

#: Names in storage, also as they stand in a URL.
_STORED = re.compile(rf"(SERVICES(?:/|%2F)PACS(?:/|%2F)[^/%\s]+)(?:%2F\S*|{_BELOW})", re.IGNORECASE)

#: A matching key as a shell is given it: with quotation marks around it, or without.
_KEY = re.compile(r"'((?:Other)?Patient\w+)=(?:[^']|'\"'\"')*'|\b((?:Other)?Patient\w+)=[^\s']+")

#: An attribute of the patient (group 0010) as DCMTK shows it.
_DUMPED = re.compile(r"(\(0010,[0-9a-f]{4}\) \w\w ).*", re.IGNORECASE)

#: The characters of a matching value that stand for others, or between two values or parts of a name.
_BETWEEN = re.compile(r"[*?^=\\,]+")

_lock = threading.Lock()
_directories: dict[str, re.Pattern[str]] = {}
_values: dict[str, re.Pattern[str]] = {}
_is_off = False


def hide_below(directory: Path) -> None:
    """Have the names of what is in a directory not said.

    Parameters
    ----------
    directory : pathlib.Path
        The tree of images of a BASEMOUNT, absolute.
    """
    with _lock:
        for name in (str(directory), str(directory.resolve())):
            _directories.setdefault(name, re.compile(rf"({re.escape(name)}){_BELOW}"))


def hide(values: Iterable[str]) -> None:
    """Have values not said: the names and the IDs of patients that somebody asked for.

    Parameters
    ----------
    values : iterable of str
        Matching values (PS3.4, C.2.2.2), or those that an attribute has.
    """
    with _lock:
        for value in values:
            for part in (value, *_BETWEEN.split(value)):
                word = part.strip()
                if len(word) >= _SHORTEST and word not in _values:
                    # Not in the middle of a word, nor of a UID.
                    pattern = rf"(?<![^\W_])(?<!\.){re.escape(word)}(?![^\W_])(?!\.\d)"
                    _values[word] = re.compile(pattern, re.IGNORECASE)
        while len(_values) > _MOST:
            del _values[next(iter(_values))]


def hide_nothing() -> None:
    """Say everything from now on (``--log-phi``)."""
    global _is_off
    _is_off = True


def discreet(text: str) -> str:
    """A text as it may be said: without the names and the IDs of patients, as far as they can be told.

    >>> discreet("SERVICES/PACS/BCH/P-1-Doe_Jane/Brain/1.dcm: it changed")
    'SERVICES/PACS/BCH/…: it changed'
    """
    return text if _is_off else without_patients(text)


def without_patients(text: str) -> str:
    """As :func:`discreet`, for what is kept, whatever may be said (the audit log)."""
    with _lock:
        directories, values = tuple(_directories.values()), tuple(_values.values())
    for pattern in directories:
        text = pattern.sub(rf"\1/{HIDDEN}", text)
    text = _STORED.sub(rf"\1/{HIDDEN}", text)
    text = _KEY.sub(lambda found: f"{found[1] or found[2]}={HIDDEN}", text)
    text = _DUMPED.sub(rf"\1{HIDDEN}", text)
    for pattern in values:
        text = pattern.sub(HIDDEN, text)
    return text


class DiscreetFormatter(logging.Formatter):
    """Formats records of the log as :func:`discreet` has them, their tracebacks as well.

    Whoever uses the suite as a library gives it to the handlers that are to say nothing of patients.
    """

    def format(self, record: logging.LogRecord) -> str:
        return discreet(super().format(record))
