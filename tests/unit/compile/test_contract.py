from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import memory_sink
import pytest

from penstock.compile.facts import Facts
from penstock.errors import ConfigError, Problem
from penstock.types import Schema

if TYPE_CHECKING:
    from harness import Ran


def _document(contract: str, policy: str = "") -> str:
    return f"""
pipeline: test
sources:
  rows: {{type: memory, {policy} schema: {{columns: {contract}}}}}
"""


def _run(contract: str, found: dict[str, str], rows: list[dict[str, Any]], policy: str = "") -> Ran:
    sources = {"rows": Schema.of(found)}
    return memory_sink.run(_document(contract, policy and policy + ","), {"rows": rows}, "rows", sources=sources)


def _problems(contract: str, found: dict[str, str], policy: str = "") -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        _run(contract, found, [], policy)
    return list(caught.value.problems)


def _rejects(ran: Ran) -> list[tuple[str, str | None, str]]:
    return [(reject.code, reject.column, reject.message) for reject in ran.rejected]


# ---------------------------------------------------------------- on_bad_value

_TEXTS = {"id": "string?", "price": "string?"}
_CONTRACT = '{id: int64, price: "decimal(6,2)?"}'
_ROWS = [
    {"id": "1", "price": "1.50"},
    {"id": "x", "price": "2"},
    {"id": "3", "price": "much"},
    {"id": None, "price": "4"},
    {"id": "5", "price": None},
    {"id": "6", "price": "99999.99"},
]


def test_bad_values_and_nulls_are_rejected_by_default() -> None:
    ran = _run(_CONTRACT, _TEXTS, _ROWS)
    assert ran.rows == [{"id": 1, "price": Decimal("1.50")}, {"id": 5, "price": None}]
    assert ran.types == {"id": "int64", "price": "decimal(6,2)?"}
    assert sorted(_rejects(ran)) == [
        ("bad_value", "id", '"id" is no int64: x'),
        ("bad_value", "price", '"price" is no decimal(6,2): 99999.99'),
        ("bad_value", "price", '"price" is no decimal(6,2): much'),
        ("null_value", "id", '"id" is null, and its schema does not allow that'),
    ]
    assert {reject.on_fail for reject in ran.rejected} == {"reject"}


def test_a_rejected_row_is_shown_as_it_came_in() -> None:
    (reject,) = _run(_CONTRACT, _TEXTS, _ROWS[1:2]).rejected
    assert reject.row == {"id": "x", "price": "2"}


def test_bad_values_become_null_where_asked_and_may_be() -> None:
    ran = _run(_CONTRACT, _TEXTS, _ROWS, "on_bad_value: null")
    assert ran.rows == [
        {"id": 1, "price": Decimal("1.50")},
        {"id": 3, "price": None},
        {"id": 5, "price": None},
        {"id": 6, "price": None},
    ]
    # A null where none may be stays a bad value, also one that was made so.
    assert [reject.row["id"] for reject in ran.rejected] == ["x", None]


def test_bad_values_fail_the_run_where_asked() -> None:
    ran = _run(_CONTRACT, _TEXTS, _ROWS, "on_bad_value: fail")
    assert {reject.on_fail for reject in ran.rejected} == {"fail"}
    assert len(ran.rejected) == 4


def test_a_message_shows_only_the_start_of_a_long_value() -> None:
    (reject,) = _run("{id: int64}", {"id": "string?"}, [{"id": "y" * 5000}]).rejected
    assert reject.message == '"id" is no int64: ' + "y" * 100


def test_nulls_inside_a_value_are_rejected_where_the_type_allows_none() -> None:
    rows = [{"a": [1, 2]}, {"a": [1, None]}, {"a": []}, {"a": None}]
    ran = _run("{a: list<int64>?}", {"a": "list<int64?>?"}, rows)
    assert [row["a"] for row in ran.rows] == [[1, 2], [], None]
    assert [reject.code for reject in ran.rejected] == ["null_value"]


