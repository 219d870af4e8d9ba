from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from harness import Other, Ran, TypingEngine, _Run, catalogue, document, problem, run

from penstock.compile.build import build
from penstock.compile.facts import Facts, FactsNeededError
from penstock.errors import ConfigError
from penstock.graph.select import to_select
from penstock.structs import replace
from pipelines import pipeline_of

_COLUMNS = {"day": "date?", "crude": "string?", "n": "int64?", "price": "decimal(8,2)?"}
_ROWS = [
    {"day": date(2024, 1, 1), "crude": "brent", "n": 1, "price": 10},
    {"day": date(2024, 1, 1), "crude": "brent", "n": 2, "price": 20},
    {"day": date(2024, 1, 1), "crude": "wti", "n": 3, "price": 5},
    {"day": date(2024, 1, 2), "crude": None, "n": 4, "price": 7},
    {"day": None, "crude": "dubai", "n": None, "price": None},
]


def _run(step: str, rows: Any = _ROWS) -> Ran:
    return run(f"- pivot: {step}", _COLUMNS, rows)


def _by_day(ran: Ran) -> dict[Any, tuple[Any, ...]]:
    return {row["day"] and row["day"].day: tuple(row.values())[1:] for row in ran.rows}


def test_one_column_per_declared_value_in_their_order() -> None:
    ran = _run("{on: crude, by: [day], values: [wti, brent], measures: {price: sum(price)}}")
    assert _by_day(ran) == {1: (5, 30), 2: (None, None), None: (None, None)}
    assert ran.types == {"day": "date?", "wti": "decimal(38,2)?", "brent": "decimal(38,2)?"}


def test_several_measures_give_value_and_measure() -> None:
    ran = _run(
        "{on: crude, by: day, values: [brent], measures: {low: min(price), rows: count(*), big: count(*) filter (where n > 1)}}"
    )
    assert list(ran.types) == ["day", "brent_low", "brent_rows", "brent_big"]
    assert _by_day(ran) == {1: (10, 2, 1), 2: (None, 0, 0), None: (None, 0, 0)}


def test_names_for_values_and_null_as_a_value() -> None:
    ran = _run("{on: crude, by: [day], values: {unknown: null, north sea: brent}, measures: {n: sum(n)}}")
    assert _by_day(ran) == {1: (None, 3), 2: (4, None), None: (None, None)}
    ran = _run("{on: crude, by: [day], values: [null], measures: {n: sum(n)}}")
    assert list(ran.types) == ["day", "null"]


def test_values_are_read_as_the_type_of_the_column() -> None:
    ran = _run("{on: price, values: [5, 10.0, '20'], measures: {n: sum(n)}}")
    assert ran.rows == [{"5": 3, "10.0": 1, "20": 2}]
    ran = _run("{on: day, values: [2024-01-01], measures: {n: sum(n) + count(*)}}")
    assert ran.rows == [{"2024-01-01": 9}]


def test_booleans_as_values() -> None:
    columns, rows = {"b": "boolean?"}, [{"b": True}, {"b": True}, {"b": False}, {"b": None}]
    ran = run("- pivot: {on: b, values: [true, False, null], measures: {n: count(*)}}", columns, rows)
    assert ran.rows == [{"true": 2, "false": 1, "null": 1}]
    assert problem("- pivot: {on: b, values: [maybe], measures: {n: count(*)}}", columns).code == "CMP-294"


def test_the_empty_input() -> None:
    assert _run("{on: crude, by: [day], values: [wti], measures: {n: sum(n)}}", []).rows == []
    assert _run("{on: crude, values: [wti], measures: {n: count(*)}}", []).rows == [{"wti": 0}]


def test_hostile_values_and_names() -> None:
    value = "a\"'; DROP TABLE x;--"
    ran = run(
        "- pivot: {on: 'select', by: ['Ä'], values: [\"a\\\"'; DROP TABLE x;--\", \"\u00fc \"], measures: {n: count(*)}}",
        {"select": "string", "Ä": "int64"},
        [{"select": value, "Ä": 1}],
    )
    assert ran.rows == [{"Ä": 1, value: 1, "ü ": 0}]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("{on: crude, by: [day], values: [wti, WTI], measures: {n: sum(n)}}", "CMP-209"),
        ("{on: crude, by: [day], values: [day], measures: {n: sum(n)}}", "CMP-209"),
        ("{on: crude, values: [''], measures: {n: sum(n)}}", "CMP-294"),
        ("{on: n, values: [one], measures: {n: sum(n)}}", "CMP-294"),
        ("{on: day, values: [2024-02-30], measures: {n: sum(n)}}", "CMP-294"),
        ("{on: crude, values: [a], measures: {n: '1'}}", "CMP-295"),
        ("{on: crude, values: [a], measures: {n: price}}", "CMP-287"),
        ("{on: crude, values: [a], measures: {n: first(n)}}", "CMP-286"),
        ("{on: crud, values: [a], measures: {n: sum(n)}}", "CMP-203"),
        ("{on: crude, values: [], measures: {n: sum(n)}}", "DOC-203"),
        ("{on: crude, values: [[a]], measures: {n: sum(n)}}", "DOC-203"),
        ("{on: crude, values: [a]}", "DOC-202"),
    ],
)
def test_mistakes(step: str, code: str) -> None:
    found = problem(f"- pivot: {step}", _COLUMNS)
    assert found.code == code
    assert found.at is not None


