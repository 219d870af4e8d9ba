"""Epochs, small tables and their delivery, as the sink suites use them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from penstock.connectors.api import Epoch, ScanRequest, SinkId, Staged, WriteMode
from penstock.structs import Frozen, replace
from penstock.testing import data
from penstock.testing.delivery import fill, pull
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from penstock.connectors.api import Receipt, Sink

INCARNATION = "11111111-1111-4111-8111-111111111111"
OTHER_INCARNATION = "22222222-2222-4222-8222-222222222222"
SINK_ID = SinkId("project", "prod", "pipe line", "sink/../x", INCARNATION)
PLANNED_AT = datetime(2024, 3, 31, 1, 0, tzinfo=UTC)


class SinkOptions(Frozen):
    """What a test wants of the sink; the subclass turns it into the connector's parameters."""

    mode: WriteMode = WriteMode.APPEND
    keys: tuple[str, ...] = ()
    order_by: str | None = None
    partition_by: tuple[str, ...] = ()
    on_schema_change: Literal["fail", "evolve", "ignore"] = "fail"
    allow_empty: bool = False
    refreshes: bool = False  # of the context, not of the parameters


APPEND = SinkOptions()
OVERWRITE = SinkOptions(mode=WriteMode.OVERWRITE)
BY_PART = SinkOptions(mode=WriteMode.OVERWRITE_PARTITIONS, partition_by=("part",))
MERGE = SinkOptions(mode=WriteMode.MERGE, keys=(data.ID,))
MERGE_NEWER = replace(MERGE, order_by="seen")


def epoch(number: int, *, fence: int = 1, attempt: str = "", incarnation: str = INCARNATION) -> Epoch:
    """An epoch as the runner makes it."""
    made = attempt or f"attempt-{number}-{fence}"
    return Epoch(replace(SINK_ID, incarnation=incarnation), number, made, fence, PLANNED_AT)


def rows(*values: tuple[Any, ...], names: tuple[str, ...] = (data.ID, "name")) -> pa.Table:
    """A small table; columns named id, seen, part, size are numbers or text as their values are, the rest text."""
    kinds = {data.ID: pa.int64(), "seen": pa.int64(), "size": pa.int64()}
    fields = [pa.field(n, kinds.get(n, pa.string()), nullable=n != data.ID) for n in names]
    columns = list(zip(*values, strict=True)) or [()] * len(names)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, fields, strict=True)], schema=pa.schema(fields))


def over_the_wire(staged: Staged) -> Staged:
    """As it arrives where another process commits: through JSON."""
    return Staged(staged.rows, staged.bytes, json.loads(json.dumps(staged.payload)))


def stage(sink: Sink, at: Epoch, table: pa.Table) -> Staged:
    """One writer, all rows, staged."""
    writer = sink.writer(at, from_arrow(table.schema))
    fill(writer, table)
    return over_the_wire(writer.stage())


def deliver(sink: Sink, at: Epoch, *tables: pa.Table) -> Receipt:
    """Prepare, one writer per table, commit: what a run does in an epoch. Ignored columns are not handed over."""
    schema = from_arrow(tables[0].schema)
    ignored = [column.name for column in sink.preview(schema).ignores]
    sink.prepare(schema)
    return sink.commit(at, [stage(sink, at, table.drop_columns(ignored)) for table in tables])


def read_table(sink: Sink) -> pa.Table:
    """All rows of the sink's table through ``table()``, partitions one after another."""
    source = sink.table()
    parts = [pull(source.scan(ScanRequest(p, None, source.latest(p))))[0] for p in source.partitions()]
    source.close()
    return pa.concat_tables(parts)
