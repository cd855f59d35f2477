"""How long work tells whoever started it how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Step:
    """Where one piece of work stands.

    Parameters
    ----------
    what : str
        The work, in words for a person; the same words all along one piece of work.
    done : int
        How many units (images, studies, files) are done.
    total : int or None
        How many there are; None where nobody knows.
    size : int
        Bytes handled so far; 0 where bytes do not matter.
    part : str
        Tells parts of the work that go on side by side apart; "" for the work as a whole.
    is_over : bool
        Whether a part has ended, whatever came of it.
    """

    what: str
    done: int
    total: int | None
    size: int = 0
    part: str = ""
    is_over: bool = False


#: Called from the thread that does the work, and quick to return.
Progress: TypeAlias = Callable[[Step], None]


def ignore_progress(_step: Step) -> None:
    """For callers that do not follow the work."""
