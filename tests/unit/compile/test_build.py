from __future__ import annotations

from typing import Any

import memory_sink
import pytest

from penstock.compile.facts import Facts
from penstock.errors import ConfigError, Problem
from penstock.types import Schema

_HEAD = """
pipeline: test
sources:
  rows: {type: memory, schema: {columns: {id: int64?, v: string?}}}
"""


def _run(rest: str, output: str, rows: Any = (), facts: Facts | None = None) -> Any:
    return memory_sink.run(_HEAD + rest, {"rows": rows}, output, facts=facts)


def _problems(rest: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        _run(rest, "rows")
    return list(caught.value.problems)


def test_transforms_may_stand_in_any_order() -> None:
    rest = (
        "transforms:\n  last: {from: first, steps: [select: [id]]}\n  first: {from: rows, steps: [deduplicate: id]}\n"
    )
    assert _run(rest, "last", [{"id": 1}, {"id": 1}]).rows == [{"id": 1}]


def test_a_transform_without_steps_is_its_input() -> None:
    ran = _run("transforms:\n  same: {from: rows}\n", "same", [{"id": 1, "v": "x"}])
    assert ran.graph.outputs["same"] == "rows"


def test_a_circle_is_named() -> None:
    found = _problems("transforms:\n  a: {from: b}\n  b: {from: c}\n  c: {from: [a, rows]}\n")
    assert [problem.code for problem in found] == ["CMP-202"]
    assert found[0].message == "the nodes a -> b -> c -> a need each other"
    assert found[0].at is not None
    assert _problems("transforms:\n  a: {from: a}\n")[0].message == "the nodes a -> a need each other"


def test_an_unknown_input_gets_the_nearest_name() -> None:
    (found,) = _problems("transforms:\n  a: {from: row}\n")
    assert (found.code, found.hint) == ("CMP-201", 'did you mean "rows"?')


def test_every_mistake_is_told_once_and_what_follows_from_it_is_not() -> None:
    found = _problems(
        "transforms:\n"
        "  a: {from: rows, steps: [select: [idd]]}\n"
        "  b: {from: a, steps: [select: [nothing]]}\n"
        "  c: {from: rows, steps: [deduplicate: {keys: [id], keep: last}]}\n"
        "  d: {sql: select * from a join c using (id)}\n"
        "  e: {sql: select * from rwos}\n"
    )
    assert [(problem.code, problem.at and problem.at.line) for problem in found] == [
        ("CMP-203", 6),
        ("CMP-289", 8),
        ("CMP-225", 10),
    ]


def test_a_source_whose_columns_nobody_knows_is_no_second_error() -> None:
    text = "pipeline: test\nsources:\n  rows: {type: memory}\ntransforms:\n  a: {from: rows, steps: [select: [b]]}\n"
    text += "  c: {from: other}\n"
    with pytest.raises(ConfigError) as caught:
        memory_sink.run(text, {}, "a")
    assert [problem.code for problem in caught.value.problems] == ["CMP-201"]


def test_steps_of_one_name_have_ids_of_their_own() -> None:
    steps = "[{select: [v, id]}, {select: [id]}, {select: [id], name: last}]"
    rest = f"transforms:\n  a: {{from: rows, steps: {steps}}}\n"
    assert list(_run(rest, "a").counts) == ["rows", "a.select", "a.select_2", "a.last"]


def test_a_sink_may_take_several_nodes() -> None:
    rest = (
        "transforms:\n  more: {from: rows, steps: [select: [v]]}\nsinks:\n  lake: {from: [rows, more], type: table}\n"
    )
    ran = _run(rest, "lake", [{"id": 1, "v": "x"}])
    assert ran.rows == [{"id": 1, "v": "x"}, {"id": None, "v": "x"}]


# ---------------------------------------------------------------- sinks as inputs

_READ_BACK = """
transforms:
  sent: {from: rows, steps: [select: [id]]}
  summary: {from: lake, steps: [aggregate: {measures: {n: count(*)}}]}
sinks:
  lake: {from: sent, type: table}
"""


def _graph(rest: str, facts: Facts | None = None) -> Any:
    from harness import TypingEngine

    from penstock.compile.build import build

    pipeline = memory_sink.read(_HEAD + rest)
    contracts = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    known = facts or Facts()
    return build(pipeline, Facts(sources=contracts, targets=known.targets), TypingEngine()).graph


def test_a_sink_named_as_an_input_is_its_table() -> None:
    graph = _graph(_READ_BACK)
    assert graph["lake.table"].schema == Schema.of({"id": "int64?"})
    assert graph.outputs["lake"] == "lake.table"
    assert [node.id for node in graph.nodes].index("lake") < [node.id for node in graph.nodes].index("lake.table")


@pytest.mark.parametrize(
    ("policy", "columns"),
    [
        ("fail", {"old": "date?", "id": "int32?"}),
        ("ignore", {"old": "date?", "id": "int32?"}),
        ("evolve", {"old": "date?", "id": "int64?", "v": "string?"}),
    ],
)
def test_the_table_of_a_sink_has_the_columns_that_its_policy_leaves(policy: str, columns: dict[str, str]) -> None:
    rest = _READ_BACK.replace("select: [id]", "select: [id, v]")
    rest = rest.replace("type: table", f"type: table, on_schema_change: {policy}")
    graph = _graph(rest, Facts(targets={"lake": Schema.of({"old": "date?", "id": "int32"})}))
    assert graph["lake.table"].schema == Schema.of(columns)


def test_a_query_may_read_the_table_of_a_sink() -> None:
    rest = _READ_BACK.replace(
        "{from: lake, steps: [aggregate: {measures: {n: count(*)}}]}", "{sql: select count(*) as n from Lake}"
    )
    assert _graph(rest)["summary.sql"].inputs == ("lake.table",)


def test_a_query_over_a_sink_that_cannot_be_read_back_points_into_the_query() -> None:
    rest = _READ_BACK.replace(
        "{from: lake, steps: [aggregate: {measures: {n: count(*)}}]}", "{sql: select count(*) as n from lake}"
    )
    (found,) = _problems(rest.replace("type: table", "type: drain"))
    assert found.at is not None
    assert found.at.source is not None
    assert (found.code, found.at.source[found.at.column - 1 : found.at.end_column - 1]) == ("CMP-223", "lake")


def test_a_sink_that_cannot_be_read_back_is_no_input() -> None:
    (found,) = _problems(_READ_BACK.replace("type: table", "type: drain"))
    assert (found.code, found.hint) == ("CMP-223", "read the node that the sink takes its rows from")
    assert found.at is not None


def test_a_sink_that_would_feed_itself_is_a_circle() -> None:
    rest = "transforms:\n  a: {from: lake}\nsinks:\n  lake: {from: a, type: table}\n"
    assert [problem.code for problem in _problems(rest)] == ["CMP-202"]


def test_a_pivot_over_the_table_of_a_sink_declares_its_values() -> None:
    rest = _READ_BACK.replace("aggregate: {measures: {n: count(*)}}", "pivot: {on: id, measures: {n: count(*)}}")
    (found,) = _problems(rest)
    assert (found.code, found.hint) == ("CMP-290", "declare them: `values: [...]`")
    assert _graph(rest.replace("on: id", "on: id, values: [1]"))["summary.pivot"].schema.names == ("1",)
