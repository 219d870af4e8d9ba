from __future__ import annotations

from typing import Any

import pytest
from harness import Ran, problem, run

_COLUMNS = {"day": "int64", "brent": "decimal(8,2)?", "wti": "int64?", "note": "string?"}
_ROWS = [
    {"day": 1, "brent": 10, "wti": 9, "note": "x"},
    {"day": 2, "brent": None, "wti": 8, "note": None},
]


def _run(step: str, rows: Any = _ROWS) -> Ran:
    return run(f"- unpivot: {step}", _COLUMNS, rows)


def test_one_row_per_column_with_nulls_kept() -> None:
    ran = _run("{columns: [wti, brent], names_to: crude, values_to: price}")
    assert [tuple(row.values()) for row in ran.rows] == [
        *((1, "x", "wti", 9), (1, "x", "brent", 10)),
        *((2, None, "wti", 8), (2, None, "brent", None)),
    ]
    assert ran.types == {"day": "int64", "note": "string?", "crude": "string?", "price": "decimal(21,2)?"}
    assert ran.counts["result.unpivot"] == 2 * ran.counts["rows"]


def test_names_default_to_name_and_value_and_are_found_in_any_case() -> None:
    assert list(_run("{columns: [WTI]}").types) == ["day", "brent", "note", "name", "value"]
    assert _run("{columns: [WTI]}").rows[0]["name"] == "wti"


def test_the_empty_input_and_columns_named_twice() -> None:
    assert _run("{columns: [wti, brent]}", []).rows == []
    assert len(_run("{columns: [wti, wti, brent]}").rows) == 4


def test_hostile_names_and_the_name_of_our_own_column() -> None:
    name = "a\"'; DROP TABLE x;--"
    ran = run(
        '- unpivot: {columns: ["a\\"\'; DROP TABLE x;--"]}',
        {name: "int64", "__pair": "int64"},
        [{name: 1, "__pair": 2}],
    )
    assert ran.rows == [{"__pair": 2, "name": name, "value": 1}]


def test_values_of_lists_and_nan_are_kept() -> None:
    ran = run("- unpivot: {columns: [a, b]}", {"a": "float64?", "b": "float32?"}, [{"a": float("nan"), "b": 0.5}])
    assert str(ran.rows) == "[{'name': 'a', 'value': nan}, {'name': 'b', 'value': 0.5}]"
    ran = run("- unpivot: {columns: [a]}", {"a": "list<int64?>?"}, [{"a": [1, None]}])
    assert ran.rows == [{"name": "a", "value": [1, None]}]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{columns: [brent, note]}", "CMP-297"),
        ("{columns: [brnt]}", "CMP-203"),
        ("{columns: [brent, wti], names_to: day}", "CMP-209"),
        ("{columns: [brent, wti], names_to: a, values_to: A}", "CMP-209"),
        ("{columns: []}", "DOC-203"),
        ("{names_to: a}", "DOC-202"),
    ],
)
def test_mistakes(step: str, code: str) -> None:
    found = problem(f"- unpivot: {step}", _COLUMNS)
    assert found.code == code
    assert found.at is not None


def test_a_float_and_a_wide_integer_do_not_meet_without_a_cast() -> None:
    found = problem("- unpivot: {columns: [a, b]}", {"a": "float64", "b": "int64"})
    assert (found.code, found.hint) == ("CMP-297", "cast them to one type in a step before")
