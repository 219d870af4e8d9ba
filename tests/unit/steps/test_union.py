from __future__ import annotations

from typing import Any

import pytest
from harness import Ran, compile_document, run_document

from penstock.errors import ConfigError, Problem

_A = '{id: int64?, name: "string?", x: "decimal(6,2)?"}'
_B = '{name: "string?", id: int64?, y: "date?"}'


def _document(step: str, one: str = _A, other: str = _B, names: str = "[a, b]") -> str:
    return f"""
pipeline: test
sources:
  a: {{type: memory, schema: {{columns: {one}}}}}
  b: {{type: memory, schema: {{columns: {other}}}}}
transforms:
  result: {{from: {names}, steps: [{step}]}}
"""


def _run(step: str, a: Any, b: Any, **parts: str) -> Ran:
    return run_document(_document(step, **parts), {"a": a, "b": b})


def _problem(step: str, **parts: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        compile_document(_document(step, **parts))
    (found,) = caught.value.problems
    return found


_ROWS_A = [{"id": 1, "name": "a", "x": 1}, {"id": 1, "name": "a", "x": 1}]
_ROWS_B = [{"id": 2, "name": "b", "y": None}]


@pytest.mark.parametrize("step", ["", "union: {by: name}", "union: {}"])
def test_by_name_a_missing_column_is_null(step: str) -> None:
    ran = _run(step, _ROWS_A, _ROWS_B)
    assert sorted(tuple(row.values()) for row in ran.rows) == [(1, "a", 1, None)] * 2 + [(2, "b", None, None)]
    assert ran.types == {"id": "int64?", "name": "string?", "x": "decimal(6,2)?", "y": "date?"}


def test_distinct_keeps_equal_rows_once_also_with_nulls() -> None:
    ran = _run("union: {distinct: true}", _ROWS_A, _ROWS_B * 2)
    assert sorted(row["id"] for row in ran.rows) == [1, 2]
    assert ran.counts["result.union.distinct"] == 2


_SAME = {"one": "{a: int64, b: string?}", "other": '{c: "decimal(4,1)?", B: string}'}


def test_by_position_the_first_names_the_columns_and_types_are_widened() -> None:
    ran = _run("union: {by: position}", [{"a": 1, "b": None}], [{"c": 2, "B": "x"}], **_SAME)
    assert [tuple(row.values()) for row in ran.rows] == [(1, None), (2, "x")]
    assert ran.types == {"a": "decimal(20,1)?", "b": "string?"}


def test_a_node_twice_and_three_nodes() -> None:
    ran = _run("union: {by: position}", _ROWS_A, [], names="[a, a, a]")
    assert len(ran.rows) == 6


def test_steps_after_a_union_see_its_columns() -> None:
    ran = _run("{union: {distinct: true}}, {select: [y, id]}", _ROWS_A, _ROWS_B)
    assert list(ran.types) == ["y", "id"]


def test_the_empty_inputs() -> None:
    assert _run("union: {by: name, distinct: true}", [], []).rows == []


def test_columns_that_differ_only_in_case_do_not_stand_beside_each_other() -> None:
    parts = {"one": "{id: int64}", "other": "{ID: int64}"}
    assert (_problem("", **parts).code, _problem("", **parts).message) == (
        "CMP-209",
        '"id" of "a" and "ID" of "b" differ only in case',
    )
    assert _run("union: {by: position}", [{"id": 1}], [{"ID": 2}], **parts).rows == [{"id": 1}, {"id": 2}]


@pytest.mark.parametrize(
    ("step", "parts", "code"),
    [
        ("union: {}", {"names": "a"}, "CMP-298"),
        ("select: [id]}, {union: {}", {}, "CMP-298"),
        ("union: {by: position}", {"other": "{id: int64}"}, "CMP-299"),
        ("union: {by: position}", {}, "CMP-300"),
        ("", {"other": "{id: string}"}, "CMP-300"),
        ("union: {}", {"other": "{id: string}"}, "CMP-300"),
        ("union: {by: place}", {}, "DOC-203"),
        ("union: {all: true}", {}, "DOC-201"),
        ("", {"names": "[a, c]"}, "CMP-201"),
    ],
)
def test_mistakes(step: str, parts: dict[str, str], code: str) -> None:
    found = _problem(f"{{{step}}}" if "}, {" in step else step, **parts)
    assert found.code == code
    assert found.at is not None
