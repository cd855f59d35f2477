"""Where DCMTK's programs are, and what their releases can do."""

from __future__ import annotations

import enum
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Lock

from pypx.dcmtk.process import Processes
from pypx.errors import BinaryMissing

_asking = Lock()

_RELEASE = re.compile(r"v(\d+)\.(\d+)\.(\d+)")

#: Seconds to wait for a program that is asked for its release.
_RELEASE_TIMEOUT = 10.0


class Feature(enum.Enum):
    """What not every release can do."""

    SEVERAL_FINDS = "several C-FIND requests in one association, each answer in a file of its own"


#: The program concerned and the first release in which the feature is known to work; None: in none yet. An
#: older one may do it too, but nobody has seen it: then each request has an association of its own.
FIRST_RELEASE: Mapping[Feature, tuple[str, tuple[int, int, int] | None]] = {
    Feature.SEVERAL_FINDS: ("findscu", (3, 6, 7)),
}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The paths of DCMTK's programs.

    Parameters
    ----------
    given : mapping of str to str
        Program name to the path that an option named; what is not in it is looked up on the PATH.
    """

    given: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """The program to start.

        Raises
        ------
        BinaryMissing
            When it is not there, or may not be run.
        """
        asked = self.given.get(name)
        if asked:
            found = shutil.which(os.path.expanduser(asked))  # noqa: PTH111  (typed inside a JSON string)
            if not found:
                raise BinaryMissing(
                    f"--{name} {asked} is not a program", f"Correct the path, or leave --{name} out."
                )
            return os.path.abspath(found)  # noqa: PTH100  (it may be run from another directory)
        found = _on_path(name)
        if not found:
            raise BinaryMissing(
                f"DCMTK's {name} is not on the PATH",
                f"Install it (on Debian and Ubuntu: apt-get install dcmtk), or name it with --{name}.",
            )
        return found

    def can(self, feature: Feature) -> bool:
        """Whether the installed release is known to do this."""
        name, first = FIRST_RELEASE[feature]
        return first is not None and release(self.path(name)) >= first

    def has_tls(self, name: str) -> bool:
        """Whether a program has DCMTK's options for TLS: not all have them, and none without OpenSSL."""
        return "- OpenSSL" in _said_of_itself(self.path(name))


def _on_path(name: str) -> str | None:
    """The first program of this name on the PATH that is DCMTK's.

    pynetdicom installs scripts named echoscu, findscu, getscu and so on, whose options are different, into
    the virtual environment that we run in ourselves.
    """
    for directory in os.get_exec_path():
        found = shutil.which(name, path=directory)
        if found and not _is_pynetdicom(found):
            return found
    return None


def _is_pynetdicom(path: str) -> bool:
    try:
        with Path(path).open("rb") as program:
            beginning = program.read(4096)
    except OSError:
        # A program may be executable and not readable.
        return False
    return beginning.startswith(b"#!") and b"pynetdicom" in beginning


def release(path: str) -> tuple[int, int, int]:
    """The release of a DCMTK program, as (3, 6, 7); (0, 0, 0) where it does not say."""
    told = _RELEASE.search(_said_of_itself(path))
    return (int(told[1]), int(told[2]), int(told[3])) if told else (0, 0, 0)


def _said_of_itself(path: str) -> str:
    """What a DCMTK program answers to ``--version``: its release, and the libraries that it uses."""
    # Of several threads that want to know, one asks.
    with _asking:
        return _asked(path)


@lru_cache(maxsize=16)
def _asked(path: str) -> str:
    with Processes() as processes:
        return "\n".join(processes.run([path, "--version"], _RELEASE_TIMEOUT).tail)
