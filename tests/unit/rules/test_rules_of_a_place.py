"""What holds of all rules together: one Check, causes side by side, one name each, all that is wrong told at once."""

from __future__ import annotations

import json

import pytest
from demands import document, held, wrong
from harness import compile_document, run_document

from penstock.graph.nodes import Check

_COLUMNS = {"a": "int64?", "b": "int64?", "t": "string?"}
_RULES = """
- not_null: [a, b]
- range: {column: a, min: 0, max: 10}
- expression: a <= b
"""
_HOSTILE = (
    *('a"; DROP TABLE x;--', "select", "naïve 🛢", "a.b", "*", " ", "'; --", "x\ny", "__rule", "__rule_", "this", "$1"),
)


def test_all_rules_of_a_place_are_one_check():
    graph, _ = compile_document(document(_RULES, _COLUMNS))
    (check,) = [node for node in graph.nodes if isinstance(node, Check)]
    assert (check.id, check.inputs, graph.outputs["result"]) == ("result.rules", ("rows",), "result.rules")
    assert [(cause.code, cause.column) for cause in check.causes] == [
        ("not_null", "a"),
        ("not_null", "b"),
        ("range", "a"),
        ("range", "a"),
        ("expression", None),
    ]


def test_a_row_with_several_causes_is_rejected_once_and_has_them_all():
    rows = [{"a": 1, "b": 2}, {"a": 11, "b": 2}, {"a": -1, "b": None}, {"a": None, "b": None}]
    ran = held(_RULES, _COLUMNS, rows)
    assert ran.counts["result.rules"] == 1
    assert sorted((item.code, item.column or "", item.row["a"] or 0) for item in ran.rejected) == [
        ("expression", "", 11),
        ("not_null", "a", 0),
        ("not_null", "b", -1),
        ("not_null", "b", 0),
        ("range", "a", -1),
        ("range", "a", 11),
    ]


def test_no_column_is_null_behind_not_null():
    assert held("- not_null: [a]", _COLUMNS, [{"a": 1}]).types == {"a": "int64", "b": "int64?", "t": "string?"}


def test_no_rule_changes_a_row_and_none_stops_at_an_empty_input():
    assert held(_RULES, _COLUMNS, []).rows == []
    assert held(_RULES, _COLUMNS, [{"a": 1, "b": 2, "t": "🛢"}]).rows == [{"a": 1, "b": 2, "t": "🛢"}]


def test_rules_without_a_name_are_numbered_and_a_name_is_taken_once():
    rules = "- range: {column: a, min: 1}\n- range: {column: b, min: 1}\n- {not_null: a, name: range_2}"
    graph, _ = compile_document(document(rules, _COLUMNS))
    assert [cause.code for cause in graph["result.rules"].causes] == ["range", "range_3", "range_2"]
    twice = "- {not_null: a, name: known}\n- {range: {column: b, min: 1}, name: known}"
    (problem,) = wrong(twice, _COLUMNS)
    assert (problem.code, problem.message) == ("CMP-370", 'two rules have the name "known"')
    assert problem.at.line == 9


def test_all_that_is_wrong_with_the_rules_is_told_at_once():
    rules = """
        - not_null: [aa, b]
        - range: {column: t, min: 1}
        - range: {column: a, min: x}
        - expression: a + b
        - expression: tt = 'x'
    """
    found = wrong(rules, _COLUMNS)
    assert [(item.code, item.at.line) for item in found] == [
        ("CMP-203", 8),
        ("CMP-371", 9),
        ("CMP-258", 10),
        ("CMP-246", 11),
        ("CMP-203", 12),
    ]
    assert found[0].hint == 'did you mean "a"?'


def test_what_the_engine_refuses_of_a_condition_stands_at_its_place():
    (found,) = wrong("- not_null: a\n- expression: nosuch(a) > 1", _COLUMNS)
    assert (found.code, found.at.line) == ("CMP-205", 9)


@pytest.mark.parametrize("name", _HOSTILE)
def test_hostile_names_are_only_names(name):
    quoted = json.dumps(name, ensure_ascii=False)
    rules = f"- not_null: [{quoted}]\n- range: {{column: {quoted}, max: 9}}\n- {{not_null: {quoted}, name: {quoted}}}"
    ran = held(rules, {name: "int64?"}, [{name: 1}, {name: None}, {name: 10}])
    assert ran.rows == [{name: 1}]
    assert {item.code for item in ran.rejected} == {"not_null", "range", name}


_PLACES = """
pipeline: test
sources:
  rows:
    type: memory
    schema: {columns: {a: int64?, b: string}}
    rules: [{not_null: a}]
transforms:
  first:
    from: rows
    steps: [{derive: {c: a - 1}}]
    schema: {columns: {a: int64, c: int8}}
    rules: [{range: {column: c, min: 1}}]
  second:
    sql: select c, count(*) as n from first group by c
    rules: [{expression: n < 2}]
"""


def test_rules_stand_behind_steps_and_schema_of_their_place():
    rows = [{"a": value, "b": "x"} for value in (None, 1, 2, 300, 3, 3)]
    ran = run_document(_PLACES, {"rows": rows}, "second")
    assert ran.rows == [{"c": 1, "n": 1}]
    assert [(item.node, item.code) for item in ran.rejected] == [
        ("rows.rules", "not_null"),
        ("first.schema.check", "bad_value"),
        ("first.rules", "range"),
        ("second.rules", "expression"),
    ]
    assert ran.graph["first.rules"].inputs == ("first.schema",)
