"""The files of HDFS in tests by fsspec alone, set up by hand: for putting files there and for looking at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fsspec.implementations.webhdfs import WebHDFS

if TYPE_CHECKING:
    from pathlib import Path


class HdfsFolder:
    """The folder that a connection names; keys are relative to it."""

    def __init__(self, connection: dict[str, Any]) -> None:
        server = urlsplit(connection["endpoint"])
        self._driver = WebHDFS(server.hostname, server.port, user=connection["user"], skip_instance_cache=True)
        self._root = f"/{connection['prefix']}"

    def keys(self) -> list[str]:
        """Of every file, in order, those that are being written among them."""
        if not self._driver.exists(self._root):
            return []
        return sorted(path.removeprefix(f"{self._root}/") for path in self._driver.find(self._root))

    def folders(self) -> list[str]:
        """Every folder below, in order."""
        if not self._driver.exists(self._root):
            return []
        found = self._driver.find(self._root, withdirs=True, detail=True).items()
        below = [path.removeprefix(self._root).strip("/") for path, told in found if told["type"] == "directory"]
        return sorted(filter(None, below))

    def content(self, key: str) -> bytes:
        content: bytes = self._driver.cat_file(f"{self._root}/{key}")
        return content

    def put(self, key: str, content: bytes | Path) -> None:
        self._driver.pipe_file(f"{self._root}/{key}", content if isinstance(content, bytes) else content.read_bytes())

    def remove_all(self) -> None:
        if self._driver.exists(self._root):
            self._driver.rm(self._root, recursive=True)

    def left(self) -> list[str]:
        """What sinks of files have left in their homes, but for their logs and snapshots: files, and folders."""
        found = [*self.keys(), *self.folders()]
        homes = {key.removesuffix("/log") for key in found if key.endswith("/log")}
        kept = ("/log", "/snapshots")
        return [
            key for key in found if "_penstock/" in key and key not in homes and not any(part in key for part in kept)
        ]
