"""Which rows SQLite may leave out: none for which the condition is true of what the reader makes of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import parse_one

from penstock.connectors.sqlite.narrowing import narrowed
from penstock.types import Schema

SCHEMA = Schema.of({"n": "int64?", "small": "int32?", "day": "date?", "at": "timestamp?", "v": "string?"})


def kept(condition: str, column: str, values: list[Any]) -> list[Any]:
    """Those that SQLite finds."""
    tree = narrowed(parse_one(condition, dialect="duckdb"), SCHEMA)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table t (n, small, day, at, v)")
        connection.executemany(f"insert into t ({column}) values (?)", [(value,) for value in values])
        where = "true" if tree is None else tree.sql(dialect="sqlite")
        return [row[0] for row in connection.execute(f"select {column} from t where {where} order by rowid")]


ODD: list[Any] = [None, "5", "x", b"\x05", 5.0, 5.5, 1e300]
DAYS: list[Any] = ["2024-01-31", "2024-02-01", "2024-02-29", "9999-12-31"]
ODD_DAYS: list[Any] = [
    None,
    "2024-02-30",
    "2024-1-31",
    "2024-01-31 00:00:00",
    "31.01.2024",
    20240131,
    b"2024-01-31",
    "",
]
TIMES: list[Any] = [
    "2024-01-31 11:59:59",
    "2024-01-31T12:00:00",
    "2024-01-31 12:00:00.500",
    "2024-02-01 00:00:00.000001",
]
ODD_TIMES: list[Any] = [
    None,
    "2024-01-31",
    "2024-01-31 25:00:00",
    "2024-01-31 12:00:00Z",
    "2024-01-31 12:00:00+01:00",
    5,
    "x",
]


@pytest.mark.parametrize(
    ("condition", "column", "values", "found"),
    [
        ("n >= 5 and n < 7", "n", [4, 5, 6, 7, -9], [5, 6]),
        ("n >= 5 or n is null", "n", [4, 5, *ODD], [5, *ODD]),
        ("n > -3 and n <= 5", "n", [-4, -3, -2, *ODD], [-2, *ODD]),
        ("n < 5 and v > 'x'", "n", [4, 5], [4]),
        ("day >= cast('2024-02-01' as date)", "day", [*DAYS, *ODD_DAYS], [*DAYS[1:], *ODD_DAYS]),
        ("day < cast('2024-02-01' as date) or day is null", "day", [*DAYS, *ODD_DAYS], [DAYS[0], *ODD_DAYS]),
        ("at >= cast('2024-01-31 12:00:00.75' as timestamp)", "at", [*TIMES, *ODD_TIMES], [*TIMES[1:], *ODD_TIMES]),
        ("at < cast('2024-01-31 12:00:00' as timestamp)", "at", [*TIMES, *ODD_TIMES], [*TIMES[:3], *ODD_TIMES]),
    ],
)
def test_what_surely_does_not_fulfil_it_is_left_out(
    condition: str, column: str, values: list[Any], found: list[Any]
) -> None:
    assert kept(condition, column, values) == found


@pytest.mark.parametrize(
    "condition",
    ["small > 5", "v > 'a'", "n = 5", "not n > 5", "n > 5 or v = 'a'", "n > 5.5", "n > small", "abs(n) > 5", "nosuch > 5",
     "day > cast('tomorrow' as date)", "n > 12345678901234567890"],
)  # fmt: skip
def test_of_anything_else_all_rows_are_read(condition: str) -> None:
    assert narrowed(parse_one(condition, dialect="duckdb"), SCHEMA) is None


ends = st.integers(-(10**17), 10**17)


@given(ends, ends, st.lists(ends | st.integers(-5, 5)))
def test_whole_numbers_are_parted_as_they_are(low: int, high: int, values: list[int]) -> None:
    found = kept(f"n >= {low} and n < {high}", "n", values)
    assert found == [value for value in values if low <= value < high]


@given(st.datetimes(), st.lists(st.datetimes(), max_size=5))
def test_no_time_is_lost(end: Any, values: list[Any]) -> None:
    shown = [value.isoformat(" ") for value in values]
    for sign, holds in (("<", lambda one: one < end), (">=", lambda one: one >= end)):
        found = kept(f"at {sign} cast('{end.isoformat(' ')}' as timestamp)", "at", shown)
        assert set(found) >= {text for text, value in zip(shown, values, strict=True) if holds(value)}
