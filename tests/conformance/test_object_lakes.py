"""The Delta and Iceberg sources and sinks over object stores against the suites of both; tables are written and read back
by their own libraries, which reach the store by themselves.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from pyiceberg.exceptions import NoSuchTableError
from test_delta import kept as kept_by_delta
from test_iceberg import TestIcebergSink as _IcebergSink
from test_iceberg import TestIcebergSource as _IcebergSource

from iceberg_tables import StoreLake
from object_stores import content_of, delta_options, left_by_delta, store_of
from penstock.connectors.api import Context
from penstock.connectors.delta.schema import from_delta
from penstock.connectors.delta.sink import SINK as DELTA_SINK
from penstock.connectors.delta.source import SOURCE as DELTA_SOURCE
from penstock.connectors.iceberg.schema import from_iceberg
from penstock.structs import replace
from penstock.testing.clock import FakeClock
from penstock.testing.sinks import SinkConformance, SinkOptions, SinkSuite
from penstock.testing.sinks.visibility import Visibility
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.servers import ObjectServer

pytestmark = pytest.mark.server


class _InStore:
    """A bucket of its own for every test."""

    server: ClassVar = "s3_server"
    bucket: ClassVar = "s3_bucket"

    @pytest.fixture(autouse=True)
    def _store(self, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        server: ObjectServer = request.getfixturevalue(self.server)
        self.connection: dict[str, Any] = server.connection(request.getfixturevalue(self.bucket), prefix="lake")
        self.store = store_of(self.connection)
        self.folder = tmp_path
        self.contexts = 0

    def context(self) -> Context:
        self.contexts += 1
        scratch = self.folder / f"scratch-{self.contexts}"
        scratch.mkdir()
        clock = FakeClock(datetime(2024, 1, 1, tzinfo=UTC))
        return Context("lake", lambda path: self.folder / path, scratch, clock)


class _Delta(_InStore):
    """``at`` and ``options`` are what deltalake itself is told."""

    @property
    def at(self) -> str:
        scheme = "az" if self.connection["type"] == "azure" else "s3"
        return f"{scheme}://{self.connection.get('bucket') or self.connection['container']}/lake/table"

    @property
    def options(self) -> dict[str, str]:
        return delta_options(self.connection)


@pytest.mark.long
class TestDeltaSource(_Delta, SourceSuite):
    descriptor = DELTA_SOURCE
    lacks = ("time", "interval")

    def load(self, table: pa.Table) -> None:
        kept = kept_by_delta(table)
        write_deltalake(self.at, kept, mode="overwrite", schema_mode="overwrite", storage_options=self.options)

    def add(self, table: pa.Table) -> None:
        write_deltalake(self.at, kept_by_delta(table), mode="append", storage_options=self.options)

    def make(self) -> Source:
        return self._reading("table")

    def make_missing(self) -> Source:
        return self._reading("nowhere")

    def _reading(self, path: str) -> Source:
        told = {"type": "delta", "path": path, "connection": self.connection}
        return DELTA_SOURCE.make(DELTA_SOURCE.params.model_validate(told), self.context())

    def as_read(self, table: pa.Table) -> pa.Table:
        return kept_by_delta(table)


class _DeltaSink(_Delta, SinkConformance):
    descriptor = DELTA_SINK
    refuses = ("time", "interval")
    refused_partition_values = ("",)

    def make(self, options: SinkOptions) -> Sink:
        told = {
            "type": "delta",
            "from": "rows",
            "path": "table",
            "connection": self.connection,
            "mode": options.mode,
            "keys": list(options.keys),
            "order_by": options.order_by,
            "partition_by": list(options.partition_by),
            "on_schema_change": options.on_schema_change,
            "allow_empty": options.allow_empty,
        }
        context = replace(self.context(), refreshes=options.refreshes)
        return DELTA_SINK.make(DELTA_SINK.params.model_validate(told), context)

    def read_back(self, schema: pa.Schema) -> pa.Table | None:  # noqa: ARG002 -- the log tells the types
        if not DeltaTable.is_deltatable(self.at, storage_options=self.options):
            return None
        table = DeltaTable(self.at, storage_options=self.options)
        return pa.table(table.scan()).cast(to_arrow(from_delta(table.schema().to_json())))

    def leftovers(self) -> list[str]:
        return left_by_delta(self.store, "lake/table")

    def as_stored(self, table: pa.Table) -> pa.Table:
        return kept_by_delta(table)


class TestWhatOthersSeeOfADeltaSink(_DeltaSink, Visibility):
    """Of the suite what has most to do with stores; all of it takes long."""


@pytest.mark.long
class TestDeltaSink(_DeltaSink, SinkSuite): ...


@pytest.mark.long
class TestDeltaSinkOnAzure(TestDeltaSink):
    server = "azure_server"
    bucket = "azure_container"


class _Iceberg(_InStore):
    @pytest.fixture(autouse=True)
    def _lake(self, _store: None) -> None:
        self.lake = StoreLake(self.folder, self.connection)


@pytest.mark.long
class TestIcebergSource(_Iceberg, _IcebergSource): ...


@pytest.mark.long
class TestIcebergSink(_Iceberg, _IcebergSink):
    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        try:
            table = self.lake.table()
        except NoSuchTableError:
            return None
        wanted = to_arrow(from_iceberg(table.schema(), "it"))
        if not any(pa.types.is_struct(field.type) for field in wanted):
            return super().read_back(schema)
        keys = [task.file.file_path.partition("/lake/")[2] for task in table.scan().plan_files()]
        contents = [BytesIO(content_of(self.store, f"lake/{key}")) for key in keys]
        return pa.concat_tables([pq.read_table(content).cast(wanted) for content in contents])
