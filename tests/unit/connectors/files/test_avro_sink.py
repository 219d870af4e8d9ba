"""What the sink of Avro files writes, as fastavro reads it; and its table, read back."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from file_sinks import file_sink

from penstock.connectors.files import avro_encoding
from penstock.connectors.files.avro_container import CODECS
from penstock.connectors.files.avro_encoding import avro_schema
from penstock.errors import ConfigError
from penstock.testing.compare import assert_same
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import read_table
from penstock.types import INT64, Field, List, Schema, Struct, StructField
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from pathlib import Path

FILE = {"kind": "avro", "path": "a.avro", "mode": "overwrite"}
KEY = UUID("6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f")
KINDS = {
    "small": "int8",
    "large": "uint64",
    "price": "decimal(38,10)",
    "day": "date",
    "clock": "time",
    "wall": "timestamp",
    "at": "timestamptz",
    "key": "uuid",
    "doc": "json",
    "tags": "map<string,decimal(6,2)>",
    "deep": "list<struct<k: uuid, when: list<timestamp>>>",
}
ROW: dict[str, Any] = {
    "small": -128,
    "large": 2**64 - 1,
    "price": Decimal("-1234567890123456789.0123456789"),
    "day": date(1, 1, 1),
    "clock": time(23, 59, 59, 999_999),
    "wall": datetime(2024, 3, 31, 2, 30),  # noqa: DTZ001
    "at": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
    "key": KEY,
    "doc": '{"a":1}',
    "tags": [("a", Decimal("-0.01")), ("", None)],
    "deep": [{"k": KEY, "when": [datetime(2024, 1, 1), None]}, None, {"k": None, "when": []}],  # noqa: DTZ001
}


def table_of(*lines: dict[str, Any]) -> pa.Table:
    schema = Schema.of(KINDS).relaxed()
    form = to_arrow(schema)
    return pa.table([column([line[field.name] for line in lines], field.type) for field in form], schema=form)


def column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.UuidType):
        return pa.array([value and value.bytes for value in values], kind)
    if pa.types.is_list(kind):
        lengths = [0, *(len(value or ()) for value in values)]
        offsets = pa.array([sum(lengths[: place + 1]) for place in range(len(lengths))], pa.int32())
        inner = [item for value in values for item in value or ()]
        mask = pa.array([value is None for value in values], pa.bool_())
        return pa.ListArray.from_arrays(offsets, column(inner, kind.value_type), type=kind, mask=mask)
    if pa.types.is_struct(kind):
        parts = [column([value and value[field.name] for value in values], field.type) for field in kind]
        return pa.StructArray.from_arrays(
            parts, fields=list(kind), mask=pa.array([value is None for value in values], pa.bool_())
        )
    return pa.array(values, kind)


EMPTY = dict.fromkeys(ROW)


def read(path: Path) -> list[Any]:
    with path.open("rb") as stream:
        return list(fastavro.reader(stream))


def test_every_type_is_written_as_documented(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **FILE), epoch(1), table_of(ROW, EMPTY))
    pairs = [{"key": key, "value": value} for key, value in ROW["tags"]]
    wall = ROW["deep"][0]["when"]
    deep = [{"k": KEY, "when": wall}, None, {"k": None, "when": []}]
    assert read(tmp_path / "a.avro") == [{**ROW, "tags": pairs, "deep": deep}, EMPTY]


def test_the_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = table_of(ROW, EMPTY, ROW)
    sink = file_sink(tmp_path, **FILE)
    deliver(sink, epoch(1), written)
    assert_same(read_table(sink), written)


def test_infinities_and_the_end_of_the_day_are_read_back(tmp_path: Path) -> None:
    form = to_arrow(Schema.of({"id": "int64", "at": "timestamptz", "day": "date", "clock": "time"}))
    counts = [pa.array([1, 2]), pa.array([2**63 - 1, -(2**63) + 1]), pa.array([2**31 - 1, 1 - 2**31], pa.int32())]
    counts.append(pa.array([86_400_000_000, 0]))
    sink = file_sink(tmp_path, **FILE)
    deliver(sink, epoch(1), pa.table([c.view(f.type) for c, f in zip(counts, form, strict=True)], schema=form))
    found = read_table(sink)
    read_counts = [found.column(f.name).combine_chunks().view(c.type) for c, f in zip(counts, form, strict=True)]
    assert [column_.to_pylist() for column_ in read_counts] == [c.to_pylist() for c in counts]


def test_columns_that_came_later_and_partitions_are_read_back(tmp_path: Path) -> None:
    options = {"kind": "avro", "partition_by": ["part"], "on_schema_change": "evolve"}
    sink = file_sink(tmp_path, **options)
    deliver(sink, epoch(1), rows((1, "a"), (2, "%41=/"), names=("id", "part")))
    deliver(sink, epoch(2), rows((3, None, "x"), names=("id", "part", "name")))
    found = sorted(read_table(sink).to_pylist(), key=lambda row: row["id"])
    assert found == [
        {"id": 1, "part": "a", "name": None},
        {"id": 2, "part": "%41=/", "name": None},
        {"id": 3, "part": None, "name": "x"},
    ]


@pytest.mark.parametrize("kind", ["int64", "date", "timestamptz", "boolean", "decimal(6,2)", "uuid"])
def test_partition_values_have_their_type_again(tmp_path: Path, kind: str) -> None:
    values = {
        "int64": [1, -5],
        "date": [date(2024, 1, 1), date(1, 1, 1)],
        "timestamptz": [datetime(2024, 1, 1, 0, 0, 0, 5, UTC), datetime(1960, 1, 1, tzinfo=UTC)],
        "boolean": [True, False],
        "decimal(6,2)": [Decimal("1.10"), Decimal("-0.01")],
        "uuid": [KEY.bytes, bytes(16)],
    }[kind]
    form = to_arrow(Schema.of({"id": "int64", "part": f"{kind}?"}))
    written = pa.table([pa.array([1, 2, 3]), pa.array([*values, None], form.field("part").type)], schema=form)
    sink = file_sink(tmp_path, kind="avro", partition_by=["part"])
    deliver(sink, epoch(1), written)
    assert_same(read_table(sink), written)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read_back(tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avro_encoding, "_BLOCK_ROWS", 7)
    written = pa.table({"id": pa.array(range(50), pa.int64()), "name": [f"row {n}" for n in range(50)]})
    sink = file_sink(tmp_path, **FILE, codec=codec)
    deliver(sink, epoch(1), written)
    assert_same(read_table(sink), written)
    with (tmp_path / "a.avro").open("rb") as stream:
        stream.seek(0)
        assert codec.encode() in stream.read(400)


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **FILE, allow_empty=True), epoch(1), table_of())
    with (tmp_path / "a.avro").open("rb") as stream:
        reader = fastavro.reader(stream)
        assert [field["name"] for field in reader.writer_schema["fields"]] == list(KINDS)
        assert list(reader) == []


def test_the_schema_is_one_that_fastavro_takes() -> None:
    fastavro.parse_schema(avro_schema(Schema.of(KINDS)))


@pytest.mark.parametrize("name", ["a b", "1st", "é", 'a"; DROP TABLE x;--', "a.b", "_\n"])
def test_names_that_other_readers_refuse_are_refused(tmp_path: Path, name: str) -> None:
    inner = Field("v", List(Struct((StructField(name, INT64),))))
    for column_ in (Field(name, INT64), inner):
        with pytest.raises(ConfigError) as caught:
            file_sink(tmp_path, **FILE).prepare(Schema((column_,)))
        assert caught.value.code == "SNK-110"


def test_intervals_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        file_sink(tmp_path, **FILE).prepare(Schema.of({"v": "list<interval>"}))
    assert caught.value.code == "SNK-110"
