"""Build, check, say how large it is: run by ``bin/test-image``; arguments go to pytest."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from .build import IMAGE, Build, Image, StepFailed
from .dockerfile import NotUnderstood
from .lent import proxies

_CHECKOUT = Path(__file__).parents[2]

#: A user who is not the default one, and a proxy setting that must not stay.
BUILD_ARGUMENTS = {"UID": "4321", "GID": "4322", "NO_PROXY": "lent-to-the-build.invalid"}


class _Built:
    """Hands the image to the checks."""

    def __init__(self, image: Image) -> None:
        self._image = image

    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[IMAGE] = self._image


def main(arguments: Sequence[str]) -> int:
    """Build the image and check it; the exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pypx-test-image")
    started = time.monotonic()
    try:
        with _work_in(cache):
            image = Build(_CHECKOUT, cache, _build_arguments(), _say).run()
            _say(f"{time.monotonic() - started:6.1f} s  in all: the image has {megabytes(image.root)} MB")
            checks = map(str, sorted(Path(__file__).parent.glob("checks_*.py")))
            return int(pytest.main([*checks, "--verbose", "--tb=short", *arguments], [_Built(image)]))
    except (NotUnderstood, StepFailed, subprocess.CalledProcessError, OSError) as error:
        _say(f"bin/test-image: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


def _build_arguments() -> dict[str, str]:
    ours = proxies()
    exceptions = ",".join(filter(None, (ours.get("NO_PROXY"), BUILD_ARGUMENTS["NO_PROXY"])))
    return {**BUILD_ARGUMENTS, **ours, "NO_PROXY": exceptions}


@contextmanager
def _work_in(cache: Path) -> Iterator[None]:
    """The cache, for us alone; nothing is left in its ``work`` at the end, nor by who was killed before."""
    cache.mkdir(parents=True, exist_ok=True)
    work = cache / "work"
    with (cache / "lock").open("w") as lock:
        _say(f"The Debian root that all begins with is kept in {cache}.")
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield
        finally:
            shutil.rmtree(work)


def megabytes(root: Path) -> int:
    """What the files below a directory hold, each once."""
    sizes = {}
    for parent, _, names in os.walk(root):
        for name in names:
            status = Path(parent, name).lstat()
            sizes[status.st_ino] = status.st_size
    return round(sum(sizes.values()) / 1e6)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