# ---------------------------------------------------------------- values found by a first read

_FOUND = "- pivot: {on: crude, by: [day], measures: {n: sum(n)}}"


def _compile(steps: str, facts: Facts | None = None, columns: Any = _COLUMNS) -> Any:
    pipeline = pipeline_of(document(steps, columns), catalogue=catalogue())
    schema = pipeline.sources["rows"].contract
    assert schema is not None
    known = replace(facts or Facts(), sources={"rows": schema})
    return build(pipeline, known, TypingEngine()).graph


def _needed(steps: str, facts: Facts | None = None) -> FactsNeededError:
    with pytest.raises(FactsNeededError) as caught:
        _compile(steps, facts)
    return caught.value


def test_compiling_asks_for_the_values_that_nobody_declared() -> None:
    (request,) = _needed("- sql: select * from this where n > 1\n" + _FOUND).requests
    assert (request.key, request.rows) == ("result.pivot", 1001)
    assert [node.id for node in request.graph.nodes] == ["rows", "result.sql", request.node]
    ran = _Run(request.graph, TypingEngine().connection, {"rows": _ROWS}).outcome(request.node, ())
    assert sorted(str(row["value"]) for row in ran.rows) == ["None", "brent", "wti"]
    assert ran.types == {"value": "string?"}


def test_compiling_again_with_the_answer_gives_the_columns_in_the_order_of_their_texts() -> None:
    answer = {"result.pivot": ["wti", None, "brent"]}
    graph = _compile(_FOUND, Facts().with_values(answer))
    assert graph["result.pivot"].schema.names == ("day", "brent", "wti", "null")
    again = _compile(_FOUND, Facts().with_values({"result.pivot": [None, "brent", "wti"]}))
    assert graph.fingerprint() == again.fingerprint()
    declared = _compile("- pivot: {on: crude, by: [day], values: [brent, wti, null], measures: {n: sum(n)}}")
    assert to_select(graph["result.pivot"]) == to_select(declared["result.pivot"])


def test_a_pivot_of_a_pivot_asks_in_turn() -> None:
    steps = f"{_FOUND}\n- pivot: {{on: wti, measures: {{n: count(*)}}}}"
    assert [request.key for request in _needed(steps).requests] == ["result.pivot"]
    second = _needed(steps, Facts().with_values({"result.pivot": ["wti"]}))
    assert [request.key for request in second.requests] == ["result.pivot_2"]
    graph = _compile(steps, Facts().with_values({"result.pivot": ["wti"]}).with_values({"result.pivot_2": ["3"]}))
    assert graph["result.pivot_2"].schema.names == ("3",)


def test_a_pivot_that_several_nodes_need_asks_once() -> None:
    text = document(_FOUND, _COLUMNS)
    head, _, tail = text.partition("transforms:\n")
    text = f"{head}transforms:\n  early: {{from: result}}\n  other: {{from: result}}\n{tail}"
    pipeline = pipeline_of(text, catalogue=catalogue())
    sources = {name: use.contract for name, use in pipeline.sources.items() if use.contract}
    with pytest.raises(FactsNeededError) as caught:
        build(pipeline, Facts(sources=sources), TypingEngine())
    assert [request.key for request in caught.value.requests] == ["result.pivot"]


def test_no_values_at_all_leave_the_groups() -> None:
    assert _compile(_FOUND, Facts().with_values({"result.pivot": []}))["result.pivot"].schema.names == ("day",)
    with pytest.raises(ConfigError) as caught:
        _compile("- pivot: {on: crude, measures: {n: sum(n)}}", Facts().with_values({"result.pivot": []}))
    assert caught.value.code == "CMP-294"


def test_found_values_are_taken_as_the_engine_wrote_them() -> None:
    facts = Facts().with_values({"result.pivot": ["infinity", "12024-01-01", "2024-01-01"]})
    graph = _compile("- pivot: {on: day, measures: {n: count(*)}}", facts)
    assert graph["result.pivot"].schema.names == ("12024-01-01", "2024-01-01", "infinity")


def test_too_many_values_are_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        _compile(_FOUND, Facts().with_values({"result.pivot": [str(n) for n in range(1001)]}))
    assert caught.value.code == "CMP-296"


def test_who_may_not_read_gets_an_error_with_the_place() -> None:
    error = _needed(_FOUND).as_error()
    assert (error.code, error.problems[0].hint) == ("CMP-290", "declare them: `values: [...]`")
    assert error.problems[0].at is not None


def test_other_errors_of_the_document_come_first() -> None:
    with pytest.raises(ConfigError) as caught:
        _compile(_FOUND + "\n- select: [nosuch]", Facts().with_values({"result.pivot": ["wti"]}))
    assert caught.value.code == "CMP-203"
    text = document(_FOUND, _COLUMNS, {"o": Other({"a": "int64"})}) + "  broken: {from: o, steps: [select: [b]]}\n"
    pipeline = pipeline_of(text, catalogue=catalogue())
    sources = {name: use.contract for name, use in pipeline.sources.items() if use.contract}
    with pytest.raises(ConfigError) as caught:
        build(pipeline, Facts(sources=sources), TypingEngine())
    assert [found.code for found in caught.value.problems] == ["CMP-203"]
