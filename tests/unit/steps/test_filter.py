from __future__ import annotations

import pytest
from harness import problem, run

_COLUMNS = {"n": "int64?", "t": "string?", "d": "date?", "f": "float64?", "b": "boolean?", "p": "decimal(6,2)?"}
_ROWS = [
    {"n": 1, "t": "brent", "d": None, "f": 1.5, "b": True, "p": None},
    {"n": 2, "t": "wti", "d": None, "f": float("nan"), "b": False, "p": None},
    {"n": None, "t": None, "d": None, "f": None, "b": None, "p": None},
]


def _kept(step: str) -> list[object]:
    return [row["n"] for row in run(f"- filter: {step}", _COLUMNS, _ROWS).rows]


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ("n > 1", [2]),
        ("n is null", [None]),
        ("not (t = 'brent')", [2]),
        ("true", [1, 2, None]),
        ("b", [1]),
        ("{column: n, op: '=', value: 1}", [1]),
        ("{column: n, op: '!=', value: 1}", [2]),
        ("{column: n, op: '>=', value: 1}", [1, 2]),
        ("{column: n, op: in, value: [1, 3]}", [1]),
        ("{column: n, op: not_in, value: [1]}", [2]),
        ("{column: n, op: between, value: [2, 5]}", [2]),
        ("{column: n, op: is_null}", [None]),
        ("{column: n, op: is_not_null}", [1, 2]),
        ("{column: t, op: starts_with, value: br}", [1]),
        ("{column: t, op: ends_with, value: i}", [2]),
        ("{column: t, op: contains, value: '%'}", []),
        ("{column: t, op: like, value: 'b%'}", [1]),
        ("{column: t, op: not_like, value: 'b%'}", [2]),
        ("{column: t, op: matches, value: '^w.i$'}", [2]),
        ("{column: b, op: '=', value: true}", [1]),
        ("{column: f, op: '<', value: 2}", [1]),
        ("{all: [{column: n, op: '>', value: 0}, {column: t, op: '=', value: wti}]}", [2]),
        ("{any: [{column: n, op: '=', value: 1}, {column: t, op: is_null}]}", [1, None]),
        ("{not: [{column: n, op: '=', value: 1}, {column: t, op: '=', value: x}]}", [2]),
        ("{not: {any: [{column: n, op: '=', value: 1}, {not: [{column: t, op: '=', value: wti}]}]}}", [2]),
        ("{column: N, op: '=', value: 1}", [1]),
    ],
)
def test_rows_for_which_it_is_true_stay(step: str, kept: list[object]) -> None:
    assert _kept(step) == kept


def test_what_is_left_out_is_counted_as_filtered() -> None:
    ran = run("- filter: n > 1", _COLUMNS, _ROWS)
    assert (ran.counts["rows"], ran.counts["result.filter"]) == (3, 1)


def test_a_filter_proves_that_a_column_is_never_null() -> None:
    ran = run("- filter: n > 0 and t is not null", _COLUMNS, _ROWS)
    assert (ran.types["n"], ran.types["t"], ran.types["f"]) == ("int64", "string", "float64?")


@pytest.mark.parametrize("step", ["n + 1", "{text: brent}", "1", "t"])
def test_a_condition_is_true_or_false(step: str) -> None:
    found = problem(f"- filter: {step}", _COLUMNS)
    assert found.code == "CMP-246"
    assert found.at is not None


@pytest.mark.parametrize(
    "step",
    [
        "{column: n, op: '=', value: one}",
        "{column: n, op: '=', value: 1.5}",
        "{column: n, op: '=', value: true}",
        "{column: n, op: '=', value: 9223372036854775808}",
        "{column: t, op: '=', value: 1}",
        "{column: d, op: '>', value: 2024-02-30}",
        "{column: d, op: '>', value: 20}",
        "{column: b, op: '=', value: 1}",
        "{column: p, op: '=', value: 10000}",
        "{column: p, op: '=', value: 0.001}",
        "{column: p, op: in, value: [1, x]}",
    ],
)
def test_a_value_of_another_type_is_an_error_before_the_run(step: str) -> None:
    assert problem(f"- filter: {step}", _COLUMNS).code == "CMP-258"


def test_values_of_every_kind_are_compared_as_the_columns_type() -> None:
    parts = [
        "{column: d, op: '=', value: 2024-01-01}",
        "{column: ts, op: '=', value: '2024-01-01T10:00:00'}",
        "{column: u, op: '=', value: 00000000-0000-0000-0000-000000000001}",
        "{column: p, op: '=', value: '1.50'}",
    ]
    columns = {"d": "date", "ts": "timestamp", "u": "uuid", "p": "decimal(6,2)"}
    assert run(f"- filter: {{all: [{', '.join(parts)}]}}", columns).rows == []


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{column: n, op: starts_with, value: x}", "CMP-259"),
        ("{column: l, op: '=', value: x}", "CMP-259"),
        ("{column: t, op: matches, value: '('}", "CMP-247"),
        ("{column: t, op: matches, value: '(?=x)'}", "CMP-247"),
        ("{column: n, op: '==', value: 1}", "DOC-203"),
        ("{column: n, op: '='}", "DOC-203"),
        ("{column: n, op: '=', value: null}", "DOC-203"),
        ("{column: n, op: in, value: 1}", "DOC-203"),
        ("{column: n, op: in, value: []}", "DOC-203"),
        ("{column: n, op: '=', value: [1]}", "DOC-203"),
        ("{column: n, op: between, value: [1]}", "DOC-203"),
        ("{column: n, op: is_null, value: 1}", "DOC-203"),
        ("{all: []}", "DOC-203"),
        ("{all: [n], any: [n]}", "DOC-203"),
        ("{some: [{column: n, op: is_null}]}", "DOC-203"),
        ("[n > 1]", "DOC-203"),
        ("{column: n, op: '=', value: 1, extra: 2}", "DOC-203"),
    ],
)
def test_mistakes_have_their_own_codes(step: str, code: str) -> None:
    assert problem(f"- filter: {step}", {**_COLUMNS, "l": "list<int64?>?"}).code == code


def test_a_hostile_value_is_only_a_value() -> None:
    rows = [{"t": "x' or '1'='1"}, {"t": "y"}]
    ran = run("- filter: {column: t, op: '=', value: \"x' or '1'='1\"}", {"t": "string?"}, rows)
    assert ran.rows == rows[:1]
