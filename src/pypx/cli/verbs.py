"""``--then`` and what belongs to it: the verbs as the tools of their names, and how they are followed."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import click
from click.core import ParameterSource

from pypx.actions.do import Delay, Done, Feedback, SeriesDone, Verb, do, parse_verb_options, parse_verbs
from pypx.actions.found import Found, to_json
from pypx.actions.progress import Progress
from pypx.cli.calling import values_of
from pypx.cli.options import SECRETS, decorated, told
from pypx.cli.surroundings import Surroundings
from pypx.errors import PypxError, UsageError

if TYPE_CHECKING:
    from pypx.actions.push import PushResult
    from pypx.actions.register import RegisterResult
    from pypx.actions.status import Status
    from pypx.actions.verdict import MoveResult

logger = logging.getLogger("pypx.then")

#: The options on how verbs are done, which mean nothing to those of another find.
THEN = ("then", "thenArgs", "withFeedBack", "intraSeriesRetrieveDelay", "waitForUserTerminate")

#: Programs that are named once, for the find and for what follows it.
_BINARIES = ("findscu", "getscu", "movescu", "echoscu", "storescp")

#: Gives the context manager that shows steps of work.
ShowingProgress: TypeAlias = Callable[[], AbstractContextManager[Progress]]

#: Shows a report of finds; gets the options of px-report.
ShowingReport: TypeAlias = Callable[[Sequence[Found], Mapping[str, Any]], None]


def verb_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--then``, and what its verbs need to know."""
    return decorated(
        command,
        click.option(
            "--then",
            "then",
            metavar="VERB,…",
            callback=_with_move,
            help="What to do with each series, in this order: retrieve, status, report, push, register.",
        ),
        click.option(
            "--thenArgs",
            "thenArgs",
            metavar="JSON;…",
            help='The verbs\' options, one JSON object for each verb: \'{};{"swift": "local"}\'.',
        ),
        click.option(
            "--swift",
            "swift",
            metavar="KEY",
            help="For push: a key of services/swift.json, or storage.json.",
        ),
        click.option("--CUBE", "CUBE", metavar="KEY", help="For register: a key of services/cube.json."),
        click.option(
            "--swiftServicesPACS",
            "swiftServicesPACS",
            metavar="NAME",
            help="For push and register: the PACS that it is from.",
        ),
    )


