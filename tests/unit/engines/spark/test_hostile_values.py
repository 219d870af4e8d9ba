"""The hostile values and the tables made of them."""

import itertools
import struct

import pytest

from penstock.engines.spark.carried import into_spark
from penstock.testing import native
from penstock.testing.data import TYPES
from penstock.testing.parity.hostile import (
    CROSSED_ROWS,
    GROUP,
    crossed,
    grouped,
    grouped_schema,
    hostile,
    values_of,
)
from penstock.types import Schema, parse_type, relaxed
from penstock.types.arrow import to_arrow

NESTED = (
    "list<list<time?>?>",
    "map<string,list<float64?>?>",
    "struct<a: uuid?, b: map<int32,json?>?>",
    "map<float64,int32?>",
)
THREE = Schema.of({"a": "string?", "b": "float64?", "c": "int32?"})


@pytest.mark.parametrize("logical", [*TYPES, *NESTED, "decimal(1,0)", "decimal(18,18)"])
def test_values_have_the_form_of_their_type_and_null_is_among_them(logical):
    kind = parse_type(logical)[0]
    values = values_of(kind)
    values.validate(full=True)
    assert values.type.equals(to_arrow(relaxed(kind)))
    assert values.null_count
    assert not values[:2].null_count
    assert len(values) >= 3
    assert values.equals(values_of(kind)) or "float" in logical


@pytest.mark.parametrize("logical", [*TYPES, *NESTED])
def test_both_engines_can_hold_the_values(logical):
    schema = Schema.of({"value": f"{logical}?"})
    table = hostile(schema)
    for batch in table.combine_chunks().to_batches():
        assert into_spark(batch, schema).num_rows == table.num_rows
    with native.connection() as connection:
        connection.register("hostile", table)
        assert connection.execute("SELECT count(value) FROM hostile").fetchone() == (
            table.num_rows - table["value"].null_count,
        )


def test_what_breaks_expressions_is_there():
    numbers = {
        struct.pack(">d", value) for value in values_of(parse_type("float64")[0]).to_pylist() if value is not None
    }
    wanted = (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 5e-324, 1.7976931348623157e308)
    assert {struct.pack(">d", value) for value in wanted} <= numbers
    texts = values_of(parse_type("string")[0]).to_pylist()
    assert {"", " ", " 12 ", "1e3", "12.5", "+5", "0x1F", "1_000", "NaN", "inf", "-0", "\uff11\uff12", None} <= set(
        texts
    )
    assert max(len(text.encode()) for text in texts if text) >= 100_000
    assert not any("\0" in text for text in texts if text)
    assert len(texts) == len(set(texts))


def test_each_column_takes_all_its_values():
    table = hostile(THREE)
    for field in THREE:
        distinct = set(map(str, values_of(field.type).to_pylist()))
        assert set(map(str, table.column(field.name).to_pylist())) == distinct
    assert table.num_rows == len(values_of(THREE["a"].type))


def test_places_that_may_not_be_null_are_not():
    schema = Schema.of({"a": "int32", "b": "list<string>", "c": "struct<x: int32>?", "d": "map<string,int32>?"})
    for table in (hostile(schema), crossed(schema)):
        table.validate(full=True)
        assert table.schema.equals(to_arrow(schema))
        assert table.num_rows > 5
        assert table["a"].null_count == table["b"].null_count == 0
        assert all(None not in row for row in table["b"].to_pylist())
        assert table["c"].null_count


@pytest.mark.parametrize("schema", [THREE, THREE.select(["a", "b"]), Schema.of({"b": "boolean?", "i": "interval?"})])
def test_every_two_columns_meet_in_every_pair(schema):
    table = crossed(schema)
    assert table.num_rows <= CROSSED_ROWS
    columns = {name: list(map(str, table.column(name).to_pylist())) for name in schema.names}
    for one, other in itertools.combinations(schema.names, 2):
        wanted = itertools.product(*(map(str, values_of(schema[name].type)[:19].to_pylist()) for name in (one, other)))
        assert set(wanted) <= set(zip(columns[one], columns[other], strict=True))


def test_groups_are_of_each_sort():
    table = grouped(THREE)
    assert table.schema.equals(to_arrow(grouped_schema(THREE)))
    rows = {}
    for key, value in zip(table[GROUP].to_pylist(), table["c"].to_pylist(), strict=True):
        rows.setdefault(key, []).append(value)
    assert len(rows["one"]) == 1
    assert set(rows["nulls"]) == {None}
    assert None not in rows["plain"]
    assert None in rows["with null"]
    assert len(set(rows["ties"])) < len(rows["ties"])
    assert None in rows
    assert {str(value) for value in values_of(THREE["c"].type).to_pylist()} <= set(map(str, rows["every"]))
    assert len(rows["twice"]) == 2 * len(rows["every"])


def test_columns_of_a_group_do_not_move_in_step():
    table = grouped(Schema.of({"a": "int32?", "b": "int32?"}))
    for key in ("plain", "every"):
        rows = [
            (a, b)
            for group, a, b in zip(*(column.to_pylist() for column in table.columns), strict=True)
            if group == key
        ]
        assert any(a != b for a, b in rows)
        assert len({a for a, _ in rows}) > 1


def test_a_schema_without_columns_has_no_rows():
    assert hostile(Schema()).num_rows == 0
