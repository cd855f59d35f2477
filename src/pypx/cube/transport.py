"""Requests to CUBE over HTTP: connections that are kept, time-outs, retries, and what can go wrong.

No redirect is followed: credentials go to the host that a person named, and to no other.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.auth import AuthBase, HTTPBasicAuth

from pypx.backoff import doubled, scattered
from pypx.cube import documents
from pypx.cube.address import CubeAddress
from pypx.errors import CubeAnswer, CubeFailed, CubeRefused, CubeUnreachable, Interrupted, PypxError

logger = logging.getLogger(__name__)

#: Seconds for a connection to be made.
_CONNECT = 10.0

#: Seconds before the first retry; doubled before each further one, up to the longest.
FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0

#: A page of a thousand files has a few hundred kilobytes.
_LONGEST_ANSWER = 32 * 1024 * 1024
_PIECE = 64 * 1024

_TOO_MANY = 429

#: Plain JSON: both generations of the API have it, and every renderer in between.
_HEADERS = {"Accept": "application/json", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API that was understood: done, or not done and why.

    Parameters
    ----------
    status : int
        2xx, or 4xx other than 401, 403 and 429.
    document : object
        The JSON; None where there is none.
    """

    status: int
    document: object = None

    @property
    def is_done(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message(self) -> str:
        """What CUBE says is wrong."""
        return documents.message(self.document) or f"it does not say why (status {self.status})"


class Transport:
    """Requests to one CUBE, from several threads, until it is closed.

    Parameters
    ----------
    address : CubeAddress
    timeout : float
        Seconds in which an answer must come.
    retries : int
        How often a request is made again that failed for a reason that may pass.
    """

    def __init__(self, address: CubeAddress, timeout: float, retries: int) -> None:
        self.url = address.url
        self._timeout = timeout
        self._retries = retries
        self._auth: AuthBase = HTTPBasicAuth(
            address.username.encode("utf-8", "replace"), address.password.encode("utf-8", "replace")
        )
        self._mine = threading.local()
        self._sessions: list[requests.Session] = []
        self._ended = threading.Event()

    def use_token(self, token: str) -> None:
        """From here on show a token instead of the password, which costs CUBE much less to check."""
        self._auth = _Token(token)

    def close(self) -> None:
        """Give up connections; threads that wait to try again raise Interrupted."""
        self._ended.set()
        for session in self._sessions:
            session.close()

    def get(self, place: str, query: Mapping[str, str | int] | None = None) -> Reply:
        """Ask for something below the root of the API.

        Raises
        ------
        CubeUnreachable, CubeFailed
            When there is no answer, or one that tells of a fault of CUBE's, after all retries.
        CubeRefused
            When the credentials are wrong or not enough.
        CubeAnswer
            When the answer is none of such an API.
        """
        return self._asked("GET", place, query=query)

    def post(self, place: str, fields: Mapping[str, Any], *, authenticated: bool = True) -> Reply:
        """Send fields. May be done twice where the first answer got lost; raises as :meth:`get`."""
        return self._asked("POST", place, fields=fields, authenticated=authenticated)

    def _asked(
        self,
        method: str,
        place: str,
        *,
        query: Mapping[str, str | int] | None = None,
        fields: Mapping[str, Any] | None = None,
        authenticated: bool = True,
    ) -> Reply:
        for retry in range(self._retries + 1):
            try:
                return self._ask(method, place, query, fields, authenticated)
            except _Passing as passing:
                if retry == self._retries:
                    raise passing.error from passing.__cause__
                self._pause(passing, retry)
        raise AssertionError("unreachable")

    def _pause(self, passing: _Passing, retry: int) -> None:
        grown = doubled(FIRST_PAUSE, retry, _LONGEST_PAUSE)
        seconds = max(scattered(grown), min(passing.wait, _LONGEST_PAUSE))
        logger.warning("%s; asking again in %.1f s", passing.error.message, seconds)
        if self._ended.wait(seconds):
            raise Interrupted("The work is being ended")

    def _ask(
        self,
        method: str,
        place: str,
        query: Mapping[str, str | int] | None,
        fields: Mapping[str, Any] | None,
        authenticated: bool,
    ) -> Reply:
        """One request.

        Raises
        ------
        _Passing
            When it may go better the next time.
        CubeUnreachable, CubeRefused, CubeAnswer
            As :meth:`get`.
        """
        begun = time.monotonic()
        url = urljoin(self.url, place)
        try:
            with self._session().request(
                method,
                url,
                params=query,
                data=None if fields is None else json.dumps(fields).encode(),
                headers=_HEADERS,
                auth=self._auth if authenticated else _nobody,
                timeout=(min(_CONNECT, self._timeout), self._timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _body(response, begun + self._timeout)
        except requests.exceptions.SSLError as error:
            raise CubeUnreachable(
                f"CUBE's certificate at {self.url} is not trusted",
                "Name the file of the site's certificates in the environment: REQUESTS_CA_BUNDLE.",
            ) from error
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise _Passing(CubeUnreachable(f"CUBE at {self.url} {_reason(error)}")) from error
        except (requests.exceptions.Timeout, _TooSlow) as error:
            raise _Passing(
                CubeUnreachable(f"CUBE at {self.url} did not answer within {self._timeout:g} s")
            ) from error
        except requests.exceptions.RequestException as error:
            raise CubeUnreachable(f"CUBE at {self.url} cannot be asked ({type(error).__name__})") from error
        logger.info("%s %s: %d, %.3f s", method, url, response.status_code, time.monotonic() - begun)
        return self._understood(response, body)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._mine, "session", None)
        if session is None:
            # Sessions are not made for several threads at once.
            session = self._mine.session = requests.Session()
            self._sessions.append(session)
        return session

    def _understood(self, response: requests.Response, body: bytes) -> Reply:
        status = response.status_code
        self._check_status(response)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        if not kind.endswith("json"):
            if status == requests.codes.not_found:
                return Reply(status)
            raise CubeAnswer(
                f"{self.url} answers with {kind or 'something'} where JSON is due",
                "Check --CUBEURL: it must be the root of CUBE's API, and no sign-in page may be before it.",
            )
        try:
            return Reply(status, json.loads(body))
        except (ValueError, RecursionError) as error:
            raise _Passing(CubeAnswer(f"{self.url} answers with JSON that is cut or broken")) from error

    def _check_status(self, response: requests.Response) -> None:
        status = response.status_code
        if status >= 500 or status == _TOO_MANY:
            after = response.headers.get("Retry-After", "")
            wait = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
            raise _Passing(CubeFailed(f"CUBE at {self.url} answers with status {status}"), wait)
        if status == requests.codes.unauthorized:
            raise _refused(self.url)
        if status == requests.codes.forbidden:
            raise CubeRefused(
                f"CUBE at {self.url} does not let this user register",
                "Only the user chris may: give its name and password.",
            )
        if 300 <= status < 400:
            raise CubeAnswer(
                f"{self.url} redirects to {_place(self.url, response.headers.get('Location', ''))}",
                "Where that is CUBE, name it so in --CUBEURL or services/cube.json: no redirect is followed.",
            )


def _refused(url: str) -> PypxError:
    return CubeRefused(f"CUBE at {url} does not know this user name and password")


class _Passing(Exception):
    """Something that may be gone a moment later.

    Parameters
    ----------
    error : PypxError
        What it is, should it stay.
    wait : float
        Seconds that CUBE asks to wait.
    """

    def __init__(self, error: PypxError, wait: float = 0.0) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait = wait


class _TooSlow(Exception):
    """An answer that has begun and does not end."""


class _Token(AuthBase):
    """A token of CUBE's, in the header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Token {self._token}"
        return request


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """No credentials: without this, those of a .netrc would be sent."""
    return request


def _body(response: requests.Response, deadline: float) -> bytes:
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > _LONGEST_ANSWER:
            raise CubeAnswer("CUBE's answer does not end")
        if time.monotonic() > deadline:
            raise _TooSlow
    return bytes(body)


def _reason(error: Exception) -> str:
    """What kept a connection from being, in words; the exceptions within say it best."""
    text = repr(error)
    for sign, words in (
        ("NameResolutionError", "has a host name that does not resolve"),
        ("getaddrinfo", "has a host name that does not resolve"),
        ("ProxyError", "cannot be reached through the proxy"),
        ("Connection refused", "refuses connections: nothing listens there"),
        ("timed out", "does not take connections in time"),
    ):
        if sign in text:
            return words
    return "closed the connection"


def _place(base: str, location: str) -> str:
    """Where a redirect leads, without what may be a secret in it."""
    try:
        parts = urlsplit(urljoin(base, location))
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{host}{parts.path}"[:200] if location else "nowhere"
