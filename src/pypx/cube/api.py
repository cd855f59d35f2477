"""What CUBE's API does for a registration, in both of its generations."""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import requests

from pypx.cube import documents
from pypx.cube.address import CubeAddress
from pypx.cube.transport import Reply, Transport
from pypx.errors import CubeAnswer, CubeRefused, RegistrationRejected

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 60.0
DEFAULT_RETRIES = 5

#: Items that a page of a search is asked to hold.
_PAGE = 1000

#: What can be in a header.
_TOKEN = re.compile(r"[!-~]{1,400}")

_PATH_OF_LINK = re.compile(r"https?://[^/]+(/[A-Za-z0-9_./-]*)")

_CURE = "Check --CUBEURL: it must be the root of CUBE's API, such as https://cube.example.org/api/v1/."

_HAS_NO_TOKENS = (requests.codes.not_found, requests.codes.method_not_allowed)


class Interface(enum.Enum):
    """The two ways to register; the value is the link relation in the root of the API."""

    SERIES = "pacsseries"
    FILE = "pacsfiles"


#: Where each is, below the root of the API.
_PLACES = {Interface.SERIES: "pacs/series/", Interface.FILE: "pacsfiles/"}

#: Where the current API has files, should its link say nothing useful.
_FILES_OF_CURRENT = "pacs/files/"


class Cube:
    """A CUBE whose interface is known; a context manager. May be used by several threads.

    Use :meth:`connect`. Every method raises CubeUnreachable, CubeFailed, CubeRefused or CubeAnswer when
    CUBE does not do its part.
    """

    def __init__(self, transport: Transport, interface: Interface, files_place: str) -> None:
        self._transport = transport
        self._files_place = files_place
        self.interface = interface

    @classmethod
    def connect(
        cls, address: CubeAddress, timeout: float = DEFAULT_TIMEOUT, retries: int = DEFAULT_RETRIES
    ) -> Self:
        """Sign in, and find out which way to register this CUBE has.

        Parameters
        ----------
        address : CubeAddress
        timeout : float
            Seconds for an answer; CUBE itself waits up to 30 s for files to come to be in its storage.
        retries : int
            How often a request is made again that failed for a reason that may pass.
        """
        transport = Transport(address, timeout, retries)
        try:
            _sign_in(transport, address)
            links = documents.links(_page(transport.get(""), transport.url))
            interface = _interface(links, transport.url)
        except BaseException:
            transport.close()
            raise
        logger.info("CUBE at %s registers once a %s", address.url, interface.name.lower())
        return cls(transport, interface, _below_root(links.get(Interface.FILE.value, ""), transport.url))

    def close(self) -> None:
        """Give up connections; requests that wait to be made again give up."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def register(self, fields: Mapping[str, Any]) -> None:
        """Register a series or a file, as the interface has it.

        Parameters
        ----------
        fields : mapping
            As :func:`pypx.cube.fields.fields_of` gives them, with the path.

        Raises
        ------
        RegistrationRejected
            When CUBE does not take it. It may be registered already: see the searches.
        """
        reply = self._transport.post(_PLACES[self.interface], fields)
        if not reply.is_done:
            raise RegistrationRejected(f"CUBE at {self._transport.url} rejects it: {reply.message}")

    def series_folder(self, series_uid: str, pacs_name: str) -> str | None:
        """The folder of a series that is registered for a PACS, where the interface is that of series.

        Returns
        -------
        str or None
            "" where CUBE does not say; None where the series is not registered.
        """
        for item in self._search({"SeriesInstanceUID": series_uid}, _PLACES[self.interface]):
            if item.get("pacs_identifier") == pacs_name:
                return str(item.get("folder_path") or "")
        return None

    def files(self, series_uid: str) -> frozenset[str]:
        """The names of the files of a series that are registered, where the interface is that of files."""
        found = self._search({"SeriesInstanceUID": series_uid}, _PLACES[self.interface])
        return frozenset(str(item["fname"]) for item in found if "fname" in item)

    def files_below(self, folder: str) -> frozenset[str]:
        """The names of the files below a folder that are registered, however they were."""
        found = self._search({"fname": f"{folder}/"}, self._files_place)
        names = (str(item.get("fname", "")) for item in found)
        return frozenset(name for name in names if name.startswith(f"{folder}/"))

    def _search(self, wanted: Mapping[str, str], place: str) -> Iterator[Mapping[str, Any]]:
        """What is registered, page after page."""
        offset = 0
        before: list[Mapping[str, Any]] = []
        while True:
            reply = self._transport.get(place + "search/", {**wanted, "limit": _PAGE, "offset": offset})
            found = documents.items(_page(reply, self._transport.url))
            if found and found == before:
                raise CubeAnswer(f"{self._transport.url} gives the same page again and again")
            before = found
            yield from found
            if not found or "next" not in documents.links(reply.document):
                return
            offset += len(found)


def _sign_in(transport: Transport, address: CubeAddress) -> None:
    """Get a token. CUBE takes the password with each request, too, and is slow to check it each time."""
    said = {"username": address.username, "password": address.password}
    try:
        reply = transport.post("auth-token/", said, authenticated=False)
    except CubeRefused:
        # Wrong credentials are another answer; something before CUBE wants some of its own.
        return
    if reply.status in _HAS_NO_TOKENS:
        return
    if not reply.is_done:
        raise CubeRefused(f"CUBE at {address.url} does not know this user name and password")
    token = reply.document.get("token") if isinstance(reply.document, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise CubeAnswer(f"{address.url} gives no token where one is due")
    transport.use_token(token)


def _interface(links: Mapping[str, str], url: str) -> Interface:
    # The current API has a link to files, too, and does not let anybody register them.
    for interface in (Interface.SERIES, Interface.FILE):
        if interface.value in links:
            return interface
    raise CubeAnswer(f"{url} has no link to series or files of PACS", _CURE)


def _below_root(link: str, url: str) -> str:
    """Where a link leads, below the root of the API; its host is not always one that can be reached."""
    path, root = (_PATH_OF_LINK.fullmatch(each) for each in (link, url))
    if path and root and path[1].startswith(root[1]) and path[1].endswith("/"):
        return path[1].removeprefix(root[1])
    return _FILES_OF_CURRENT


def _page(reply: Reply, url: str) -> object:
    if reply.status == requests.codes.not_found:
        raise CubeAnswer(f"{url} has no such page", _CURE)
    if not reply.is_done:
        raise CubeAnswer(f"CUBE at {url} does not answer a search: {reply.message}")
    if not documents.is_page(reply.document):
        raise CubeAnswer(f"{url} answers with JSON that is not CUBE's")
    return reply.document
