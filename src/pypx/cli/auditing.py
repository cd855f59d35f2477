"""Each thing that a tool does is written into the audit log: here, what its result says is made an entry.

The tools do this where they call an action, so that it is done for a person in a shell, for a chain of verbs
(``--then``), and for the library alike. What makes no sense and was therefore not done is not in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pypx.errors import BasemountUnusable, InternalError, Interrupted, PypxError, UsageError

if TYPE_CHECKING:
    from pypx.actions.found import Found
    from pypx.actions.push import PushResult
    from pypx.actions.register import RegisterResult
    from pypx.actions.repack import RepackResult
    from pypx.actions.smdb.findings import CheckResult
    from pypx.actions.verdict import MoveResult
    from pypx.basemount.audit import Entry
    from pypx.basemount.layout import Basemount
    from pypx.dicom.node import Node

logger = logging.getLogger("pypx.audit")

#: Who does what is done: the console script that this process runs, else whoever uses the library.
_actor = "pypx"


def act_as(tool: str) -> None:
    """Have a tool's name stand in what is written from now on."""
    global _actor
    _actor = tool


class Audited:
    """Something that is being done, and what is to be written of it at its end.

    Parameters
    ----------
    entry : Entry
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry

    def add(
        self, uids: Iterable[tuple[str, str]], counts: Mapping[str, int], error: PypxError | None = None
    ) -> None:
        """What it came to.

        Parameters
        ----------
        uids : iterable of tuple
            Of a study and of a series in it, each "" where there is none.
        counts : mapping of str to int
        error : PypxError, optional
        """
        pairs = tuple(uids)
        self.entry = replace(
            self.entry,
            outcome=error.code if error else "success",
            studies=tuple(study for study, _ in pairs),
            series=tuple(series for _, series in pairs),
            counts=counts,
        )

    def concerns(self, keys: Iterable[str]) -> None:
        """Which keys were shown or changed."""
        self.entry = replace(self.entry, keys=tuple(keys))

    def found(self, result: Found) -> None:
        counts = {"studies": len(result.studies), "series": len(result.series)}
        self.add(((study.uid, "") for study in result.studies), counts, result.error)

    def retrieved(self, result: MoveResult) -> None:
        counts = {
            "series": len(result.verdicts),
            "incomplete": sum(1 for verdict in result.verdicts if not verdict.is_good),
            "images": sum(verdict.received for verdict in result.verdicts),
        }
        of = [verdict.series for verdict in result.verdicts]
        self.add(((one.study_uid, one.series_uid) for one in of), counts, result.error)

    def packed(self, result: RepackResult) -> None:
        counts = {
            "series": len(result.series),
            "images": result.stored + result.conflicts,
            "duplicates": result.duplicates,
            "quarantined": len(result.quarantined),
            "failed": len(result.failed),
        }
        of = [verdict.series for verdict in result.series]
        uids = ((one.get("StudyInstanceUID", ""), one.get("SeriesInstanceUID", "")) for one in of)
        self.add(uids, counts, result.error)

    def checked(self, result: CheckResult) -> None:
        counts = {
            "files": result.files,
            "instances": result.instances,
            "mended": len(result.findings) - len(result.left),
            "left": len(result.left),
        }
        self.add((), counts, result.error)

    def pushed(self, result: PushResult) -> None:
        counts = {
            "series": len(result.verdicts),
            "incomplete": sum(1 for one in result.verdicts if one.first_error),
            "files": sum(1 for file in result.files if file.is_there),
        }
        self.add(((one.study_uid, one.series_uid) for one in result.verdicts), counts, result.error)

    def registered(self, result: RegisterResult) -> None:
        counts = {
            "series": len(result.verdicts),
            "incomplete": sum(1 for verdict in result.verdicts if verdict.error),
            "files": sum(verdict.registered for verdict in result.verdicts),
        }
        of = [verdict.series for verdict in result.verdicts]
        self.add(((one.study_uid, one.series_uid) for one in of), counts, result.error)


@contextmanager
def audited(
    basemount: Basemount, what: str, *, source: str = "", target: str = "", keys: Iterable[str] = ()
) -> Iterator[Audited]:
    """Write an entry when the ``with`` block ends, however it ends; wrong usage has done nothing.

    Parameters
    ----------
    basemount : Basemount
        In whose log.
    what, source, target, keys
        As in an entry.
    """
    from pypx.basemount.audit import Entry

    doing = Audited(Entry(what, source=source, target=target, keys=tuple(keys)))
    try:
        yield doing
    except UsageError:
        raise
    except BaseException as error:
        doing.entry = replace(doing.entry, outcome=_code(error))
        # Where the BASEMOUNT is what failed, that is told of as it is.
        record(
            basemount, doing.entry, logging.INFO if isinstance(error, BasemountUnusable) else logging.ERROR
        )
        raise
    record(basemount, doing.entry)


def _code(error: BaseException) -> str:
    if isinstance(error, PypxError):
        return error.code
    return InternalError.code if isinstance(error, Exception) else Interrupted.code


def record(basemount: Basemount, entry: Entry, level: int = logging.ERROR) -> None:
    """Write an entry. Work is not stopped, and not undone, where that fails: it is told of, at this level."""
    from pypx.basemount import audit

    try:
        if not audit.write(basemount, entry.lines(_actor)):
            logger.info("There is no %s: nothing is written into its audit log", basemount.root)
    except OSError as error:
        logger.log(
            level,
            "The audit log in %s cannot be written (%s): it lacks what was done just now (%s)",
            basemount.log,
            error.strerror or error,
            entry.what,
        )


def node_named(node: Node) -> str:
    """A PACS as the audit log has it: AE title, host and port."""
    host = f"[{node.host}]" if ":" in node.host else node.host
    return f"{node.called_ae_title.strip()}@{host}:{node.port}"
