"""What the sink of ORC files writes, as pyorc reads it; and its table, read back."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa
import pyorc
import pytest
from file_sinks import file_sink

from penstock.errors import ConfigError, DataError
from penstock.testing.compare import assert_same
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import read_table
from penstock.types import Schema
from penstock.types.arrow import from_arrow, to_arrow

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FILE = {"kind": "orc", "path": "a.orc", "mode": "overwrite"}
KEY = UUID("6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f")
KINDS = {
    "small": "uint8",
    "large": "uint64",
    "price": "decimal(38,10)",
    "day": "date",
    "wall": "timestamp",
    "at": "timestamptz",
    "key": "uuid",
    "doc": "json",
    "tags": "map<string,uint16>",
    "deep": "list<struct<n: uint32, doc: json, when: list<timestamp>>>",
}
PLAIN_DEEP = KINDS["deep"].replace("json", "string")
ROW: dict[str, Any] = {
    "small": 255,
    "large": 2**64 - 1,
    "price": Decimal("-1234567890123456789.0123456789"),
    "day": date(1, 1, 1),
    "wall": datetime(2024, 3, 31, 2, 30),  # noqa: DTZ001
    "at": datetime(1969, 12, 31, 23, 59, 59, 1, UTC),
    "key": KEY.bytes,
    "doc": '{"a":1}',
    "tags": [("a", 65_535), ("", None)],
    "deep": [
        {"n": 2**32 - 1, "doc": "null", "when": [datetime(1960, 1, 1, 0, 0, 0, 1), None]},  # noqa: DTZ001
        None,
        {"n": None, "doc": None, "when": []},
    ],
}
EMPTY = dict.fromkeys(ROW)


def table_of(*lines: dict[str, Any]) -> pa.Table:
    form, plain = (to_arrow(Schema.of(kinds).relaxed()) for kinds in (KINDS, {**KINDS, "deep": PLAIN_DEEP}))
    return pa.Table.from_pylist(list(lines), plain).cast(form)


def read(path: Path) -> tuple[str, list[Any]]:
    with path.open("rb") as stream:
        reader = pyorc.Reader(stream, struct_repr=pyorc.StructRepr.DICT)
        return str(reader.schema), list(reader)


def test_every_type_is_written_as_documented(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **FILE), epoch(1), table_of(ROW, EMPTY))
    schema, lines = read(tmp_path / "a.orc")
    kinds = "smallint decimal(20,0) decimal(38,10) date timestamp timestamp|with|local|time|zone string string "
    kinds += "map<string,int> array<struct<n:bigint,doc:string,when:array<timestamp>>>"
    named = [f"{name}:{kind}".replace("|", " ") for name, kind in zip(KINDS, kinds.split(), strict=True)]
    assert schema == f"struct<{','.join(named)}>"
    wall = [moment and moment.replace(tzinfo=UTC) for moment in ROW["deep"][0]["when"]]
    deep = [{**ROW["deep"][0], "when": wall}, *ROW["deep"][1:]]
    expected = {
        **ROW,
        "key": str(KEY),
        "wall": ROW["wall"].replace(tzinfo=UTC),
        "tags": dict(ROW["tags"]),
        "deep": deep,
    }
    assert lines == [expected, EMPTY]


def test_the_table_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = table_of(ROW, EMPTY, ROW)
    sink = file_sink(tmp_path, **FILE)
    deliver(sink, epoch(1), written)
    assert_same(read_table(sink), written)


def test_nested_rows_of_several_batches_are_not_mixed_up(tmp_path: Path) -> None:
    """Arrow's writer takes the first rows of a struct for those of a slice."""
    count = 25_000
    values = [{"n": n, "words": [str(n)] * (n % 3)} if n % 7 else None for n in range(count)]
    written = pa.table({"id": pa.array(range(count)), "v": pa.array(values)})
    sink = file_sink(tmp_path, **FILE)
    deliver(sink, epoch(1), written)
    _, lines = read(tmp_path / "a.orc")
    assert [line["v"] for line in lines] == values
    assert_same(read_table(sink), written)


@pytest.mark.parametrize("codec", ["zstd", "zlib", "lz4", "snappy", "none"])
def test_every_codec_is_read_back(tmp_path: Path, codec: str) -> None:
    written = table_of(*[ROW] * 50)
    sink = file_sink(tmp_path, **FILE, compression=codec)
    deliver(sink, epoch(1), written)
    assert_same(read_table(sink), written)


def test_columns_that_came_later_and_partitions_are_read_back(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, kind="orc", partition_by=["part"], on_schema_change="evolve")
    deliver(sink, epoch(1), rows((1, "a"), (2, "%41=/"), names=("id", "part")))
    deliver(sink, epoch(2), rows((3, None, "x"), names=("id", "part", "name")))
    found = sorted(read_table(sink).to_pylist(), key=lambda row: row["id"])
    assert found == [
        {"id": 1, "part": "a", "name": None},
        {"id": 2, "part": "%41=/", "name": None},
        {"id": 3, "part": None, "name": "x"},
    ]


def test_an_empty_overwrite_leaves_a_file_with_the_columns(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, **FILE, allow_empty=True), epoch(1), table_of(ROW).slice(0, 0))
    schema, lines = read(tmp_path / "a.orc")
    assert lines == []
    assert "large:decimal(20,0)" in schema


@pytest.mark.parametrize(
    ("kind", "why"), [("time", "times of day"), ("list<interval>", "intervals"), ("map<string,uuid>", "uuid inside")]
)
def test_what_orc_has_no_type_for_is_refused(tmp_path: Path, kind: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file_sink(tmp_path, **FILE).prepare(Schema.of({"v": kind}))
    assert caught.value.code == "SNK-110"
    assert why in str(caught.value)


def test_a_moment_that_the_reader_cannot_hold_is_written_and_named_where_it_is_read(tmp_path: Path) -> None:
    late = pa.table({"id": [1], "until": pa.array([datetime(9999, 12, 31)], pa.timestamp("us"))})  # noqa: DTZ001
    sink = file_sink(tmp_path, **FILE)
    deliver(sink, epoch(1), late)
    assert read(tmp_path / "a.orc")[1] == [{"id": 1, "until": datetime(9999, 12, 31, tzinfo=UTC)}]
    with pytest.raises(DataError) as caught:
        read_table(sink)
    assert caught.value.code == "SRC-321"
    assert "out of range" in str(caught.value.problems[0].detail)
    assert from_arrow(late.schema) == sink.describe()
