"""What PACS do that the standard does not say: habits of a :class:`~servers.find_provider.FindProvider`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from servers.find_provider import Habit, Reply, Request


def of_level(level: str, habit: Habit) -> Habit:
    """A habit at one level only."""
    return for_requests(lambda request: request.level == level, habit)


def for_requests(chosen: Callable[[Request], bool], habit: Habit) -> Habit:
    """A habit with some requests only."""

    def changed(request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        return habit(request, replies) if chosen(request) else replies

    return changed


def ending(status: int, after: int = 0) -> Habit:
    """Sends so many replies, then this final status."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        yield from islice(replies, after)
        yield Reply(status=status)

    return changed


def capped(most: int) -> Habit:
    """Sends so many replies at most, and says success."""
    return lambda _request, replies: islice(replies, most)


def aborting(after: int = 0) -> Habit:
    """Sends so many replies, then aborts the association."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        yield from islice(replies, after)
        yield Reply(aborts=True)

    return changed


def aborting_every(requests: int) -> Habit:
    """Takes so many requests in one association, and aborts at the next; counts on one client at a time."""

    def changed(request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        return iter([Reply(aborts=True)]) if request.number % (requests + 1) == requests else replies

    return changed


def backwards(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
    """Sends the last first."""
    yield from reversed(list(replies))


def twice(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
    """Sends everything, then everything again."""
    everything = list(replies)
    yield from everything
    yield from everything


def adding(**values: str | bytes) -> Habit:
    """Sends one more reply, with these values."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        yield from replies
        yield Reply(values)

    return changed


def setting(values: Mapping[str, str | bytes]) -> Habit:
    """Returns these values whatever it holds, asked for or not."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        for reply in replies:
            yield replace(reply, values={**reply.values, **values})

    return changed


def omitting(*names: str) -> Habit:
    """Does not return these attributes, though it matches them."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        for reply in replies:
            kept = {name: value for name, value in reply.values.items() if name not in names}
            yield replace(reply, values=kept)

    return changed


def sending(identifier: bytes) -> Habit:
    """Sends these bytes where an identifier was due."""
    return _each(identifier=identifier)


def writing(declares: str | None, codec: str) -> Habit:
    """Declares one character set and writes in a codec."""
    return _each(declares=declares, codec=codec)


def waiting(seconds: float) -> Habit:
    """Takes so long for each reply, the final one included."""

    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        for reply in replies:
            yield replace(reply, delay=seconds)
        yield Reply(status=0x0000, delay=seconds)

    return changed


def told_to_stop(after: Callable[[Request], int]) -> Habit:
    """Sends so many replies, and the next once it is told to stop: it is never too slow to hear that."""

    def changed(request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        for place, reply in enumerate(replies):
            yield replace(reply, awaits_cancel=place == after(request))

    return changed


def warning(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
    """Says with each reply that it does not support some of the keys (status FF01)."""
    return _each(status=0xFF01)(_request, replies)


def _each(**changes: object) -> Habit:
    def changed(_request: Request, replies: Iterator[Reply]) -> Iterator[Reply]:
        for reply in replies:
            yield replace(reply, **changes)  # type: ignore[arg-type]

    return changed
