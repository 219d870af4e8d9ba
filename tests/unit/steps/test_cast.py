from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from harness import problem, problems, run

_TEXTS = {"a": "string", "b": "string?"}
_ROWS = [{"a": "1", "b": "2024-01-01"}, {"a": "x", "b": "2024-02-30"}, {"a": "2", "b": None}]


def test_rows_with_bad_values_are_rejected_whole_with_each_cause() -> None:
    ran = run("- cast: {a: int64, b: date}", _TEXTS, _ROWS)
    assert ran.rows == [{"a": 1, "b": dt.date(2024, 1, 1)}, {"a": 2, "b": None}]
    assert [(item.code, item.column, item.row, item.on_fail) for item in ran.rejected] == [
        ("cast", "a", _ROWS[1], "reject"),
        ("cast", "b", _ROWS[1], "reject"),
    ]
    assert ran.rejected[0].message == '"a" is no int64: x'
    assert ran.counts["rows"] == ran.counts["result.cast.check"] + 1


def test_what_was_never_null_stays_so_where_bad_values_are_rejected() -> None:
    assert run("- cast: {a: int64, b: date}", _TEXTS, _ROWS).types == {"a": "int64", "b": "date?"}


@pytest.mark.parametrize("on_error", ["null", "'null'"])
def test_bad_values_become_null_where_that_is_asked_for(on_error: str) -> None:
    ran = run(f"- cast: {{a: int64, on_error: {on_error}}}", _TEXTS, _ROWS)
    assert [row["a"] for row in ran.rows] == [1, None, 2]
    assert (ran.rejected, ran.types["a"]) == ([], "int64?")


def test_fail_marks_the_causes() -> None:
    ran = run("- cast: {columns: {a: int64}, on_error: fail}", _TEXTS, _ROWS)
    assert [item.on_fail for item in ran.rejected] == ["fail"]


def test_a_widening_cast_checks_nothing() -> None:
    ran = run("- cast: {n: float64, m: int64}", {"n": "int32", "m": "int8?"}, [{"n": 1, "m": None}])
    assert list(ran.counts) == ["rows", "rows.schema.check", "result.cast"]
    assert ran.types == {"n": "float64", "m": "int64?"}


@pytest.mark.parametrize(
    ("source", "target", "good", "bad"),
    [
        ("int64", "int8", 127, 128),
        ("float64", "int64", 3.0, 1e300),
        ("float64", "decimal(4,2)", 99.99, 100.0),
        ("float64", "decimal(4,2)", 1.0, float("nan")),
        ("decimal(10,2)", "decimal(4,2)", Decimal("9.99"), Decimal("100.00")),
        ("string", "boolean", "true", "maybe"),
        ("string", "uuid", "00000000-0000-0000-0000-000000000001", "1"),
        ("string", "timestamptz", "2024-03-31T02:30:00Z", "31.03.2024"),
        ("string", "json", '{"a": 1}', "{a}"),
        ("string", "int64", "12", "twelve"),
        ("int64", "uint8", 255, -1),
    ],
)
def test_a_value_that_does_not_fit_is_rejected(source: str, target: str, good: object, bad: object) -> None:
    ran = run(f"- cast: {{a: '{target}'}}", {"a": f"{source}?"}, [{"a": good}, {"a": bad}, {"a": None}])
    assert (len(ran.rows), len(ran.rejected)) == (2, 1)


def test_the_null_of_json_is_null_and_no_reject() -> None:
    ran = run("- cast: {j: int64}", {"j": "json"}, [{"j": "null"}, {"j": "1"}, {"j": '"x"'}])
    assert [row["j"] for row in ran.rows] == [None, 1]
    assert ran.types == {"j": "int64?"}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("int64", "date"),
        ("boolean", "timestamp"),
        ("date", "int64"),
        ("time", "date"),
        ("int64", "list<int64>"),
        ("list<int64?>", "int64"),
        ("list<int64?>", "list<date>"),
        ("struct<a: int64?>", "struct<a: date>"),
        ("binary", "float64"),
    ],
)
def test_a_cast_that_no_value_can_take_is_an_error(source: str, target: str) -> None:
    assert problem(f"- cast: {{a: '{target}'}}", {"a": source}).code == "CMP-255"


def test_a_nullable_type_is_an_error() -> None:
    assert problem("- cast: {a: int64?}", _TEXTS).code == "CMP-254"


def test_an_unknown_type_gets_the_nearest_name_and_its_place() -> None:
    found = problem("- cast: {a: integr}", _TEXTS)
    assert found.code == "DOC-401"
    assert found.at is not None
    assert found.at.column == 19


@pytest.mark.parametrize("params", ["{}", "{columns: {}}", "[a]", "{a: 1}", "{a: int64, on_error: skip}"])
def test_wrong_parameters_are_told(params: str) -> None:
    assert {found.code for found in problems(f"- cast: {params}", _TEXTS)} <= {"DOC-203", "DOC-201", "DOC-202"}
    assert problems(f"- cast: {params}", _TEXTS)
