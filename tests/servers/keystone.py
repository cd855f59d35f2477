"""What stands in for Keystone: it checks credentials as the Identity API says, and gives Swift's tokens.

Keystone itself has no package that runs without a hundred others; here, only who asks and in which form
matters, and that is held against the API's documents (Identity API v2.0 and v3).
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from demo.server import HOST
from servers.faults import Answer, Asked, FaultyProxy
from servers.swift import Swift

_USER, _PASSWORD, _PROJECT, _DOMAIN, _REGION = "pusher", "kept-s3cret", "imaging", "Default", "RegionOne"


class Keystone:
    """Lets one user in, into one Swift; a context manager.

    Parameters
    ----------
    swift : Swift
        Its objects are reached through a proxy, which knows the tokens that have expired.
    version : str
        "2" or "3".
    """

    def __init__(self, swift: Swift, version: str) -> None:
        self._swift = swift
        self._version = version
        self._valid: set[str] = set()
        self._proxy = FaultyProxy(swift.port, self._refuse_expired)
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.issued = 0

    @property
    def fields(self) -> dict[str, Any]:
        """Of a service key that is right."""
        port = self._server.server_address[1]
        return {
            "authurl": f"http://{HOST}:{port}/identity/{'v3' if self._version == '3' else 'v2.0'}",
            "login": _USER,
            "key": _PASSWORD,
            "project": _PROJECT,
            "region": _REGION,
        }

    def expire_tokens(self) -> None:
        """From now on, only new ones are good."""
        self._valid.clear()

    def _refuse_expired(self, asked: Asked) -> Answer | None:
        return None if asked.headers.get("x-auth-token") in self._valid else Answer(401)

    def _token(self) -> tuple[str, str]:
        account, token = self._swift.let_in()
        self._valid.add(token)
        self.issued += 1
        return f"http://{HOST}:{self._proxy.port}{account}", token

    def _answer_v2(self, asked: Any) -> tuple[int, dict[str, str], Any]:
        auth = asked["auth"]
        if auth != {
            "passwordCredentials": {"username": _USER, "password": _PASSWORD},
            "tenantName": _PROJECT,
        }:
            return 401, {}, {"error": {"code": 401, "title": "Unauthorized"}}
        url, token = self._token()
        catalogue = [
            {"type": "identity", "endpoints": [{"region": _REGION, "publicURL": "http://127.0.0.1:1"}]},
            {"type": "object-store", "endpoints": [{"region": _REGION, "publicURL": url}]},
        ]
        return 200, {}, {"access": {"token": {"id": token}, "serviceCatalog": catalogue}}

    def _answer_v3(self, asked: Any) -> tuple[int, dict[str, str], Any]:
        auth = asked["auth"]
        user = {"name": _USER, "domain": {"name": _DOMAIN}, "password": _PASSWORD}
        scope = {"project": {"name": _PROJECT, "domain": {"name": _DOMAIN}}}
        if auth != {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}:
            return 401, {}, {"error": {"code": 401, "title": "Unauthorized"}}
        url, token = self._token()
        endpoints = [
            {"interface": "internal", "region_id": _REGION, "url": "http://127.0.0.1:1"},
            {"interface": "public", "region_id": _REGION, "url": url},
        ]
        catalogue = [
            {"type": "identity", "endpoints": []},
            {"type": "object-store", "endpoints": endpoints},
        ]
        return 201, {"X-Subject-Token": token}, {"token": {"methods": ["password"], "catalog": catalogue}}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        keystone = self
        path = "/identity/v3/auth/tokens" if self._version == "3" else "/identity/v2.0/tokens"
        answer = self._answer_v3 if self._version == "3" else self._answer_v2

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, headers, body = (404, {}, {}) if self.path != path else answer(asked)
                content = json.dumps(body).encode()
                self.send_response_only(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        assert keystone._version in ("2", "3")
        return Handler

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
        self._proxy.__exit__(kind, error, trace)
