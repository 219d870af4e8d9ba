"""The sinks of files against the suite of sinks; what lies in the folder is read by a plain DuckDB, never by the sink."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files import csv_sink, json_sink, parquet_sink
from penstock.registry import Capability
from penstock.structs import replace
from penstock.testing import native
from penstock.testing.sinks import SinkSuite
from penstock.types.arrow import from_arrow
from penstock.types.duckdb import to_duckdb_text
from staged_files import left_by_files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.testing.sinks import SinkOptions

NESTED = (
    "list<string>",
    "list<int64>",
    "map<string,int64>",
    'struct<a: int64, "b c": string, deep: list<struct<x: float64>>>',
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


class FileSuite(SinkSuite):
    """``reader`` is the reading function of DuckDB and its options, as somebody would write them by hand."""

    path: ClassVar[str] = "out"
    extra: ClassVar[Mapping[str, object]] = {}
    pattern: ClassVar[str]

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.project = tmp_path / "project"
        self.project.mkdir()
        (tmp_path / "scratch").mkdir()
        self.context = Context("out", self.project.joinpath, tmp_path / "scratch", SystemClock())
        self.partitioned = False

    def make(self, options: SinkOptions) -> Sink:
        self.partitioned |= bool(options.partition_by)
        params = self.descriptor.params.model_validate(
            {
                "type": self.descriptor.name,
                "from": "rows",
                "path": self.path,
                "mode": options.mode.value,
                "keys": list(options.keys),
                "order_by": options.order_by,
                "partition_by": list(options.partition_by),
                "on_schema_change": options.on_schema_change,
                "allow_empty": options.allow_empty,
                **self.extra,
            }
        )
        return self.descriptor.make(params, replace(self.context, refreshes=options.refreshes))

    def visible(self) -> list[Path]:
        return sorted(path for path in self.project.glob(self.pattern) if path.is_file())

    def reader(self, path: Path, columns: Mapping[str, str]) -> str:
        raise NotImplementedError

    def names_in(self, path: Path) -> list[str] | None:  # noqa: ARG002 -- for the formats that need it
        """Which columns the file has, where the reader must be told."""
        return None

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        files = self.visible()
        if not files:
            return None
        types = {column.name: to_duckdb_text(column.type) for column in from_arrow(schema)}
        with closing(native.connection()) as database:
            found = [self._one(database, path, types) for path in files]
        return pa.concat_tables(found, promote_options="permissive")

    def _one(self, database, path: Path, types: Mapping[str, str]) -> pa.Table:
        held = self.names_in(path) or [name for name in types if not (self.partitioned and name == "part")]
        source = self.reader(path, {name: types[name] for name in held})
        there = {row[0] for row in database.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        chosen = [
            f"{quoted(name) if name in there else 'NULL'}::{kind} AS {quoted(name)}" for name, kind in types.items()
        ]
        return database.sql(f"SELECT {', '.join(chosen)} FROM {source}").to_arrow_table()

    def leftovers(self) -> Collection[str]:
        return left_by_files(self.project)


class TestParquetFolder(FileSuite):
    descriptor = parquet_sink.SINK
    pattern = "out/**/*.parquet"
    refuses = ("interval",)

    def reader(self, path: Path, columns: Mapping[str, str]) -> str:  # noqa: ARG002 -- its files name them
        hive = (
            ", hive_partitioning=true, hive_types={'part': 'VARCHAR'}"
            if self.partitioned
            else ", hive_partitioning=false"
        )
        return f"read_parquet({text(str(path))}{hive})"


class TestSortedParquetFolder(TestParquetFolder):
    extra: ClassVar = {"sort_by": ["id"], "compression": "snappy", "version": "v1", "bloom_filter": False}


class TestCsvFolder(FileSuite):
    descriptor = csv_sink.SINK
    pattern = "out/**/*.csv"
    refuses = ("interval", *NESTED)

    def reader(self, path: Path, columns: Mapping[str, str]) -> str:
        struct = ", ".join(f"{text(name)}: 'VARCHAR'" for name in columns)
        hive = (
            "hive_partitioning=true, hive_types={'part': 'VARCHAR'}" if self.partitioned else "hive_partitioning=false"
        )
        return (
            f"read_csv({text(str(path))}, columns={{{struct}}}, header=true, allow_quoted_nulls=false, nullstr='', "
            f"auto_detect=false, delim=',', quote='\"', escape='\"', max_line_size=10000000, {hive})"
        )

    def names_in(self, path: Path) -> list[str]:
        with path.open(newline="", encoding="utf-8") as stream:
            return next(csv.reader(stream))


class TestJsonFolder(FileSuite):
    descriptor = json_sink.SINK
    pattern = "out/**/*.ndjson"
    refuses = ("interval", "binary", "decimal(38,38)")

    def as_stored(self, table: pa.Table) -> pa.Table:
        """JSON's own null and a missing value are one in a file of JSON."""
        if "value" not in table.column_names or not isinstance(table.schema.field("value").type, pa.JsonType):
            return table
        values = [None if value == "null" else value for value in table.column("value").to_pylist()]
        return table.set_column(1, table.schema.field("value"), pa.array(values, pa.json_()))

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        if any(pa.types.is_decimal(column.type) for column in schema):
            return self._exactly(schema)
        return super().read_back(schema)

    def _exactly(self, schema: pa.Schema) -> pa.Table:
        """By Python's own reader: DuckDB's takes numbers for doubles."""
        lines = [line for path in self.visible() for line in path.read_text().splitlines()]
        rows = [json.loads(line, parse_float=Decimal, parse_int=Decimal) for line in lines]
        columns = [pa.array([row[column.name] for row in rows]).cast(column.type) for column in schema]
        return pa.table(columns, schema=schema)

    def reader(self, path: Path, columns: Mapping[str, str]) -> str:
        struct = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in columns.items())
        hive = (
            "hive_partitioning=true, hive_types={'part': 'VARCHAR'}" if self.partitioned else "hive_partitioning=false"
        )
        return f"read_json({text(str(path))}, columns={{{struct}}}, format='newline_delimited', {hive})"


class TestOneParquetFile(TestParquetFolder):
    descriptor = replace(
        parquet_sink.SINK,
        modes=("overwrite",),
        capabilities=parquet_sink.SINK.capabilities - {Capability.PARALLEL},
    )
    path = "out/rows.parquet"
