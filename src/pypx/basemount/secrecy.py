"""What of a JSON value may be shown: the secrets in it are replaced by a mask."""

from __future__ import annotations

import re
from typing import Any

MASK = "***"

_SECRET = re.compile(r"passw|passphrase|secret|token|^key$", re.IGNORECASE)
_LOGIN = re.compile(r"login", re.IGNORECASE)

#: The password of a URL, also one that holds an @ that should have been %40.
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/:@\s]*):[^/\s]*@")


def masked(value: Any, name: str = "") -> Any:
    """A JSON value without its secrets.

    Those are what stands under a name such as key, password, secret or token, what follows the colon of a
    login, and the password of a URL.

    Parameters
    ----------
    value : object
        As json.loads() gives it.
    name : str
        What it stands under.

    Examples
    --------
    >>> masked({"ip": "192.0.2.1", "login": "chris:chris1234", "key": "testing"})
    {'ip': '192.0.2.1', 'login': 'chris:***', 'key': '***'}
    """
    if isinstance(value, dict):
        return {member: masked(one, str(member)) for member, one in value.items()}
    if isinstance(value, list):
        return [masked(one, name) for one in value]
    if value is None or value == "":
        return value
    if _SECRET.search(name):
        return MASK
    if not isinstance(value, str):
        return value
    if _LOGIN.search(name):
        user, colon, _ = value.partition(":")
        return f"{user}:{MASK}" if colon else user
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", value)


def holds_mask(value: Any) -> bool:
    """Whether a value was masked once: what was shown must not be taken for the secret itself."""
    if isinstance(value, dict):
        return any(holds_mask(one) for one in value.values())
    if isinstance(value, list):
        return any(holds_mask(one) for one in value)
    return isinstance(value, str) and MASK in value
