"""The options that name a storage, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from pypx.cli.options import basemount_of, retries_option, timeout_option
from pypx.cli.secret import secret_of
from pypx.errors import UsageError

if TYPE_CHECKING:
    from pypx.storage.interface import Storage

_NAMES = ("swift", "swiftIP", "swiftPort", "swiftLogin", "storeBaseLocation")

#: The environment's names for what should not stand on a command line.
LOGIN_VARIABLE = "PYPX_SWIFT_LOGIN"
KEY_VARIABLE = "PYPX_SWIFT_KEY"


def storage_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--swift KEY``, or ``--swiftIP --swiftPort --swiftLogin``, or ``--storeBaseLocation``."""
    for option in reversed(
        (
            click.option(
                "--swift",
                "swift",
                metavar="KEY",
                help="A key of the BASEMOUNT's services/swift.json, or storage.json.",
            ),
            click.option("--swiftIP", "swiftIP", metavar="HOST", help="Host name or address of Swift."),
            click.option(
                "--swiftPort", "swiftPort", type=int, metavar="N", help="Port of Swift.  [default: 8080]"
            ),
            click.option(
                "--swiftLogin",
                "swiftLogin",
                metavar="LOGIN",
                help=f"account:user at Swift; better @FILE, or {LOGIN_VARIABLE} in the environment, where "
                f"nobody else sees it. The password is the key's, or {KEY_VARIABLE} (which may be @FILE).",
            ),
            click.option(
                "--storeBaseLocation",
                "storeBaseLocation",
                metavar="DIR",
                help="A directory of a mounted filesystem, instead of Swift.",
            ),
        )
    ):
        command = option(command)
    return command


def retry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--retries`` and ``--timeout``."""
    for option in reversed(
        (
            retries_option("How often what failed for a moment is tried again."),
            timeout_option(
                "Seconds without progress after which the other side is taken as hung.", default=60.0
            ),
        )
    ):
        command = option(command)
    return command


def names_storage(options: Mapping[str, Any]) -> bool:
    """Whether an option names a storage."""
    return any(options.get(name) not in (None, "") for name in _NAMES)


def storage_of(options: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> Storage:
    """The storage that the options name.

    Parameters
    ----------
    options : mapping
        Of the command line. ``type``, where it is among them, says ``swift`` or ``fs``.
    inherited : mapping, optional
        ``args`` of the find's JSON that is being read; what the command line says wins.

    Raises
    ------
    UsageError
        When none is named.
    ServiceKeyUnknown, InvalidValue
        When it is named wrongly.
    """
    from pypx.storage.opening import open_storage
    from pypx.storage.retries import Retries

    fields = _fields(options, inherited or {})
    return open_storage(fields, Retries(options.get("retries") or 0), options.get("timeout") or 60.0)


def _fields(options: Mapping[str, Any], inherited: Mapping[str, Any]) -> Mapping[str, Any]:
    key = options.get("swift") or (None if names_storage(options) else inherited.get("swift"))
    fields: dict[str, Any] = {}
    if key:
        from pypx.basemount.services import storage_fields

        fields = dict(storage_fields(basemount_of(options, inherited), str(key)))
    if options.get("storeBaseLocation"):
        fields |= {"storagetype": "fs", "storepath": options["storeBaseLocation"]}
    if options.get("type"):
        fields["storagetype"] = options["type"]
    if fields.get("storagetype") == "fs":
        return fields
    said = {
        "ip": options.get("swiftIP"),
        "port": options.get("swiftPort"),
        "login": secret_of(options, "swiftLogin", LOGIN_VARIABLE),
        "key": secret_of({}, "swiftKey", KEY_VARIABLE),
    }
    fields |= {name: value for name, value in said.items() if value not in (None, "")}
    is_swift = (fields.get("storagetype") or "swift") == "swift"
    if is_swift and not (fields.get("ip") or fields.get("authurl")):
        raise UsageError(
            "Which storage?",
            "Name it by --swift KEY, or by the options of px-push: --swiftIP and --swiftLogin, or"
            " --storeBaseLocation DIR.",
        )
    return fields
