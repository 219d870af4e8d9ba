"""Values in the form in which Spark holds them, and back, without a session: with one in tests/parity."""

from datetime import date
from decimal import Decimal

import pyarrow as pa
import pytest

from penstock.engines.spark.carried import carried_schema, from_spark, into_spark
from penstock.errors import ConfigError, DataError
from penstock.testing.data import TYPES
from penstock.testing.parity.hostile import hostile
from penstock.types import Schema, parse_type
from penstock.types.arrow import to_arrow

NESTED = (
    "list<list<uuid?>?>",
    "list<time?>",
    "map<uint8,list<interval?>?>",
    "struct<a: uint64?, b: struct<c: json?, d: list<date?>?>?>",
    "map<string,struct<x: uint32, y: timestamptz?>>",
    "list<list<int32>>",
)


def batch_of(schema):
    return hostile(schema).combine_chunks().to_batches()[0]


def bits(array):
    """Arrow takes NaN for another value than itself."""
    return [str(value) for value in array.to_pylist()]


@pytest.mark.parametrize("logical", [*TYPES, *NESTED])
def test_every_value_comes_back(logical):
    schema = Schema.of({"before": "int32?", "value": f"{logical}?"})
    whole = batch_of(schema)
    for batch in (whole, whole.slice(1), whole.slice(3, 2), whole.slice(0, 0)):
        carried = into_spark(batch, schema)
        carried.validate(full=True)
        assert carried.schema.equals(carried_schema(schema))
        back = from_spark(carried, schema)
        back.validate(full=True)
        assert back.schema.equals(to_arrow(schema))
        assert str(back.schema) == str(batch.schema)
        assert bits(back.column("value")) == bits(batch.column("value"))


