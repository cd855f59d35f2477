"""Release 3.12.6 of pypx, in a virtual environment of its own, for what it can do as well."""

from __future__ import annotations

import subprocess
import sys
import venv
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

#: It takes the present pydicom for a broken one.
REQUIREMENTS = ("pypx==3.12.6", "pydicom<3")

NAME = "release 3.12.6"


#: Removed when the benchmark ends.
_scratch = TemporaryDirectory(prefix="pypx-bench-earlier-")


def script(name: str) -> Path | None:
    """One of its console scripts; None, which is said once, where it cannot be installed."""
    scripts = _scripts()
    return scripts / name if scripts else None


@cache
def _scripts() -> Path | None:
    directory = Path(_scratch.name)
    venv.create(directory, with_pip=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet", *REQUIREMENTS]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if not installed.returncode:
        return directory / "bin"
    said = " ".join((installed.stderr or installed.stdout).split())[-200:]
    sys.stderr.write(f"{NAME} cannot be installed: {said}\n")
    return None
