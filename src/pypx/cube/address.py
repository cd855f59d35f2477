"""Where a CUBE is, and who we are there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

from pypx.errors import InvalidValue

#: Where the API is on a CUBE, where only its host is named.
_API = "/api/v1/"

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]{2,45}")
_PATH = re.compile(r"[A-Za-z0-9_.~/%-]*")


@dataclass(frozen=True, slots=True)
class CubeAddress:
    """The root of a CUBE's API, and a user there.

    Parameters
    ----------
    url : str
        As :meth:`parse` gives it.
    username : str
    password : str
        Not shown where this is printed.
    """

    url: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def parse(cls, url: str, username: str, password: str) -> CubeAddress:
        """Check and complete an address as a person writes it.

        Parameters
        ----------
        url : str
            ``https://cube.example.org/api/v1/``; the last slash may be missing, and the path too.
        username, password : str

        Raises
        ------
        InvalidValue
            When it is no such URL, or one of the other two is empty. No password stands in the error.
        """
        if not username or not password:
            missing = "user name" if not username else "password"
            raise InvalidValue(
                f"The {missing} for CUBE is empty",
                "Give --CUBEusername and --CUBEuserpasswd, or correct the key in services/cube.json.",
            )
        return cls(_checked(url), username, password)


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        _refuse("is not a URL")
    if parts.username is not None or "@" in parts.netloc:
        # The URL stands in the catalogue and in JSON, so that no password may be in it.
        raise InvalidValue(
            "The URL of CUBE holds a user name or a password",
            "Leave it out of the URL; give --CUBEusername and --CUBEuserpasswd.",
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        _refuse("does not start with http:// or https:// and a host")
    if not _HOST.fullmatch(parts.hostname) or not _PATH.fullmatch(parts.path):
        _refuse("has a host or path that cannot be")
    if parts.query or parts.fragment or not url.strip().isprintable():
        _refuse("has something after its path, or characters that are none")
    path = f"{parts.path.rstrip('/')}/" if parts.path.strip("/") else _API
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def _refuse(fault: str) -> NoReturn:
    raise InvalidValue(
        f"The URL of CUBE {fault}", "Write it as https://cube.example.org/api/v1/, as a browser has it."
    )
