"""The types that Spark is told of, as text: what its parser makes of them is in tests/parity."""

import pytest

from penstock.engines.spark.types import spark_text, to_spark
from penstock.types import Kind, Primitive, parse_type
from penstock.types.logical import MAX_DEPTH, STRING, Decimal, List, Struct, StructField

TEXTS = {
    "string": "STRING",
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "uint8": "SMALLINT",
    "uint16": "INT",
    "uint32": "BIGINT",
    "uint64": "DECIMAL(20, 0)",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "date": "DATE",
    "time": "TIME(6)",
    "timestamp": "TIMESTAMP_NTZ",
    "timestamptz": "TIMESTAMP",
    "interval": "STRUCT<`months`: INT, `days`: INT, `microseconds`: BIGINT>",
    "uuid": "STRING",
    "binary": "BINARY",
    "json": "STRING",
    "decimal(38,10)": "DECIMAL(38, 10)",
    "list<uint8>": "ARRAY<SMALLINT>",
    "list<time>": "ARRAY<TIME(6)>",
    "map<string,list<timestamp?>>": "MAP<STRING, ARRAY<TIMESTAMP_NTZ>>",
    'struct<a: int32, "b c`d": struct<"É": time?>?>': "STRUCT<`a`: INT, `b c``d`: STRUCT<`É`: TIME(6)>>",
}


@pytest.mark.parametrize(("logical", "text"), TEXTS.items())
def test_a_type_is_told_spark_in_its_words(logical, text):
    assert spark_text(parse_type(logical)[0]) == text


def test_every_kind_has_a_type():
    assert {kind.value for kind in Kind} <= set(TEXTS)
    assert all(spark_text(Primitive(kind)) for kind in Kind)


def test_types_nest_as_deep_as_they_may():
    logical = STRING
    for level in range(MAX_DEPTH - 1):
        logical = Struct((StructField("a", logical),)) if level % 2 else List(logical)
    assert spark_text(logical).count("<") == MAX_DEPTH - 1


def test_a_tree_is_made_anew_each_time():
    first = to_spark(Decimal(4, 2))
    first.set("expressions", [])
    assert spark_text(Decimal(4, 2)) == "DECIMAL(4, 2)"
