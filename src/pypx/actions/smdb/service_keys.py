"""What a BASEMOUNT knows of PACS, storage and CUBE: shown without its secrets, and added to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from pypx.basemount import services
from pypx.basemount.layout import Basemount
from pypx.basemount.secrecy import MASK, holds_mask, masked
from pypx.basemount.services import Fields
from pypx.errors import UsageError

#: The name of each service, as people and web services call it, and an example of what it takes.
EXAMPLES: Mapping[str, str] = {
    "PACS": '{"<key>": {"aet": "MYSELF", "aec": "THEIRS", "ip": "192.0.2.1", "port": "104"}}',
    "swift": '{"<key>": {"ip": "192.0.2.1", "port": "8080", "login": "chris:chris1234", "key": "testing"}}',
    "storage": '{"<key>": {"storagetype": "fs", "storepath": "/data/store"}}',
    "CUBE": '{"<key>": {"url": "http://192.0.2.1:8000/api/v1/", "username": "chris", "password": "…"}}',
    "smdb": '{"catalogue": {"url": "postgresql://user:password@host/database"}}',
}


def service_keys(
    basemount: Basemount, service: str, added: str = "", *, reveal: bool = False
) -> dict[str, Any]:
    """Show the keys of a service, after some were added.

    Parameters
    ----------
    basemount : Basemount
        Whose services.
    service : str
        One of EXAMPLES, in whatever case.
    added : str
        JSON of keys, or of fields of keys that are there; "" to add nothing.
    reveal : bool
        Show the secrets, too.

    Returns
    -------
    dict
        The JSON of px-smdb.

    Raises
    ------
    UsageError
        When what is to be added is not JSON of keys. Nothing of it stands in the error.
    ServicesUnreadable, BasemountUnusable, DiskFull
    """
    keys = access(basemount, service, added)
    return {"status": "success", "data": dict(keys) if reveal else masked(keys)}


def access(basemount: Basemount, service: str, added: str = "") -> dict[str, Fields]:
    """The keys of a service with their secrets, after some were added; as :func:`service_keys`."""
    name = _name(service)
    if not added.strip():
        return services.read(basemount, name.lower())
    keys = _read(name, added)
    if name == "smdb":
        _see_database(keys)
    return services.merge(basemount, name.lower(), keys)


def _name(service: str) -> str:
    for name in EXAMPLES:
        if name.lower() == service.strip().lower():
            return name
    raise UsageError(f"There is no service {service!r}", f"The services are {', '.join(EXAMPLES)}.")


def _read(name: str, text: str) -> dict[str, Fields]:
    def refuse(fault: str) -> NoReturn:
        raise UsageError(f"What is to be added to {name} {fault}", f"It takes {EXAMPLES[name]}.")

    try:
        keys = json.loads(text, parse_constant=lambda _: refuse("holds a number that JSON does not have"))
    except json.JSONDecodeError as error:
        refuse(f"is not JSON ({error.msg} at character {error.pos + 1})")
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets without end
        refuse("is not JSON of keys and their fields")
    if not isinstance(keys, dict) or not all(isinstance(fields, dict) for fields in keys.values()):
        refuse("is not one JSON object a key")
    if "" in keys:
        refuse("has a key without a name")
    if any("\ud800" <= character <= "\udfff" for character in json.dumps(keys, ensure_ascii=False)):
        refuse("holds half of a character, which no file can hold")
    if holds_mask(keys):
        refuse(f"holds {MASK}, which stands for a secret that was not shown")
    return keys


def _see_database(keys: Mapping[str, Fields]) -> None:
    """A URL that no database can have would leave every tool without a catalogue."""
    from pypx.basemount.engines import postgresql_url

    if set(keys) != {"catalogue"}:
        raise UsageError("smdb has one key, catalogue", f"It takes {EXAMPLES['smdb']}.")
    postgresql_url(str(keys["catalogue"].get("url", "")), "--actionArgs")
