"""How often and after which pauses something is tried again."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pypx.backoff import doubled, scattered
from pypx.errors import Interrupted

#: Seconds before the first retry, doubled before each further one, and what they grow to.
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0

DEFAULT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class Retries:
    """A number of retries with pauses between, each longer than the last.

    Parameters
    ----------
    count : int
        How often something is tried again; 0 for never.
    first_pause : float
        Seconds before the first retry.
    """

    count: int = DEFAULT_RETRIES
    first_pause: float = FIRST_PAUSE

    def pause(self, retry: int, asked: float = 0.0) -> float:
        """Seconds to wait before a retry.

        Parameters
        ----------
        retry : int
            From 1 on.
        asked : float
            What the other side asked for, in seconds.
        """
        grown = doubled(self.first_pause, retry - 1, LONGEST_PAUSE)
        return max(scattered(grown), min(asked, LONGEST_PAUSE))


class Patience:
    """Waiting that can be ended by another thread."""

    def __init__(self) -> None:
        self._ended = threading.Event()

    def wait(self, seconds: float) -> None:
        """Wait, unless it is ended.

        Raises
        ------
        Interrupted
            When it is.
        """
        if self._ended.wait(seconds):
            raise Interrupted("The work is being ended")

    def end(self) -> None:
        """Have everybody who waits give up."""
        self._ended.set()
