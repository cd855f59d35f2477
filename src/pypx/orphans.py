"""No program that was started from here outlives this one, however it ends."""

from __future__ import annotations

import shutil
from functools import lru_cache


@lru_cache(maxsize=1)
def ends_with_parent() -> tuple[str, ...]:
    """The words before a command line that have the kernel end it when we are killed.

    util-linux's setpriv replaces itself by the program, so no further process stays. Nothing where it is not
    installed. A program that is started in the very moment in which we are killed may not have come to tell
    the kernel (prctl(2), PR_SET_PDEATHSIG): it ends by itself, and until then the lock that it holds keeps
    what it writes apart.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
