"""Whole numbers in text (PS3.5, 6.2: IS), read from values that may hold anything."""

from __future__ import annotations

#: Characters of an IS. Python refuses thousands of digits.
_LONGEST = 12


def whole_number(text: str) -> int | None:
    """The number that digits stand for; None where the text is anything else.

    Examples
    --------
    >>> whole_number("1204")
    1204
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _LONGEST else None


def by_number(text: str) -> float:
    """What puts texts in the order of their numbers, those that are none at the end.

    Examples
    --------
    >>> sorted(["10", "", " 9 "], key=by_number)
    [' 9 ', '10', '']
    """
    number = whole_number(text.strip())
    return float("inf") if number is None else number
