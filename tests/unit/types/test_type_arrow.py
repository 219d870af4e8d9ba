"""Logical types as Arrow types, both ways."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.errors import ConfigError
from penstock.types import Schema, parse_type
from penstock.types.arrow import from_arrow, to_arrow, type_from_arrow

EXACT = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "decimal(12,4)": pa.decimal128(12, 4),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "interval": pa.month_day_nano_interval(),
    "uuid": pa.uuid(),
    "binary": pa.binary(),
    "json": pa.json_(),
    "list<string?>": pa.list_(pa.string()),
    "list<string>": pa.list_(pa.field("item", pa.string(), nullable=False)),
    "map<string,int8?>": pa.map_(pa.string(), pa.int8()),
    "map<string,int8>": pa.map_(pa.string(), pa.field("value", pa.int8(), nullable=False)),
    'struct<a: int8, "b\'": json?>': pa.struct([pa.field("a", pa.int8(), nullable=False), ("b'", pa.json_())]),
}

ARRIVING = {
    "string": [
        pa.large_string(),
        pa.string_view(),
        pa.null(),
        pa.dictionary(pa.int8(), pa.string()),
        pa.dictionary(pa.uint32(), pa.large_string()),
        pa.run_end_encoded(pa.int32(), pa.string()),
        pa.opaque(pa.binary(), "bignum", "DuckDB"),
        pa.opaque(pa.binary(), "bit", "DuckDB"),
        pa.opaque(pa.binary(8), "time_tz", "DuckDB"),
    ],
    "binary": [pa.large_binary(), pa.binary_view(), pa.binary(16), pa.binary(7)],
    "boolean": [pa.bool8()],
    "float32": [pa.float16()],
    "date": [pa.date64()],
    "time": [pa.time32("s"), pa.time32("ms"), pa.time64("ns")],
    "timestamp": [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("ns")],
    "timestamptz": [pa.timestamp("us", "Europe/Berlin"), pa.timestamp("ns", "+02:00"), pa.timestamp("s", "Etc/UTC")],
    "interval": [pa.duration("s"), pa.duration("ns")],
    "decimal(5,2)": [pa.decimal32(5, 2), pa.decimal64(5, 2), pa.decimal256(5, 2)],
    "decimal(7,0)": [pa.decimal128(5, -2)],
    "decimal(6,6)": [pa.decimal128(3, 6)],
    "decimal(38,0)": [
        pa.opaque(pa.binary(16), "hugeint", "DuckDB"),
        pa.opaque(pa.binary(16), "uhugeint", "DuckDB"),
    ],
    "json": [pa.json_(pa.large_string())],
    "int64": [pa.dictionary(pa.uint8(), pa.int64())],
    "list<int8?>": [
        pa.list_(pa.field("l", pa.int8())),
        pa.large_list(pa.int8()),
        pa.list_(pa.int8(), 3),
        pa.list_view(pa.int8()),
        pa.large_list_view(pa.int8()),
    ],
}


@pytest.mark.parametrize(("spelling", "arrow"), EXACT.items(), ids=list(EXACT))
def test_one_arrow_form_per_type(spelling, arrow):
    logical, _ = parse_type(spelling)
    assert to_arrow(logical) == arrow
    assert type_from_arrow(arrow) == logical


@pytest.mark.parametrize(
    ("spelling", "arrow"), [(spelling, arrow) for spelling, many in ARRIVING.items() for arrow in many], ids=str
)
def test_other_arrow_types_arrive_as_the_smallest_type_that_holds_them(spelling, arrow):
    assert str(type_from_arrow(arrow)) == spelling


@pytest.mark.parametrize(
    "arrow",
    [
        pa.sparse_union([pa.field("a", pa.int8())]),
        pa.dense_union([pa.field("a", pa.int8())]),
        pa.decimal256(39, 0),
        pa.decimal128(38, -1),
        pa.decimal256(10, 40),
        pa.opaque(pa.binary(), "hugeint", "somebody"),
        pa.opaque(pa.binary(), "point", "DuckDB"),
        pa.fixed_shape_tensor(pa.int8(), [2, 2]),
        pa.list_(pa.sparse_union([pa.field("a", pa.int8())])),
    ],
    ids=str,
)
def test_an_arrow_type_that_nothing_holds_is_named(arrow):
    with pytest.raises(ConfigError) as caught:
        type_from_arrow(arrow)
    assert caught.value.code == "DOC-406"


def test_the_refused_column_is_named_with_its_path():
    union = pa.sparse_union([pa.field("a", pa.int8())])
    nested = pa.schema([("orders", pa.list_(pa.struct([("choice", pa.map_(pa.string(), union))])))])
    with pytest.raises(ConfigError) as caught:
        from_arrow(nested)
    assert '"orders[].choice.value"' in caught.value.problems[0].message


def test_a_schema_keeps_names_order_and_nullability():
    schema = Schema.of({"a b": "int64", 'q"': "string?", "n": "list<struct<x: date>?>"})
    arrow = to_arrow(schema)
    assert arrow.names == ["a b", 'q"', "n"]
    assert [field.nullable for field in arrow] == [False, True, False]
    assert from_arrow(arrow) == schema


def test_labels_do_not_travel():
    schema = Schema.of({"email": "string"}).with_labels({"email": ["pii"]})
    arrow = to_arrow(schema)
    assert not arrow.metadata
    assert not arrow.field(0).metadata
    assert from_arrow(arrow) == Schema.of({"email": "string"})


@pytest.mark.parametrize(
    ("storage", "name", "spelling"),
    [
        (pa.string(), b"arrow.json", "json"),
        (pa.binary(16), b"arrow.uuid", "uuid"),
        (pa.binary(), b"geoarrow.wkb", "binary"),
        (pa.struct([("metadata", pa.binary()), ("value", pa.binary())]), b"arrow.parquet.variant", "json"),
        (pa.string(), b"somebody.colour", "string"),
        (pa.string(), b"\xff\xfe", "string"),
    ],
)
def test_a_field_may_carry_its_extension_as_metadata(storage, name, spelling):
    field = pa.field("x", storage, metadata={b"ARROW:extension:name": name})
    assert from_arrow(pa.schema([field])) == Schema.of({"x": f"{spelling}?"})
    inside = from_arrow(pa.schema([pa.field("x", pa.list_(field))]))
    assert inside == Schema.of({"x": f"list<{spelling}?>?"})


def test_text_that_claims_to_be_a_uuid_is_refused():
    field = pa.field("x", pa.string(), metadata={b"ARROW:extension:name": b"arrow.uuid"})
    with pytest.raises(ConfigError) as caught:
        from_arrow(pa.schema([field]))
    assert caught.value.code == "DOC-406"


@pytest.mark.parametrize(
    ("arrow", "code"),
    [
        (pa.schema([("a", pa.int8()), ("a", pa.int8())]), "DOC-410"),
        (pa.schema([("", pa.int8())]), "DOC-404"),
        (pa.schema([("a\0b", pa.int8())]), "DOC-404"),
        (pa.schema([(b"\xff", pa.int8())]), "DOC-404"),
        (pa.schema([("s", pa.struct([("a", pa.int8()), ("a", pa.int8())]))]), "DOC-404"),
        (pa.schema([("s", pa.struct([]))]), "DOC-404"),
        (pa.schema([("s", pa.struct([(b"\xff", pa.int8())]))]), "DOC-404"),
    ],
)
def test_impossible_names_are_refused(arrow, code):
    with pytest.raises(ConfigError) as caught:
        from_arrow(arrow)
    assert caught.value.code == code


def test_depth_is_bounded():
    arrow = pa.int8()
    for _ in range(40):
        arrow = pa.list_(arrow)
    with pytest.raises(ConfigError) as caught:
        type_from_arrow(arrow)
    assert caught.value.code == "DOC-403"
