"""CUBE's stand-in on either storage, and what can go wrong with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from demo.cube import Fault
from demo.cube_rules import Names
from demo.web import Answer, Asked
from servers.swift import Swift

#: Tells for which requests a fault comes about.
When = Callable[[Asked], bool]


def always(_asked: Asked) -> bool:
    return True


def posting(asked: Asked) -> bool:
    """The requests that register something."""
    return asked.method == "POST" and not asked.path.endswith("/auth-token/")


def after(count: int, when: When = posting, times: int | None = None) -> When:
    """The requests after the first so many, all of them or a few."""
    seen = 0
    lock = threading.Lock()

    def is_due(asked: Asked) -> bool:
        nonlocal seen
        if not when(asked):
            return False
        with lock:
            seen += 1
            return seen > count and (times is None or seen <= count + times)

    return is_due


def swift_names(swift: Swift, container: str) -> Names:
    """A container as the storage that CUBE looks into: by the text that names start with."""
    return lambda path: list(swift.objects(path, container))


def failing(when: When = always, status: int = 500) -> Fault:
    """A page of the web server's instead of an answer, nothing done."""
    page = Answer(status, b"<html><h1>Server Error</h1></html>", "text/html")
    return lambda asked, proceed: page if when(asked) else proceed()


def in_html(when: When = always) -> Fault:
    """A page to sign in at, where JSON is due."""
    return failing(when, 200)


def losing_answers(when: When = always) -> Fault:
    """What is asked for is done, and the connection is cut before the answer."""

    def fault(asked: Asked, proceed: Callable[[], Answer]) -> Answer | None:
        answer = proceed()
        return None if when(asked) else answer

    return fault


def cutting_json(when: When = always, *, told: bool = True) -> Fault:
    """Half of the answer; its length tells so, or does not."""

    def fault(asked: Asked, proceed: Callable[[], Answer]) -> Answer | None:
        answer = proceed()
        if not when(asked):
            return answer
        half = answer.body[: len(answer.body) // 2]
        return Answer(answer.status, half, answer.content_type, length=len(answer.body) if told else None)

    return fault


def redirecting(to: str, status: int = 302) -> Fault:
    """Everything is somewhere else."""
    return lambda asked, _proceed: Answer(status, headers={"Location": to + asked.path.lstrip("/")})


def hanging(seconds: float, when: When = always) -> Fault:
    """An answer that takes its time."""

    def fault(asked: Asked, proceed: Callable[[], Answer]) -> Answer | None:
        if when(asked):
            time.sleep(seconds)
        return proceed()

    return fault
