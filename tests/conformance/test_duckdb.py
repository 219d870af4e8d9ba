"""DuckDB files against the suites of sinks and sources; the effect is read, and sources are filled, by plain DuckDB."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.duckdb.descriptors import SINK, SOURCE
from penstock.structs import replace
from penstock.testing.sinks import SinkSuite
from penstock.testing.sources import SourceSuite
from penstock.types.arrow import from_arrow
from penstock.types.duckdb import to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.sinks import SinkOptions

TABLE = 'a"; DROP TABLE x;--'


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class TestDuckdbSink(SinkSuite):
    descriptor = SINK

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        (tmp_path / "scratch").mkdir()
        self.file = tmp_path / "main.duckdb"  # a name that DuckDB has for a schema too
        self.context = Context("out", tmp_path.joinpath, tmp_path / "scratch", SystemClock())

    def make(self, options: SinkOptions) -> Sink:
        params = {
            "type": "duckdb",
            "from": "rows",
            "path": self.file.name,
            "table": TABLE,
            "mode": options.mode.value,
            "keys": list(options.keys),
            "order_by": options.order_by,
            "partition_by": list(options.partition_by),
            "on_schema_change": options.on_schema_change,
            "allow_empty": options.allow_empty,
            "lock_wait": "100 ms",
        }
        return SINK.make(SINK.params.model_validate(params), replace(self.context, refreshes=options.refreshes))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:  # noqa: ARG002 -- the file knows its types
        if not self.file.exists():
            return None
        with closing(duckdb.connect(self.file, read_only=True)) as connection:
            connection.execute("SET arrow_lossless_conversion = true; SET TimeZone = 'UTC'")
            tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            if TABLE not in tables:
                return None
            found = connection.sql(f"SELECT * FROM {quoted(TABLE)}").to_arrow_table()
        plain = [pa.bool_() if kind == pa.bool8() else kind for kind in found.schema.types]
        return found.cast(pa.schema(list(zip(found.column_names, plain, strict=True))))

    def leftovers(self) -> Collection[str]:
        beside = [path.name for path in self.file.parent.iterdir() if path.name not in (self.file.name, "scratch")]
        return [path.name for path in self.context.scratch.iterdir()] + beside


class TestDuckdbSource(SourceSuite):
    descriptor = SOURCE

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.file = tmp_path / "temp.duckdb"
        self.context = Context("shop", tmp_path.joinpath, tmp_path, SystemClock())

    def load(self, table: pa.Table) -> None:
        columns = ", ".join(f"{quoted(f.name)} {to_duckdb_text(f.type)}" for f in from_arrow(table.schema))
        with closing(duckdb.connect(self.file)) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE orders ({columns})")
        self.add(table)

    def add(self, table: pa.Table) -> None:
        with closing(duckdb.connect(self.file)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("arriving", table)
            connection.execute("INSERT INTO orders SELECT * FROM arriving")

    def make(self) -> Source:
        return self._over(self.file.name)

    def make_missing(self) -> Source:
        return self._over("none.duckdb")

    def _over(self, path: str) -> Source:
        params = SOURCE.params.model_validate({"type": "duckdb", "path": path, "table": "orders"})
        return SOURCE.make(params, self.context)