@pytest.mark.parametrize(
    ("logical", "value", "carried"),
    [
        ("uint8", 255, 255),
        ("uint64", 2**64 - 1, Decimal(2**64 - 1)),
        ("uuid", bytes(range(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ("json", '{"a": 1}', '{"a": 1}'),
        ("interval", (1, -2, 3_000), {"months": 1, "days": -2, "microseconds": 3}),
        ("interval", (0, 0, -1_000), {"months": 0, "days": 0, "microseconds": -1}),
        ("date", date(1582, 10, 10), date(1582, 10, 10)),
    ],
)
def test_values_are_carried_as_what_spark_has_for_them(logical, value, carried):
    schema = Schema.of({"value": f"{logical}?"})
    form = to_arrow(schema).field(0).type
    array = (
        pa.ExtensionArray.from_storage(form, pa.array([value, None]))
        if logical == "json"
        else pa.array([value, None], form)
    )
    batch = pa.RecordBatch.from_arrays([array], schema=to_arrow(schema))
    assert into_spark(batch, schema).column(0).to_pylist() == [carried, None]


def counted(logical, numbers):
    return pa.array(numbers, pa.int32() if logical == "date" else pa.int64()).cast(to_arrow(parse_type(logical)[0]))


INFINITE = [
    ("date", 2**31 - 1, "infinity"),
    ("date", -(2**31) + 1, "-infinity"),
    ("timestamp", 2**63 - 1, "infinity"),
    ("timestamptz", -(2**63) + 1, "-infinity"),
    ("timestamptz", -(2**63), str(-(2**63))),
    ("time", 86_400_000_000, "86400000000"),
]


@pytest.mark.parametrize(("logical", "number", "shown"), INFINITE)
@pytest.mark.parametrize("nested", [False, True])
def test_what_spark_would_take_for_another_value_is_an_error(logical, number, shown, nested):
    array = counted(logical, [0, None, number])
    schema = Schema.of({"moment": f"list<{logical}?>?" if nested else f"{logical}?"})
    if nested:
        array = pa.ListArray.from_arrays(pa.array([0, 1, 3], pa.int32()), array)
    batch = pa.RecordBatch.from_arrays([array], schema=pa.schema([pa.field("moment", array.type)]))
    with pytest.raises(DataError) as caught:
        into_spark(batch, schema)
    problem = caught.value
    assert problem.code == "ENG-345"
    assert 'the column "moment"' in str(problem)
    assert f"the value is {shown}" in str(problem)


def test_an_interval_finer_than_a_microsecond_is_an_error():
    schema = Schema.of({"value": "interval?"})
    batch = pa.record_batch({"value": pa.array([(0, 0, 1_001)], pa.month_day_nano_interval())})
    with pytest.raises(DataError) as caught:
        into_spark(batch, schema)
    assert caught.value.code == "ENG-345"


@pytest.mark.parametrize(
    ("logical", "numbers"),
    [
        ("date", [2**31 - 2, 2 - 2**31, 2_932_897, -719_163]),
        ("timestamp", [2**63 - 2, -9_223_372_022_400_000_000, 253_402_300_800_000_000, -62_135_596_800_000_001]),
        ("timestamptz", [2**63 - 2, -9_223_372_022_400_000_000]),
    ],
)
def test_years_beyond_9999_and_before_1_are_carried(logical, numbers):
    schema = Schema.of({"value": f"{logical}?"})
    batch = pa.record_batch({"value": counted(logical, numbers)})
    back = from_spark(into_spark(batch, schema), schema)
    assert back.column(0).cast(pa.int32() if logical == "date" else pa.int64()).to_pylist() == numbers


def test_what_nobody_sees_is_not_looked_at():
    """Below a null, and outside a slice, stand values that are none."""
    hidden = pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()),
        counted("date", [2**31 - 1, 2**31 - 1, 5]),
        mask=pa.array([False, True, False]),
    )
    batch = pa.record_batch({"value": hidden}).slice(1)
    schema = Schema.of({"value": "list<date?>?"})
    assert from_spark(into_spark(batch, schema), schema).column(0).to_pylist() == [None, [date(1970, 1, 6)]]


INTERVAL = pa.struct([("months", pa.int32()), ("days", pa.int32()), ("microseconds", pa.int64())])


@pytest.mark.parametrize(
    ("logical", "array", "shown"),
    [
        ("uint8", pa.array([1, 256], pa.int16()), "256"),
        ("uint16", pa.array([-1], pa.int32()), "-1"),
        ("uint64", pa.array([Decimal(2**64)], pa.decimal128(20, 0)), str(2**64)),
        ("date", pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), "infinity"),
        ("time", pa.array([1], pa.int64()).cast(pa.time64("ns")), "1"),
        ("interval", pa.array([(1, None, 2)], INTERVAL), "None"),
        ("interval", pa.array([(1, 2, 2**62)], INTERVAL), str(2**62)),
        ("uuid", pa.array(["no uuid"]), "no uuid"),
    ],
)
def test_what_comes_back_and_is_no_such_value_is_an_error(logical, array, shown):
    with pytest.raises(DataError) as caught:
        from_spark(pa.record_batch({"result": array}), Schema.of({"result": f"{logical}?"}))
    assert caught.value.code == "DOC-413"
    assert '"result"' in str(caught.value)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    ("logical", "array", "code"),
    [
        ("int64", pa.array([1.0]), "DOC-406"),
        ("uint8", pa.array([1], pa.int8()), "DOC-406"),
        ("timestamp", pa.array([1], pa.timestamp("us", "UTC")), "DOC-406"),
        ("decimal(4,2)", pa.array([Decimal("1.0")], pa.decimal128(4, 1)), "DOC-406"),
        ("list<int64>", pa.array([[1]], pa.list_(pa.int32())), "DOC-406"),
    ],
)
def test_another_type_than_the_carried_one_is_an_error(logical, array, code):
    with pytest.raises(ConfigError) as caught:
        from_spark(pa.record_batch({"result": array}), Schema.of({"result": f"{logical}?"}))
    assert caught.value.code == code


def test_columns_come_by_name_and_nulls_are_watched():
    schema = Schema.of({"a": "int32", "b": "list<int32>?"})
    with pytest.raises(ConfigError) as missing:
        from_spark(pa.record_batch({"a": pa.array([1], pa.int32())}), schema)
    assert missing.value.code == "DOC-411"
    good, bad = pa.array([[1]], pa.list_(pa.int32())), pa.array([[None]], pa.list_(pa.int32()))
    back = from_spark(pa.record_batch({"b": good, "a": pa.array([1], pa.int32())}), schema)
    assert back.schema.names == ["a", "b"]
    for columns in ({"a": pa.array([None], pa.int32()), "b": good}, {"a": pa.array([1], pa.int32()), "b": bad}):
        with pytest.raises(DataError) as caught:
            from_spark(pa.record_batch(columns), schema)
        assert caught.value.code == "DOC-414"


def test_no_columns_are_still_rows():
    rows = pa.RecordBatch.from_struct_array(pa.array([{}] * 3, pa.struct([])))
    assert from_spark(into_spark(rows, Schema()), Schema()).num_rows == 3
