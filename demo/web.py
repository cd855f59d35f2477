"""A web server on loopback that hands each request to a function and sends what it gives back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from demo.server import HOST, free_port


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as it came in; names of headers in lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as it goes out.

    Parameters
    ----------
    length : int or None
        What Content-Length says, where that is not the truth; the connection is then closed.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


#: Called in a thread of the connection; None closes it without an answer.
Reply: TypeAlias = Callable[[Asked], Answer | None]


class WebServer:
    """Answers from start to end, or for as long as a ``with`` block lasts.

    Parameters
    ----------
    reply : callable
    port : int
        0 for a free one.
    """

    def __init__(self, reply: Reply, port: int = 0) -> None:
        self._reply = reply
        self.port = port

    def start(self) -> Self:
        """Listen; after an end, at the same port, which nobody else is given meanwhile."""
        self.port = self.port or free_port()
        self._server = _Server((HOST, self.port), partial(_Handler, self._reply))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def end(self) -> None:
        """Close every connection, in the middle of whatever is going on."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._thread.join(5)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """A client that has gone is none of the server's business."""

    def cut(self) -> None:
        for connection in tuple(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60

    def __init__(self, reply: Reply, *arguments: Any) -> None:
        self._reply = reply
        super().__init__(*arguments)

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        headers = {name.lower(): text for name, text in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length") or 0))
        answer = self._reply(Asked(self.command, url.path, dict(parse_qsl(url.query)), headers, body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response(HTTPStatus(answer.status))
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
        for name, text in answer.headers.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection |= answer.length is not None

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing: whoever gave the function knows what was asked."""
