"""What a cursor may be, and what may not be made of new rows alone."""

from __future__ import annotations

import harness
import memory_sink
import pytest

from penstock.compile.facts import Facts
from penstock.compile.pipeline import Compiled, compile_pipeline
from penstock.errors import ConfigError
from penstock.graph.nodes import Check, Filter

_COLUMNS = "{id: int64?, at: timestamp?, day: date?, price: 'decimal(9,2)?', x: float64?, name: string?, tags: 'list<string>?'}"


def _compiled(rest: str, incremental: str = "{cursor: at}") -> Compiled:
    pipeline = memory_sink.read(
        "pipeline: test\nsources:\n"
        f"  new: {{type: memory, incremental: {incremental}, schema: {{columns: {_COLUMNS}}}}}\n"
        f"  whole: {{type: memory, schema: {{columns: {_COLUMNS}}}}}\n" + rest
    )
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    return compile_pipeline(pipeline, Facts(sources=known), harness.TypingEngine())


def _codes(rest: str, incremental: str = "{cursor: at}") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _compiled(rest, incremental)
    assert all(problem.at is not None for problem in caught.value.problems)
    return [problem.code for problem in caught.value.problems]


SINK = "sinks: {out: {from: new, type: safe}}\n"


def test_a_cursor_is_a_range_and_a_check_below_all_else() -> None:
    graph = _compiled(SINK).graph
    assert isinstance(graph["new.range"], Filter)
    check = graph["new.cursor.check"]
    assert isinstance(check, Check)
    assert [cause.code for cause in check.causes] == ["null_cursor"]


@pytest.mark.parametrize("incremental", ["{cursor: id, lag: 5, initial: 7}", "{cursor: price, lag: 0.5}",
    "{cursor: day, lag: 7 days, initial: 2024-01-01}", "{cursor: [at, id]}", "{cursor: name, initial: b}"])  # fmt: skip
def test_cursors_of_every_kind(incremental: str) -> None:
    merged = "sinks: {out: {from: new, type: safe, mode: merge, keys: [id]}}\n"
    graph = _compiled(merged, incremental).graph
    (read,) = graph.reads
    assert read.incremental
    assert read.cursor is not None
    assert read.cursor.identity


@pytest.mark.parametrize(
    ("incremental", "code"),
    [
        ("files", "CMP-350"),
        ("version", "CMP-358"),
        ("{cursor: ta}", "CMP-351"),
        ("{cursor: [at, di]}", "CMP-351"),
        ("{cursor: x}", "CMP-352"),
        ("{cursor: tags}", "CMP-352"),
        ("{cursor: at, lag: 5}", "CMP-353"),
        ("{cursor: id, lag: 5 days}", "CMP-353"),
        ("{cursor: name, lag: 5 days}", "CMP-353"),
        ("{cursor: at, initial: yesterday}", "CMP-353"),
        ("{cursor: id, initial: 1.5}", "CMP-353"),
        ("{cursor: at, lag: 1 h}", "CMP-356"),
        ("{cursor: at, send: {query: since}}", "DOC-440"),
    ],
)
def test_what_a_cursor_cannot_be(incremental: str, code: str) -> None:
    assert _codes(SINK, incremental) == [code]


NEEDS_ALL = {
    "aggregate": "- aggregate: {by: [id], measures: {n: count(*)}}",
    "window": "- window: {order_by: [at], columns: {n: row_number()}}",
    "deduplicate": "- deduplicate: {keys: [id], order_by: [at]}",
    "sort": "- sort: [at]",
    "limit": "- limit: 5",
    "sample": "- sample: {rows: 5}",
    "mean": "- fill_null: {x: mean}",
    "union": "- union: {distinct: true}",
    "left join from the whole": "- join: {to: new, kind: left, on: [id], add: {new_at: at}}",
}


@pytest.mark.parametrize("step", NEEDS_ALL.values(), ids=NEEDS_ALL)
def test_steps_that_need_more_than_their_row_ask_what_is_meant(step: str) -> None:
    source = "whole" if "to: new" in step else "[new, whole]" if "distinct" in step else "new"
    rest = f"transforms:\n  t:\n    from: {source}\n    steps:\n      {step}\nsinks: {{out: {{from: t, type: safe}}}}\n"
    assert set(_codes(rest)) == {"CMP-354"}
    meant = rest.replace(f"      {step}", f"      {step}\n        scope: epoch")
    assert _compiled(meant).graph["out"]
    whole = rest.replace("    from:", "    scope: epoch\n    from:")
    assert _compiled(whole).graph["out"]


