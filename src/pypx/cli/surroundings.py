"""What a tool is run in: where the JSON of the tool before it comes from, and who sees how far it is.

The same tool is run by a person in a shell, by a chain of verbs (``--then``), and as a function of the
library.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pypx.actions.progress import Progress, ignore_progress
from pypx.cli.progress import progress_bar
from pypx.errors import FileUnreadable, InvalidInput, UsageError
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.actions.found import Found


@contextmanager
def unseen() -> Iterator[Progress]:
    """Progress where nobody looks."""
    yield ignore_progress


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a tool is run in.

    Parameters
    ----------
    documents : callable
        Gives the JSON documents of the tool before; None where there is none.
    progress : callable
        Gives the context manager that shows steps of work.
    """

    documents: Callable[[], Sequence[object] | None]
    progress: Callable[[], AbstractContextManager[Progress]] = unseen

    def reading(self, text: str | None, file: str | None) -> Surroundings:
        """The same, with the input that options name in place of what the tool before told.

        Parameters
        ----------
        text : str or None
            The input itself.
        file : str or None
            Where it is; "-" for standard input.
        """
        named = "" if file in (None, "-") else str(file)
        return replace(self, documents=lambda: _documents(text, named)) if text or named else self

    def given(self, question: str, hint: str) -> Sequence[object]:
        """The JSON documents of the tool before.

        Raises
        ------
        UsageError
            The question, where there are none.
        """
        documents = self.documents()
        if documents is None:
            raise UsageError(question, hint)
        return documents

    def founds(self, question: str, hint: str) -> list[Found]:
        """The finds that the tool before tells of.

        Raises
        ------
        UsageError
            The question, where nothing is told.
        InvalidInput
            When it is something else than finds.
        """
        from pypx.actions.found import from_json

        return [from_json(document) for document in self.given(question, hint)]


def _documents(text: str | None, file: str) -> Sequence[object]:
    from pypx.actions.found import read_documents

    return list(read_documents(_text_of(file) if file else text or ""))


def _text_of(name: str) -> str:
    try:
        return at_home(name).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 text") from error
    except OSError as error:
        raise FileUnreadable(f"{name} cannot be read ({error.strerror})") from error


def _piped() -> Sequence[object] | None:
    """The documents on standard input, where that is no terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return None
    from pypx.actions.found import read_documents

    try:
        return list(read_documents(sys.stdin.read()))
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The input is not UTF-8 text ({error.reason} at byte {error.start})") from error


#: A person's shell, or a script.
SHELL = Surroundings(_piped, progress_bar)