def test_nan_and_infinity_are_values_of_a_float_and_none_of_a_decimal() -> None:
    rows = [{"a": math.nan}, {"a": math.inf}, {"a": 1.5}]
    assert len(_run("{a: float64}", {"a": "float64?"}, rows).rows) == 3
    ran = _run('{a: "decimal(4,1)"}', {"a": "float64?"}, rows, "on_type_change: widen")
    assert ran.rows == [{"a": Decimal("1.5")}]
    assert len(ran.rejected) == 2


_NOON = datetime.fromisoformat("2024-01-31T12:00:00")
_ALTERED = [
    ("int64?", "string?", ["7", "1e2", " 5.00 "], ["1.5", "x"]),
    ("decimal(10,2)?", "string?", ["1.50", "1.500"], ["1.999", "1e-9"]),
    ("date?", "string?", ["2024-01-31", "2024-01-31 00:00:00"], ["2024-01-31T12:00:00", "epoch"]),
    ("timestamp?", "string?", ["2024-01-31T12:00:00Z"], ["2024-01-31T12:00:00+02:00"]),
    ("float64?", "string?", ["0.1", "inf"], ["1e400"]),
    ("list<int64>?", "list<string>?", [["1"], []], [["1.5"]]),
    ("int64?", "float64?", [2.0, -0.0], [1.5, math.nan]),
    ("decimal(10,2)?", "float64?", [0.1 + 0.2, 2.0], [1.999]),
    ("decimal(28,8)?", "float64?", [93166418.83], [0.000000001]),
    ("date?", "timestamp?", [_NOON.replace(hour=0)], [_NOON]),
    ("boolean?", "int64?", [0, 1], [2]),
    ("list<int64>?", "list<float64>?", [[2.0], []], [[1.5]]),
    ("struct<a: int64?>?", "struct<a: float64?>?", [{"a": 2.0}], [{"a": 1.5}]),
    ("float64?", "int64?", [2**53 + 1], []),
    ("string?", "int64?", [2**53 + 1], []),
]


@pytest.mark.parametrize(
    ("wanted", "found", "good", "bad"), _ALTERED, ids=[f"{item[1]} as {item[0]}" for item in _ALTERED]
)
def test_a_value_is_taken_as_it_stands_or_not_at_all(wanted: str, found: str, good: list[Any], bad: list[Any]) -> None:
    rows = [{"a": value} for value in (*good, None, *bad)]
    ran = _run(f'{{a: "{wanted}"}}', {"a": found}, rows, "on_type_change: widen")
    assert str([reject.row["a"] for reject in ran.rejected]) == str(bad)
    assert len(ran.rows) == len(good) + 1
    nulled = _run(f'{{a: "{wanted}"}}', {"a": found}, rows, "on_type_change: widen, on_bad_value: null")
    assert [row["a"] for row in nulled.rows].count(None) == 1 + len(bad)


def test_the_empty_input_has_the_columns_of_the_contract() -> None:
    ran = _run(_CONTRACT, _TEXTS, [])
    assert (ran.rows, ran.types) == ([], {"id": "int64", "price": "decimal(6,2)?"})


def test_a_source_that_is_as_its_contract_says_costs_no_node() -> None:
    ran = _run("{id: int64?}", {"id": "int64?"}, [{"id": 1}])
    assert list(ran.counts) == ["rows"]


# ---------------------------------------------------------------- on_type_change


@pytest.mark.parametrize(
    ("contract", "found", "rows"),
    [
        ("int64", "int32?", [1]),
        ("decimal(12,2)?", "decimal(8,2)?", [Decimal("1.25")]),
        ("float64", "float32?", [0.5]),
        ("string", "json?", ["{}"]),
    ],
)
def test_a_narrower_column_is_no_change(contract: str, found: str, rows: list[Any]) -> None:
    ran = _run(f'{{a: "{contract}"}}', {"a": found}, [{"a": value} for value in rows])
    assert ran.types == {"a": contract}
    assert ran.rejected == []


