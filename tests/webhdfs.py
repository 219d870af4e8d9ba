"""WebHDFS in this process, for quick tests: a tree of files in memory, a namenode's address and a datanode's beside it.

It answers as a cluster of Hadoop 3.4.1 was seen to answer; that it does is not known of what nobody looked at, and the long
tests have the cluster itself.
"""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class RefusalError(Exception):
    def __init__(self, status: int, name: str, message: str = "") -> None:
        super().__init__(status, name, message)


def _passes(operation: str, path: str) -> None:
    """Nobody asks for faults."""


@dataclass
class File:
    number: int
    content: bytes


@dataclass
class Cluster:
    """``datanode`` is what the namenode calls it; ``before`` is asked ahead of each answer and may refuse; ``seen`` holds
    (address, operation, path, query, headers) of every request.
    """

    address: str = ""
    datanode: str = ""
    files: dict[str, File] = field(default_factory=dict)
    folders: set[str] = field(default_factory=lambda: {"/"})
    seen: list[tuple[str, str, str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    before: Callable[[str, str], None] = _passes
    after: Callable[[str, str], None] = _passes
    lock: threading.RLock = field(default_factory=threading.RLock)
    numbers: int = 0

    def connection(self, prefix: str, **more: Any) -> dict[str, Any]:
        place = {"endpoint": f"http://{self.address}", "allow_http": True, "allow_private": ["127.0.0.1"]}
        return {"type": "hdfs", **place, "user": "someone", "prefix": prefix, **more}

    def put(self, path: str, content: bytes) -> None:
        with self.lock:
            if path in self.folders:
                raise RefusalError(403, "FileAlreadyExistsException")
            self.numbers += 1
            self.files[path] = File(self.numbers, content)
            self.make_folder(_parent(path))

    def make_folder(self, path: str) -> None:
        while path not in self.folders:
            self.folders.add(path)
            path = _parent(path)

    def status(self, path: str, name: str = "") -> dict[str, Any]:
        if path in self.folders:
            return {"pathSuffix": name, "type": "DIRECTORY", "length": 0, "modificationTime": 1, "fileId": 0}
        if path not in self.files:
            raise RefusalError(404, "FileNotFoundException")
        file = self.files[path]
        times = 1_700_000_000_000 + file.number
        return {
            "pathSuffix": name,
            "type": "FILE",
            "length": len(file.content),
            "modificationTime": times,
            "fileId": file.number,
        }

    def below(self, path: str) -> list[str]:
        return [item for item in (*self.files, *self.folders) if item != "/" and _parent(item) == path]

    def answer(self, operation: str, path: str, query: dict[str, str]) -> Any:
        """What the namenode does by itself; None for an empty answer."""
        match operation:
            case "GETFILESTATUS":
                return {"FileStatus": self.status(path)}
            case "LISTSTATUS":
                self.status(path)
                found = [self.status(item, item.rpartition("/")[2]) for item in self.below(path)]
                return {"FileStatuses": {"FileStatus": found if path in self.folders else [self.status(path)]}}
            case "MKDIRS":
                self.make_folder(path)
                return {"boolean": True}
            case "DELETE":
                if path in self.folders and self.below(path):
                    raise RefusalError(403, "PathIsNotEmptyDirectoryException")
                there = path in self.files or path in self.folders
                self.files.pop(path, None)
                self.folders.discard(path)
                return {"boolean": there}
            case "RENAME":
                to = query["destination"]
                if path not in self.files or _parent(to) not in self.folders:
                    raise RefusalError(404, "FileNotFoundException")
                if to in self.folders or (to in self.files and query["renameoptions"] != "OVERWRITE"):
                    raise RefusalError(403, "FileAlreadyExistsException")
                self.files[to] = self.files.pop(path)
                return None
        raise RefusalError(400, "UnsupportedOperationException", operation)


class Handler(BaseHTTPRequestHandler):
    """``cluster`` and ``here`` are set in a class of their own for each address."""

    cluster: Cluster
    here: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query, path = dict(parse_qsl(url.query)), unquote(url.path).removeprefix("/webhdfs/v1")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        cluster, operation = self.cluster, query["op"]
        cluster.seen.append((self.here, operation, path, query, dict(self.headers)))
        try:
            cluster.before(operation, path)
            with cluster.lock:
                answer = self._answered(operation, path, query, body)
            cluster.after(operation, path)
        except RefusalError as refusal:
            status, name, message = refusal.args
            told = {"RemoteException": {"exception": name, "message": message}}
            answer = status, {}, json.dumps(told).encode() if name else b"<html>"
        except ConnectionAbortedError:  # the answer is lost
            self.close_connection = True
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""

    def _answered(
        self, operation: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        cluster = self.cluster
        if self.here == cluster.address and operation in {"OPEN", "CREATE"}:
            if operation == "OPEN":
                cluster.status(path)
            return 307, {"Location": f"http://{cluster.datanode}{self.path}", "Set-Cookie": "hadoop.auth=u"}, b""
        if operation == "CREATE":
            cluster.put(path, body)
            return 201, {}, b""
        if operation == "OPEN":
            cluster.status(path)
            start = int(query.get("offset", 0))
            end = start + int(query["length"]) if "length" in query else None
            return 200, {}, cluster.files[path].content[start:end]
        told = cluster.answer(operation, path, query)
        return 200, {}, b"" if told is None else json.dumps(told).encode()


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


@contextmanager
def webhdfs() -> Iterator[Cluster]:
    """An empty cluster, while the block runs."""
    cluster = Cluster()
    with ExitStack() as stack:
        for name in ("address", "datanode"):
            handler = type("Bound", (Handler,), {"cluster": cluster})
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), handler))
            handler.here = f"127.0.0.1:{server.server_port}"
            setattr(cluster, name, handler.here)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
        yield cluster
