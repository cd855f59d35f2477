"""C-FIND (PS3.4, C.4.1) through DCMTK's findscu: any number of queries in one association.

Answers are taken from the files that findscu writes (``-X``), whole and in the character set they came in;
its log text says only when one is there, and how each query ended. The log of the answers' values is turned
off (``-sr``), so no value of the PACS can pass for a line of the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pypx.dcmtk import association, dimse, identifier
from pypx.dcmtk.answer_file import read_answer
from pypx.dcmtk.binaries import Feature
from pypx.dcmtk.caller import Caller
from pypx.dcmtk.process import Ended, shown
from pypx.dcmtk.scratch import is_full, scratch
from pypx.dicom.node import Node
from pypx.dicom.query import Query
from pypx.dicom.status import CANCELLED, Status
from pypx.errors import (
    AnswerUnreadable,
    BinaryFailed,
    ConnectionLost,
    PypxError,
    ScratchUnusable,
    TooManyAnswers,
)

logger = logging.getLogger(__name__)

#: Queries that one findscu is given: each is a file name in its argv, of which Linux takes 2 MB.
LARGEST_BATCH = 20_000

#: Queries one after another, each with an association of its own, that end theirs: then it is not the query.
_HOPELESS = 2

#: Bytes of answers that are taken for the queries of one call, each with what it takes to keep it.
_MOST_ANSWERED = 512 * 1024 * 1024
_KEEPING = 1000

#: Answers that may still be on their way when a PACS is told to stop. One that sends more does not listen.
_AFTER_CANCEL = 1000

_SENDING = re.compile(r"I: Sending Find Request \(MsgID \d+\)")
_WRITING = re.compile(r"I: Writing response (?:dataset|message) to file: (?P<path>.+)")
_UNSUPPORTED = re.compile(r"I: Received Find Response \d+ \(Pending: WarningUnsupportedOptionalKeys\)")
_FINAL = re.compile(r"I: Received Final Find Response \((?P<status>.+)\)")


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
        Directory to which each answer is written; like the queries, it may be relative.
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
        *association.protection(node),
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
            *association.protection(node),
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


OnAnswer: TypeAlias = Callable[[Answer], None]
OnFinal: TypeAlias = Callable[[int, Status], None]


def _ignore_final(_query: int, _status: Status) -> None:
    """For callers that wait for all of them."""


@dataclass(frozen=True, slots=True)
class Final:
    """How one query ended: with a status, or without one when its association ended before."""

    status: Status | None = None

    @property
    def is_success(self) -> bool:
        return self.status is not None and self.status.is_success

    @property
    def is_cancelled(self) -> bool:
        return self.status is not None and self.status.code == CANCELLED


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a batch of queries ended.

    Parameters
    ----------
    returncode : int
        Of findscu: the last that is not 0.
    finals : tuple of Final
        One for each query, in their order.
    error : PypxError or None
        Why a query had no final response, or answers are missing.
    keys_ignored : bool
        Whether the PACS said that it does not support some of the keys (status FF01).
    """

    returncode: int
    finals: tuple[Final, ...]
    error: PypxError | None = None
    keys_ignored: bool = False


class _Enough(Exception):
    """No more answers are taken."""


class _Reader:
    """Follows findscu's log: which query is running, and which answer's file is complete."""

    def __init__(
        self, answers: Path, on_answer: OnAnswer, on_final: OnFinal, limit: int | None, room: int
    ) -> None:
        self.finals: list[Final] = []
        self.room = room
        self.unreadable = 0
        self.is_full = False
        self.keys_ignored = False
        self._answers = answers
        self._on_answer = on_answer
        self._on_final = on_final
        self._limit = limit
        self._query = -1
        self._of_query = 0
        self._written: str | None = None

    def take(self, line: str) -> None:
        if writing := _WRITING.fullmatch(line):
            self._settle()
            self._written = Path(writing["path"]).name
        elif _SENDING.fullmatch(line):
            self._settle()
            self._query += 1
            self._of_query = 0
        elif final := _FINAL.fullmatch(line):
            self._settle()
            status = dimse.status(final["status"])
            self.finals.append(Final(status))
            self._on_final(len(self.finals) - 1, status)
        elif _UNSUPPORTED.fullmatch(line):
            self.keys_ignored = True

    def end(self, returncode: int) -> None:
        """Take what is left when findscu has ended."""
        if returncode >= 0:
            self._settle()

    def missing(self, node: Node) -> PypxError | None:
        """Why answers are missing that had been there."""
        if self.is_full:
            return ScratchUnusable("There is no space left for the answers of the PACS")
        if self.unreadable:
            return AnswerUnreadable(f"{self.unreadable} answers of {node} could not be read")
        return None

    def _settle(self) -> None:
        """Read the answer whose file was announced last, now that the log has gone on."""
        if self._written is None:
            return
        path, self._written = self._answers / self._written, None
        self._count(path)
        values = read_answer(path)
        if values is not None:
            self._on_answer(Answer(self._query, values))
        else:
            # findscu says nothing when it cannot write.
            self.is_full = self.is_full or is_full(self._answers)
            self.unreadable += 1
        path.unlink(missing_ok=True)

    def _count(self, answer: Path) -> None:
        """Raise _Enough where this answer is one too many."""
        self._of_query += 1
        self.room -= _KEEPING + (answer.stat().st_size if answer.exists() else 0)
        if self._limit and self._of_query > self._limit + _AFTER_CANCEL:
            self.finals.append(Final(Status(CANCELLED)))
            raise _Enough
        if self.room < 0:
            raise _Enough


