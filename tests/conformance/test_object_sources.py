"""The sources of files over object stores, held to what every source promises; objects are put there by obstore alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import obstore
import pytest
import test_avro
import test_files_sources as files

from object_stores import store_of
from penstock.clock import SystemClock
from penstock.connectors.api import Context

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Source
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server


class Elsewhere(ABC):
    """Beside a suite of files: what it wrote into its folder is put where the connection leads, and the folder is emptied."""

    folder: Path
    connection: dict[str, Any]

    @abstractmethod
    def remove_all(self) -> None: ...

    @abstractmethod
    def put(self, key: str, file: Path) -> None:
        """Below the connection's prefix."""

    def load(self, table: pa.Table) -> None:
        super().load(table)
        self.remove_all()
        self._put()

    def add(self, table: pa.Table) -> None:
        super().add(table)
        self._put()

    def _put(self) -> None:
        for path in self.folder.iterdir():
            self.put(f"{self.folder.name}/{path.name}", path)
            path.unlink()

    def make(self) -> Source:
        return self._source(self.folder.name)

    def make_missing(self) -> Source:
        return self._source("none/*.csv")

    def _source(self, path: str) -> Source:
        stated = {"type": self.descriptor.name, "path": path, "connection": self.connection}
        return self.descriptor.make(self.descriptor.params.model_validate(stated), self.context())


class _OnS3(Elsewhere):
    server: ClassVar = "s3_server"
    bucket: ClassVar = "s3_bucket"

    @pytest.fixture(autouse=True)
    def _store(self, request: pytest.FixtureRequest, _folders: None) -> None:
        server: ObjectServer = request.getfixturevalue(self.server)
        self.connection = server.connection(request.getfixturevalue(self.bucket), prefix="in/here")
        self.store = store_of(self.connection)

    def remove_all(self) -> None:
        obstore.delete(self.store, [item["path"] for chunk in obstore.list(self.store) for item in chunk])

    def put(self, key: str, file: Path) -> None:
        obstore.put(self.store, f"in/here/{key}", file)


class TestCsv(_OnS3, files.TestCsv): ...


@pytest.mark.long
class TestNdjson(_OnS3, files.TestNdjson): ...


class TestParquet(_OnS3, files.TestParquet): ...


@pytest.mark.long
class TestAvro(_OnS3, test_avro.TestAvroSource):
    def context(self) -> Context:
        return Context("files", self.folder.joinpath, self.scratch, SystemClock())


class TestParquetOnAzure(TestParquet):
    server = "azure_server"
    bucket = "azure_container"
