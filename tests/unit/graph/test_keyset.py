"""The greatest of a value's rows: in the order of each type, and given back by its text."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from sqlglot import exp

from penstock.graph.keyset import Key, has_order, is_beyond, total_of
from penstock.graph.nodes import Read
from penstock.trees import column, text_of
from penstock.types import Field, LogicalType, Schema, parse_type
from penstock.types.duckdb import to_duckdb

# Of each type, in its order.
VALUES: dict[str, list[str]] = {
    "string": ["", "A", "O'Hara", "Z", "a\\n", "a\u0301", "\U0001f6e2"],
    "boolean": ["false", "true"],
    "int64": ["-9223372036854775808", "-1", "0", "9", "10", "9223372036854775807"],
    "decimal(38,4)": ["-0.5000", "0.0000", "1.0001", "9999999999999999999999999999999999.9999"],
    "float64": ["-inf", "-1e+300", "0.1", "0.30000000000000004", "inf", "nan"],
    "date": ["0044-03-15 (BC)", "1970-01-01", "9999-12-31", "infinity"],
    "timestamp": ["2024-01-01 00:00:00", "2024-01-01 00:00:00.000001", "infinity"],
    "timestamptz": ["2024-01-01 00:00:00+00", "2024-01-01 00:00:00.5+00"],
    "time": ["00:00:00", "23:59:59.999999"],
    "uuid": ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000000"],
    "binary": ["", "\\x00", "a", "a\\x00", "\\xFF"],
}


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    return connection


def kind_of(text: str) -> LogicalType:
    return parse_type(text)[0]


def read_of(**kinds: str) -> Read:
    return Read("t", source="t", schema=Schema(tuple(Field(name, kind_of(kind)) for name, kind in kinds.items())))


def key_of(read: Read, *values: str) -> Key:
    assert read.schema is not None
    return Key(read.schema.names, tuple(str(item.type) for item in read.schema.fields), values, 0, "0")


def asked(
    connection: duckdb.DuckDBPyConnection, read: Read, rows: list[tuple[str, ...]], *found: exp.Expr
) -> list[Any]:
    """What the expressions are over each of the rows, or over all of them."""
    assert read.schema is not None
    names = read.schema.names
    listed = [exp.Tuple(expressions=[exp.Literal.string(text) for text in row]) for row in rows]
    alias = exp.TableAlias(this=exp.to_identifier("g"), columns=[exp.to_identifier(name) for name in names])
    given = exp.Values(expressions=listed, alias=alias)
    casts = [exp.Cast(this=column(item.name), to=to_duckdb(item.type)) for item in read.schema.fields]
    typed = exp.select(*(exp.alias_(cast, name) for cast, name in zip(casts, names, strict=True)))
    query = exp.select(*found).from_(typed.from_(given).subquery("r"))
    return connection.execute(query.sql(dialect="duckdb")).fetchall()


@pytest.mark.parametrize("kind", sorted(VALUES))
def test_values_of_every_type_keep_their_place(kind: str, connection: duckdb.DuckDBPyConnection) -> None:
    values, read = VALUES[kind], read_of(x=kind)
    assert read.schema is not None
    assert has_order(read.schema["x"].type)
    every = [(value,) for value in values]
    texts = [text for (text,) in asked(connection, read, every, text_of(column("x")))]
    for place, text in enumerate(texts):
        beyond = [is_so for (is_so,) in asked(connection, read, every, is_beyond(read, key_of(read, text)))]
        assert beyond == [other > place for other in range(len(values))], text


def test_three_columns_are_compared_one_after_the_other(connection: duckdb.DuckDBPyConnection) -> None:
    read = read_of(a="string", b="int64", c="float64")
    ordered = [
        ("a", "9", "1"),
        ("a", "10", "0"),
        ("a", "10", "nan"),
        ("b", "1", "1"),
        ("b", "1", "inf"),
        ("b", "1", "nan"),
    ]
    for place, row in enumerate(ordered):
        beyond = [is_so for (is_so,) in asked(connection, read, ordered, is_beyond(read, key_of(read, *row)))]
        assert beyond == [other > place for other in range(len(ordered))], row


@pytest.mark.parametrize("kind", ["json", "interval", "list<int64>"])
def test_types_whose_text_does_not_tell_the_order_have_none(kind: str) -> None:
    assert not has_order(kind_of(kind))


def test_a_total_knows_no_order(connection: duckdb.DuckDBPyConnection) -> None:
    read = read_of(a="string", b="int64")
    rows = [("x", "1"), ("y", "2"), ("x", "1")]
    total = total_of(("a", "b"))
    assert asked(connection, read, rows, total) == asked(connection, read, rows[::-1], total)
    assert asked(connection, read, rows, total) != asked(connection, read, rows[:2], total)
    assert asked(connection, read, rows, total) != asked(connection, read, [*rows[:2], ("x", "2")], total)
