"""Kinds of option values that click does not have."""

from __future__ import annotations

import math
from typing import Any

import click

#: About a week: longer is no time-out, and DCMTK counts seconds in a whole number of limited size.
_LONGEST = 1_000_000


class Seconds(click.FloatRange):
    """A time-out in seconds."""

    name = "seconds"

    def __init__(self, shortest: float = 0.1) -> None:
        super().__init__(shortest, _LONGEST)

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        seconds = float(super().convert(value, parameter, context))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number.", parameter, context)
        return seconds
