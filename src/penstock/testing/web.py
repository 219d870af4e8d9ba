"""A web server on loopback that answers as a test says, for the tests of whatever speaks HTTP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl, urlsplit

from penstock.structs import Frozen, field

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping


class Received(Frozen):
    """A request as it arrived; ``number`` counts from 1."""

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes
    client_port: int

    def parameter(self, name: str, default: str = "") -> str:
        """The first query parameter of that name."""
        return next((value for key, value in self.query if key == name), default)

    def header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


class Reply(Frozen):
    """What to answer. ``cut``: announce the whole body and end the connection after so many bytes of it. ``hold``: wait
    until the server is told to go on, before anything is sent.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: bool = False


class WebServer:
    """``with WebServer(answer) as server``: ``server.url`` is its origin, ``server.received`` what it got, in order."""

    def __init__(self, answer: Callable[[Received], Reply], tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.received: list[Received] = []
        self.go_on = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.web = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def record(self, method: str, target: str, headers: Mapping[str, str], body: bytes, client_port: int) -> Received:
        parts = urlsplit(target)
        query = tuple(parse_qsl(parts.query, keep_blank_values=True))
        with self._lock:
            got = Received(len(self.received) + 1, method, parts.path, query, headers, body, client_port)
            self.received.append(got)
        return got

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    web: WebServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing: clients that break off are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        web = self.server.web
        got = web.record(self.command, self.path, headers, self.rfile.read(length), self.client_address[1])
        reply = web.answer(got)
        if reply.hold:
            web.go_on.wait(30)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.cut is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve  # noqa: N815 -- the names that the library calls

    def log_message(self, *_: object) -> None:
        """Says nothing."""


__all__ = ["Received", "Reply", "WebServer"]
