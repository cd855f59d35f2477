"""``--JSONargs``: options as one JSON object."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

import click

#: Options that print something and end, or that hold the others.
_NOT_IN_JSON = frozenset({"desc", "synopsis", "version", "JSONargs"})

#: Holds an object for each verb, with semicolons between.
_ONE_A_VERB = "thenArgs"


def take_json_arguments(context: click.Context, parameter: click.Parameter, text: str | None) -> None:
    """Make the members of ``--JSONargs`` the defaults of the options that bear their names."""
    if text is None:
        return
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"not JSON ({error}).", context, parameter) from error
    if not isinstance(members, dict):
        raise click.BadParameter('a JSON object is needed: {"option": value}.', context, parameter)
    known = _by_name(context.command.params)
    for name in members:
        if name not in known:
            raise click.NoSuchOption(f"--{name}", ctx=context)
        if known[name].name in _NOT_IN_JSON:
            raise click.BadParameter(f"{name} is only for the command line.", context, parameter)
    context.default_map = {**(context.default_map or {}), **as_typed(members, known)}


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options that the function of a tool is given, by each of their names, without dashes."""
    return _by_name(option for option in command.params if option.expose_value)


def _by_name(parameters: Iterable[click.Parameter]) -> dict[str, click.Option]:
    return {
        name.lstrip("-"): option
        for option in parameters
        if isinstance(option, click.Option)
        for name in option.opts
    }


def as_typed(members: Mapping[str, Any], known: Mapping[str, click.Option]) -> dict[str, Any]:
    """The values of a JSON object as a person would have typed them, by the names of parameters.

    Raises
    ------
    click.BadParameter
        When one is no value of an option.
    """
    typed: dict[str, Any] = {}
    for name, value in members.items():
        option = known[name]
        if value is None or option.name is None:
            continue
        try:
            typed[option.name] = _several(value) if option.multiple else _one(value, option)
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{name} cannot be {_shown(value)}.", param=option) from error
    return typed


def _shown(value: object) -> str:
    """A value as JSON has it; of one that it cannot have, which a program may give, the kind."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return f"a {type(value).__name__}"


def nearest(name: str, known: Mapping[str, object]) -> list[str]:
    """The names that are spelled much like this one; where only the case differs, that one alone."""
    from difflib import get_close_matches

    by_lower = {candidate.lower(): candidate for candidate in known}
    if name.lower() in by_lower:
        return [by_lower[name.lower()]]
    return [by_lower[match] for match in get_close_matches(name.lower(), by_lower)]


def _several(value: Any) -> list[str]:
    """The values of an option that may be given several times."""
    if isinstance(value, dict):
        return [f"{name}={_scalar(member)}" for name, member in value.items()]
    return [_scalar(member) for member in value] if isinstance(value, list) else [_scalar(value)]


def _one(value: Any, option: click.Option) -> Any:
    """The value of an option as a person would have typed it."""
    if option.is_flag:
        return value if isinstance(value, bool) else _scalar(value)
    if option.name == _ONE_A_VERB and isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return ";".join(json.dumps(one) for one in value)
    if isinstance(value, list):
        return ",".join(_scalar(member) for member in value)
    return json.dumps(value) if isinstance(value, dict) else _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError
    if isinstance(value, str) and b"\0" in os.fsencode(value):
        # No command line has one; nor has it half a character, of which fsencode complains.
        raise ValueError
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
