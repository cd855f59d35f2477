"""How much work: all of it, or so little that a look whether everything runs takes a minute (``--quick``)."""

from __future__ import annotations

import os

#: In the environment, since every part of a benchmark that is a process of its own has to know.
VARIABLE = "PYPX_BENCH_QUICK"

QUICK = os.environ.get(VARIABLE) == "1"


def sized(full: int, quick: int) -> int:
    """The size of a benchmark."""
    return quick if QUICK else full
