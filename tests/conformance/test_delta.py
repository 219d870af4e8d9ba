"""The delta source and sink against the public suites; tables are written and read back by deltalake and DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from penstock.connectors.api import Context
from penstock.connectors.delta.params import DeltaSinkParams, DeltaSourceParams
from penstock.connectors.delta.schema import from_delta, stored_schema
from penstock.connectors.delta.sink import SINK, DeltaSink
from penstock.connectors.delta.source import SOURCE, make_source
from penstock.structs import replace
from penstock.testing.clock import FakeClock
from penstock.testing.sinks import SinkOptions, SinkSuite
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow, to_arrow
from staged_files import left_by_delta

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.connectors.delta.source import DeltaSource


def context(folder: Path) -> Context:
    scratch = folder / ".scratch"
    scratch.mkdir(exist_ok=True)
    return Context("lake", lambda path: folder / path, scratch, FakeClock(datetime(2024, 1, 1, tzinfo=UTC)))


def kept(table: pa.Table) -> pa.Table:
    """The table as Delta holds it: the next larger type for what it lacks, every place nullable."""
    wanted = to_arrow(stored_schema(from_arrow(table.schema)).relaxed())
    columns = [_texts(column) if isinstance(column.type, pa.UuidType) else column for column in table.columns]
    return pa.table(columns, names=table.column_names).cast(wanted)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())


class TestDeltaSource(SourceSuite):
    descriptor = SOURCE
    lacks = ("time", "interval")

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def load(self, table: pa.Table) -> None:
        write_deltalake(self.folder / "table", kept(table), mode="overwrite", schema_mode="overwrite")

    def add(self, table: pa.Table) -> None:
        write_deltalake(self.folder / "table", kept(table), mode="append")

    def make(self) -> DeltaSource:
        return make_source(DeltaSourceParams(type="delta", path="table"), context(self.folder))

    def make_missing(self) -> DeltaSource:
        return make_source(DeltaSourceParams(type="delta", path="nowhere"), context(self.folder))

    def as_read(self, table: pa.Table) -> pa.Table:
        return kept(table)


class TestDeltaSink(SinkSuite):
    descriptor = SINK
    refuses = ("time", "interval")
    refused_partition_values = ("",)

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make(self, options: SinkOptions) -> Sink:
        params = DeltaSinkParams(
            type="delta",
            path="table",
            mode=options.mode,
            keys=list(options.keys),
            order_by=options.order_by,
            partition_by=list(options.partition_by),
            on_schema_change=options.on_schema_change,
            allow_empty=options.allow_empty,
            **{"from": "rows"},
        )
        return DeltaSink(params, replace(context(self.folder), refreshes=options.refreshes))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:  # noqa: ARG002 -- the log tells the types
        if not DeltaTable.is_deltatable(str(self.folder / "table")):
            return None
        return pa.table(DeltaTable(self.folder / "table").scan()).cast(read_schema(self.folder / "table"))

    def leftovers(self) -> list[str]:
        return left_by_delta(self.folder / "table")

    def as_stored(self, table: pa.Table) -> pa.Table:
        return kept(table)


def read_schema(path: Path) -> pa.Schema:
    return to_arrow(from_delta(DeltaTable(path).schema().to_json()))
