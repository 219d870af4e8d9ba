"""The buckets that files lie in against their suite; what lies there is put and read by the drivers alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import obstore
import pytest
from pydantic import TypeAdapter

from hdfs_files import HdfsFolder
from object_stores import content_of, keys_in, store_of
from penstock.clock import SystemClock
from penstock.connectors.files.places import FileConnectionParam, open_bucket
from penstock.testing.buckets import BucketConformance
from webhdfs import webhdfs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.objects.bucket import Bucket
    from penstock.testing.java_servers import HdfsServer
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server
CONNECTION: TypeAdapter[Any] = TypeAdapter(FileConnectionParam)
PREFIX = "here/and there"


class _OverStore(BucketConformance):
    connection: dict[str, Any]

    def make(self) -> Bucket:
        return open_bucket(CONNECTION.validate_python(self.connection), SystemClock())

    def put(self, key: str, content: bytes) -> None:
        obstore.put(store_of(self.connection), f"{PREFIX}/{key}", content)

    def keys(self) -> list[str]:
        return [key.removeprefix(f"{PREFIX}/") for key in keys_in(store_of(self.connection))]

    def content(self, key: str) -> bytes:
        return content_of(store_of(self.connection), f"{PREFIX}/{key}")


class TestS3(_OverStore):
    @pytest.fixture(autouse=True)
    def _bucket(self, s3_server: ObjectServer, s3_bucket: str) -> None:
        self.connection = s3_server.connection(s3_bucket, prefix=PREFIX)


@pytest.mark.long
class TestAzure(_OverStore):
    @pytest.fixture(autouse=True)
    def _container(self, azure_server: ObjectServer, azure_container: str) -> None:
        self.connection = azure_server.connection(azure_container, prefix=PREFIX)


class TestWebHdfsInThisProcess(BucketConformance):
    """Quick; what a cluster itself does is tested below."""

    @pytest.fixture(autouse=True)
    def _cluster(self) -> Iterator[None]:
        with webhdfs() as self.cluster:
            yield

    def make(self) -> Bucket:
        return open_bucket(CONNECTION.validate_python(self.cluster.connection(PREFIX)), SystemClock())

    def put(self, key: str, content: bytes) -> None:
        self.cluster.put(f"/{PREFIX}/{key}", content)

    def keys(self) -> list[str]:
        return sorted(path.removeprefix(f"/{PREFIX}/") for path in self.cluster.files)

    def content(self, key: str) -> bytes:
        return self.cluster.files[f"/{PREFIX}/{key}"].content


@pytest.mark.long
class TestHdfs(BucketConformance):
    @pytest.fixture(autouse=True)
    def _folder(self, hdfs_server: HdfsServer, hdfs_folder: str) -> None:
        self.connection = hdfs_server.connection(f"{hdfs_folder}/{PREFIX}")
        self.folder = HdfsFolder(self.connection)

    def make(self) -> Bucket:
        return open_bucket(CONNECTION.validate_python(self.connection), SystemClock())

    def put(self, key: str, content: bytes) -> None:
        self.folder.put(key, content)

    def keys(self) -> list[str]:
        return self.folder.keys()

    def content(self, key: str) -> bytes:
        return self.folder.content(key)
