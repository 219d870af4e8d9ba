"""Avro files against the suites of sources and sinks; written and read by fastavro, never by Penstock."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files import avro_source
from penstock.testing.sources import SourceSuite

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Source

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
