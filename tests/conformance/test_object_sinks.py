"""The sinks of files over object stores against the suite of sinks; what lies there is fetched by obstore alone, and read
by a plain DuckDB.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import test_file_sinks as files

from object_stores import content_of, keys_in, left_in, store_of
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.testing.servers import ObjectServer
    from penstock.testing.sinks import SinkOptions

pytestmark = pytest.mark.server


class Elsewhere(ABC):
    """Beside a suite of files: before it looks into its folder, the folder is made what the place holds."""

    project: Path
    connection: dict[str, Any]

    @abstractmethod
    def keys(self) -> list[str]:
        """Of every file, below the connection's prefix."""

    @abstractmethod
    def content(self, key: str) -> bytes: ...

    @pytest.fixture(autouse=True)
    def _extra(self, _store: None) -> None:
        self.extra = {**type(self).extra, "connection": self.connection}

    def make(self, options: SinkOptions) -> Sink:
        scratch = self.context.scratch / f"sink-{len(list(self.context.scratch.iterdir()))}"
        scratch.mkdir()  # as every sink of a run has one of its own
        self.context = replace(self.context, scratch=scratch)
        try:
            return super().make(options)
        finally:
            self.context = replace(self.context, scratch=scratch.parent)

    def visible(self) -> list[Path]:
        for path in [path for path in self.project.rglob("*") if path.is_file()]:
            path.unlink()
        for key in self.keys():
            path = self.project / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.content(key))
        return super().visible()


class _OnS3(Elsewhere):
    server: ClassVar = "s3_server"
    bucket: ClassVar = "s3_bucket"

    @pytest.fixture(autouse=True)
    def _store(self, request: pytest.FixtureRequest, _place: None) -> None:
        server: ObjectServer = request.getfixturevalue(self.server)
        self.connection = server.connection(request.getfixturevalue(self.bucket), prefix="lake")
        self.store = store_of(self.connection)

    def keys(self) -> list[str]:
        return [key.removeprefix("lake/") for key in keys_in(self.store)]

    def content(self, key: str) -> bytes:
        return content_of(self.store, f"lake/{key}")

    def leftovers(self) -> Collection[str]:
        return left_in(self.store)


class TestParquetFolder(_OnS3, files.TestParquetFolder): ...


class TestCsvFolder(_OnS3, files.TestCsvFolder): ...


class TestOneParquetFile(_OnS3, files.TestOneParquetFile): ...


@pytest.mark.long
class TestParquetFolderOnAzure(TestParquetFolder):
    server = "azure_server"
    bucket = "azure_container"