@pytest.mark.parametrize(
    ("contract", "found"),
    [("int32", "int64?"), ("date", "timestamp?"), ("int64", "float64?"), ("string", "int64?"), ("boolean", "int64?")],
)
def test_a_wider_or_other_type_fails_by_default(contract: str, found: str) -> None:
    (problem,) = _problems(f"{{a: {contract}}}", {"a": found})
    wider = (
        "takes the type that holds both" if contract == "int32" else "casts it, and rejects the values that do not fit"
    )
    assert (problem.code, problem.hint) == ("CMP-232", f"on_type_change: widen {wider}")
    assert problem.message == f'column "a" of "rows" is {found[:-1]}, its schema says {contract}'


@pytest.mark.parametrize(
    ("contract", "found", "value", "wider"),
    [
        ("int32", "int64?", 2**40, "int64"),
        ("float32", "float64?", 1e300, "float64"),
        ("int64", "decimal(6,2)?", Decimal("3.01"), "decimal(21,2)"),
        ("decimal(6,1)", "decimal(6,2)?", Decimal("3.01"), "decimal(7,2)"),
        ("list<int32>", "list<int64>?", [2**40], "list<int64?>"),
    ],
)
def test_widen_takes_the_type_that_holds_both(contract: str, found: str, value: Any, wider: str) -> None:
    ran = _run(f'{{a: "{contract}"}}', {"a": found}, [{"a": value}, {"a": None}], "on_type_change: widen")
    assert (ran.rows, ran.types) == ([{"a": value}], {"a": wider})
    assert [reject.code for reject in ran.rejected] == ["null_value"]


def test_widen_casts_where_no_type_holds_both_and_rejects_what_does_not_fit() -> None:
    ran = _run("{a: int64}", {"a": "float64?"}, [{"a": 1.0}, {"a": 1.5}], "on_type_change: widen")
    assert (ran.rows, ran.types) == ([{"a": 1}], {"a": "int64"})
    assert [reject.code for reject in ran.rejected] == ["bad_value"]


# ---------------------------------------------------------------- columns


def test_a_missing_column_fails_by_default() -> None:
    (problem,) = _problems("{id: int64?, extra: int64?}", {"id": "int64?"})
    assert (problem.code, problem.hint) == ("CMP-230", "on_missing_column: null takes null for it")
    assert problem.at is not None


def test_missing_columns_are_told_each_at_its_name_with_the_nearest_one() -> None:
    found = _problems("{idd: int64?, prise: int64?, extra: int64?}", {"id": "int64?", "price": "int64?"})
    assert [problem.message for problem in found] == [
        f'"rows" lacks the column "{name}" of its schema' for name in ("idd", "prise", "extra")
    ]
    assert [problem.hint for problem in found[:2]] == ['did you mean "id"?', 'did you mean "price"?']
    for problem in found:
        assert problem.at is not None
        assert problem.at.source is not None
        named = problem.at.source[problem.at.column - 1 : problem.at.end_column - 1]
        assert named in problem.message


def test_a_missing_column_is_null_where_asked() -> None:
    ran = _run('{extra: "date?", id: int64?}', {"id": "int64?"}, [{"id": 1}], "on_missing_column: null")
    assert (ran.rows, ran.types) == ([{"extra": None, "id": 1}], {"extra": "date?", "id": "int64?"})


def test_a_missing_column_that_may_not_be_null_fails_in_any_case() -> None:
    (problem,) = _problems("{extra: date, id: int64?}", {"id": "int64?"}, "on_missing_column: null")
    assert (problem.code, problem.hint) == ("CMP-230", "a column that may be null is marked with `?` in the schema")


_WITH_NEW = {"id": "int64?", "new": "string?", "newer": "date?"}


def test_new_columns_are_ignored_by_default() -> None:
    assert _run("{id: int64?}", _WITH_NEW, [{"id": 1, "new": "x"}]).rows == [{"id": 1}]


def test_new_columns_are_added_behind_where_asked() -> None:
    ran = _run("{id: int64?}", _WITH_NEW, [{"id": 1, "new": "x"}], "on_new_column: add")
    assert ran.rows == [{"id": 1, "new": "x", "newer": None}]


def test_new_columns_fail_where_asked() -> None:
    (problem,) = _problems("{id: int64?}", _WITH_NEW, "on_new_column: fail")
    assert problem.code == "CMP-231"
    assert problem.message == '"rows" has the columns "new", "newer", which its schema does not name'


