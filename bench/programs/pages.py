"""A local service of pages: records as JSON, by offset. `python pages.py PAGES RECORDS PORT_FILE`."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

pages, size = int(sys.argv[1]), int(sys.argv[2])


def page(number: int) -> bytes:
    rows = [
        {
            "id": number * size + n,
            "day": f"2024-01-{n % 28 + 1:02}",
            "crude": "brent" if n % 2 else "wti",
            "price": n / 7,
        }
        for n in range(size)
    ]
    return json.dumps({"total": pages * size, "data": rows}).encode()


BODIES = [page(number) for number in range(pages)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        offset = int(parse_qs(urlsplit(self.path).query).get("offset", ["0"])[0])
        body = BODIES[offset // size] if offset // size < pages else b'{"total": 0, "data": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
Path(sys.argv[3]).write_text(str(server.server_port), encoding="ascii")
server.serve_forever()