def move_option(*, hidden: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--move``: it is looked at first, and becomes the value of ``--then``."""
    return click.option(
        "--move", "move", is_flag=True, is_eager=True, hidden=hidden, help="The same as --then retrieve."
    )


def _with_move(context: click.Context, _parameter: click.Parameter, verbs: str | None) -> str | None:
    """The verbs, that of ``--move`` among them; of the two, the command line wins over ``--JSONargs``."""
    if not context.params.pop("move", False):
        return verbs
    of_then, of_move = (context.get_parameter_source(name) for name in ("then", "move"))
    if verbs and of_then != of_move:
        return verbs if of_then == ParameterSource.COMMANDLINE else "retrieve"
    if verbs not in (None, "", "retrieve"):
        raise UsageError(
            f"--move is --then retrieve, and --then {verbs} is given too",
            "Give all verbs to --then, in their order.",
        )
    return "retrieve"


def then_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--then``, and how it is done with what was found."""
    return decorated(
        command,
        verb_options,
        click.option(
            "--withFeedBack",
            "withFeedBack",
            is_flag=True,
            help="Tell of each series as it goes, on stderr; the studies are done one by one.",
        ),
        click.option(
            "--intraSeriesRetrieveDelay",
            "intraSeriesRetrieveDelay",
            metavar="S",
            help="Retrieve series one by one, with a pause of S seconds after each; dynamic:N is a second"
            " for each N images.",
        ),
        click.option(
            "--waitForUserTerminate",
            "waitForUserTerminate",
            is_flag=True,
            help="Once all is done, wait for Ctrl-C.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Chain:
    """The verbs that were asked for, checked.

    Parameters
    ----------
    verbs : tuple of Verb
    delay : Delay or None
    """

    verbs: tuple[Verb, ...] = ()
    delay: Delay | None = None

    def over(self, found: Found, feedback: Feedback | None = None) -> tuple[Found, Done]:
        """Do the verbs with what was found, unless finding it failed."""
        done = do(found, () if found.error else self.verbs, feedback, self.delay)
        return replace(found, then=done.to_json(), error=found.error or done.error), done


def chain_of(
    options: Mapping[str, Any],
    inherited: Mapping[str, Any],
    showing: ShowingProgress,
    show_report: ShowingReport | None = None,
) -> Chain:
    """The verbs that the options ask for; none where they do not.

    Parameters
    ----------
    options : mapping
        Of the command line: verbs, their options, and the programs that they run.
    inherited : mapping
        ``args`` of the find that the verbs are for: PACS, catalogue, storage and CUBE.
    showing : callable
        Gives the context manager that shows steps of work.
    show_report : callable, optional
        For the verb "report".

    Raises
    ------
    UsageError
        When a verb or its options cannot mean anything. Nothing has been done then.
    """
    text, arguments = options["then"], options["thenArgs"]
    delay = options.get("intraSeriesRetrieveDelay")
    if not text:
        for name in ("thenArgs", "intraSeriesRetrieveDelay"):
            if options.get(name):
                raise UsageError(f"--{name} is about --then, which is missing", "Give --then VERB,… too.")
        return Chain()
    names = parse_verbs(text)
    given = parse_verb_options(arguments or "", names)
    verbs = [_verb(*one, options, inherited, showing, show_report) for one in zip(names, given, strict=True)]
    return Chain(tuple(verbs), Delay.parse(delay) if delay else None)


def _verb(
    name: str,
    members: Mapping[str, Any],
    options: Mapping[str, Any],
    inherited: Mapping[str, Any],
    showing: ShowingProgress,
    show_report: ShowingReport | None,
) -> Verb:
    tool = import_module(f"pypx.cli.{_MODULES.get(name, name)}")
    known = {parameter.name for parameter in tool.command.params}
    # Never those that a find's JSON names: whoever wrote it does not say what is run here.
    binaries = {binary: options[binary] for binary in _BINARIES if binary in known and options.get(binary)}
    values = values_of(tool.command, {**binaries, **members}, ignoring_others=False)
    # What is wrong with them is said before anything is done.
    if name == "report":
        tool.check(values)
        return _Report(values, show_report)
    if name == "retrieve":
        tool.check(values, inherited)
        if not tool.ways(values):
            return _Retrieve(values, _retrieving_anyhow(), showing)
    if name in ("push", "register"):
        _check(tool, values, inherited)
    return _TOOL_VERBS[name](values, tool.run, showing)


def _check(tool: Any, values: Mapping[str, Any], inherited: Mapping[str, Any]) -> None:
    """Raise what is wrong with the options; a service that is away may be back by the time it is needed."""
    try:
        tool.check(values, inherited)
    except UsageError:
        raise
    except PypxError as error:
        logger.info("%s", error.message)


@dataclass(frozen=True, slots=True)
class _Report:
    """The verb "report"."""

    options: Mapping[str, Any]
    show: ShowingReport | None
    name: str = "report"

    def run(self, found: Found) -> list[SeriesDone]:
        if self.show:
            self.show([found], self.options)
        return [
            SeriesDone(
                series.uid,
                {"SeriesInstanceUID": series.uid, "state": "reported", "report": dict(series.values)},
                "reported",
            )
            for series in found.series
        ]


@dataclass(frozen=True, slots=True)
class _ToolVerb(ABC):
    """A verb that is a tool of the suite, run as if the find were piped into it.

    Parameters
    ----------
    options : mapping
        All options of the tool.
    tool : callable
        The tool: options and surroundings in, its result out.
    showing : callable
        Gives the context manager that shows steps of work.
    """

    options: Mapping[str, Any]
    tool: Callable[[Mapping[str, Any], Surroundings], Any]
    showing: ShowingProgress
    name: ClassVar[str]

    def run(self, found: Found) -> list[SeriesDone]:
        documents = [to_json(replace(found, error=None, then={}))]
        return list(self._done(self.tool(self.options, Surroundings(lambda: documents, self.showing))))

    @staticmethod
    @abstractmethod
    def _done(result: Any) -> Iterator[SeriesDone]:
        """What the tool's result says of each series."""


class _Retrieve(_ToolVerb):
    name = "retrieve"

    @staticmethod
    def _done(result: MoveResult) -> Iterator[SeriesDone]:
        for verdict in result.verdicts:
            expected = "?" if verdict.series.expected is None else verdict.series.expected
            words = f"{verdict.held} of {expected}  {verdict.state.value}"
            is_new = verdict.received > 0
            yield SeriesDone(verdict.series.series_uid, verdict.to_json(), words, verdict.error, is_new)


def _retrieving_anyhow() -> Callable[[Mapping[str, Any], Surroundings], MoveResult]:
    """Retrieve by the first way that there is."""
    from pypx.actions.first_way import FirstWay
    from pypx.cli.move import retrieved

    return partial(retrieved, FirstWay().move)


class _Status(_ToolVerb):
    name = "status"

    @staticmethod
    def _done(result: Status) -> Iterator[SeriesDone]:
        from pypx.actions.status import state

        for record, document in zip(result.series, result.to_json()["data"], strict=True):
            yield SeriesDone(record.series_uid, document, state(record))


class _Push(_ToolVerb):
    name = "push"

    @staticmethod
    def _done(result: PushResult) -> Iterator[SeriesDone]:
        for verdict in result.verdicts:
            words = f"{verdict.count_there} of {len(verdict.files)}  {verdict.state.value}"
            yield SeriesDone(verdict.series_uid, verdict.to_json(), words, verdict.first_error)


class _Register(_ToolVerb):
    name = "register"

    @staticmethod
    def _done(result: RegisterResult) -> Iterator[SeriesDone]:
        for verdict in result.verdicts:
            words = f"{verdict.registered} of {verdict.files}  {verdict.state.value}"
            yield SeriesDone(verdict.series.series_uid, verdict.to_json(), words, verdict.error)


#: The tool that is behind a verb of another name.
_MODULES = {"retrieve": "move"}

_TOOL_VERBS: Mapping[str, type[_ToolVerb]] = {
    verb.name: verb for verb in (_Retrieve, _Status, _Push, _Register)
}


def told_with_verbs(options: Mapping[str, Any]) -> dict[str, Any]:
    """As :func:`pypx.cli.options.told`, for options with those of verbs among them."""
    given = told(options)
    if given.get("thenArgs"):
        members = parse_verb_options(given["thenArgs"], parse_verbs(given["then"]))
        shown = ({key: one[key] for key in one if key not in SECRETS} for one in members)
        given["thenArgs"] = ";".join(json.dumps(one, ensure_ascii=False) for one in shown)
    return given
