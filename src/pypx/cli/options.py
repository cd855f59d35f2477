"""The options that several tools share (catalogue, files, templates, pace), and what they make."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pypx.cli.types import Seconds
from pypx.discretion import hide_below
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.actions.sources import SourceFiles
    from pypx.basemount.layout import Basemount
    from pypx.basemount.templates import TreeTemplates

logger = logging.getLogger("pypx.options")

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Decorator = Callable[[Any], Any]

#: Shown by the help; parsed and checked in pypx.basemount.templates.
_TEMPLATES = {
    "rootDirTemplate": "a patient's directory  [default: %PatientID-%PatientName-%PatientBirthDate]",
    "studyDirTemplate": "a study's directory  [default: %StudyDescription-%AccessionNumber-%StudyDate]",
    "seriesDirTemplate": "a series' directory  [default: %_pad|5,0_SeriesNumber-%SeriesDescription-"
    "%_md5|7_SeriesInstanceUID]",
    "imageTemplate": "an image's file  [default: %_pad|4,0_InstanceNumber-%SOPInstanceUID.dcm]",
}

_STORAGE_TEMPLATES = {
    "studyDirTemplate": "a study's directory  [default: %StudyDescription-%AccessionNumber-%StudyDate"
    "-%PatientAge-%AgeInDays]",
}


def former_options(*names: str, valued: bool = False) -> Callable[[_Command], _Command]:
    """Options that scripts still give, and that mean nothing.

    Parameters
    ----------
    *names : str
        Without dashes.
    valued : bool
        Whether a value follows each.
    """

    def say(context: click.Context, parameter: click.Parameter, value: object) -> None:
        if value:
            # At the end: by then it is known who wants to hear of it.
            message = "--%s means nothing to %s"
            context.call_on_close(lambda: logger.info(message, parameter.name, context.info_name))

    return lambda command: decorated(
        command,
        *(
            click.option(f"--{name}", name, is_flag=not valued, hidden=True, expose_value=False, callback=say)
            for name in names
        ),
    )


def jobs_option(text: str, *, default: int, most: int) -> _Decorator:
    """``--jobs``, with what is done side by side in its help."""
    return click.option(
        "--jobs",
        "jobs",
        type=click.IntRange(1, most),
        default=default,
        show_default=True,
        metavar="N",
        help=text,
    )


def retries_option(text: str) -> _Decorator:
    """``--retries``."""
    return click.option(
        "--retries",
        "retries",
        type=click.IntRange(0, 100),
        default=5,
        show_default=True,
        metavar="N",
        help=text,
    )


def timeout_option(text: str, *, default: float) -> _Decorator:
    """``--timeout``."""
    return click.option(
        "--timeout",
        "timeout",
        type=Seconds(),
        default=default,
        show_default=True,
        metavar="S",
        help=text,
    )


json_option: _Decorator = click.option(
    "--json", "json", is_flag=True, help="Answer in JSON, at a terminal too."
)


def catalogue_options(command: _Command) -> _Command:
    """``--db`` and its other names."""
    return decorated(
        command,
        click.option(
            "--db",
            "--logdir",
            "-l",
            "--dblogbasepath",
            "db",
            metavar="LOGDIR",
            help="Log directory; its parent is the BASEMOUNT.  [default: $BASEMOUNT/log, else ~/dicom/log]",
        ),
    )


def data_options(command: _Command) -> _Command:
    """``--datadir``."""
    return decorated(
        command,
        click.option(
            "-d",
            "--datadir",
            "datadir",
            metavar="DIR",
            help="Where the images are; BASEMOUNT/data becomes a link to it.  [default: BASEMOUNT/data]",
        ),
    )


def basemount_of(options: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> Basemount:
    """The BASEMOUNT that the options name.

    Parameters
    ----------
    options : mapping
        Of the command line.
    inherited : mapping, optional
        ``args`` of the find's JSON that is being read; what the command line says wins.
    """
    from pypx.basemount.layout import Basemount

    before = {} if options.get("db") else inherited or {}
    log, data = (options.get(name) or before.get(name) for name in ("db", "datadir"))
    basemount = Basemount.of_log_directory(Path(str(log)) if log else None, Path(str(data)) if data else None)
    hide_below(basemount.data)
    return basemount


def files_options(command: _Command) -> _Command:
    """Which files: ``--xcrdir --xcrfile --xcrdirfile --parseAllFilesWithSubStr --recursive``."""
    return decorated(
        command,
        click.option("-p", "--xcrdir", "xcrdir", metavar="DIR", help="The files of this directory."),
        click.option("-f", "--xcrfile", "xcrfile", metavar="NAME", help="Of --xcrdir this file alone."),
        click.option("--xcrdirfile", "xcrdirfile", metavar="PATH", help="This file alone."),
        click.option(
            "--parseAllFilesWithSubStr",
            "parseAllFilesWithSubStr",
            metavar="A,B",
            help="Of --xcrdir the files whose names have A or B in them.",
        ),
        click.option("--recursive", "recursive", is_flag=True, help="All directories below --xcrdir, too."),
    )


def files_of(options: Mapping[str, Any]) -> SourceFiles:
    """The files that the options name."""
    from pypx.actions.sources import SourceFiles

    parts = (options.get("parseAllFilesWithSubStr") or "").split(",")
    return SourceFiles(
        directory=_path(options.get("xcrdir")),
        name=options.get("xcrfile") or "",
        path=_path(options.get("xcrdirfile")),
        parts=tuple(part.strip() for part in parts if part.strip()),
        recursive=bool(options.get("recursive")),
    )


def template_options(command: _Command) -> _Command:
    """How the tree is named, level by level."""
    return _template_options(command, _TEMPLATES)


def storage_template_options(command: _Command) -> _Command:
    """How names in storage are made, level by level."""
    return _template_options(command, {**_TEMPLATES, **_STORAGE_TEMPLATES})


def _template_options(command: _Command, templates: Mapping[str, str]) -> _Command:
    return decorated(
        command,
        *(
            click.option(f"--{name}", name, metavar="TEMPLATE", help=f"The name of {what}")
            for name, what in templates.items()
        ),
    )


def templates_of(options: Mapping[str, Any], defaults: TreeTemplates | None = None) -> TreeTemplates:
    """The naming templates, those that the options do not name as they are by default.

    Parameters
    ----------
    options : mapping
        Of the command line.
    defaults : TreeTemplates, optional
        Those of data/ where not given.

    Raises
    ------
    InvalidTemplate
        When one cannot be understood.
    """
    from pypx.basemount.templates import Template, TreeTemplates

    levels = zip(("root", "study", "series", "image"), _TEMPLATES, strict=True)
    given = {level: options[name] for level, name in levels if options.get(name) is not None}
    parsed = {level: Template.parse(text) for level, text in given.items()}
    return replace(defaults or TreeTemplates(), **parsed)


#: Options whose values nobody else is to see.
SECRETS = ("swiftLogin", "CUBEuserpasswd")


def told(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, for a result's ``args``; no secret among them."""
    return {
        name: value
        for name, value in options.items()
        if value is not False and value not in (None, "", ()) and name not in SECRETS
    }


def uids_of(options: Mapping[str, Any], name: str) -> list[str]:
    """The UIDs of an option, each once; commas or backslashes stand between."""
    parts = (part.strip() for part in (options.get(name) or "").replace("\\", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))


def decorated(command: _Command, *decorators: _Decorator) -> _Command:
    """A command with options, which its help shows in this order."""
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def _path(text: str | None) -> Path | None:
    return at_home(text) if text else None
