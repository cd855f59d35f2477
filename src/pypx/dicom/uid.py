"""Unique identifiers (PS3.5, 9.1)."""

from __future__ import annotations

import re

# Leading zeros in a component are wrong and yet common, so they are let through.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

LONGEST = 64


def is_uid(text: str) -> bool:
    """Whether this is a UID; nothing else may become part of a query or a path."""
    return len(text) <= LONGEST and _UID.fullmatch(text) is not None
