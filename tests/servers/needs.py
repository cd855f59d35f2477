"""What a test needs from the machine, and what to do where it is not there."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

from pypx.dcmtk.binaries import Binaries
from pypx.errors import BinaryMissing

#: Set in CI: a server that is missing is then a failure, not a reason to skip.
REQUIRED = "PYPX_REQUIRE_SERVICES"


def require(binary: str, package: str) -> str:
    """Give back where a binary is; skip the test with the command that installs it where it is not.

    Daemons are looked for in ``/usr/sbin`` too, which is not on everybody's PATH.
    """
    if package == "dcmtk":
        return _require_dcmtk(binary)
    found = shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not found:
        lacking(f"{binary} is not installed: apt-get install {package}")
    return found


def _require_dcmtk(binary: str) -> str:
    """In a virtual environment that is active, pynetdicom's scripts of the same names come first."""
    try:
        return Binaries().path(binary)
    except BinaryMissing as missing:
        lacking(f"{missing}: apt-get install dcmtk")


def lacking(advice: str) -> NoReturn:
    """Skip the test with what to do about it; in CI, fail."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(advice)
    pytest.skip(advice)
