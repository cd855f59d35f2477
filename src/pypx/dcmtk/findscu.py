"""C-FIND (PS3.4, C.4.1) through DCMTK's findscu: any number of queries in one association.

Answers are taken from the files that findscu writes (``-X``), whole and in the character set they came in;
its log text says only when one is there, and how each query ended. The log of the answers' values is turned
off (``-sr``), so no value of the PACS can pass for a line of the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from pypx.dcmtk import association, dimse, identifier
from pypx.dcmtk.binaries import Feature
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import shown
from pypx.dicom.attributes import of_tag
from pypx.dicom.node import Node
from pypx.dicom.query import Query
from pypx.dicom.status import Status
from pypx.dicom.values import texts_of

#: Queries that one findscu is given: each is a file name in its argv.
LARGEST_BATCH = 1000

_SENDING = re.compile(r"I: Sending Find Request \(MsgID \d+\)")
_WRITING = re.compile(r"I: Writing response (?:dataset|message) to file: (?P<path>.+)")
_FINAL = re.compile(r"I: Received Final Find Response \((?P<status>.+)\)")

_SPECIFIC_CHARACTER_SET = 0x00080005


def argv(
    binary: str,
    node: Node,
    queries: Sequence[str],
    answers: str,
    timeout: float,
    limit: int | None = None,
) -> tuple[str, ...]:
    """The command line that sends these queries over one association.

    Parameters
    ----------
    binary : str
        Path of findscu.
    node : Node
        The PACS.
    queries : sequence of str
        Paths of the identifiers' files.
    answers : str
        Directory to which each answer is written.
    timeout : float
        Seconds to wait for each answer.
    limit : int, optional
        Cancel each query after so many answers.
    """
    return (
        binary,
        "-v",
        "-S",
        *association.titles(node),
        *association.patience(timeout),
        "-sr",
        "-X",
        *("-od", answers),
        *(("--cancel", str(limit)) if limit else ()),
        *association.address(node),
        *queries,
    )


def typed(binary: str, node: Node, query: Query) -> str:
    """The command line with which a person would ask the same by hand, for a shell.

    What runs here hands the identifiers over in files, which are gone when somebody reads this.
    """
    keys = (
        f"{name}={query.matching.get(name, '')}"
        for name in dict.fromkeys((*query.matching, *query.returning))
    )
    return shown(
        (
            binary,
            "-S",
            *association.titles(node),
            *("-k", f"QueryRetrieveLevel={query.level.value}"),
            *(word for key in keys for word in ("-k", key)),
            *association.address(node),
        )
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """One match.

    Parameters
    ----------
    query : int
        Index of the query that it answers.
    values : mapping of str to str
        Keyword (or gggg,eeee) to text; several values joined by a backslash.
    """

    query: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch of queries ended.

    Parameters
    ----------
    returncode : int
        Of findscu.
    finals : tuple of Status
        The final status of each query, in their order.
    unreadable : int
        Answers that could not be read as a data set, and are therefore missing.
    """

    returncode: int
    finals: tuple[Status, ...]
    unreadable: int = 0


class _Reader:
    """Follows findscu's log: which query is running, and which answer's file is complete."""

    def __init__(self, answers: Path, on_answer: Callable[[Answer], None]) -> None:
        self.finals: list[Status] = []
        self.unreadable = 0
        self._answers = answers
        self._on_answer = on_answer
        self._query = -1
        self._written: str | None = None

    def take(self, line: str) -> None:
        if writing := _WRITING.fullmatch(line):
            self.settle()
            self._written = Path(writing["path"]).name
        elif _SENDING.fullmatch(line):
            self.settle()
            self._query += 1
        elif final := _FINAL.fullmatch(line):
            self.settle()
            self.finals.append(dimse.status(final["status"]))

    def settle(self) -> None:
        """Read the answer whose file was announced last, now that the log has gone on."""
        if self._written is None:
            return
        path, self._written = self._answers / self._written, None
        values = read_answer(path)
        path.unlink(missing_ok=True)
        if values is None:
            self.unreadable += 1
        else:
            self._on_answer(Answer(self._query, values))


def read_answer(path: Path) -> dict[str, str] | None:
    """The values of one answer as findscu wrote it; None where it is no data set.

    The character set stays out: it is undone in the values.
    """
    try:
        data_set = dcmread(path, force=True)
        tags = [tag for tag in data_set.keys() if tag != _SPECIFIC_CHARACTER_SET]  # noqa: SIM118
        return texts_of(data_set, [(of_tag(tag).keyword, tag) for tag in tags])
    except (InvalidDicomError, OSError, EOFError, ValueError, TypeError, KeyError, NotImplementedError):
        return None


def find(
    caller: Caller,
    queries: Sequence[Query],
    on_answer: Callable[[Answer], None],
    limit: int | None = None,
) -> Outcome:
    """Send queries and hand over each answer as it arrives.

    Parameters
    ----------
    caller : Caller
    queries : sequence of Query
        Sent over one association, where the installed release can do that and they are no more than
        LARGEST_BATCH.
    on_answer : callable
        Gets each Answer, in the order of arrival.
    limit : int, optional
        Cancel each query after so many answers; some more may arrive all the same.

    Raises
    ------
    PypxError
        When the association failed, or ended before each query had its final response.
    """
    several = len(queries) > 1 and not caller.binaries.can(Feature.SEVERAL_FINDS)
    outcomes = [
        _find_in_one_association(caller, batch, _with_offset(on_answer, start), limit)
        for start, batch in _batches(queries, 1 if several else LARGEST_BATCH)
    ]
    return Outcome(
        max(outcome.returncode for outcome in outcomes),
        tuple(final for outcome in outcomes for final in outcome.finals),
        sum(outcome.unreadable for outcome in outcomes),
    )


def _batches(queries: Sequence[Query], size: int) -> Iterator[tuple[int, Sequence[Query]]]:
    for start in range(0, len(queries), size):
        yield start, queries[start : start + size]


def _with_offset(on_answer: Callable[[Answer], None], start: int) -> Callable[[Answer], None]:
    return lambda answer: on_answer(Answer(start + answer.query, answer.values))


def _find_in_one_association(
    caller: Caller, queries: Sequence[Query], on_answer: Callable[[Answer], None], limit: int | None
) -> Outcome:
    binary = caller.binaries.path("findscu")
    with TemporaryDirectory(prefix="px-find-") as scratch:
        answers = Path(scratch) / "answers"
        answers.mkdir()
        files = [
            identifier.write(query, Path(scratch) / f"{number:04d}.dcm")
            for number, query in enumerate(queries)
        ]
        reader = _Reader(answers, on_answer)
        ended = caller.run(
            argv(binary, caller.node, files, str(answers), caller.timeout, limit), on_line=reader.take
        )
        if len(reader.finals) < len(queries):
            raise association.failure_or_unknown(caller.node, ended)
        return Outcome(ended.returncode, tuple(reader.finals), reader.unreadable)
