"""A proxy between an HTTP client and a server, which fails in the ways that networks and servers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, TypeAlias

from demo.server import HOST, free_port

#: Headers about one connection, not about what is asked (RFC 9110, 7.6.1).
_OF_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that passes.

    Parameters
    ----------
    number : int
        From 1 on, of all requests of this proxy.
    method, path : str
    headers : mapping
        Names in lower case.
    body : bytes
    """

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What the proxy says in the server's place.

    Parameters
    ----------
    status : int
        0 to break the connection off without a word.
    headers : mapping
    body : bytes
    after_server : bool
        Whether the server gets the request all the same: it is the answer that is lost.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    after_server: bool = False


#: What is to become of a request: None to let it pass.
Rule: TypeAlias = Callable[[Asked], Answer | None]

CUT = Answer(0)


def let_pass(_asked: Asked) -> None:
    """The rule of a proxy without faults."""


def every(nth: int, answer: Answer, method: str = "") -> Rule:
    """Each nth request (of a method) is answered so."""
    counting = threading.Lock()
    count = 0

    def rule(asked: Asked) -> Answer | None:
        nonlocal count
        if method and asked.method != method:
            return None
        with counting:
            count += 1
            return answer if count % nth == 0 else None

    return rule


def slow(seconds: float) -> Rule:
    """Each request waits."""

    def rule(_asked: Asked) -> None:
        time.sleep(seconds)

    return rule


class FaultyProxy:
    """Passes HTTP requests on to a server on loopback, as its rule allows; a context manager.

    Parameters
    ----------
    port : int
        The server's.
    rule : callable
        May be changed while it runs.
    """

    def __init__(self, port: int, rule: Rule = let_pass) -> None:
        self.rule = rule
        #: Bytes of a body after which each answer breaks off; None for never.
        self.cut_bodies_after: int | None = None
        self.asked: list[tuple[str, str]] = []
        self._counting = threading.Lock()
        self._server = _Server(port, self)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def count(self, method: str, part: str = "") -> int:
        """How many requests of a method, with this in their path, came so far."""
        return sum(1 for one, path in self.asked if one == method and part in path)

    def decide(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | None:
        with self._counting:
            self.asked.append((method, path))
            number = len(self.asked)
        return self.rule(Asked(number, method, path, headers, body))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, target: int, proxy: FaultyProxy) -> None:
        super().__init__((HOST, free_port()), _Handler)
        self.target = target
        self.proxy = proxy

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away in the middle are what is tested here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _handle(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.proxy.decide(self.command, self.path, headers, body)
        if answer is None or answer.after_server:
            passed = self._pass_on(body)
            answer = answer or passed
        if answer.status == 0:
            self.close_connection = True
            return
        self._answer(answer)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _pass_on(self, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(HOST, self.server.target, timeout=60)
        try:
            headers = {n: v for n, v in self.headers.items() if n.lower() not in _OF_CONNECTION}
            connection.request(self.command, self.path, body or None, headers)
            told = connection.getresponse()
            kept = {n: v for n, v in told.getheaders() if n.lower() not in _OF_CONNECTION}
            return Answer(told.status, kept, told.read())
        except OSError:
            return Answer(502, {}, b"<html>Bad Gateway</html>")
        finally:
            connection.close()

    def _answer(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            kept = answer.body[: self.server.proxy.cut_bodies_after]
            self.wfile.write(kept)
            self.close_connection = self.close_connection or len(kept) < len(answer.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""
