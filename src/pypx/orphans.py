"""No program that was started from here outlives this one, however it ends."""

from __future__ import annotations

import shutil
from functools import lru_cache


@lru_cache(maxsize=1)
def ends_with_parent() -> tuple[str, ...]:
    """The words before a command line that have the kernel end it when we are killed.

    util-linux's setpriv replaces itself by the program, so no further process stays. Nothing where it is not
    installed.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
