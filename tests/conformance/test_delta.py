"""The delta source and sink against the public suites; tables are written and read back by deltalake and DuckDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from penstock.connectors.api import Context
from penstock.connectors.delta.params import DeltaSourceParams
from penstock.connectors.delta.schema import stored_schema
from penstock.connectors.delta.source import SOURCE, DeltaSource
from penstock.testing.clock import FakeClock
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow, to_arrow

if TYPE_CHECKING:
    from pathlib import Path


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
        return DeltaSource(DeltaSourceParams(type="delta", path="table"), context(self.folder))

    def make_missing(self) -> DeltaSource:
        return DeltaSource(DeltaSourceParams(type="delta", path="nowhere"), context(self.folder))

    def as_read(self, table: pa.Table) -> pa.Table:
        return kept(table)
