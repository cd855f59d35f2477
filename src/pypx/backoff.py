"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random


def doubled(first: float, times: int, longest: float) -> float:
    """A pause that is doubled so many times, up to the longest; all in seconds.

    What is away for weeks is tried thousands of times: a power of so many would be no number any more.
    """
    return min(first * 2.0 ** min(times, 60), longest)


def scattered(pause: float) -> float:
    """A pause up to a quarter shorter or longer: those that failed together shall not come back together."""
    return pause * random.uniform(0.75, 1.25)  # noqa: S311
