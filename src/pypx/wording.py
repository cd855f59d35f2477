"""Words for people."""

from __future__ import annotations


def counted(number: int | None, one: str, many: str) -> str:
    """A number with its noun: "1 image", "1,204 images", "unknown images".

    >>> counted(1204, "image", "images")
    '1,204 images'
    """
    if number is None:
        return f"unknown {many}"
    return f"{number:,} {one if number == 1 else many}"
