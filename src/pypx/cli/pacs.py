"""The options that name a PACS and DCMTK's programs, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from pypx.cli import tls
from pypx.cli.tls import tls_of, tls_options
from pypx.errors import UsageError

if TYPE_CHECKING:
    from pypx.dcmtk.binaries import Binaries
    from pypx.dicom.node import Node

#: The options that name a PACS as a whole, and all that say something of one.
PACS_WHOLE = ("PACS", "pacs")
PACS_OPTIONS = (*PACS_WHOLE, "aet", "aec", "serverIP", "serverPort", *tls.NAMES)

_BINARIES = ("echoscu", "findscu", "movescu", "getscu", "storescp", "dcmsend")


def pacs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--PACS KEY``, one word host:AEC:port, or ``--aet --aec --serverIP --serverPort``; the last win.

    And over which TLS.
    """
    command = tls_options(command)
    for option in reversed(
        (
            click.argument("pacs", required=False, metavar="[HOST:AEC:PORT]"),
            click.option(
                "--PACS", "PACS", metavar="KEY", help="A key of the BASEMOUNT's services/pacs.json."
            ),
            click.option("--aet", "aet", metavar="AET", help="Our AE title.  [default: CHRISLOCAL]"),
            click.option("--aec", "aec", metavar="AET", help="The AE title of the PACS."),
            click.option("--serverIP", "serverIP", metavar="HOST", help="Host name or address of the PACS."),
            click.option("--serverPort", "serverPort", type=int, metavar="N", help="Port of the PACS."),
        )
    ):
        command = option(command)
    return command


def binary_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--findscu PATH`` and the like, for these programs."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = click.option(
                f"--{name}", name, metavar="PATH", help=f"DCMTK's {name}.  [default: the one on the PATH]"
            )(command)
        return command

    return decorate


def binaries_of(options: Mapping[str, Any]) -> Binaries:
    """The DCMTK programs that the options name."""
    from pypx.dcmtk.binaries import Binaries

    return Binaries({name: options[name] for name in _BINARIES if options.get(name)})


def node_of(options: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> Node:
    """The PACS that the options name.

    Parameters
    ----------
    options : mapping
        Of the command line.
    inherited : mapping, optional
        ``args`` of the find's JSON that is being read; what the command line says wins.

    Raises
    ------
    UsageError
        When host, port or AE title are not known.
    """
    from pypx.dicom.node import DEFAULT_AE_TITLE, Node

    known = {**_named(inherited or {}, inherited or {}), **_named(options, inherited or {})}
    calling = known.get("aet") or DEFAULT_AE_TITLE
    missing = [f"--{name}" for name in ("aec", "serverIP", "serverPort") if not known.get(name)]
    if missing:
        raise UsageError(
            f"Which PACS? {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            "Name it as host:AEC:port, by --PACS KEY, or with --serverIP, --serverPort and --aec.",
        )
    try:
        port = int(str(known["serverPort"]))
    except ValueError as error:
        raise UsageError(f"{known['serverPort']!r} is not a port", "A port is a number.") from error
    return Node(str(known["serverIP"]), port, str(known["aec"]), str(calling), tls_of(known))


def called_title_of(arguments: Mapping[str, Any]) -> str:
    """The AE title of the PACS that a find asked, by the find's ``args``; "" where they do not say."""
    return str(_named(arguments, arguments).get("aec") or "")


def _named(options: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    """What these options say of a PACS: the key, the one word over it, and single options over both."""
    from pypx.dicom.node import Node

    said: dict[str, Any] = {}
    if options.get("PACS"):
        said = _of_key(str(options["PACS"]), options, inherited)
    if options.get("pacs"):
        node = Node.parse(str(options["pacs"]))
        said |= {"serverIP": node.host, "serverPort": node.port, "aec": node.called_ae_title}
    names = ("aet", "aec", "serverIP", "serverPort", *(name for name in tls.NAMES if options.get(name)))
    return said | {name: options[name] for name in names if options.get(name) not in (None, "")}


def _of_key(key: str, options: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    from pypx.basemount.services import fields_of
    from pypx.cli.options import basemount_of

    basemount = basemount_of(options, inherited)
    fields = fields_of(basemount, "pacs", key)
    names = {"aet": "aet", "aec": "aec", "ip": "serverIP", "port": "serverPort"}
    said = {option: fields[field] for field, option in names.items() if fields.get(field)}
    return said | tls.resolved(fields, basemount.services)
