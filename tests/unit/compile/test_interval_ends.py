"""Whether anything can lie between the ends of an interval."""

from __future__ import annotations

import pytest

from penstock.compile.interval import _is_empty
from penstock.graph.nodes import Cursor, Read
from penstock.graph.span import Interval
from penstock.types import Field, Schema
from penstock.types.parse import parse_type


@pytest.mark.parametrize(
    ("kind", "begin", "end", "empty"),
    [
        ("int64", "9", "10", False),
        ("int64", "10", "9", True),
        ("decimal(4,2)", "1.50", "1.5", True),
        ("string", "b", "a", True),
        ("string", "a", "b", False),
        ("timestamp", "2024-01-02", "2024-01-01 23:00:00", True),
        ("timestamptz", "2024-01-01T12:00:00+02:00", "2024-01-01T11:00:00Z", False),
        ("timestamptz", "2024-01-01T14:00:00+02:00", "2024-01-01T11:00:00Z", True),
        ("timestamp", "20000-01-01", "19000-01-01", False),  # years that only the engine knows
    ],
)
def test_an_interval_ends_behind_its_beginning(kind: str, begin: str, end: str, empty: bool) -> None:  # noqa: FBT001 -- a parameter
    schema = Schema((Field("at", parse_type(kind)[0]),))
    read = Read("t", source="t", schema=schema, incremental=True, cursor=Cursor("at", ("at",)))
    assert _is_empty(Interval(begin, end), read) is empty
