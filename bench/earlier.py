"""Release 3.12.6 of pypx, in a virtual environment of its own, for what it can do as well."""

from __future__ import annotations

import subprocess
import venv
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

#: It takes the present pydicom for a broken one.
REQUIREMENTS = ("pypx==3.12.6", "pydicom<3")

NAME = "release 3.12.6"


#: Removed when the benchmark ends.
_scratch = TemporaryDirectory(prefix="pypx-bench-earlier-")


class NotInstallable(Exception):
    """The package index does not have it, or cannot be reached; what pip said is in the message."""


@cache
def scripts() -> Path:
    """Where its console scripts are, installed when they are first asked for.

    Raises
    ------
    NotInstallable
    """
    directory = Path(_scratch.name)
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode:
        raise NotInstallable(" ".join((installed.stderr or installed.stdout).split())[-200:])
    return directory / "bin"
