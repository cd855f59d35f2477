"""What a test needs from a Debian package, and what to do where it is not there."""

from __future__ import annotations

import os
import shutil

import pytest

#: Set in CI: a server that is missing is then a failure, not a reason to skip.
REQUIRED = "PYPX_REQUIRE_SERVICES"


def require(binary: str, package: str) -> str:
    """Give back where a binary is; skip the test with the command that installs it where it is not.

    Daemons are looked for in ``/usr/sbin`` too, which is not on everybody's PATH.
    """
    found = shutil.which(binary, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found:
        return found
    advice = f"{binary} is not installed: apt-get install {package}"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(advice)
    pytest.skip(advice)