QUERIES = {
    "aggregate": "select id, count(*) as n from new group by id",
    "window": "select id, row_number() over (order by at) as n from new",
    "distinct": "select distinct id from new",
    "limit": "select id from new limit 3",
    "order": "select id from new order by id",
    "left join": "select whole.id from whole left join new using (id)",
    "union": "select id from new union select id from whole",
    "subquery": "select id from new where id in (select max(id) from new)",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_queries_that_look_at_more_than_a_row(query: str) -> None:
    rest = f"transforms:\n  t: {{sql: {query!r}}}\nsinks: {{out: {{from: t, type: safe}}}}\n"
    assert _codes(rest) == ["CMP-354"]
    assert _compiled(rest.replace("{sql:", "{scope: epoch, sql:")).graph["out"]


ROW_BY_ROW = {
    "derive": "steps: [{derive: {y: id + 1}}, {filter: y > 3}]",
    "explode": "steps: [{explode: tags}]",
    "join": "steps: [{join: {to: whole, kind: left, on: [id], add: {other: name}}}]",
    "semi join": "steps: [{join: {to: whole, kind: semi, on: [id]}}]",
}


@pytest.mark.parametrize("steps", ROW_BY_ROW.values(), ids=ROW_BY_ROW)
def test_steps_over_one_row_need_nothing_said(steps: str) -> None:
    rest = f"transforms:\n  t: {{from: new, {steps}}}\nsinks: {{out: {{from: t, type: safe}}}}\n"
    assert _compiled(rest).graph["out"]


def test_new_rows_with_new_rows() -> None:
    pipeline = (
        "transforms:\n  t:\n    from: new\n    steps: [{join: {to: new, kind: inner, on: [id], add: {other: name}}}]\n"
    )
    assert _codes(pipeline + "sinks: {out: {from: t, type: safe}}\n") == ["CMP-354"]


def test_what_is_replaced_by_each_epoch() -> None:
    assert _codes("sinks: {out: {from: new, type: safe, mode: overwrite}}\n") == ["CMP-355"]


PARTITIONS = "sinks: {{out: {{from: {node}, type: safe, mode: overwrite_partitions{more}}}}}\n"
MIXED = """\
transforms:
  joined: {from: whole, steps: [join: {to: new, kind: inner, on: [id], add: {other: name}}]}
  united: {from: [whole, new]}
  counted: {from: new, scope: epoch, steps: [aggregate: {by: [id], measures: {n: count(*)}}]}
"""


@pytest.mark.parametrize("node", ["new", "joined", "united", "counted"])
@pytest.mark.parametrize("incremental", ["{cursor: at}", "{cursor: at, lag: 1 h}"])
def test_whose_partitions_are_replaced_by_each_epoch(node: str, incremental: str) -> None:
    assert _codes(MIXED + PARTITIONS.format(node=node, more=""), incremental) == ["CMP-355"]
    assert _compiled(MIXED + PARTITIONS.format(node=node, more=", scope: epoch"), incremental).graph["out"]


def test_partitions_of_whole_inputs_are_replaced_without_a_word() -> None:
    assert _compiled(PARTITIONS.format(node="whole", more="")).graph["out"]
    lake = "sinks:\n  lake: {from: new, type: table}\n  out: {from: lake, type: safe, mode: overwrite_partitions}\n"
    assert _compiled(lake).graph["out"]


@pytest.mark.parametrize("mode", ["append", "overwrite", "merge, keys: [id]"])
def test_the_scope_of_a_sink_is_of_partitions(mode: str) -> None:
    with pytest.raises(ConfigError) as caught:
        _compiled(f"sinks: {{out: {{from: whole, type: safe, scope: epoch, mode: {mode}}}}}\n")
    assert [problem.code for problem in caught.value.problems] == ["DOC-203"]
    assert "scope is for mode overwrite_partitions" in caught.value.problems[0].message


def test_an_accumulated_table_is_no_part() -> None:
    rest = (
        "transforms:\n  t:\n    from: lake\n    steps:\n      - aggregate: {by: [id], measures: {n: count(*)}}\n"
        "sinks:\n  lake: {from: new, type: table}\n  out: {from: t, type: safe, mode: overwrite}\n"
    )
    assert _compiled(rest).graph["out"]


def test_a_scope_is_the_epoch() -> None:
    with pytest.raises(ConfigError) as caught:
        _compiled("transforms:\n  t: {from: new, scope: all}\n" + SINK)
    assert [problem.code for problem in caught.value.problems] == ["DOC-203"]


def test_appending_new_rows_is_no_doubling() -> None:
    assert "CMP-229" not in [problem.code for problem in _compiled(SINK).warnings]


@pytest.mark.parametrize("rule", ["unique: id", "primary_key: [id]", "monotonic: {column: id, order_by: at}"])
def test_a_rule_that_looks_at_other_rows_says_that_it_means_the_epoch(rule: str) -> None:
    transform = f"transforms: {{t: {{from: new, rules: [{{not_null: id}}, {{{rule}}}]}}}}\n"
    sink = "sinks: {out: {from: t, type: safe}}\n"
    assert _codes(transform + sink) == ["CMP-354"]
    assert _compiled(transform.replace(f"{{{rule}}}", f"{{{rule}, scope: epoch}}") + sink)
    assert _compiled(transform.replace("from: new", "from: new, scope: epoch") + sink)
    assert _compiled(transform.replace(f", {{{rule}}}", "") + sink)
