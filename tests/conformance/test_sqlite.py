"""SQLite against the suites of sinks and sources; the effect is read, and sources are filled, by Python's own driver."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Allowance, Context
from penstock.connectors.sqlite.descriptors import SINK, SOURCE
from penstock.structs import replace
from penstock.testing.sinks import SinkSuite
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.sinks import SinkOptions

TABLE = 'a"; DROP TABLE x;--'
NO_PLACE = (
    "interval",
    "list<string>",
    "list<int64>",
    "map<string,int64>",
    'struct<a: int64, "b c": string, deep: list<struct<x: float64>>>',
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def parsed(values: list[object], kind: pa.DataType) -> pa.Array:
    """Values as they lie in the file, as the Arrow type that is expected of them."""
    if pa.types.is_floating(kind):
        return pa.array([float(v) if v is not None else None for v in values], kind)
    if pa.types.is_boolean(kind):
        return pa.array([None if v is None else bool(v) for v in values], kind)
    if pa.types.is_time(kind):
        days = pa.array([None if v is None else f"1970-01-01T{v}" for v in values], pa.string())
        return days.cast(pa.timestamp("us")).cast(kind)
    if isinstance(kind, (pa.UuidType, pa.JsonType)):
        return pa.array(values, pa.string())
    if pa.types.is_decimal(kind) or pa.types.is_temporal(kind) or kind == pa.uint64():
        return pa.array(values, pa.string()).cast(kind)
    return pa.array(values, kind)


def without_negative_zero(table: pa.Table) -> pa.Table:
    """SQLite keeps -0.0 as 0."""
    for at, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            zero = pa.scalar(0, field.type)
            column = pc.if_else(pc.equal(table.column(at), zero), zero, table.column(at))
            table = table.set_column(at, field, column)
    return table


class TestSqliteSink(SinkSuite):
    descriptor = SINK
    refuses = NO_PLACE
    widens = False

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        (tmp_path / "scratch").mkdir()
        self.file = tmp_path / "serving.db"
        self.context = Context("out", tmp_path.joinpath, tmp_path / "scratch", SystemClock())

    def make(self, options: SinkOptions) -> Sink:
        params = {
            "type": "sqlite",
            "from": "rows",
            "path": "serving.db",
            "table": TABLE,
            "mode": options.mode.value,
            "keys": list(options.keys),
            "order_by": options.order_by,
            "on_schema_change": options.on_schema_change,
            "allow_empty": options.allow_empty,
            "lock_wait": "100 ms",
        }
        return SINK.make(SINK.params.model_validate(params), replace(self.context, refreshes=options.refreshes))

    def as_stored(self, table: pa.Table) -> pa.Table:
        return without_negative_zero(table)

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        if not self.file.exists():
            return None
        with closing(sqlite3.connect(self.file)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
            if TABLE not in tables:
                return None
            names = [row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (TABLE,))]
            rows = connection.execute(f"SELECT * FROM {quoted(TABLE)}").fetchall()
        columns = dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))
        return pa.table({name: parsed(list(columns[name]), schema.field(name).type) for name in names})

    def leftovers(self) -> Collection[str]:
        return [path.name for path in self.context.scratch.iterdir()]


class TestSqliteSource(SourceSuite):
    """Tables as somebody who knows the declared types would make them."""

    descriptor = SOURCE
    lacks = NO_PLACE
    query: ClassVar[str | None] = None

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.file = tmp_path / "shop.db"
        self.context = Context("shop", tmp_path.joinpath, tmp_path, SystemClock())

    def load(self, table: pa.Table) -> None:
        from penstock.connectors.sqlite.affinity import declared

        columns = ", ".join(f"{quoted(f.name)} {declared(f.type)}" for f in from_arrow(table.schema))
        with closing(sqlite3.connect(self.file)) as connection:
            connection.execute("DROP TABLE IF EXISTS orders")
            connection.execute(f"CREATE TABLE orders ({columns})")
        self.add(table)

    def add(self, table: pa.Table) -> None:
        from penstock.connectors.sqlite.storing import Storing, values_of

        schema = from_arrow(table.schema)
        with closing(sqlite3.connect(self.file)) as connection, closing(Storing(schema, Allowance())) as storing:
            for batch in table.to_batches():
                kept = storing(batch)
                values = [values_of(column, field.type) for column, field in zip(kept.columns, schema, strict=True)]
                marks = ", ".join("?" * len(values))
                connection.executemany(f"INSERT INTO orders VALUES ({marks})", zip(*values, strict=True))
            connection.commit()

    def make(self) -> Source:
        wanted = {"table": "orders"} if self.query is None else {"query": self.query}
        return SOURCE.make(SOURCE.params.model_validate({"type": "sqlite", "path": "shop.db", **wanted}), self.context)

    def make_missing(self) -> Source:
        params = SOURCE.params.model_validate({"type": "sqlite", "path": "none.db", "table": "orders"})
        return SOURCE.make(params, self.context)

    def as_read(self, table: pa.Table) -> pa.Table:
        return without_negative_zero(table)


class TestSqliteQuery(TestSqliteSource):
    query = "SELECT * FROM orders WHERE 1 = 1 -- all of them"
