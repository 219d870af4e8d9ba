"""Avro files as a source: types, codecs, several files, and everything that a broken file may hold."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import fastavro
import polars as pl
import pytest
from file_sources import PART, columns, rows, source

from penstock.connectors.api import Batches, ScanRequest
from penstock.connectors.files import avro_container, avro_source
from penstock.connectors.files.avro_container import (
    CODECS,
    MAGIC,
    block_bytes,
    compress,
    encode_long,
    header_bytes,
)
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.connectors.api import Source

SYNC = bytes(range(16))


def record(fields: dict[str, Any], name: str = "row", **more: Any) -> dict[str, Any]:
    listed = [{"name": field, "type": kind} for field, kind in fields.items()]
    return {"type": "record", "name": name, "fields": listed, **more}


def write(path: Path, schema: Any, records: list[dict[str, Any]], **options: Any) -> None:
    with path.open("wb") as stream:
        fastavro.writer(stream, schema, records, sync_marker=SYNC, **options)


def made(folder: Path, schema: Any, records: list[dict[str, Any]], **options: Any) -> Source:
    write(folder / "a.avro", schema, records, **options)
    return source(folder, "{type: avro, path: a.avro}")


def raw(folder: Path, schema: Any, *blocks: tuple[int, bytes], codec: str = "null", tail: bytes = b"") -> Source:
    """A file whose blocks hold exactly these bytes."""
    head = header_bytes(schema, codec, SYNC)
    (folder / "a.avro").write_bytes(head + b"".join(block_bytes(n, data, SYNC) for n, data in blocks) + tail)
    return source(folder, "{type: avro, path: a.avro}")


def refused(read: Any) -> DataError:
    with pytest.raises(DataError, match=r"a\.avro") as caught:
        read()
    return caught.value


def test_every_logical_type_is_a_column(tmp_path: Path) -> None:
    fields = {
        "day": {"type": "int", "logicalType": "date"},
        "ms": {"type": "int", "logicalType": "time-millis"},
        "us": {"type": "long", "logicalType": "time-micros"},
        "at": {"type": "long", "logicalType": "timestamp-millis"},
        "wall": {"type": "long", "logicalType": "local-timestamp-micros"},
        "nano": {"type": "long", "logicalType": "timestamp-nanos"},
        "price": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2},
        "fixed": {"type": "fixed", "name": "f5", "size": 5, "logicalType": "decimal", "precision": 6, "scale": 3},
        "key": {"type": "string", "logicalType": "uuid"},
        "key16": {"type": "fixed", "name": "f16", "size": 16, "logicalType": "uuid"},
        "kind": {"type": "enum", "name": "kinds", "symbols": ["BUY", "SELL"]},
        "raw": {"type": "fixed", "name": "f2", "size": 2},
        "odd": {"type": "string", "logicalType": "nobody-knows"},
    }
    key = UUID("6f2d1c1e-8a4b-4c9d-9b57-0a1b2c3d4e5f")
    row = {
        "day": date(1969, 12, 31),
        "ms": time(23, 59, 59, 999_000),
        "us": time(0, 0, 0, 1),
        "at": datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC),
        "wall": datetime(2024, 3, 31, 2, 30),  # noqa: DTZ001 -- a wall time
        "nano": -1,
        "price": Decimal("-12345678.90"),
        "fixed": Decimal("-0.001"),
        "key": key,
        "key16": key,
        "kind": "SELL",
        "raw": b"\x00\xff",
        "odd": "as it is",
    }
    found = made(tmp_path, record(fields), [{**row, "key16": key.bytes}])
    assert columns(found) == {
        "day": "date",
        "ms": "time",
        "us": "time",
        "at": "timestamptz",
        "wall": "timestamp",
        "nano": "timestamptz",
        "price": "decimal(10,2)",
        "fixed": "decimal(6,3)",
        "key": "uuid",
        "key16": "uuid",
        "kind": "string",
        "raw": "binary",
        "odd": "string",
    }
    floored = datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)
    assert rows(found) == [{**row, "nano": floored}]


def test_nested_types_named_types_and_namespaces(tmp_path: Path) -> None:
    point = record({"x": "int", "y": ["double", "null"]}, "point", namespace="geo")
    schema = record(
        {
            "from": point,
            "to": ["null", "geo.point"],
            "path": {"type": "array", "items": "geo.point"},
            "tags": {"type": "map", "values": {"type": "array", "items": ["null", "string"]}},
            "deep": record({"inner": record({"k": {"type": "enum", "name": "e", "symbols": ["A", "B"]}}, "i")}, "d"),
            "again": "e",
        },
        namespace="top",
    )
    row: dict[str, Any] = {
        "from": {"x": 1, "y": None},
        "to": None,
        "path": [{"x": 2, "y": 0.5}, {"x": 3, "y": None}],
        "tags": {"a": ["p", None], "": []},
        "deep": {"inner": {"k": "B"}},
        "again": "A",
    }
    other = {**row, "to": {"x": -1, "y": 2.0}, "path": [], "tags": {}}
    found = rows(made(tmp_path, schema, [row, other]))
    assert found == [{**one, "tags": list(one["tags"].items())} for one in (row, other)]


def test_a_column_of_the_null_type_is_null(tmp_path: Path) -> None:
    found = made(tmp_path, record({"nothing": "null", "also": ["null"], "a": "int"}), [{"a": 1}, {"a": 2}])
    assert columns(found) == {"nothing": "string", "also": "string", "a": "int32"}
    assert rows(found) == [{"nothing": None, "also": None, "a": 1}, {"nothing": None, "also": None, "a": 2}]
    assert rows(found, "nothing") == [{"nothing": None}, {"nothing": None}]


def test_a_union_of_one_type_is_that_type(tmp_path: Path) -> None:
    found = made(tmp_path, record({"a": ["string"], "b": ["int"]}), [{"a": "x", "b": 5}])
    assert columns(found) == {"a": "string", "b": "int32"}
    assert rows(found) == [{"a": "x", "b": 5}]


def test_only_the_columns_asked_for_come_in_that_order(tmp_path: Path) -> None:
    found = made(tmp_path, record({"a": "int", "b": "string", "c": "double"}), [{"a": 1, "b": "x", "c": 0.5}])
    assert [list(row.items()) for row in rows(found, "c", "a")] == [[("c", 0.5), ("a", 1)]]


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(tmp_path: Path, codec: str) -> None:
    data = b"".join(encode_long(n) for n in range(1000))
    found = raw(tmp_path, record({"n": "long"}), (1000, compress(data, codec)), codec=codec)  # type: ignore[arg-type]
    assert [row["n"] for row in rows(found)] == list(range(1000))


@pytest.mark.parametrize("codec", ["deflate", "bzip2", "xz"])
def test_what_fastavro_compressed_is_read(tmp_path: Path, codec: str) -> None:
    records = [{"n": n} for n in range(5000)]
    assert rows(made(tmp_path, record({"n": "long"}), records, codec=codec, sync_interval=500)) == records


def test_what_polars_compressed_with_snappy_is_read(tmp_path: Path) -> None:
    pl.DataFrame({"n": range(5000)}).write_avro(tmp_path / "a.avro", compression="snappy")
    assert rows(source(tmp_path, "{type: avro, path: a.avro}")) == [{"n": n} for n in range(5000)]


def test_a_file_without_rows_has_its_columns(tmp_path: Path) -> None:
    found = made(tmp_path, record({"n": "long"}), [])
    assert columns(found) == {"n": "int64"}
    assert rows(found) == []


def test_chunks_are_a_few_blocks_each_and_name_the_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(avro_source, "_GROUP_ROWS", 1000)
    found = made(tmp_path, record({"n": "long"}), [{"n": n} for n in range(5000)], sync_interval=100)
    upto = found.latest(PART)
    scanned = found.scan(ScanRequest(PART, None, upto))
    assert isinstance(scanned, Batches)
    chunks = list(scanned.open())
    assert [chunk.position for chunk in chunks] == [upto] * len(chunks)
    assert len(chunks) > 1
    assert max(chunk.batch.num_rows for chunk in chunks) < 1200
    assert sum(chunk.batch.num_rows for chunk in chunks) == 5000


# ---------------------------------------------------------------- several files


def test_types_are_widened_over_files(tmp_path: Path) -> None:
    write(tmp_path / "a.avro", record({"n": "int", "f": "float"}), [{"n": 1, "f": 0.5}])
    write(tmp_path / "b.avro", record({"f": "double", "n": ["null", "long"]}), [{"n": 2**40, "f": 0.1}])
    found = source(tmp_path, "{type: avro, path: '*.avro'}")
    assert columns(found) == {"n": "int64", "f": "float64"}
    assert rows(found) == [{"n": 1, "f": 0.5}, {"n": 2**40, "f": 0.1}]


def test_a_column_that_a_file_lacks_is_an_error_or_null(tmp_path: Path) -> None:
    write(tmp_path / "a.avro", record({"a": "int"}), [{"a": 1}])
    write(tmp_path / "b.avro", record({"b": "string"}), [{"b": "x"}])
    with pytest.raises(DataError) as caught:
        source(tmp_path, "{type: avro, path: '*.avro'}").describe()
    assert caught.value.code == "SRC-135"
    found = source(tmp_path, "{type: avro, path: '*.avro', differing_columns: union}")
    assert rows(found) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert rows(found, "b") == [{"b": None}, {"b": "x"}]


def test_types_that_no_type_holds_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.avro", record({"a": "int"}), [{"a": 1}])
    write(tmp_path / "b.avro", record({"a": "string"}), [{"a": "x"}])
    with pytest.raises(DataError, match="int32") as caught:
        source(tmp_path, "{type: avro, path: '*.avro'}").describe()
    assert caught.value.code == "SRC-135"


def test_names_that_differ_in_case_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        made(tmp_path, record({"a": "int", "A": "int"}), []).describe()
    assert caught.value.code == "SRC-112"


# ---------------------------------------------------------------- broken files

HEAD = header_bytes(record({"n": "long"}), "null", SYNC)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Obj",
        b"PAR1" + HEAD[4:],
        HEAD[:10],
        HEAD[:-1],
        MAGIC + encode_long(1) + encode_long(2**40) + b"x",
        MAGIC + encode_long(1) + encode_long(-5) + b"x",
        MAGIC + b"\xff" * 20,
        MAGIC + encode_long(0) + SYNC,
        HEAD.replace(b'"long"', b'"lon"}'),
        b"\xef\xbb\xbf" + HEAD,
    ],
    ids=["empty", "cut", "parquet", "in header", "in sync", "huge", "negative", "no number", "none", "json", "mark"],
)
def test_what_is_no_avro_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.avro").write_bytes(content)
    assert refused(source(tmp_path, "{type: avro, path: a.avro}").describe).code == "SRC-300"


def test_a_header_of_unbounded_metadata_ends(tmp_path: Path) -> None:
    (tmp_path / "a.avro").write_bytes(MAGIC + encode_long(2**60) + (encode_long(0) * 2) * 1000)
    assert refused(source(tmp_path, "{type: avro, path: a.avro}").describe).code == "SRC-300"


BLOCK = block_bytes(2, encode_long(1) + encode_long(2), SYNC)


@pytest.mark.parametrize(
    ("tail", "number"),
    [
        (BLOCK[:-1], 2),
        (BLOCK[:1], 2),
        (BLOCK[:3], 2),
        (BLOCK[:-16] + b"x" * 16, 2),
        (encode_long(-1) + encode_long(2) + b"ab" + SYNC, 2),
        (encode_long(1) + encode_long(-2) + b"ab" + SYNC, 2),
        (encode_long(1) + encode_long(2**50) + b"ab" + SYNC, 2),
        (BLOCK + b"\x02", 3),
    ],
)
def test_a_broken_block_is_named_by_its_number(tmp_path: Path, tail: bytes, number: int) -> None:
    (tmp_path / "a.avro").write_bytes(HEAD + BLOCK + tail)
    error = refused(lambda: rows(source(tmp_path, "{type: avro, path: a.avro}")))
    assert error.code == "SRC-301"
    assert f"block {number} " in str(error)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "null"])
@pytest.mark.parametrize("harm", ["cut", "junk", "empty"])
def test_broken_compressed_data_is_named(tmp_path: Path, codec: str, harm: str) -> None:
    data = compress(b"".join(encode_long(n) for n in range(300)), codec)  # type: ignore[arg-type]
    broken = {"cut": data[: len(data) // 2], "junk": b"\xff\x00 junk" * 9, "empty": b""}[harm]
    error = refused(lambda: rows(raw(tmp_path, record({"n": "long"}), (300, broken), codec=codec)))
    assert error.code in {"SRC-302", "SRC-304"}
    assert "block 1 " in str(error)


def test_a_codec_that_nobody_knows_is_named(tmp_path: Path) -> None:
    error = refused(raw(tmp_path, record({"n": "long"}), codec="lzo").describe)
    assert error.code == "SRC-302"
    assert '"lzo"' in str(error)


@pytest.mark.parametrize("codec", [codec for codec in CODECS if codec != "null"])
def test_a_block_that_grows_without_bound_is_refused(
    tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avro_container, "MOST_BLOCK_BYTES", 100_000)
    bomb = compress(bytes(1_000_000), codec)  # type: ignore[arg-type]
    error = refused(lambda: rows(raw(tmp_path, record({"n": "long"}), (1, bomb), codec=codec)))
    assert error.code == "SRC-302"


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("long", b"\xff" * 12),
        ("long", b""),
        ("int", encode_long(2**40)),
        ("string", encode_long(2) + b"\xff\xfe"),
        ("string", encode_long(2**50) + b"ab"),
        ("string", encode_long(-5) + b"ab"),
        ("bytes", encode_long(10) + b"ab"),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, encode_long(1)),
        ({"type": "enum", "name": "e", "symbols": ["A"]}, encode_long(-1)),
        ({"type": "array", "items": "long"}, encode_long(2**50) + encode_long(1)),
        ({"type": "int", "logicalType": "time-millis"}, encode_long(86_400_001)),
        ({"type": "int", "logicalType": "time-millis"}, encode_long(-1)),
        ({"type": "long", "logicalType": "timestamp-millis"}, encode_long(2**62)),
        ({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}, encode_long(2) + b"\x7f\xff"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 3, "scale": 1}, encode_long(17) + b"\x00" * 17),
        ({"type": "string", "logicalType": "uuid"}, encode_long(4) + b"none"),
    ],
)
def test_records_that_are_not_what_the_schema_says_are_named(tmp_path: Path, kind: Any, data: bytes) -> None:
    whole = block_bytes(0, b"", SYNC)
    found = raw(tmp_path, record({"v": kind}), (1, data), tail=whole)
    error = refused(lambda: rows(found))
    assert error.code == "SRC-304"
    assert "block 1 " in str(error)


def test_the_first_broken_block_of_several_is_named(tmp_path: Path) -> None:
    good, bad = (1, encode_long(4) + b"good"), (1, encode_long(9) + b"bad")
    error = refused(lambda: rows(raw(tmp_path, record({"v": "string"}), good, good, bad, good)))
    assert "block 3 " in str(error)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("long", "no records"),
        (["null", record({"a": "int"})], "no records"),
        (record({"a": ["null", "int", "string"]}), "union"),
        (record({"a": ["int", "string"]}), "union"),
        (record({"next": ["null", "row"]}), "inside itself"),
        (record({"a": "nobody"}), "nobody"),
        (record({"a": {"type": "array", "items": "null"}}), "nothing but nulls"),
        (record({}), "no fields"),
        (record({"a": {"type": "fixed", "name": "f", "size": 0}}), "no type"),
        (record({"a": 7}), "no known way"),
        ({"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}] * 2}, "twice"),
        ({"type": "record", "name": "r", "fields": [{"name": "a"}]}, "no type"),
        ({"type": "record", "name": "r"}, "no type"),
    ],
)
def test_a_schema_that_cannot_be_columns_is_refused_with_the_reason(tmp_path: Path, schema: Any, why: str) -> None:
    error = refused(raw(tmp_path, schema).describe)
    assert error.code == "SRC-303"
    assert why in str(error.problems[0].detail)


def test_a_schema_nested_without_end_is_refused(tmp_path: Path) -> None:
    kind: Any = "long"
    for _ in range(200):
        kind = {"type": "array", "items": kind}
    assert refused(raw(tmp_path, record({"a": kind})).describe).code == "SRC-303"


def test_a_file_that_is_cut_while_it_is_read_loses_nothing_silently(tmp_path: Path) -> None:
    """Every prefix of a file is an error, or ends at the end of a block."""
    stream = io.BytesIO()
    fastavro.writer(stream, record({"s": "string"}), [{"s": f"row {n}"} for n in range(4)], sync_marker=SYNC)
    whole = stream.getvalue()
    for size in range(len(whole)):
        (tmp_path / "a.avro").write_bytes(whole[:size])
        try:
            assert rows(source(tmp_path, "{type: avro, path: a.avro}")) == []
        except DataError as error:
            assert error.code in {"SRC-300", "SRC-301"}  # noqa: PT017 -- either is right
        else:
            assert whole[:size].endswith(SYNC)
