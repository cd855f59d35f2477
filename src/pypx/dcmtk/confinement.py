"""Programs that can write below one directory and nowhere else, whatever a peer has them do (landlock(7)).

getscu 3.6.7 names the files that it writes as the peer says, and ``/etc/passwd`` or ``../../x`` are taken for
what they are (CVE-2022-2120 was to be mended there, and is not with ``+B``).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol, TypeVar

_Started = TypeVar("_Started")


class Starter(Protocol):
    """Calls something that starts a program, and gives back what that gave."""

    def __call__(self, start: Callable[[], _Started], /) -> _Started: ...


#: System calls, which have these numbers on every architecture that Debian is made for.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_SET_NO_NEW_PRIVILEGES = 38

# Rights of <linux/landlock.h>.
_WRITE_FILE, _REMOVE_FILE, _MAKE_FILE = 1 << 1, 1 << 5, 1 << 8
#: Writing, and making and removing files, directories, links and all else that has a name.
_CHANGES = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
#: By the version from which on the kernel knows them: renaming across directories, truncating.
_LATER_CHANGES = {2: 1 << 13, 3: 1 << 14}
_TRUNCATE = _LATER_CHANGES[3]


@lru_cache(maxsize=1)
def is_possible() -> bool:
    """Whether the kernel, and whoever set up this container, let us confine programs."""
    try:
        with _thread() as run:
            run(lambda: _confine(Path("/")))
    except OSError:
        return False
    return True


@contextmanager
def confined_to(directory: Path) -> Iterator[Starter]:
    """Give what starts programs that can write below a directory and nowhere else.

    They start in a thread of their own, as it is threads that the kernel confines, with all that they start.
    It lives until the end of the ``with`` block: programs end with the thread that started them
    (:mod:`pypx.orphans`).

    Parameters
    ----------
    directory : pathlib.Path

    Raises
    ------
    OSError
        When it is not possible.
    """
    with _thread() as run:
        run(lambda: _confine(directory))
        yield run


@contextmanager
def _thread() -> Iterator[Starter]:
    with ThreadPoolExecutor(1, thread_name_prefix="confined") as thread:

        def run(start: Callable[[], _Started], /) -> _Started:
            return thread.submit(start).result()

        yield run


def _confine(directory: Path) -> None:
    """Let this thread change nothing but what is below a directory (and the null device)."""
    version = _system_call(_CREATE_RULESET, None, 0, _RULESET_VERSION)
    handled = _CHANGES | sum(right for since, right in _LATER_CHANGES.items() if version >= since)
    attributes = struct.pack("=Q", handled)
    ruleset = _system_call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        _allow(ruleset, directory, (_WRITE_FILE | _REMOVE_FILE | _MAKE_FILE | _TRUNCATE) & handled)
        _allow(ruleset, Path(os.devnull), _WRITE_FILE)
        # Without it the kernel asks for privileges: a program that has more than we could undo this.
        _library_call("prctl", _SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _system_call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, descriptor)
        _system_call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


def _system_call(number: int, *arguments: int | bytes | None) -> int:
    return _library_call("syscall", number, *arguments)


def _library_call(name: str, *arguments: int | bytes | None) -> int:
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result: int = getattr(_library(), name)(*converted)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
