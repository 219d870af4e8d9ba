"""The publishers' web servers in one: EIA's API and the files of the others, on loopback."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .eia_api import ROUTE, Answer, answer, not_found
from .publications import Publications

LOOPBACK = "127.0.0.1"
CONTENT_TYPES = {"csv": "text/csv", "xml": "text/xml; charset=utf-8"}


class PublisherServer(ThreadingHTTPServer):
    """Serves one edition to callers with one of `keys`. Port 0 lets the system choose; `url` says which it was."""

    daemon_threads = True

    def __init__(self, publications: Publications, *, keys: frozenset[str], port: int = 0) -> None:
        self.publications = publications
        self.keys = keys
        super().__init__((LOOPBACK, port), PublisherHandler)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.server_address[1]}"


class PublisherHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: PublisherServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        published = self.server.publications
        if url.path.rstrip("/") == ROUTE:
            query = parse_qs(url.query, keep_blank_values=True)
            key = query["api_key"][-1] if "api_key" in query else self.headers.get("X-Api-Key")
            self.send_answer(answer(query, key, self.server.keys, published.observations), "application/json")
        elif (content := published.files.get(url.path)) is not None:
            kind = CONTENT_TYPES[url.path.rpartition(".")[2]]
            self.send_answer(Answer(HTTPStatus.OK, content), kind)
        else:
            self.send_answer(not_found(url.path), "application/json")

    def send_answer(self, sent: Answer, content_type: str) -> None:
        self.send_response(sent.status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(sent.body)))
        self.end_headers()
        self.wfile.write(sent.body)

    def log_message(self, *_: object) -> None:
        """Says nothing: a query holds the caller's key."""
