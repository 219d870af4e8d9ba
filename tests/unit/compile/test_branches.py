"""Which branch of a CASE a row takes, as the engine sees it."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from penstock.compile.branches import choices_of


def taken(expression: str, rows: str) -> list[tuple[tuple[str, ...], list[int | None]]]:
    """Of each CASE its branches, and the one that each row takes; a row is a value of ``a``."""
    tree = sqlglot.parse_one(f"select {expression}", dialect="duckdb").expressions[0]
    found = []
    for choice in choices_of(tree, written=False):
        query = exp.select(choice.taken).from_(f"(values {rows}) as t(a)").sql(dialect="duckdb")
        found.append((choice.branches, [row[0] for row in duckdb.sql(query).fetchall()]))
    return found


def test_each_row_takes_one_branch() -> None:
    ((branches, rows),) = taken("case when a > 2 then 'x' when a > 1 then 'y' end", "(3), (2), (1), (null)")
    assert (branches, rows) == (("when a > 2", "when a > 1", "else"), [0, 1, 2, 2])


def test_a_case_over_a_value_and_an_if_are_cases() -> None:
    ((branches, rows),) = taken("case a when 1 then 'x' else 'y' end", "(1), (2)")
    assert (branches, rows) == (("when 1", "else"), [0, 1])
    ((branches, rows),) = taken("if(a = 1, 'x', 'y')", "(1), (2)")
    assert (branches, rows) == (("when a = 1", "else"), [0, 1])


@pytest.mark.parametrize(
    ("expression", "inner"),
    [
        ("case when a > 2 then case when a = 3 then 1 else 2 end else 0 end", [0, 1, None]),
        ("case when a <= 2 then 0 else case when a = 3 then 1 else 2 end end", [0, 1, None]),
        ("case when a <= 2 then 0 when (case when a = 3 then true else false end) then 1 end", [0, 1, None]),
        ("if(a > 2, case when a = 3 then 1 else 2 end, 0)", [0, 1, None]),
        ("case when a <= 2 then 0 else 1 + (case when a = 3 then 1 else 2 end) end", [0, 1, None]),
    ],
)
def test_a_case_within_another_sees_only_the_rows_that_come_to_it(expression: str, inner: list[int | None]) -> None:
    assert inner in [rows for _, rows in taken(expression, "(3), (4), (1)")]


def test_a_guard_keeps_a_branch_from_values_that_it_cannot_take() -> None:
    rows = taken("case when a = 'x' then 0 else (case when a::int > 1 then 1 else 2 end) end", "('x'), ('2')")
    assert [1, None] in [sorted(found, key=lambda one: (one is None, one)) for _, found in rows] or rows[1][1] == [
        None,
        0,
    ]


def test_what_is_no_matter_of_one_row_is_left_out() -> None:
    for expression in (
        "case when sum(a) > 1 then 1 end",
        "case when row_number() over () > 1 then 1 end",
        "list_transform([a], x -> case when x > 1 then 1 end)",
    ):
        assert taken(expression, "(1)") == []


def test_only_what_an_author_wrote_counts() -> None:
    parsed = sqlglot.parse_one("select case when a then 1 end", dialect="duckdb").expressions[0]
    made = exp.Case(ifs=[exp.If(this=exp.column("a"), true=exp.Literal.number(1))])
    assert [len(list(choices_of(tree))) for tree in (parsed, made)] == [1, 0]
