"""The state of a px-listen, in a file of the log directory that others can read while it runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pypx.basemount.layout import Basemount
from pypx.basemount.modes import make_directory, open_file
from pypx.basemount.trouble import unusable
from pypx.errors import BasemountUnusable, ListenerNotRunning

#: A state older than this may be that of a listener that hangs. The clock may also have been set: one that
#: lives writes another within these seconds.
_STALE = timedelta(seconds=30)
_PATIENCE = 5.0

#: The file's size. It is written in place: when the disk is full, that needs no space.
_SIZE = 4096
_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True)
class ListenerState:
    """How a px-listen is.

    Parameters
    ----------
    pid, port : int
    tls : bool
        Whether it takes associations over TLS, and no others.
    aet : str
        Its AE title.
    since, updated : str
        When it was started, and when this was written (ISO 8601, UTC).
    open, associations, refused : int
        Associations: at this moment, in all, and those that were not let in.
    received, duplicates, waiting, failed : int
        Images: stored, held already, received and not yet packed; and problems.
    owed : int
        Series that ``--then`` is still to be done with.
    last_error : str
        In words; "" where there was none.
    """

    pid: int
    port: int
    tls: bool
    aet: str
    since: str
    updated: str
    open: int
    associations: int
    refused: int
    received: int
    duplicates: int
    waiting: int
    owed: int
    failed: int
    last_error: str

    def to_json(self) -> dict[str, Any]:
        """One member of "data" in the JSON of px-listen --status."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {_json_name(name): value for name, value in values.items()}

    @classmethod
    def from_json(cls, document: object) -> ListenerState | None:
        """What :meth:`to_json` gave; None for anything else."""
        if not isinstance(document, dict):
            return None
        try:
            state = cls(**{one.name: document[_json_name(one.name)] for one in fields(cls)})
            datetime.fromisoformat(state.updated)
        except (KeyError, TypeError, ValueError):
            return None
        return state

    @property
    def is_stale(self) -> bool:
        """Whether it is old, or of the future, by the clock of this moment."""
        return abs(datetime.now(UTC) - datetime.fromisoformat(self.updated)) > _STALE


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class StateFile:
    """The file of one running listener, locked for as long as it runs; it is made again if it is removed."""

    def __init__(self, basemount: Basemount, port: int) -> None:
        self._basemount = basemount
        self._port = port
        self._path, self._descriptor = _made(basemount.log, port)

    @classmethod
    @contextlib.contextmanager
    def own(cls, basemount: Basemount, port: int) -> Iterator[StateFile]:
        """Make one, and remove it at the end, with those that killed listeners left.

        Raises
        ------
        BasemountUnusable
        """
        try:
            for left in basemount.log.glob("listen-*.json"):
                _remove_unless_held(left)
            state = cls(basemount, port)
        except OSError as error:
            raise unusable(error, Path(error.filename or basemount.log)) from error
        try:
            yield state
        finally:
            state._remove()

    def write(self, state: ListenerState) -> None:
        """Write the state, as far as that can be done: receiving goes on all the same."""
        last_error = state.last_error[:_LONGEST_TEXT]
        text = json.dumps(replace(state, last_error=last_error).to_json())
        while last_error and len(text) > _SIZE:
            # What a peer had a part in may be of characters that take a dozen of JSON's each.
            last_error = last_error[: len(last_error) // 2]
            text = json.dumps(replace(state, last_error=last_error).to_json())
        with contextlib.suppress(OSError):
            if not self._is_there():
                make_directory(self._basemount.log)
                path, descriptor = _made(self._basemount.log, self._port)
                self._remove()
                self._path, self._descriptor = path, descriptor
            os.pwrite(self._descriptor, text.encode("ascii").ljust(_SIZE), 0)

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _remove(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _made(log: Path, port: int) -> tuple[Path, int]:
    """A fresh file and its descriptor, locked."""
    while True:
        # Two containers may listen on the same port, each in a network of its own.
        path = log / f"listen-{port}-{secrets.token_hex(4)}.json"
        descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.pwrite(descriptor, b" " * _SIZE, 0)
            # Another listener that starts may have taken it for one that was left, before it was locked.
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return path, descriptor
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        os.close(descriptor)


def listening(basemount: Basemount, port: int | None = None) -> list[ListenerState]:
    """The state of each px-listen that runs on this BASEMOUNT.

    Parameters
    ----------
    basemount : Basemount
    port : int, optional
        Only of the one on this port.

    Raises
    ------
    ListenerNotRunning
        When none runs, or one hangs.
    BasemountUnusable
        When we may not look.
    """
    try:
        files = [file for file in sorted(basemount.log.iterdir()) if _is_of(file, port)]
        states = {file: state for file in files if (state := _read(file))}
    except FileNotFoundError:
        states = {}
    except OSError as error:
        raise unusable(error, Path(error.filename or basemount.log)) from error
    if not states:
        where = f"on {basemount.root}" if port is None else f"on port {port} and {basemount.root}"
        raise ListenerNotRunning(f"No px-listen runs {where}")
    for file, state in states.items():
        if state.is_stale:
            states[file] = _next(file, state)
    return list(states.values())


def listeners(basemount: Basemount) -> list[ListenerState]:
    """The state of each px-listen that runs on this BASEMOUNT, as far as one may look."""
    try:
        return listening(basemount)
    except (ListenerNotRunning, BasemountUnusable):
        return []


def _is_of(file: Path, port: int | None) -> bool:
    named = re.fullmatch(r"listen-(\d+)-\w+\.json", file.name)
    return named is not None and port in (None, int(named[1]))


def _next(file: Path, old: ListenerState) -> ListenerState:
    """The next state that a listener writes."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        time.sleep(0.2)
        state = _read(file)
        if state and state.updated != old.updated:
            return state
    raise ListenerNotRunning(
        f"px-listen on port {old.port} has not said anything since {old.updated}",
        f"End process {old.pid}, and start px-listen again.",
    )


def _remove_unless_held(file: Path) -> None:
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # With the lock: whoever has just made it waits for that, and then sees that it is gone.
            file.unlink()
    except OSError:
        pass  # its owner is alive, or it is gone, or not ours


def _is_held(file: Path) -> bool:
    """Whether the owner of a state is alive."""
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:
        raise
    except OSError:
        pass  # it is gone
    return False


def _read(file: Path) -> ListenerState | None:
    """The state in this file, if its owner still holds the lock."""
    try:
        return ListenerState.from_json(json.loads(file.read_bytes())) if _is_held(file) else None
    except PermissionError:
        raise
    except (OSError, ValueError):
        return None
