"""The edge of every console script: where errors become sentences and exit statuses.

Exit status: 0 all done; 1 it ran and something failed or is incomplete; 2 wrong usage; 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from pypx import __version__
from pypx.cli import terminal
from pypx.errors import InternalError, Interrupted, PypxError, UsageError


class Tool(click.Command):
    """A console script of the suite: a click command with the options that every tool has.

    Parameters
    ----------
    examples : str
        Shown at the end of ``--help`` and by ``--desc``: commands a reader can copy.
    """

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
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
                callback=_take_json_arguments,
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
            _printing_option(["-x", "--desc"], "Print this help with all examples.", _long_help),
            _printing_option(["-y", "--synopsis"], "Print the usage in one paragraph.", _synopsis),
            _printing_option(["--version"], "Print the version.", lambda _: f"pypx {__version__}"),
        ]

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


def _take_json_arguments(context: click.Context, parameter: click.Parameter, text: str | None) -> None:
    """Make the members of ``--JSONargs`` the defaults of the options that bear their names."""
    if text is None:
        return
    try:
        members = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON ({error}).", context, parameter) from error
    if not isinstance(members, dict):
        raise click.BadParameter('a JSON object is needed: {"option": value}.', context, parameter)
    known = {
        name.lstrip("-"): option
        for option in context.command.params
        if isinstance(option, click.Option) and option.expose_value
        for name in option.opts
    }
    defaults: dict[str, Any] = {}
    for name, value in members.items():
        option = known.get(name)
        if option is None or option.name is None:
            possibilities = [f"--{close}" for close in _nearest(name, known)]
            raise click.NoSuchOption(f"--{name}", possibilities=possibilities, ctx=context)
        if value is not None:
            defaults[option.name] = value if option.multiple else _as_option_value(value)
    context.default_map = {**(context.default_map or {}), **defaults}


def _keep_debug(context: click.Context, parameter: click.Parameter, directory: str | None) -> None:
    """Keep the log, and the JSON when it is there, in files of this run's own."""
    if directory is None:
        return
    stem = (
        Path(directory).expanduser() / f"{context.info_name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    )
    try:
        stem.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        terminal.keep_log(stem.with_suffix(".log"))
    except OSError as error:
        raise click.BadParameter(
            f"{directory} cannot be written ({error.strerror}).", context, parameter
        ) from error
    context.obj = stem.with_suffix(".json")


def _nearest(name: str, known: Mapping[str, object]) -> list[str]:
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower)]


def _as_option_value(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else value


def run(tool: Tool, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a console script to its end and exit with its status.

    The command's function returns its exit status, or None for 0. Whatever it started is ended before
    this returns, since SIGTERM unwinds the stack just as Ctrl-C does.
    """
    name = tool.name or "pypx"
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = tool.main(args=_arguments(arguments), prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        status = stop.exit_code
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort, Interrupted):
        terminal.say(name, "interrupted; what is done is kept, the same command goes on from there.")
        status = Interrupted.exit_status
    except BrokenPipeError:
        # Whoever read our output has enough, as in `px-find … | head`.
        sys.stderr.close()
        status = 1
    except PypxError as error:
        fail(name, error)
        status = error.exit_status
    except Exception as error:
        logging.getLogger("pypx").debug("internal error", exc_info=True)
        fail(name, InternalError(f"{type(error).__name__}: {error}"))
        status = InternalError.exit_status
    sys.exit(status or 0)


def _arguments(arguments: Sequence[str] | None) -> list[str]:
    return list(sys.argv[1:] if arguments is None else arguments)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def fail(tool: str, error: PypxError) -> None:
    """Say what went wrong as one sentence on stderr, and as JSON on stdout where a program reads it."""
    terminal.say(tool, f"{error.message}. {error.hint}".rstrip())
    if not sys.stdout.isatty() and not isinstance(error, UsageError):
        write_json({"status": "error", "error": error.to_json()})


def write_json(value: object) -> None:
    """One JSON document on stdout, readable where a person looks at it."""
    context = click.get_current_context(silent=True)
    if context and isinstance(context.obj, Path):
        descriptor = os.open(context.obj, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as kept:
            json.dump(value, kept, ensure_ascii=False, indent=2)
    terminal.write_stdout(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def output_is_json(asked: bool) -> bool:
    """JSON where it was asked for or a program reads; a report for people at a terminal."""
    return asked or not sys.stdout.isatty()
