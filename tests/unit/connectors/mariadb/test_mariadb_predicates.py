"""Which conditions go to the server and in which words, and how a key is cut into ranges."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from sqlglot import parse_one

from penstock.connectors.mariadb.catalogue import Column
from penstock.connectors.mariadb.predicates import Predicates
from penstock.connectors.mariadb.ranges import _between, _bounds
from penstock.connectors.mariadb.sql import Sql
from penstock.types import parse_type

COLUMNS = [
    (Column("id", "bigint", "bigint"), "int64"),
    (Column("price", "decimal", "decimal(10,2)"), "decimal(10,2)"),
    (Column("size", "double", "double"), "float64"),
    (Column("narrow", "float", "float"), "float32"),
    (Column("day", "date", "date"), "date"),
    (Column("at", "datetime", "datetime(6)"), "timestamp"),
    (Column("seen", "timestamp", "timestamp"), "timestamptz"),
    (Column("a`b", "longtext", "longtext", collation="utf8mb4_nopad_bin"), "string"),
    (Column("loose", "varchar", "varchar(9)", collation="utf8mb4_general_ci"), "string"),
    (Column("flag", "tinyint", "tinyint(1)"), "boolean"),
]
TYPED = [(column, parse_type(kind)[0]) for column, kind in COLUMNS]


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("ID > 2 and not (price <= -1.5)", "`id` > 2 AND NOT (`price` <= -1.5)"),
        ("size between 1 and 2", "`size` BETWEEN 1 AND 2"),
        ("day >= date '2024-01-31'", "`day` >= '2024-01-31'"),
        ("\"at\" < timestamp '2024-01-31 05:06:07.000009'", "`at` < '2024-01-31 05:06:07.000009'"),
        ("seen = timestamptz '2024-01-31 01:00:00+02'", "`seen` = '2024-01-30 23:00:00'"),
        ("\"a`b\" in ('it''s', 'back\\slash')", r"`a``b` IN ('it\'s', 'back\\slash')"),
        ("\"a`b\" = '2024-01-31 01:00:00+02'", "`a``b` = '2024-01-31 01:00:00+02'"),
        ("flag is null or loose is not null", "`flag` IS NULL OR NOT `loose` IS NULL"),
    ],
)
def test_conditions_that_the_server_applies(condition: str, text: str) -> None:
    known = Predicates(TYPED, "reject")
    tree = parse_one(condition, dialect="duckdb")
    assert known.takes(tree)
    assert known.text(tree) == text


@pytest.mark.parametrize(
    "condition",
    [
        *("loose = 'x'", "\"a`b\" > 'x'", "narrow > 1.5", "flag", "flag = true", "day > '2024-02-30'", "id > price"),
        *("other = 1", "id > 1 + 1", "lower(\"a`b\") = 'x'"),
    ],
)
def test_conditions_that_it_does_not(condition: str) -> None:
    assert not Predicates(TYPED, "reject").takes(parse_one(condition, dialect="duckdb"))


@pytest.mark.parametrize("condition", ["day is null", "\"at\" > timestamp '2024-01-31 00:00:00'", "flag is null"])
def test_where_bad_values_are_null_the_server_is_not_asked_of_them(condition: str) -> None:
    assert not Predicates(TYPED, "null").takes(parse_one(condition, dialect="duckdb"))


@pytest.mark.parametrize(
    ("low", "high", "parts", "bounds"),
    [
        (0, 9, 3, [3, 6]),
        (5, 5, 3, []),
        (0, 1, 4, []),
        (-(2**63), 2**64 - 1, 2, [-(2**63) + (2**64 - 1 + 2**63) // 2]),
        (Decimal("0.0"), Decimal("1.0"), 2, [Decimal("0.5")]),
        (date(2024, 1, 1), date(2024, 1, 5), 2, [date(2024, 1, 3)]),
        (date(2024, 1, 1), date(2024, 1, 2), 2, []),
        (datetime(2024, 1, 1), datetime(2024, 1, 2), 2, [datetime(2024, 1, 1, 12)]),  # noqa: DTZ001
        ("0000-00-00", date(2024, 1, 1), 2, []),
        (None, None, 2, []),
    ],
)
def test_ranges_of_a_key(low: object, high: object, parts: int, bounds: list[object]) -> None:
    assert _bounds(low, high, parts) == bounds


def test_every_value_is_in_one_range() -> None:
    found = _between(Sql("k"), [Sql("3"), Sql("6")])
    assert found == ["(k < 3 OR k IS NULL)", "(k >= 3 AND k < 6)", "k >= 6"]
    assert _between(Sql("k"), []) == [None]
