from __future__ import annotations

from typing import Any

import pytest
from harness import Other, Ran, problem, run

_COLUMNS = {"k": "string?", "n": "int64?"}
_ROWS = [{"k": "a", "n": 1}, {"k": "a", "n": 2}, {"k": None, "n": 3}]


def _run(sql: str, rows: Any = _ROWS) -> Ran:
    return run(f"- sql: {sql}", _COLUMNS, rows)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select k, sum(n) as total from this group by k order by k", [("a", 3), (None, 3)]),
        ("select t.n from this as t where t.n > (select avg(n) from this)", [(3,)]),
        ("from THIS select n * 2 as twice where k = 'a'", [(2,), (4,)]),
        ("select this.k, n from this where n = 1 union all select 'z', 0", [("a", 1), ("z", 0)]),
        ("with big as (select * from this where n > 1) select count(*) as c from big", [(2,)]),
        ("select n, row_number() over (order by n desc) as place from this qualify place = 1", [(3, 1)]),
        ("select a.n, b.n as m from this a join this b on a.n = b.n - 1 order by 1", [(1, 2), (2, 3)]),
        ("select unnest([n, n]) as x from this where n = 1", [(1,), (1,)]),
        ("select * exclude (k) from this where k is null", [(3,)]),
        ("select n from this where k = 'it''s -- \"quoted\"'", []),
    ],
)
def test_one_select_over_this(sql: str, rows: list[tuple[Any, ...]]) -> None:
    ran = run("- sql: |\n    " + sql, _COLUMNS, _ROWS)
    assert [tuple(row.values()) for row in ran.rows] == rows


def test_the_empty_input() -> None:
    assert _run("select k from this", []).rows == []


def test_the_long_form() -> None:
    assert run("- sql: {query: select n from this limit 0}", _COLUMNS, _ROWS).types == {"n": "int64?"}


def test_every_column_counts_as_nullable_since_nothing_is_proved() -> None:
    assert _run("select 1 as one, n from this").types == {"one": "int32?", "n": "int64?"}


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("select * from other", "CMP-225"),
        ("select * from rows", "CMP-225"),
        ("select * from this join other using (n)", "CMP-225"),
        ("with this as (select 1 as a) select * from this", "CMP-213"),
        ("select * from read_csv('x.csv')", "CMP-226"),
        ("\"select * from 'x.csv'\"", "CMP-226"),
        ("delete from this", "CMP-224"),
        ("select n from this; select k from this", "CMP-224"),
        ("select nn from this", "CMP-203"),
        ("select n, n from this", "CMP-209"),
        ("select nosuch(n) from this", "CMP-205"),
        ("select n from this where", "CMP-207"),
        ("''", "DOC-203"),
        ("1", "DOC-203"),
        ("[select 1]", "DOC-203"),
    ],
)
def test_mistakes(sql: str, code: str) -> None:
    found = problem(f"- sql: {sql}", _COLUMNS, {"other": Other({"n": "int64"})})
    assert found.code == code
    assert found.at is not None


def test_a_with_name_never_captures_the_rows_that_come_in() -> None:
    sql = "- sql: with Rows as (select 9 as n), b as (select n from this) select n from b"
    found = problem(sql, {"n": "int64?"})
    assert (found.code, found.hint) == ("CMP-213", "give it another name")
    other = run(sql.replace("Rows", "others"), {"n": "int64?"}, [{"n": 1}])
    assert other.rows == [{"n": 1}]


def test_an_unknown_node_is_pointed_at() -> None:
    found = problem("- sql: select * from thsi", _COLUMNS)
    assert found.hint == 'did you mean "this"?'
    assert found.at is not None
    assert found.at.source is not None
    assert found.at.source[found.at.column - 1 : found.at.end_column - 1] == "thsi"