def find(
    caller: Caller,
    queries: Sequence[Query],
    on_answer: OnAnswer,
    limit: int | None = None,
    on_final: OnFinal = _ignore_final,
) -> Outcome:
    """Send queries and hand over each answer as it arrives.

    An association that ends before the last query is followed by another that goes on from there: there are
    PACS that take only so many queries in one, and PACS that end it over one of them, which is passed over.

    Parameters
    ----------
    caller : Caller
    queries : sequence of Query
        Sent over one association, where the installed release can do that.
    on_answer : callable
        Gets each Answer, in the order of arrival; the answers to a query that was sent twice come twice.
    limit : int, optional
        Cancel each query after so many answers; some more may arrive all the same.
    on_final : callable, optional
        Gets the index of each query that has ended, and its status.

    Raises
    ------
    BinaryMissing, ScratchUnusable
        When nothing can be asked. What goes wrong with the PACS is in the Outcome.
    """
    largest = LARGEST_BATCH if len(queries) == 1 or caller.binaries.can(Feature.SEVERAL_FINDS) else 1
    finals: list[Final] = []
    returncode = failed_at_once = 0
    errors: list[PypxError] = []
    keys_ignored = False
    room = _MOST_ANSWERED
    while len(finals) < len(queries) and failed_at_once < _HOPELESS:
        start = len(finals)
        batch = queries[start : start + largest]
        part = _ask(caller, batch, _with_offset(on_answer, start), _from(on_final, start), limit, room)
        finals += part.finals
        room = part.room
        returncode = part.returncode or returncode
        keys_ignored = keys_ignored or part.keys_ignored
        errors += [part.missing] if part.missing else []
        if part.finals:
            failed_at_once = 0
        if part.ended_early is None:
            continue
        if not isinstance(part.ended_early, (AnswerUnreadable, BinaryFailed, ConnectionLost)):
            errors.append(part.ended_early)
            break
        if not part.finals:
            errors.append(part.ended_early)
            finals.append(Final())
            failed_at_once += 1
        logger.info("%s", part.ended_early.message)
    finals += [Final()] * (len(queries) - len(finals))
    return Outcome(returncode, tuple(finals), errors[0] if errors else None, keys_ignored)


def _with_offset(on_answer: OnAnswer, start: int) -> OnAnswer:
    return lambda answer: on_answer(Answer(start + answer.query, answer.values))


def _from(on_final: OnFinal, start: int) -> OnFinal:
    return lambda query, status: on_final(start + query, status)


@dataclass(frozen=True, slots=True)
class _Part:
    """What became of some queries in one association; of the finals only those that came."""

    returncode: int
    finals: tuple[Final, ...]
    ended_early: PypxError | None
    missing: PypxError | None
    keys_ignored: bool
    room: int


def _ask(
    caller: Caller,
    queries: Sequence[Query],
    on_answer: OnAnswer,
    on_final: OnFinal,
    limit: int | None,
    room: int,
) -> _Part:
    with scratch() as directory:
        answers = directory / "answers"
        answers.mkdir()
        names = [f"{number}.dcm" for number in range(len(queries))]
        for name, query in zip(names, queries, strict=True):
            identifier.write(query, directory / name)
        reader = _Reader(answers, on_answer, on_final, limit, room)
        ended = Ended(0, ())
        try:
            ended = caller.run(
                "findscu",
                lambda binary, node: argv(binary, node, names, answers.name, caller.timeout, limit),
                on_line=reader.take,
                directory=directory,
            )
            reader.end(ended.returncode)
        except _Enough:
            logger.info("%s sent more answers than are taken", caller.node)
    return _Part(
        ended.returncode,
        tuple(reader.finals),
        None if len(reader.finals) == len(queries) else _ended_early(caller.node, ended, reader),
        reader.missing(caller.node),
        reader.keys_ignored,
        reader.room,
    )


def _ended_early(node: Node, ended: Ended, reader: _Reader) -> PypxError:
    if reader.room < 0:
        return TooManyAnswers(f"{node} sent more than {_MOST_ANSWERED >> 20} MB of answers, and was left")
    return association.failure_or_unknown(node, ended)
