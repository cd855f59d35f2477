"""Requests to a Swift: authenticated, tried again where that may help, their failures as errors of pypx."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

from requests.exceptions import RequestException, SSLError, Timeout
from swiftclient import client
from urllib3.exceptions import HTTPError, ReadTimeoutError

from pypx.errors import (
    InvalidValue,
    ObjectCorrupt,
    ObjectExists,
    ObjectMissing,
    PypxError,
    StorageFailed,
    StorageRefused,
    StorageUnreachable,
)
from pypx.storage.authentication import authenticate
from pypx.storage.retries import Patience, Retries
from pypx.storage.swift_access import SwiftAccess

logger = logging.getLogger("pypx.storage")

#: Otherwise its own log shows the beginnings of keys and tokens.
client.logger_settings["reveal_sensitive_prefix"] = 0

_CONNECT_TIMEOUT = 15.0

#: Answers that may be others a moment later: too slow, too many requests, something broken behind.
_PASSING = frozenset({408, 409, 429, 498, 499})

_Answer = TypeVar("_Answer")

#: What swiftclient calls http_conn.
_Connection: TypeAlias = tuple[object, client.HTTPConnection]


@dataclass(frozen=True, slots=True)
class Session:
    """What one request needs: where, by which right, and over which connection."""

    url: str
    token: str
    connection: _Connection


@dataclass(frozen=True, slots=True)
class _Failure:
    """A request that failed: what that means, and whether to try again."""

    error: PypxError
    is_passing: bool = False
    is_unauthorized: bool = False
    pause: float = 0.0


class SwiftClient:
    """Asks one Swift; may be used by several threads, each of which has a connection of its own.

    Parameters
    ----------
    access : SwiftAccess
    retries : Retries
        Of each request.
    timeout : float
        Seconds without a byte after which the storage is taken as hung.

    Raises
    ------
    InvalidValue
        When the file of certificates is not there.
    """

    def __init__(self, access: SwiftAccess, retries: Retries, timeout: float) -> None:
        if access.ca_certificates and not Path(access.ca_certificates).is_file():
            raise InvalidValue(
                f"{access.ca_certificates} is not a file of certificates", 'Correct the field "cacert".'
            )
        self.access = access
        self._retries = retries
        self._timeout = (min(timeout, _CONNECT_TIMEOUT), timeout)
        self._patience = Patience()
        self._own = threading.local()
        self._open: list[client.HTTPConnection] = []
        self._renewing = threading.Lock()
        self._url = self._token = ""
        self._has_answered = self._was_let_in = False
        self._answered_at = 0.0
        self._given_up: PypxError | None = None

    def ask(
        self, what: str, request: Callable[[Session], _Answer], passing: Set[int] = frozenset()
    ) -> _Answer:
        """Make a request until it is answered, or there is no point in trying on.

        Parameters
        ----------
        what : str
            The request, for errors: ``store 'a/b.dcm'``.
        request : callable
            Made anew for each try.
        passing : set of int
            Answers that are worth another try of this request, beside those of any.

        Raises
        ------
        StorageUnreachable, StorageRefused, StorageFailed
        ObjectMissing, ObjectExists, ObjectCorrupt
            For the answers 404, 412 and 422.
        Interrupted
            When :meth:`close` was called meanwhile.
        """
        retry = 0
        begun = time.monotonic()
        while True:
            if self._given_up:
                raise self._given_up
            token = ""
            asked_at = time.monotonic()
            try:
                session = self._session()
                token = session.token
                answer = request(session)
            except PypxError as error:
                failure = _Failure(error, isinstance(error, ObjectCorrupt), isinstance(error, StorageRefused))
            except (client.ClientException, RequestException, HTTPError, OSError, ValueError) as error:
                failure = self._failure(what, error, passing)
            else:
                self._has_answered = True
                self._answered_at = time.monotonic()
                logger.info("%s: %s, %.3f s", self.access.label, what, self._answered_at - asked_at)
                return answer
            retry += 1
            self._drop_connection()
            self._decide(failure, retry, token, begun)

    def _decide(self, failure: _Failure, retry: int, token: str, begun: float) -> None:
        """Return when it is time to try again; else raise what went wrong."""
        if failure.is_unauthorized and token:
            self._forget(token)
        # Where we have been let in before, a refusal is of an expired token, or a fault of the storage's.
        is_passing = failure.is_passing or (failure.is_unauthorized and self._was_let_in)
        if not is_passing or retry > self._retries.count or not self._is_there(failure.error):
            if isinstance(failure.error, StorageUnreachable) and self._answered_at < begun:
                # It has answered nobody all this while: whoever asks next would wait just as long.
                self._given_up = failure.error
            logger.info("%s", failure.error.message)
            raise failure.error
        if failure.is_unauthorized and retry == 1:
            return
        pause = self._retries.pause(retry, failure.pause)
        logger.info("%s; trying again in %.1f s", failure.error.message, pause)
        self._patience.wait(pause)

    def _is_there(self, error: PypxError) -> bool:
        """Whether it has ever answered: a wrong address does not become right by waiting."""
        return self._has_answered or not isinstance(error, StorageUnreachable)

    def _session(self) -> Session:
        with self._renewing:
            if not self._token:
                self._url, self._token = self._authenticate()
                self._has_answered = self._was_let_in = True
            url, token = self._url, self._token
        connection: _Connection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = client.http_connection(
                url, cacert=self.access.ca_certificates or None, timeout=self._timeout
            )
            # A token is not for whoever the storage, or somebody in between, points to.
            connection[1].requests_args["allow_redirects"] = False
            self._own.connection = connection
            self._open.append(connection[1])
        return Session(url, token, connection)

    def _authenticate(self) -> tuple[str, str]:
        access = self.access
        url, token = authenticate(access, self._timeout)
        url = (access.storage_url or url).rstrip("/")
        if urlsplit(url).scheme not in ("http", "https"):
            raise StorageFailed(f"{access.label} lets us in, but does not say where the objects are")
        return url, token

    def _forget(self, token: str) -> None:
        """A token has expired; another thread may have seen that before."""
        with self._renewing:
            if self._token == token:
                self._token = ""

    def _failure(self, what: str, error: Exception, passing: Set[int]) -> _Failure:
        if isinstance(error, client.ClientException):
            return self._of_status(what, error, passing)
        label = self.access.label
        if isinstance(error, SSLError):
            return _Failure(
                StorageUnreachable(
                    f"{label} does not show a certificate to be trusted",
                    'Correct the address, or name the site\'s certificates in the field "cacert".',
                )
            )
        if isinstance(error, (Timeout, ReadTimeoutError)):
            return _Failure(
                StorageUnreachable(f"{label} did not answer within {self._timeout[1]:g} s"), is_passing=True
            )
        if isinstance(error, json.JSONDecodeError):
            return _Failure(
                StorageFailed(f"{label} did not answer as Swift does when asked to {what}"), is_passing=True
            )
        if isinstance(error, ValueError):
            return _Failure(StorageFailed(f"{label} cannot be asked to {what} ({type(error).__name__})"))
        return _Failure(StorageUnreachable(f"{label} {_reason(error)}"), is_passing=True)

    def _of_status(self, what: str, error: client.ClientException, passing: Set[int]) -> _Failure:
        status = error.http_status or 0
        said = f"{self.access.label} answered {status} {error.http_reason or ''}".rstrip()
        said = f"{said} when asked to {what}"
        if status in passing or status in _PASSING or 500 <= status < 600:
            return _Failure(StorageFailed(said), is_passing=True, pause=_asked_pause(error))
        if status == 401:
            wrong = "Check the login and the key of the storage."
            return _Failure(StorageRefused(said, wrong), is_unauthorized=True)
        if status == 403:
            return _Failure(StorageRefused(said))
        if status == 404:
            return _Failure(ObjectMissing(said))
        if status == 412:
            return _Failure(ObjectExists(said))
        if status == 422:
            return _Failure(ObjectCorrupt(said), is_passing=True)
        return _Failure(StorageFailed(said))

    def _drop_connection(self) -> None:
        """After a failure, what comes over the connection next may belong to the request before."""
        connection: _Connection | None = getattr(self._own, "connection", None)
        if connection is not None:
            self._own.connection = None
            connection[1].close()

    def close(self) -> None:
        """Close all connections; requests that wait to be tried again fail."""
        self._patience.end()
        for connection in self._open:
            connection.close()


def _reason(error: Exception) -> str:
    """Why a connection failed, in a few words: what libraries say runs over several lines of addresses."""
    text = str(error)
    for sign, words in (
        ("refused", "refuses the connection"),
        ("Name or service not known", "has a host name that does not resolve"),
        ("Temporary failure in name resolution", "has a host name that does not resolve"),
        ("Failed to resolve", "has a host name that does not resolve"),
        ("No route", "cannot be reached: no route to the host"),
        ("unreachable", "cannot be reached: the network is unreachable"),
        ("proxy", "cannot be reached through the HTTP proxy that the environment names"),
    ):
        if sign in text:
            return words
    return "broke the connection off"


def _asked_pause(error: client.ClientException) -> float:
    """What Retry-After says, in seconds (RFC 9110, 10.2.3)."""
    headers = error.http_response_headers or {}
    said = {str(name).lower(): str(value) for name, value in dict(headers).items()}.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() and len(said) < 6 else 0.0
