"""Lineage beyond one transform: contracts, Python steps, tables that are read back. tests/property has the rest."""

from __future__ import annotations

import harness
import memory_sink
import pytest

from penstock.compile.build import build
from penstock.compile.facts import Facts
from penstock.compile.lineage import lineage_of
from penstock.types import Schema

_HEAD = """
pipeline: test
sources:
  a: {type: memory, schema: {columns: {id: int64?, k: string?, n: int64?, day: date?}}}
"""


def _traced(rest: str, node: str, **targets: Schema) -> dict[str, tuple[set[str], set[str]]]:
    pipeline = memory_sink.read(_HEAD + rest)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    graph = build(pipeline, Facts(sources=known, targets=targets), harness.TypingEngine()).graph
    found = lineage_of(graph, pipeline)[graph.outputs.get(node, node)]
    return {
        name: (
            {f"{origin.node}.{origin.column}" for origin in own.values},
            {f"{origin.node}.{origin.column}" for origin in own.predicates},
        )
        for name, own in found.items()
    }


def test_a_python_step_makes_every_column_of_every_other() -> None:
    rest = "transforms:\n  t: {from: a, steps: [{select: [id, k]}, {python: {function: 'm:f', schema: {x: int64?}}}]}\n"
    assert _traced(rest, "t") == {"x": ({"a.id", "a.k"}, {"a.id", "a.k"})}


def test_a_contract_decides_by_the_columns_that_it_checks() -> None:
    rest = "transforms:\n  t: {from: a, steps: [{select: [id, n]}], schema: {columns: {id: int64, n: int64?}}}\n"
    assert _traced(rest, "t") == {"id": ({"a.id"}, {"a.id"}), "n": ({"a.n"}, {"a.id"})}


_BACK = (
    "transforms:\n  t: {from: a, steps: [{filter: n > 1}, {select: [id, k, day]}]}\n"
    "  again: {from: lake, steps: [%s]}\n"
    "sinks:\n  lake: {from: t, type: table%s}\n  out: {from: again, type: drain}\n"
)


def test_a_table_that_is_read_back_has_what_stood_there_and_what_was_sent() -> None:
    found = _traced(_BACK % ("{select: [k]}", ""), "out")
    assert found == {"k": ({"a.k", "lake.k"}, {"a.n"})}


def test_a_merge_decides_by_its_keys_and_by_what_is_newer() -> None:
    found = _traced(_BACK % ("{select: [k]}", ", mode: merge, keys: [id], order_by: day"), "out")
    assert found == {"k": ({"a.k", "lake.k"}, {"a.n", "a.id", "a.day", "lake.id", "lake.day"})}


@pytest.mark.parametrize("steps", ["{aggregate: {measures: {n: count(*)}}}", "{select: {n: '1'}}", "{select: [more]}"])
def test_rows_that_were_filtered_before_they_were_sent_are_told_of_every_column(steps: str) -> None:
    """Also of a column of the table that this pipeline does not send."""
    table = Schema.of({"id": "int64?", "k": "string?", "day": "date?", "more": "int64?"})
    ((_, predicates),) = _traced(_BACK % (steps, ""), "out", lake=table).values()
    assert predicates == {"a.n"}


def test_a_chain_of_tables_leads_back_to_the_source() -> None:
    rest = (
        "transforms:\n  t: {from: lake, steps: [{filter: n > 1}]}\n  u: {from: shore, steps: [{select: [id]}]}\n"
        "sinks:\n  lake: {from: a, type: table}\n  shore: {from: t, type: table}\n  sea: {from: u, type: drain}\n"
    )
    assert _traced(rest, "sea") == {"id": ({"a.id", "lake.id", "shore.id"}, {"a.n", "lake.n"})}
