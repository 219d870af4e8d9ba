"""The sinks and sources of files over HDFS against their suites; what lies there is put and fetched by fsspec alone, and
read by a plain DuckDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import test_file_sinks as sinks
import test_files_sources as sources
from test_object_sinks import Elsewhere as SinkElsewhere
from test_object_sources import Elsewhere as SourceElsewhere

from hdfs_files import HdfsFolder

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.testing.java_servers import HdfsServer

pytestmark = [pytest.mark.server, pytest.mark.long]


class _SinkOnHdfs(SinkElsewhere):
    @pytest.fixture(autouse=True)
    def _store(self, hdfs_server: HdfsServer, hdfs_folder: str, _place: None) -> None:
        self.connection = hdfs_server.connection(f"{hdfs_folder}/lake")
        self.hdfs = HdfsFolder(self.connection)

    def keys(self) -> list[str]:
        return self.hdfs.keys()

    def content(self, key: str) -> bytes:
        return self.hdfs.content(key)

    def leftovers(self) -> Collection[str]:
        return self.hdfs.left()


class TestParquetFolder(_SinkOnHdfs, sinks.TestParquetFolder): ...


class TestOneParquetFile(_SinkOnHdfs, sinks.TestOneParquetFile): ...


class _SourceOnHdfs(SourceElsewhere):
    @pytest.fixture(autouse=True)
    def _store(self, hdfs_server: HdfsServer, hdfs_folder: str, _folders: None) -> None:
        self.connection = hdfs_server.connection(f"{hdfs_folder}/in/here")
        self.hdfs = HdfsFolder(self.connection)

    def remove_all(self) -> None:
        self.hdfs.remove_all()

    def put(self, key: str, file: Path) -> None:
        self.hdfs.put(key, file)


class TestCsv(_SourceOnHdfs, sources.TestCsv): ...


class TestParquet(_SourceOnHdfs, sources.TestParquet): ...
