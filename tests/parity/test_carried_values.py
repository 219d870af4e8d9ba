"""Every hostile value through a real session and back: a table in and out, and through Python in the middle."""

import pyarrow as pa
import pytest

from penstock.engines.spark.carried import carried_schema, from_spark, into_spark
from penstock.engines.spark.types import spark_text
from penstock.testing.data import TYPES
from penstock.testing.parity.hostile import hostile
from penstock.types import Schema
from penstock.types.arrow import to_arrow

# PySpark leaves a socket open for each result that is fetched.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]

NESTED = ("list<list<uuid?>?>", "list<time?>", "map<uint8,list<interval?>?>", "struct<a: uint64?, b: list<json?>?>")
SCHEMA = Schema.of({f"c{at}": f"{logical}?" for at, logical in enumerate((*TYPES, *NESTED))})
FAR = {
    "date": [2**31 - 2, 2 - 2**31, 2_932_897, -719_163, -141_428, None],
    "timestamp": [2**63 - 2, -9_223_372_022_400_000_000, 253_402_300_800_000_000, -62_135_596_800_000_001, None],
    "timestamptz": [2**63 - 2, -9_223_372_022_400_000_000, -12_219_292_800_000_001, -2_208_988_800_000_001, None],
}


def frame_of(spark, table, schema):
    from pyspark.sql.types import DataType, StructField, StructType

    rows = [into_spark(batch, schema) for batch in table.combine_chunks().to_batches()]
    fields = [StructField(field.name, DataType.fromDDL(spark_text(field.type))) for field in schema]
    return spark.createDataFrame(pa.Table.from_batches(rows, schema=carried_schema(schema)), StructType(fields))


def back(table, schema):
    return pa.Table.from_batches([from_spark(batch, schema) for batch in table.combine_chunks().to_batches()])


def assert_same(found, table):
    assert found.schema.equals(table.schema)
    for name in table.column_names:
        assert str(found.column(name).to_pylist()) == str(table.column(name).to_pylist()), name


def through_python(frame):
    return frame.mapInArrow(lambda batches: batches, frame.schema).toArrow()


def test_every_value_of_every_type_comes_back(spark):
    table = hostile(SCHEMA)
    frame = frame_of(spark, table, SCHEMA)
    assert_same(back(frame.toArrow(), SCHEMA), table)
    assert_same(back(through_python(frame), SCHEMA), table)


def test_spark_gives_the_form_in_which_it_was_given(spark):
    frame = frame_of(spark, hostile(SCHEMA), SCHEMA)
    assert frame.toArrow().schema.types == carried_schema(SCHEMA).types


@pytest.mark.parametrize("logical", FAR)
def test_no_moment_shifts_however_far_it_is(spark, logical):
    schema = Schema.of({"value": f"{logical}?"})
    number = pa.int32() if logical == "date" else pa.int64()
    form = to_arrow(schema)
    table = pa.table([pa.array(FAR[logical], number).cast(form.field(0).type)], schema=form)
    frame = frame_of(spark, table, schema)
    for result in (frame.toArrow(), through_python(frame)):
        assert back(result, schema).column(0).cast(number).to_pylist() == FAR[logical]


def test_dates_mean_the_same_in_both_calendars(spark):
    schema = Schema.of({"day": "date?", "moment": "timestamp?", "instant": "timestamptz?"})
    table = hostile(schema)
    frame = frame_of(spark, table, schema)
    texts = frame.selectExpr("CAST(day AS STRING)", "CAST(CAST(moment AS DATE) AS STRING)", "CAST(instant AS STRING)")
    found = texts.toArrow()
    assert found.column(0).to_pylist() == [value and value.isoformat() for value in table.column("day").to_pylist()]
    moments = table.column("moment").to_pylist()
    assert found.column(1).to_pylist() == [value and value.date().isoformat() for value in moments]
    wanted = [value and value.strftime("%H:%M:%S") for value in table.column("instant").to_pylist()]
    assert [value and value[11:19] for value in found.column(2).to_pylist()] == wanted


def test_types_nest_as_deep_as_they_may(spark):
    schema = Schema.of({"value": "list<" * 31 + "int32?" + ">?" * 31})
    value = 7
    for _ in range(31):
        value = [value, None] if isinstance(value, list) else [value]
    form = to_arrow(schema)
    table = pa.table([pa.array([value, None], form.field(0).type)], schema=form)
    frame = frame_of(spark, table, schema)
    assert frame.schema.fields[0].dataType.simpleString() == spark_text(schema["value"].type).lower()
    assert_same(back(frame.toArrow(), schema), table)
