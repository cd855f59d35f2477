"""A PACS, as seen from here: whom to call, as whom, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pypx.dicom.tls import TlsSettings
from pypx.errors import InvalidValue

#: AE: up to 16 characters of the default repertoire without backslash and control characters; leading and
#: trailing spaces are not significant (PS3.5, 6.2).
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")

#: What a resolver can be asked. Starting with a dash it would be an option of the program that is given it.
_HOST = re.compile(r"[A-Za-z0-9_\[:][A-Za-z0-9_.:%\[\]-]{0,252}")

DEFAULT_AE_TITLE = "CHRISLOCAL"


@dataclass(frozen=True, slots=True)
class Node:
    """One PACS.

    Parameters
    ----------
    host : str
        Name or address.
    port : int
        1 to 65535.
    called_ae_title : str
        Theirs (``--aec``).
    calling_ae_title : str
        Ours (``--aet``).
    tls : TlsSettings or None
        How the connection is protected; None where it is not.

    Raises
    ------
    InvalidValue
        When one of them cannot be what it is given for.
    """

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str = DEFAULT_AE_TITLE
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host):
            raise InvalidValue(f"{self.host!r} is not a host name or address", "Correct --serverIP.")
        if not 1 <= self.port <= 65535:
            raise InvalidValue(f"{self.port} is not a port", "A port is a number from 1 to 65535.")
        check_ae_title(self.called_ae_title, "--aec")
        check_ae_title(self.calling_ae_title, "--aet")

    @classmethod
    def parse(cls, text: str, calling_ae_title: str = DEFAULT_AE_TITLE) -> Node:
        """Read the one-word form ``host:AEC:port``; an IPv6 address stands in brackets.

        >>> Node.parse("pacs.example.org:ORTHANC:4242").port
        4242
        """
        host, _, rest = (
            text.partition("]:") if text.startswith("[") else text.partition(":")
        )  # IPv6 has colons of its own
        called, _, port = rest.rpartition(":")
        # Python refuses thousands of digits; the rest is seen when the value is made.
        if not (host and called and port.isascii() and port.isdigit() and len(port) < 10):
            raise InvalidValue(f"{text!r} is not host:AEC:port", "Write it as pacs.example.org:ORTHANC:4242.")
        return cls(host.lstrip("["), int(port), called, calling_ae_title)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.called_ae_title}:{self.port}"


def check_ae_title(title: str, option: str) -> None:
    """Raise InvalidValue unless this can be an AE title."""
    if not _AE_TITLE.fullmatch(title) or not title.strip() or title.startswith("-"):
        raise InvalidValue(
            f"{title!r} is not an AE title",
            f"Correct {option}: 1 to 16 ASCII characters without backslash, not starting with a dash.",
        )
