"""The options for TLS, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pypx.cli.options import decorated
from pypx.cli.secret import secret_of
from pypx.errors import InvalidValue, UsageError
from pypx.home import at_home

if TYPE_CHECKING:
    from pypx.dicom.tls import TlsSettings

ENVIRONMENT = "PYPX_TLS_PASSPHRASE"

#: The options, which are the fields of a key of services/pacs.json as well; then those that name files.
NAMES = ("tls", "tlsKey", "tlsCertificate", "tlsCA", "tlsPeer", "tlsProfile", "tlsPassphrase")
_FILES = ("tlsKey", "tlsCertificate", "tlsCA", "tlsPassphrase")

_PROFILES = ("bcp195-nd", "bcp195", "bcp195-ex", "aes")
_PEER = ("require", "ignore")


def tls_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--tls`` and all that belongs to it."""
    return decorated(
        command,
        click.option("--tls", "tls", is_flag=True, help="Over TLS; each of the following means this, too."),
        click.option("--tlsKey", "tlsKey", metavar="FILE", help="Our private key (PEM)."),
        click.option("--tlsCertificate", "tlsCertificate", metavar="FILE", help="Our certificate (PEM)."),
        click.option(
            "--tlsCA",
            "tlsCA",
            metavar="FILE|DIR",
            help="Who must have signed the peer's certificate: a PEM file, or a directory (openssl rehash).",
        ),
        click.option(
            "--tlsPeer",
            "tlsPeer",
            type=click.Choice(_PEER),
            help="Whether the peer must have such a certificate.  [default: require]",
        ),
        click.option(
            "--tlsProfile",
            "tlsProfile",
            type=click.Choice(_PROFILES),
            help="Secure connection profile.  [default: bcp195-nd]",
        ),
        click.option(
            "--tlsPassphrase",
            "tlsPassphrase",
            metavar="@FILE",
            help=f"File with the passphrase of the private key.  [default: {ENVIRONMENT}]",
        ),
    )


def tls_of(said: Mapping[str, Any]) -> TlsSettings | None:
    """What options that were given, or the fields of a key, say of TLS; None where there is to be none.

    Raises
    ------
    UsageError
        When something is missing, or is not what it is given for.
    FileUnreadable
        When the passphrase cannot be read.
    """
    given = {name: said[name] for name in NAMES if said.get(name) not in (None, "", False)}
    if not given or _is_off(said.get("tls")):
        return None
    from pypx.dicom.tls import TlsProfile, TlsSettings

    return TlsSettings(
        key=_path(given.get("tlsKey")),
        certificate=_path(given.get("tlsCertificate")),
        authorities=_path(given.get("tlsCA")),
        checks_peer=_one_of(_PEER, "tlsPeer", given) == "require",
        profile=TlsProfile(_one_of(_PROFILES, "tlsProfile", given)),
        passphrase=_passphrase(given) if "tlsKey" in given else "",
    )


def own_tls_of(options: Mapping[str, Any]) -> TlsSettings | None:
    """What options say of TLS for a port of ours, which has to show a certificate; checked.

    Raises
    ------
    UsageError, FileUnreadable, TlsFilesUnusable
    """
    settings = tls_of({name: options[name] for name in NAMES if options.get(name)})
    if settings is None:
        return None
    if settings.key is None:
        raise UsageError(
            "Who receives over TLS has to show a certificate", "Give --tlsKey and --tlsCertificate."
        )
    from pypx.dcmtk.tls_connection import context

    context(settings, server_side=True)
    return settings


def resolved(fields: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """The fields of a key for TLS, the names of files in them as seen from the directory of its file."""
    return {
        name: _resolved(str(fields[name]), directory) if name in _FILES else fields[name]
        for name in NAMES
        if fields.get(name) not in (None, "")
    }


def _resolved(text: str, directory: Path) -> str:
    path = text.removeprefix("@")
    sign = text[: len(text) - len(path)]
    return f"{sign}{directory / at_home(path)}"


def _is_off(tls: Any) -> bool:
    """Whether a key of services/pacs.json says that there is to be no TLS, whatever else it holds."""
    if tls in (None, True, False) or str(tls).lower() in ("true", "false", ""):
        return tls is not None and str(tls).lower() == "false"
    raise InvalidValue(f"{tls!r} is neither true nor false", 'Correct the field "tls" in services/pacs.json.')


def _one_of(known: tuple[str, ...], name: str, given: Mapping[str, Any]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise InvalidValue(f"{value!r} is nothing that {name} can be", f"It is one of: {', '.join(known)}.")
    return str(value)


def _path(text: Any) -> Path | None:
    return at_home(str(text)).absolute() if text else None


def _passphrase(given: Mapping[str, Any]) -> str:
    said = str(given.get("tlsPassphrase", ""))
    if said and not said.startswith("@"):
        raise UsageError(
            "tlsPassphrase is not the passphrase itself, which everybody could see",
            f"Write it into a file, and give --tlsPassphrase @FILE; or set {ENVIRONMENT}.",
        )
    return secret_of(given, "tlsPassphrase", ENVIRONMENT) or ""