def test_everything_that_differs_is_told_at_once() -> None:
    found = _problems("{a: int32, b: date}", {"a": "int64?", "c": "date?"}, "on_new_column: fail")
    assert sorted(problem.code for problem in found) == ["CMP-230", "CMP-231", "CMP-232"]


def test_hostile_and_reserved_names() -> None:
    name = 'a"; DROP TABLE x;--'
    contract = "{'a\"; DROP TABLE x;--': int64, select: date}"
    ran = _run(
        contract,
        {"select": "string?", name: "string?"},
        [{name: "1", "select": "2024-01-01"}, {name: "'", "select": ""}],
    )
    assert list(ran.rows[0]) == [name, "select"]
    assert len(ran.rows) == 1


# ---------------------------------------------------------------- where a schema may stand

_EVERYWHERE = """
pipeline: test
sources:
  rows: {type: memory, schema: {columns: {id: string?, b: string?}}}
transforms:
  typed: {from: rows, schema: {columns: {id: int64}}}
sinks:
  lake: {from: rows, type: table, schema: {columns: {b: date, id: string?}}}
"""


def test_a_transform_is_held_to_its_schema() -> None:
    ran = memory_sink.run(_EVERYWHERE, {"rows": [{"id": "1"}, {"id": "x"}]}, "typed")
    assert (ran.rows, ran.types) == ([{"id": 1}], {"id": "int64"})
    assert "typed.schema.check" in ran.counts


def test_a_sink_is_held_to_its_schema_before_loading() -> None:
    ran = memory_sink.run(_EVERYWHERE, {"rows": [{"id": "1", "b": "2024-01-01"}, {"id": "2", "b": "soon"}]}, "lake")
    assert [list(row) for row in ran.rows] == [["b", "id"]]
    assert [reject.node for reject in ran.rejected] == ["lake.schema.check"]


def test_a_transform_must_have_the_columns_of_its_schema() -> None:
    text = _EVERYWHERE.replace("{columns: {id: int64}}", "{columns: {id: int64, gone: date}}")
    with pytest.raises(ConfigError) as caught:
        memory_sink.run(text, {"rows": []}, "typed")
    (problem,) = caught.value.problems
    assert (problem.code, problem.hint) == ("CMP-230", None)


def test_the_recorded_schema_holds_a_source_that_has_none() -> None:
    text = "pipeline: test\nsources:\n  rows: {type: memory}\n"
    found, recorded = Schema.of({"id": "string?", "new": "string?"}), Schema.of({"id": "int64?"})
    facts = Facts(sources={"rows": found}, recorded={"rows": recorded})
    with pytest.raises(ConfigError) as caught:
        memory_sink.run(text, {"rows": []}, "rows", facts=facts)
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (
        "CMP-232",
        'column "id" of "rows" is string, its recorded schema says int64',
    )
    assert "schema accept" in (problem.hint or "")
    assert "on_type_change: widen" in (problem.hint or "")


def test_values_of_another_type_than_the_recorded_one_are_cast_where_that_is_said() -> None:
    text = "pipeline: test\nsources:\n  rows: {type: memory, on_type_change: widen}\n"
    found, recorded = Schema.of({"id": "string?", "new": "string?"}), Schema.of({"id": "int64?"})
    facts = Facts(sources={"rows": found}, recorded={"rows": recorded})
    ran = memory_sink.run(text, {"rows": [{"id": "1"}, {"id": "x"}]}, "rows", facts=facts)
    assert (ran.rows, ran.types) == ([{"id": 1}], {"id": "int64?"})
    assert [reject.code for reject in ran.rejected] == ["bad_value"]


def test_a_source_without_any_schema_is_taken_as_it_is() -> None:
    text = "pipeline: test\nsources:\n  rows: {type: memory}\n"
    ran = memory_sink.run(
        text, {"rows": [{"id": "x"}]}, "rows", facts=Facts(sources={"rows": Schema.of({"id": "string"})})
    )
    assert ran.types == {"id": "string?"}
