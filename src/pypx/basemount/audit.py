"""The audit log: what was done with people's images, by whom, from where and to where; ``log/audit.jsonl``.

One JSON object a line. Lines are only ever added; a file that is full gets a number for a name, and the
oldest goes. There is no name of a patient in it, and no ID of one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from pypx import __version__
from pypx.basemount.layout import Basemount
from pypx.basemount.modes import make_directory, open_file

#: Bytes of a file beyond which it is put aside, and how many of those are kept.
LARGEST = 10 * 1024 * 1024
KEPT = 10

#: UIDs in one line; of more, there are several lines.
_MOST_UIDS = 1000

#: What a PACS gives for a UID may be anything; only what looks like one is written down (PS3.5, 9.1).
_UID = re.compile(r"[0-9.]{1,64}")

_NAME = "audit"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done.

    Parameters
    ----------
    what : str
        In one word: find, retrieve, push, …
    outcome : str
        "success", or the code of the error.
    source, target : str
        Where it is from and where it went: a PACS as ``AET@host:port``, a storage, a CUBE.
    studies, series : tuple of str
        Their UIDs.
    keys : tuple of str
        Names of what was asked by, or of the keys that were shown or changed; never their values.
    counts : mapping of str to int
    """

    what: str
    outcome: str = "success"
    source: str = ""
    target: str = ""
    studies: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    def lines(self, tool: str) -> list[str]:
        """The entry as it is written: in one line, or in several where it has many UIDs.

        Parameters
        ----------
        tool : str
            What did it.
        """
        studies, series = _parts(self.studies), _parts(self.series)
        count = max(len(studies), len(series), 1)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        common: dict[str, Any] = {"time": now, "what": self.what, "outcome": self.outcome}
        common |= {"tool": tool, **_who(os.getpid())}
        optional = {"from": self.source, "to": self.target, "keys": list(self.keys)}
        common |= {name: value for name, value in optional.items() if value}
        common["counts"] = {name: value for name, value in self.counts.items() if value}
        lines = []
        for place in range(count):
            document = dict(common)
            if count > 1:
                document["part"] = [place + 1, count]
            document["studies"] = studies[place] if place < len(studies) else []
            document["series"] = series[place] if place < len(series) else []
            lines.append(json.dumps(document))
        return lines


def _parts(uids: Sequence[str]) -> list[list[str]]:
    known = list(dict.fromkeys(uid for uid in uids if _UID.fullmatch(uid)))
    return [known[place : place + _MOST_UIDS] for place in range(0, len(known), _MOST_UIDS)]


@lru_cache(maxsize=1)
def _who(pid: int) -> dict[str, Any]:
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container, nobody may have this number
        name = ""
    return {"version": __version__, "user": name, "uid": uid, "host": os.uname().nodename, "pid": pid}


def write(basemount: Basemount, lines: Sequence[str], largest: int = LARGEST, kept: int = KEPT) -> bool:
    """Add lines, of which none is lost or torn however many processes do so at the same time.

    Parameters
    ----------
    basemount : Basemount
    lines : sequence of str
    largest, kept : int
        When a file is full, and how many full ones there may be.

    Returns
    -------
    bool
        False where there is no BASEMOUNT: then there is nothing that a log would be of.

    Raises
    ------
    OSError
        When they cannot be written; none of them is, then.
    """
    if not basemount.root.is_dir():
        return False
    make_directory(basemount.log)
    text = "".join(f"{line}\n" for line in lines).encode("ascii")
    with _turn(basemount.log / f"{_NAME}.lock"):
        file = _file(basemount)
        if _size(file) and _size(file) + len(text) > largest:
            _put_aside(file, kept)
        _append(file, text)
    return True


def _file(basemount: Basemount, number: int = 0) -> Path:
    return basemount.log / (f"{_NAME}.{number}.jsonl" if number else f"{_NAME}.jsonl")


def files(basemount: Basemount) -> Iterator[Path]:
    """The files that are there, the oldest first."""
    for number in range(KEPT, -1, -1):
        if (file := _file(basemount, number)).exists():
            yield file


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0


def _put_aside(file: Path, kept: int) -> None:
    names = [file, *(file.with_name(f"{_NAME}.{number}.jsonl") for number in range(1, kept + 1))]
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        if newer.exists():
            newer.replace(older)


def _append(file: Path, text: bytes) -> None:
    descriptor = open_file(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, private=True)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            # A loss of power cut the last line: it must not take ours with it.
            text = b"\n" + text
        if os.write(descriptor, text) < len(text):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
    finally:
        os.close(descriptor)


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    descriptor = open_file(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, private=True)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
