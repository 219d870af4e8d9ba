from __future__ import annotations

from typing import Any

import pytest
from harness import Ran, problem, run

_COLUMNS = {"k": "string?", "at": "int64?", "v": "float64?"}
_ROWS = [
    {"k": "a", "at": 1, "v": 1.0},
    {"k": "a", "at": 3, "v": 3.0},
    {"k": "a", "at": None, "v": 9.0},
    {"k": None, "at": 1, "v": 4.0},
    {"k": None, "at": 2, "v": 5.0},
]


def _run(step: str, rows: Any = _ROWS) -> Ran:
    return run(f"- deduplicate: {step}", _COLUMNS, rows)


def _values(ran: Ran) -> dict[Any, float]:
    return {row["k"]: row["v"] for row in ran.rows}


@pytest.mark.parametrize(
    ("step", "values"),
    [
        ("{keys: [k], order_by: at}", {"a": 1.0, None: 4.0}),
        ("{keys: [k], order_by: at, keep: last}", {"a": 3.0, None: 5.0}),
        ("{keys: [k], order_by: at desc}", {"a": 3.0, None: 5.0}),
        ("{keys: [k], order_by: at desc, keep: last}", {"a": 1.0, None: 4.0}),
        ("{keys: [k], order_by: at nulls first}", {"a": 9.0, None: 4.0}),
        ("{keys: [k], order_by: at nulls first, keep: last}", {"a": 3.0, None: 5.0}),
        ("{keys: [K], order_by: ['coalesce(at, 99)'], keep: last}", {"a": 9.0, None: 5.0}),
    ],
)
def test_keeps_the_first_or_last_by_order_and_nulls_lose(step: str, values: dict[Any, float]) -> None:
    ran = _run(step)
    assert _values(ran) == values
    assert list(ran.types) == ["k", "at", "v"]


def test_without_keys_whole_rows_are_compared_with_nulls_and_nan_equal() -> None:
    nan = float("nan")
    rows = (
        [{"k": None, "at": 1, "v": nan}] * 3 + [{"k": "a", "at": None, "v": None}] * 2 + [{"k": "a", "at": 1, "v": 0.0}]
    )
    assert len(_run("{}", rows).rows) == 3


def test_the_short_form_names_the_keys() -> None:
    assert sorted(map(str, _values(_run("[k]")))) == ["None", "a"]
    assert len(_run("[k, at]").rows) == 5


@pytest.mark.parametrize("step", ["[k]", "{keys: [k], order_by: at}", "{keys: [k], order_by: at, keep: last}"])
def test_ties_are_settled_the_same_whatever_the_order_of_rows(step: str) -> None:
    rows = [{"k": "a", "at": 1, "v": float(v)} for v in range(40)]
    assert _run(step, rows).rows == _run(step, rows[::-1]).rows == _run(step, rows[13:] + rows[:13]).rows


def test_the_empty_input_and_hostile_names() -> None:
    assert _run("[k]", []).rows == []
    name = 'a"; DROP TABLE x;--'
    ran = run(
        "- deduplicate: {keys: ['a\"; DROP TABLE x;--'], order_by: '\"select\" desc'}",
        {name: "int64", "select": "int64"},
        [{name: 1, "select": 1}, {name: 1, "select": 2}],
    )
    assert ran.rows == [{name: 1, "select": 2}]


def test_nested_values_can_be_keys_and_break_ties() -> None:
    columns = {"k": "list<int64?>?", "m": "struct<a: int64?>?"}
    rows = [{"k": [1], "m": {"a": 1}}, {"k": [1], "m": {"a": 2}}, {"k": [1, None], "m": None}, {"k": None, "m": None}]
    assert len(run("- deduplicate: [k]", columns, rows).rows) == 3


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{keys: [k], keep: last}", "CMP-289"),
        ("[kk]", "CMP-203"),
        ("{keys: [k], order_by: att}", "CMP-203"),
        ("{keys: [k], order_by: sum(at)}", "CMP-208"),
        ("{keys: [k], keep: newest}", "DOC-203"),
        ("{keys: [k], order: at}", "DOC-201"),
        ("[]", "DOC-203"),
    ],
)
def test_mistakes(step: str, code: str) -> None:
    found = problem(f"- deduplicate: {step}", _COLUMNS)
    assert found.code == code
    assert found.at is not None
