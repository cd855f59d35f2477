"""Many cases of one test at a time: most of them wait for a time-out, or for a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor


def together(cases: Mapping[str, Callable[[], None]], at_a_time: int = 8) -> None:
    """Run cases side by side, and fail with all that failed."""
    with ThreadPoolExecutor(at_a_time) as threads:
        running = {name: threads.submit(case) for name, case in cases.items()}
    failed = [f"{name}: {error!r}" for name, one in running.items() if (error := one.exception())]
    assert not failed, "\n\n".join(failed)
