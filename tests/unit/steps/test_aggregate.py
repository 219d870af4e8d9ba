from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from harness import Ran, connect, problem, run
from sqlglot import exp, parse_one

from penstock.steps.aggregates import UNPARSED, UNPARSED_WINDOW, UNSETTLED, is_aggregate, is_window_only

_COLUMNS = {"k": "string?", "n": "int64?", "price": "decimal(8,2)?", "day": "date?", "f": "float64?"}
_ROWS = [
    {"k": "a", "n": 1, "price": Decimal("1.50"), "day": date(2024, 1, 2), "f": 1.0},
    {"k": "a", "n": 2, "price": Decimal("2.50"), "day": date(2024, 1, 1), "f": 2.0},
    {"k": "a", "n": 2, "price": None, "day": None, "f": float("nan")},
    {"k": None, "n": None, "price": Decimal("4.00"), "day": date(2024, 1, 3), "f": None},
]


def _run(step: str, rows: Any = _ROWS) -> Ran:
    return run(f"- aggregate: {step}", _COLUMNS, rows)


def _by_key(ran: Ran) -> dict[Any, tuple[Any, ...]]:
    return {row["k"]: tuple(value for name, value in row.items() if name != "k") for row in ran.rows}


def test_counts_sums_and_extremes_leave_nulls_out() -> None:
    ran = _run(
        "{by: [k], measures: {rows: count(*), values: count(price), kinds: count(distinct n), total: sum(n), "
        "paid: sum(price), low: min(day), high: max(day)}}"
    )
    assert _by_key(ran) == {
        "a": (3, 2, 2, 5, Decimal("4.00"), date(2024, 1, 1), date(2024, 1, 2)),
        None: (1, 1, 0, None, Decimal("4.00"), date(2024, 1, 3), date(2024, 1, 3)),
    }
    assert list(ran.types.values()) == [
        *("string?", "int64", "int64", "int64", "decimal(38,0)?", "decimal(38,2)?", "date?", "date?")
    ]


def test_averages_and_quantiles() -> None:
    rows = [{"k": "a", "n": n, "f": float(n)} for n in (1, 2, 3, 4, 100)]
    ran = _run(
        "{measures: {mean: avg(n), middle: median(n), spread: 'round(stddev(f), 3)', p25: 'quantile_cont(n, 0.25)', "
        "p40: 'quantile_disc(n, 0.4)', both: 'quantile_cont(f, [0.25, 0.75])', "
        "within: percentile_cont(0.75) within group (order by n)}}",
        rows,
    )
    (row,) = ran.rows
    assert list(row.values()) == [22.0, 3.0, 43.618, 2.0, 2, [2.0, 4.0], 4.0]


def test_first_and_last_by_an_order() -> None:
    ran = _run(
        "{by: [k], measures: {first: first(price order by day), last: last(price order by day nulls first), "
        "at: 'arg_max(n, day)', least: 'min_by(n, day)'}}"
    )
    assert _by_key(ran)["a"] == (Decimal("2.50"), Decimal("1.50"), 1, 2)


_TIED = [{"k": "a", "n": n, "day": date(2024, 1, 1), "f": float(n % 7)} for n in range(50)]
_CHOICES = (
    "first(n order by day)",
    "last(n order by day desc)",
    "'arg_max(n, day)'",
    "'min_by(n, day)'",
    "'arg_min(n, day, 3)'",
    "list(n)",
    "list(n order by day)",
    "array_agg(n order by day) filter (where n % 2 = 0)",
    "string_agg(n::varchar, '-')",
    "string_agg(n::varchar, '-' order by day)",
    "string_agg(distinct f::varchar, '-')",
    "list(distinct f)",
    "mode(f)",
    "any_value(n)",
    "arbitrary(n)",
    "histogram(f)",
)


def test_ties_are_settled_the_same_whatever_the_order_of_rows() -> None:
    measures = ", ".join(
        f"m{place}: {text if text[0] == chr(39) else repr(text)}" for place, text in enumerate(_CHOICES)
    )
    orders = (_TIED, _TIED[::-1], _TIED[25:] + _TIED[:25])
    found = [_run(f"{{by: [k], measures: {{{measures}}}}}", rows).rows for rows in orders]
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) == len(_CHOICES) + 1


