"""The edge of every console script: where errors become sentences and exit statuses.

Exit status: 0 all done; 1 it ran and something failed or is incomplete; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

import click

from pypx import __version__
from pypx.cli import auditing, terminal
from pypx.cli.asked import log_asked
from pypx.cli.json_arguments import nearest, take_json_arguments
from pypx.cli.query import patients_named
from pypx.discretion import hide, hide_nothing
from pypx.errors import InternalError, Interrupted, OutputUnwritable, PypxError, UsageError
from pypx.home import at_home
from pypx.printable import printable_json

#: Objects after which Python looks for cycles among them. Its own 700 are for programs that make many; here
#: most objects are results, and looking through them takes an eighth of the time of packing.
_COLLECTION_THRESHOLD = 10_000

#: Where ``--debugToDir`` keeps the JSON of this run.
_kept_json: ContextVar[Path | None] = ContextVar("kept_json", default=None)

#: The options of this run, once they have been read.
_options: ContextVar[Mapping[str, Any]] = ContextVar("options", default=MappingProxyType({}))


class Tool(click.Command):
    """A console script of the suite: a click command with the options that every tool has.

    Parameters
    ----------
    examples : str
        Shown at the end of ``--help`` and by ``--desc``: commands a reader can copy.
    goes_on : bool or callable
        Whether the same command, after an interruption, goes on where it was; it may depend on the options.
    """

    def __init__(
        self,
        *args: Any,
        examples: str = "",
        goes_on: bool | Callable[[Mapping[str, Any]], bool] = True,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": ["-h", "--help"]})
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.goes_on = goes_on if callable(goes_on) else lambda _: goes_on
        self.params += [
            click.Option(
                ["-v", "--verbosity"],
                type=click.IntRange(0, 3),
                help="0 errors only, 1 warnings, 2 what it does, 3 DCMTK's commands and output.",
            ),
            click.Option(
                ["--JSONargs", "JSONargs"],
                metavar="JSON",
                expose_value=False,
                is_eager=True,
                callback=take_json_arguments,
                help='Options as one JSON object, {"option": value}; the command line wins.',
            ),
            click.Option(
                ["--debugToDir", "debugToDir"],
                metavar="DIR",
                expose_value=False,
                is_eager=True,
                callback=_keep_debug,
                help="Write what was asked and answered to files in this directory.",
            ),
            click.Option(
                ["--log-phi", "log_phi"],
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_speak_openly,
                help="Let the log, and sentences on stderr, name patients.",
            ),
            _printing_option(["-x", "--desc"], "Print this help with all examples.", _long_help),
            _printing_option(["-y", "--synopsis"], "Print the usage in one paragraph.", _synopsis),
            _printing_option(["--version"], "Print the version.", lambda _: f"pypx {__version__}"),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            rest = super().parse_args(ctx, list(self._separated(ctx, args)))
        except click.NoSuchOption as error:
            raise self._with_nearest(error, ctx) from error
        hide(patients_named(ctx.params))
        return rest

    def _separated(self, ctx: click.Context, words: Iterable[str]) -> Iterator[str]:
        """``-x=VALUE`` as two words: click does that with long names, and takes this = for the value's."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.is_flag]
        valued = {name for one in options for name in one.opts}
        rest = iter(words)
        for word in rest:
            if word == "--":
                yield word
                yield from rest
            elif word in valued:
                # What follows is its value, whatever that looks like.
                yield word
                yield from islice(rest, 1)
            elif word[:2] in valued and word[2:3] == "=":
                yield word[:2]
                yield word[3:]
            else:
                yield word

    def _with_nearest(self, error: click.NoSuchOption, ctx: click.Context) -> click.NoSuchOption:
        """The same with the names that may have been meant; click knows none where only the case differs."""
        options = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
        known = {name[2:]: one for one in options for name in one.opts if name.startswith("--")}
        close = " or ".join(f"'--{name}'" for name in nearest(error.option_name.lstrip("-"), known))
        hint = f" Did you mean {close}?" if close else ""
        return click.NoSuchOption(error.option_name, f"No such option '{error.option_name}'.{hint}", ctx=ctx)

    def invoke(self, ctx: click.Context) -> Any:
        _options.set(ctx.params)
        if _kept_json.get():
            # Once it is known who is to be hidden.
            log_asked(ctx.info_name or "", ctx.params)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples.strip().splitlines():
                    formatter.write(f"  {line}\n")


