"""Logical types as DuckDB's types: the text it prints, the trees it takes."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from penstock.errors import ConfigError
from penstock.types import Kind, Primitive, Schema, Struct, StructField, parse_type, relaxed
from penstock.types.arrow import from_arrow, to_arrow, type_from_arrow
from penstock.types.duckdb import from_duckdb, read_duckdb, to_duckdb, to_duckdb_text

EVERY_TYPE = [
    *(kind.value for kind in Kind),
    "decimal(12,4)",
    "decimal(38,38)",
    "decimal(1,0)",
    "list<list<uuid?>?>",
    "map<uuid,json?>",
    "map<struct<a: int8?>,list<timestamptz?>?>",
    'struct<a: json?, "A b""c,[(": list<list<uuid?>?>?, int: int8?, "żółw\n--": interval?, "🦆": time?>',
    'struct<"); DROP TABLE x;--": int8?, "\'": int16?, "/*": int32?, "a\\b": date?, "select": binary?, "-- x": date?>',
]


@pytest.fixture
def connection():
    with duckdb.connect() as opened:
        opened.execute("SET arrow_lossless_conversion = true")
        yield opened


def nulls_of(logical):
    """SELECT CAST(NULL AS type) AS c."""
    return exp.select(exp.alias_(exp.Cast(this=exp.null(), to=to_duckdb(logical)), "c")).sql(dialect="duckdb")


@pytest.mark.parametrize("spelling", EVERY_TYPE)
def test_duckdb_gives_back_every_type_that_it_takes(connection, spelling):
    logical = relaxed(parse_type(spelling)[0])
    relation = connection.sql(nulls_of(logical))
    assert from_duckdb(str(relation.types[0])) == logical
    connection.execute(
        exp.Create(
            this=exp.to_table("t"), kind="TABLE", expression=exp.maybe_parse(nulls_of(logical), dialect="duckdb")
        ).sql("duckdb")
    )
    described = connection.execute("DESCRIBE t").fetchall()[0][1]
    assert read_duckdb(described).type == logical
    assert not read_duckdb(described).differs


@pytest.mark.parametrize("spelling", EVERY_TYPE)
def test_arrow_data_passes_duckdb_unchanged_in_type(connection, spelling):
    logical = relaxed(parse_type(spelling)[0])
    table = pa.table({"c": pa.nulls(2, to_arrow(logical))})
    relation = connection.from_arrow(table)
    assert from_duckdb(str(relation.types[0])) == logical
    back = relation.to_arrow_table()
    assert from_arrow(back.schema) == Schema.of({"c": f"{logical}?"})


@pytest.mark.parametrize(
    ("text", "spelling", "differs"),
    [
        ("VARCHAR", "string", False),
        ("DECIMAL(12,4)", "decimal(12,4)", False),
        ("DECIMAL(9)", "decimal(9,0)", False),
        ("NUMERIC", "decimal(18,3)", False),
        ("TIMESTAMP WITH TIME ZONE", "timestamptz", False),
        ("timestamp with time zone", "timestamptz", False),
        ("TIMESTAMPTZ", "timestamptz", False),
        ("TIME WITH TIME ZONE", "string", True),
        ("HUGEINT", "decimal(38,0)", True),
        ("UHUGEINT", "decimal(38,0)", True),
        ("TIMESTAMP_S", "timestamp", True),
        ("TIMESTAMP_MS", "timestamp", True),
        ("TIMESTAMP_NS", "timestamp", True),
        ("TIMESTAMPTZ_NS", "timestamptz", True),
        ("TIME_NS", "time", True),
        ("TIMESTAMP_NS[]", "list<timestamp?>", True),
        ("ENUM('a', 'b)', 'c''d', ',')", "string", True),
        ("ENUM('x)')[]", "list<string?>", True),
        ("BIT", "string", True),
        ("BIGNUM", "string", True),
        ("VARIANT", "json", True),
        ("GEOMETRY", "binary", True),
        ('"NULL"', "string", True),
        ("INTEGER[3]", "list<int32?>", True),
        ("INTEGER[3][]", "list<list<int32?>?>", True),
        ("STRUCT(a TIME_NS, b INTEGER)", "struct<a: time?, b: int32?>", True),
        ('STRUCT("a ""b" INTEGER, x VARCHAR[])', 'struct<"a ""b": int32?, x: list<string?>?>', False),
        ("MAP(VARCHAR, MAP(DATE, BLOB))", "map<string,map<date,binary?>?>", False),
    ],
)
def test_what_duckdb_prints_is_read(text, spelling, differs):
    read = read_duckdb(text)
    assert str(read.type) == spelling
    assert read.differs is differs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "UNION(a INTEGER, b VARCHAR)",
        "TUPLE(INTEGER, VARCHAR)",
        "STRUCT",
        "STRUCT()",
        "STRUCT(INTEGER)",
        "MAP(VARCHAR)",
        "DECIMAL(a)",
        "DECIMAL(4,",
        "ENUM('a'",
        "ENUM(a)",
        "ENUM()",
        '"my type"',
        "INTEGER INTEGER",
        "INTEGER[",
        "INTEGER[x]",
        "TIMESTAMP WITH ZONE",
        "DATE WITH TIME ZONE",
        'STRUCT("a INTEGER)',
        "NONSENSE",
        "\0",
    ],
)
def test_what_no_type_here_holds_is_named(text):
    with pytest.raises(ConfigError) as caught:
        from_duckdb(text)
    assert caught.value.code == "DOC-407"
    assert text[:200] in caught.value.problems[0].message


@pytest.mark.parametrize("text", ["INTEGER" + "[]" * 40, "INTEGER" + "[]" * 100_000, "MAP(INTEGER, " * 5_000])
def test_depth_is_bounded(text):
    with pytest.raises(ConfigError) as caught:
        from_duckdb(text)
    assert caught.value.code == "DOC-403"


@pytest.mark.parametrize(
    ("expression", "rounds"),
    [
        ("170141183460469231731687303715884105727::HUGEINT", False),
        ("'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS", True),
        ("'12:00:00.123456789'::TIME_NS", True),
    ],
)
def test_what_differs_from_its_type_either_fails_the_cast_or_rounds(connection, expression, rounds):
    relation = connection.sql(f"SELECT {expression} AS c")
    read = read_duckdb(str(relation.types[0]))
    assert read.differs
    cast = connection.sql(f"SELECT c::{to_duckdb_text(read.type)} FROM relation")
    if rounds:
        assert cast.fetchall()
    else:
        with pytest.raises(duckdb.ConversionException):
            cast.fetchall()


@pytest.mark.parametrize(
    ("expression", "spelling"),
    [
        ("'a'::ENUM('a')", "string"),
        ("'101'::BIT", "string"),
        ("3::BIGNUM", "string"),
        ("'12:00:00+02'::TIMETZ", "string"),
        ("{'a': DATE '2024-01-01'}::VARIANT", "json"),
        ("'POINT (1 1)'::GEOMETRY", "binary"),
        ("[1, 2]::INTEGER[2]", "list<int32?>"),
        ("NULL", "string"),
        ("12::HUGEINT", "decimal(38,0)"),
        ("12::UHUGEINT", "decimal(38,0)"),
    ],
)
def test_every_differing_type_can_be_cast_to_its_type(connection, expression, spelling):
    relation = connection.sql(f"SELECT {expression} AS c")
    read = read_duckdb(str(relation.types[0]))
    assert str(read.type) == spelling
    cast = connection.sql(f"SELECT c::{to_duckdb_text(read.type)} AS c FROM relation")
    cast.fetchall()
    assert type_from_arrow(cast.to_arrow_table().schema.field(0).type) == read.type


def test_names_that_differ_in_case_only_are_refused_in_a_struct():
    collide = Struct((StructField("id", Primitive(Kind.INT8)), StructField("ID", Primitive(Kind.INT8))))
    with pytest.raises(ConfigError) as caught:
        to_duckdb(collide)
    assert caught.value.code == "DOC-408"


def test_names_that_duckdb_tells_apart_are_taken(connection):
    apart = parse_type('struct<"Ä": int8?, "ä": int8?, "ß": int8?, ss: int8?>')[0]
    assert from_duckdb(str(connection.sql(nulls_of(apart)).types[0])) == apart


def test_a_named_enum_is_printed_by_its_values(connection):
    connection.execute("CREATE TYPE mood AS ENUM ('happy', 'sad'); CREATE TABLE t (m mood)")
    assert str(from_duckdb(connection.execute("DESCRIBE t").fetchall()[0][1])) == "string"
