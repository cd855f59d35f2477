"""A tool called with a mapping of options, in place of a command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pypx.cli.json_arguments import as_typed, nearest, options_of
from pypx.errors import UsageError

if TYPE_CHECKING:
    from pypx.cli.edge import Tool


def values_of(tool: Tool, given: Mapping[str, Any], *, ignoring_others: bool) -> dict[str, Any]:
    """The values of all of a tool's options: those given, checked, and the defaults of the others.

    Parameters
    ----------
    tool : Tool
    given : mapping
        Names of options without dashes to values as JSON has them.
    ignoring_others : bool
        Whether names that are no options of the tool mean nothing, or are wrong usage.

    Raises
    ------
    UsageError
    """
    known = options_of(tool)
    if not ignoring_others:
        for name in given:
            if name not in known:
                close = nearest(name, known)
                hint = f"Did you mean {close[0]}?" if close else f"See {tool.name} --help."
                raise UsageError(f"{name!r} is not an option of {tool.name}", hint)
    try:
        typed = as_typed({name: value for name, value in given.items() if name in known}, known)
        with tool.make_context(tool.name, [], default_map=typed) as context:
            return dict(context.params)
    except click.ClickException as error:
        raise UsageError(error.format_message().rstrip("."), f"See {tool.name} --help.") from error