def _printing_option(names: list[str], text: str, render: Callable[[click.Context], str]) -> click.Option:
    def show(context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
        if asked:
            click.echo(render(context))
            context.exit()

    return click.Option(names, is_flag=True, is_eager=True, expose_value=False, help=text, callback=show)


def _long_help(context: click.Context) -> str:
    return context.get_help()


def _synopsis(context: click.Context) -> str:
    summary = (context.command.help or "").strip().split("\n\n")[0]
    return f"{context.get_usage()}\n\n{summary}"


def _speak_openly(_context: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked:
        hide_nothing()


def _keep_debug(context: click.Context, parameter: click.Parameter, directory: str | None) -> None:
    """Keep the log, and the JSON when it is there, in files of this run's own."""
    if directory is None:
        return
    stem = at_home(directory) / f"{context.info_name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    try:
        stem.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        terminal.keep_log(stem.with_suffix(".log"))
    except OSError as error:
        raise click.BadParameter(
            f"{directory} cannot be written ({error.strerror}).", context, parameter
        ) from error
    _kept_json.set(stem.with_suffix(".json"))


def run(tool: Tool, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a console script to its end and exit with its status.

    The command's function returns its exit status, or None for 0. Whatever it started is ended before
    this returns, since SIGTERM unwinds the stack just as Ctrl-C does.
    """
    terminal.open_missing_streams()
    auditing.act_as(tool.name or "pypx")
    gc.set_threshold(_COLLECTION_THRESHOLD)
    status = _status(tool, tool.name or "pypx", arguments)
    # Python would look for cycles once more, among all that goes with the process anyway.
    gc.freeze()
    sys.exit(status)


def _status(tool: Tool, name: str, arguments: Sequence[str] | None) -> int:
    try:
        _take_signals()
        status = tool.main(args=_arguments(arguments), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
        return status or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        terminal.say(name, f"{error.format_message()} See {name} --help.")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort, Interrupted):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        goes_on = tool.goes_on(_options.get())
        rest = "; what is done is kept, the same command goes on from there" if goes_on else ""
        terminal.say(name, f"interrupted{rest}.")
        return Interrupted.exit_status
    except BrokenPipeError:
        # Whoever read our output has enough, as in `px-find … | head`.
        terminal.give_up_stdout()
        return 1
    except PypxError as error:
        fail(name, error)
        return error.exit_status
    except Exception as error:
        if terminal.is_of_stdout(error):
            terminal.give_up_stdout()
            unwritable = OutputUnwritable(f"The result cannot be written to standard output ({error})")
            terminal.say(name, unwritable.sentence)
            return unwritable.exit_status
        logging.getLogger("pypx").debug("internal error", exc_info=True)
        fail(name, InternalError(f"{type(error).__name__}: {error}"))
        return InternalError.exit_status


def _arguments(arguments: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if arguments is None else arguments)


def _take_signals() -> None:
    """Unwind the stack at Ctrl-C, which may have been told to end us at once until here, and at SIGTERM."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def fail(tool: str, error: PypxError) -> None:
    """Say what went wrong as one sentence on stderr, and as JSON on stdout where a program reads it."""
    terminal.say(tool, error.sentence)
    if isinstance(error, UsageError):
        return
    document = {"status": "error", "error": error.to_json()}
    try:
        write_json_pieces(_of_value(document), shown=output_is_json(bool(_options.get().get("json"))))
    except OSError:
        # It has been said already.
        terminal.give_up_stdout()


#: From the indentation (None for a document on one line) to the pieces of a JSON document.
JsonPieces: TypeAlias = Callable[[int | None], Iterable[str]]


def write_json(value: object) -> None:
    """One JSON document on stdout, readable where a person looks at it."""
    write_json_pieces(_of_value(value))


def write_json_pieces(pieces: JsonPieces, shown: bool = True) -> None:
    """As :func:`write_json`, for a document that is not held as a whole.

    Parameters
    ----------
    pieces : callable
    shown : bool
        False where a person is shown something else: then it is only kept for ``--debugToDir``.
    """
    _keep_json(pieces)
    if shown:
        terminal.write_pieces(pieces(2 if sys.stdout.isatty() else None), printable_json)


def keeps_json() -> bool:
    """Whether ``--debugToDir`` asks for the answer, so that one who writes it otherwise holds it for that."""
    return _kept_json.get() is not None


def _of_value(value: object) -> JsonPieces:
    return lambda indent: [json.dumps(value, ensure_ascii=False, indent=indent)]


def _keep_json(pieces: JsonPieces) -> None:
    file = _kept_json.get()
    if file is not None:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as kept:
            kept.writelines(pieces(2))


class _Result(Protocol):
    """What most tools come to."""

    @property
    def error(self) -> PypxError | None:
        """Why not all is done."""

    def to_json(self) -> dict[str, Any]:
        """The answer."""


_R = TypeVar("_R", bound=_Result)


def finish(tool: str, result: _R, show: Callable[[_R], None], *, json: bool) -> int:
    """Write the answer of a tool as JSON, or show it to a person, and give the exit status.

    Parameters
    ----------
    tool : str
        The name before the sentence on what is wrong.
    result : object
        With ``error`` and ``to_json()``.
    show : callable
        Shows the result to a person.
    json : bool
        Whether JSON was asked for.
    """
    if output_is_json(json):
        write_json(result.to_json())
    else:
        show(result)
    if result.error:
        terminal.say(tool, result.error.sentence)
    return 1 if result.error else 0


def output_is_json(asked: bool) -> bool:
    """JSON where it was asked for or a program reads; a report for people at a terminal."""
    return asked or not sys.stdout.isatty()
