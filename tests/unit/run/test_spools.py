"""What a source gave that cannot be read twice alike: it comes back from its spool as it went in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.compile.guarantee import Delivery
from penstock.connectors.api import Batches, Chunk, Partition, Position, ScanRequest, Source
from penstock.engines.api import Limits
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.events import Events
from penstock.graph import Graph
from penstock.graph.nodes import Read
from penstock.plan.stages import Plan, Spool
from penstock.run.feeds import Feeds
from penstock.structs import replace
from penstock.testing.compare import assert_same
from penstock.testing.data import TYPES, column, table_of
from penstock.types.arrow import from_arrow, to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.types import Schema

MOMENT = datetime(2024, 1, 31, tzinfo=UTC)


class Once(Source):
    """Rows in memory, and records that became none."""

    def __init__(self, rows: pa.Table, rejects: pa.RecordBatch | None = None) -> None:
        self._rows, self._rejects = rows, rejects

    def describe(self) -> Schema:
        return from_arrow(self._rows.schema)

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        return {"v": 1}

    def scan(self, request: ScanRequest) -> Batches:  # noqa: ARG002 -- all of it
        chunks = [Chunk(batch, {"v": 1}, self._rejects) for batch in self._rows.combine_chunks().to_batches()]
        return Batches(self.describe(), lambda: iter(chunks))


def _spooled(rows: pa.Table, folder: Path, rejects: pa.RecordBatch | None = None) -> list[Chunk]:
    """Every chunk that is read back from the spool, whose position went through the ledger's JSON."""
    source = Once(rows, rejects)
    read = Read("s", source="s", schema=source.describe())
    plan = Plan("p", Graph((read,)), (Spool("s", "a test"),), Delivery("exactly_once", "a test"), "hash", {})
    engine = DuckDBEngine(Limits(256 << 20, 1), folder)
    try:
        feeds = Feeds(plan, {"s": source}, {}, engine, folder, Events(level="error"))
        (planned,) = feeds.ranges(1, "a", MOMENT, {})
        recorded = replace(planned, upto=json.loads(json.dumps(planned.upto)))
        parts = feeds.of_read(read, [recorded])
    finally:
        engine.close()
    return [chunk for part in parts for chunk in _chunks(part)]


def _chunks(part: object) -> Iterator[Chunk]:
    assert isinstance(part, Batches)
    return part.open()


@pytest.mark.parametrize("logical", TYPES)
def test_every_type_goes_through_a_spool_unchanged(logical: str, tmp_path: Path) -> None:
    rows = table_of(column(logical).values)
    found = [chunk.batch for chunk in _spooled(rows, tmp_path)]
    assert_same(pa.Table.from_batches(found, schema=to_arrow(from_arrow(rows.schema))), rows)


def test_rejected_records_go_through_a_spool_beside_the_rows(tmp_path: Path) -> None:
    lost = pa.RecordBatch.from_pylist([{"raw": "oops"}], schema=pa.schema([("raw", pa.string())]))
    rows = table_of(pa.array(["kept"]))
    found = _spooled(rows, tmp_path, lost)
    assert [chunk.rejects.to_pylist() for chunk in found if chunk.rejects is not None] == [lost.to_pylist()]
    assert [row for chunk in found for row in chunk.batch.to_pylist()] == rows.to_pylist()
