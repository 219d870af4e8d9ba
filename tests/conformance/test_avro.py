"""Avro files against the suites of sources and sinks; written and read by fastavro, never by Penstock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files import avro_sink, avro_source
from penstock.registry import Capability
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks import SinkSuite
from penstock.testing.sources import SourceSuite
from staged_files import left_by_files

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from penstock.connectors.api import Sink, Source
    from penstock.testing.sinks import SinkOptions

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
PLAIN = {
    pa.bool_(): "boolean",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "bytes",
}
ANNOTATED = {
    pa.date32(): ("int", "date"),
    pa.time64("us"): ("long", "time-micros"),
    pa.timestamp("us"): ("long", "local-timestamp-micros"),
    pa.timestamp("us", tz="UTC"): ("long", "timestamp-micros"),
    pa.uuid(): ("string", "uuid"),
}


def avro_type(kind: pa.DataType, path: str) -> Any:
    if pa.types.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if pa.types.is_map(kind):
        return {"type": "map", "values": ["null", avro_type(kind.item_type, path)]}
    if pa.types.is_list(kind):
        return {"type": "array", "items": ["null", avro_type(kind.value_type, path)]}
    if pa.types.is_struct(kind):
        return {"type": "record", "name": f"r{path}", "fields": avro_fields(list(kind), path)}
    if kind in ANNOTATED:
        base, logical = ANNOTATED[kind]
        return {"type": base, "logicalType": logical}
    return PLAIN[kind]


def avro_fields(fields: list[pa.Field], path: str) -> list[dict[str, Any]]:
    return [
        {"name": field.name, "type": ["null", avro_type(field.type, f"{path}_{place}")]}
        for place, field in enumerate(fields)
    ]


def avro_value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_map(kind):
        return {key: avro_value(item, kind.item_type) for key, item in value}
    match value:
        case dict():
            return {field.name: avro_value(value[field.name], field.type) for field in kind}
        case list():
            return [avro_value(item, kind.value_type) for item in value]
        case datetime():
            return (value.replace(tzinfo=UTC) - EPOCH) // MICROSECOND
        case date():
            return (value - EPOCH.date()).days
        case time():
            return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
        case UUID():
            return str(value)
        case _:
            return value


class TestAvroSource(SourceSuite):
    """Two files, so that every test reads several."""

    descriptor = avro_source.SOURCE
    lacks = ("int8", "int16", "uint8", "uint16", "uint32", "uint64", "interval", "json")
    case_sensitive_names = True

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "it's [data]"
        self.scratch = tmp_path / "scratch"
        self.folder.mkdir()
        self.scratch.mkdir()

    def load(self, table: pa.Table) -> None:
        for old in self.folder.iterdir():
            old.unlink()
        half = (table.num_rows + 1) // 2
        self.write(table.slice(0, half), self.folder / "a%20*.avro")
        self.write(table.slice(half), self.folder / "b.avro")

    def add(self, table: pa.Table) -> None:
        self.write(table, self.folder / "c.avro")

    def write(self, table: pa.Table, path: Path) -> None:
        kinds = {field.name: field.type for field in table.schema}
        rows = [{name: avro_value(value, kinds[name]) for name, value in row.items()} for row in table.to_pylist()]
        schema = {"type": "record", "name": "row", "fields": avro_fields(list(table.schema), "")}
        with path.open("wb") as stream:
            fastavro.writer(stream, schema, rows, codec="deflate", sync_interval=64, strict_allow_default=True)

    def make(self) -> Source:
        return self._over(self.folder.name)

    def make_missing(self) -> Source:
        return self._over("none/*.avro")

    def _over(self, path: str) -> Source:
        context = Context("files", lambda text: self.folder.parent / text, self.scratch, SystemClock())
        return avro_source.AvroSource(avro_source.AvroSourceParams(type="avro", path=path), context)


def from_avro(value: Any, kind: pa.DataType) -> Any:
    """A value as fastavro reads it, as pyarrow takes it."""
    if value is None:
        return None
    if pa.types.is_map(kind):
        return [(pair["key"], from_avro(pair["value"], kind.item_type)) for pair in value]
    match value:
        case dict():
            return {field.name: from_avro(value[field.name], field.type) for field in kind}
        case list():
            return [from_avro(item, kind.value_type) for item in value]
        case _:
            return value


class TestAvroFolder(SinkSuite):
    descriptor = avro_sink.SINK
    refuses = ("interval", 'struct<a: int64, "b c": string, deep: list<struct<x: float64>>>')
    refused_names = tuple(name for name in data.NAMES if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name))
    path: ClassVar[str] = "out"
    extra: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self.project = tmp_path / "project"
        self.project.mkdir()
        (tmp_path / "scratch").mkdir()
        self.context = Context("out", self.project.joinpath, tmp_path / "scratch", SystemClock())

    def make(self, options: SinkOptions) -> Sink:
        given = {
            "type": "avro",
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
        return avro_sink.make(
            avro_sink.AvroSinkParams.model_validate(given), replace(self.context, refreshes=options.refreshes)
        )

    def read_back(self, schema: pa.Schema) -> pa.Table | None:
        files = sorted(path for path in self.project.glob("out/**/*.avro") if path.is_file())
        if not files:
            return None
        return pa.concat_tables([self._one(path, schema) for path in files])

    def _one(self, path: Path, schema: pa.Schema) -> pa.Table:
        folders = [part.split("=", 1) for part in path.relative_to(self.project).parts if "=" in part]
        with path.open("rb") as stream:
            reader = fastavro.reader(stream)
            rows = list(reader)
        held = {field["name"] for field in reader.writer_schema["fields"]}
        columns = []
        for field in schema:
            if field.name in held:
                columns.append(self._column([from_avro(row[field.name], field.type) for row in rows], field.type))
            else:
                found = [unquote(value) for name, value in folders if name == field.name] or [None]
                value = None if found[0] == "__HIVE_DEFAULT_PARTITION__" and "%" not in str(path) else found[0]
                columns.append(pa.array([value] * len(rows), field.type))
        return pa.table(columns, schema=schema)

    def _column(self, values: list[Any], kind: pa.DataType) -> pa.Array:
        if isinstance(kind, pa.UuidType):
            return pa.array([value and value.bytes for value in values], kind)
        if pa.types.is_unsigned_integer(kind) and kind.bit_width == 64:
            return pa.array([value if value is None else int(value) for value in values], kind)
        return pa.array(values, kind)

    def leftovers(self) -> Collection[str]:
        return left_by_files(self.project)


class TestBzippedAvroFolder(TestAvroFolder):
    extra: ClassVar = {"codec": "bzip2"}


class TestOneAvroFile(TestAvroFolder):
    descriptor = replace(
        avro_sink.SINK, modes=("overwrite",), capabilities=avro_sink.SINK.capabilities - {Capability.PARALLEL}
    )
    path = "out/rows.avro"
    extra: ClassVar = {"codec": "null"}