@pytest.mark.parametrize(
    "measure",
    [
        *("first(n)", "last(n)", "'approx_quantile(n, 0.5)'", "'reservoir_quantile(n, 0.5)'", "'approx_top_k(n, 2)'"),
        *("'arg_max_null(n, day)'", "1 + first(n)"),
    ],
)
def test_what_is_left_to_chance_is_refused(measure: str) -> None:
    assert problem(f"- aggregate: {{measures: {{x: {measure}}}}}", _COLUMNS).code == "CMP-286"


def test_groups_by_expressions_even_under_the_name_of_another_column() -> None:
    ran = _run("{by: [{n: 'n % 2'}, {month: \"date_trunc('month', day)\"}], measures: {rows: count(*)}}")
    assert len(ran.rows) == 4
    assert list(ran.types) == ["n", "month", "rows"]


def test_groups_without_measures_are_the_distinct_keys() -> None:
    assert sorted(str(row["k"]) for row in _run("{by: k}").rows) == ["None", "a"]


def test_nan_is_one_group_and_so_is_null() -> None:
    nan = float("nan")
    rows = [{"f": nan}, {"f": nan}, {"f": None}, {"f": None}, {"f": 0.0}, {"f": -0.0}]
    assert sorted(row["n"] for row in _run("{by: [f], measures: {n: count(*)}}", rows).rows) == [2, 2, 2]


def test_the_empty_input_gives_one_row_only_without_keys() -> None:
    assert _run("{by: [k], measures: {n: count(*), s: sum(n)}}", []).rows == []
    assert _run("{measures: {n: count(*), s: sum(n)}}", []).rows == [{"n": 0, "s": None}]


def test_filters_of_a_measure_and_arithmetic_of_several() -> None:
    ran = _run("{by: [k], measures: {big: count(*) filter (where n > 1), share: 'sum(n) / count(*)', same: k || '!'}}")
    assert _by_key(ran)["a"] == (2, pytest.approx(5 / 3), "a!")


def test_hostile_names() -> None:
    name = 'a"; DROP TABLE x;--'
    ran = run(
        '- aggregate: {by: [\'a"; DROP TABLE x;--\'], measures: {order: sum("select")}}',
        {name: "int64", "select": "int64"},
        [{name: 1, "select": 2}, {name: 1, "select": 3}],
    )
    assert ran.rows == [{name: 1, "order": 5}]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{}", "CMP-288"),
        ("{by: [k], measures: {x: price}}", "CMP-287"),
        ("{by: [k], measures: {x: sum(n) + n}}", "CMP-287"),
        ("{by: [k], measures: {x: sum(nn)}}", "CMP-203"),
        ("{by: [k], measures: {K: sum(n)}}", "CMP-209"),
        ("{by: [sum(n)]}", "CMP-203"),
        ("{by: [{x: sum(n)}]}", "CMP-208"),
        ("{by: [k], measures: {x: sum(sum(n))}}", "CMP-208"),
        ("{by: [k], measures: {x: sum(n) over ()}}", "CMP-241"),
        ("{by: [k], measures: {x: sum(k)}}", "CMP-206"),
        ("{by: [k], measures: {x: nosuch(n)}}", "CMP-205"),
        ("{by: [k], measures: [sum(n)]}", "DOC-203"),
        ("{by: [k], measure: {x: sum(n)}}", "DOC-201"),
    ],
)
def test_mistakes(step: str, code: str) -> None:
    found = problem(f"- aggregate: {step}", _COLUMNS)
    assert found.code == code
    assert found.at is not None


def test_every_aggregate_of_the_engine_is_known() -> None:
    rows = connect().execute("select distinct function_name from duckdb_functions() where function_type = 'aggregate'")
    names = {str(row[0]) for row in rows.fetchall()}
    unknown = {name for name in names if not any(is_aggregate(node) for node in _parsed(name).walk())}
    assert unknown == set()
    assert names >= UNPARSED
    assert names >= UNSETTLED


def test_every_window_function_of_the_engine_is_known() -> None:
    rows = connect().execute("select distinct function_name from duckdb_functions() where function_type = 'window'")
    names = {str(row[0]) for row in rows.fetchall()}
    assert {name for name in names if not is_window_only(_parsed(name))} == set()
    assert names >= UNPARSED_WINDOW


def _parsed(name: str) -> exp.Expr:
    arguments = "x, y" if name.startswith(("arg", "nth", "max_by", "min_by", "corr", "covar", "regr")) else "x"
    return parse_one(f"{name}({arguments})", dialect="duckdb")
