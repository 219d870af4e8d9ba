from __future__ import annotations

from typing import TYPE_CHECKING

import memory_sink
import pytest
from harness import TypingEngine

from penstock.compile.build import build
from penstock.compile.facts import Facts
from penstock.compile.labels import label
from penstock.errors import ConfigError, Problem

if TYPE_CHECKING:
    from penstock.graph import Graph

_SOURCES = """
pipeline: test
sources:
  people:
    type: memory
    labels: {email: [pii]}
    schema: {columns: {id: int64?, email: string?, city: string?, seen: date?}}
  cities: {type: memory, schema: {columns: {city: string?, size: int64?}}}
"""


def _labelled(steps: str, sink: str = "{from: out, type: table}", sources: str = _SOURCES) -> Graph:
    text = f"{sources}transforms:\n  out: {{from: people, steps: [{steps}]}}\nsinks:\n  lake: {sink}\n"
    pipeline = memory_sink.read(text)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    return label(build(pipeline, Facts(sources=known), TypingEngine()).graph, pipeline)


def _problem(steps: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        _labelled(steps)
    return caught.value.problems[0]


def _labels(steps: str) -> dict[str, list[str]]:
    schema = _labelled(steps, "{from: out, type: table, allow: [pii]}")["lake"].schema
    assert schema is not None
    return {item.name: sorted(item.labels) for item in schema}


@pytest.mark.parametrize(
    "steps",
    [
        "{select: [id, email]}",
        "{select: [{part: lower(email)}]}",
        "{aggregate: {by: [email], measures: {n: count(*)}}}",
        "{aggregate: {by: [city], measures: {first: min(email)}}}",
        "{window: {partition_by: [email], order_by: seen, columns: {n: row_number()}}}, {select: [n]}",
        "{join: {to: cities, on: this.email = cities.city, add: [size]}}, {select: [size]}",
        "{deduplicate: {keys: [email]}}, {select: [id]}",
        "{pivot: {on: email, values: [a], measures: {n: count(*)}}}",
        "{unpivot: {columns: [email]}}, {select: [value]}",
        "{filter: email like 'a%'}, {aggregate: {measures: {n: count(*)}}}",
        "{filter: email like 'a%'}, {select: {one: '1'}}",
        "{sort: [email]}, {limit: 3}, {select: [id]}",
        "{sql: select count(*) as n from this where email is null}",
        "{sql: 'with c as (select 1 as one from this where email is null) select one from c'}",
        "{sql: 'select id from this group by all having max(email) > 1::text'}",
        "{python: {function: 'pets:feed', schema: {id: int64?}}}",
    ],
)
def test_a_labelled_column_flows_into_no_sink_that_does_not_allow_it(steps: str) -> None:
    found = _problem(steps)
    assert (found.code, "pii" in found.message) == ("CMP-310", True)
    assert found.at is not None


@pytest.mark.parametrize(
    "steps",
    [
        "{deduplicate: {keys: [id], order_by: seen, keep: last}}, {select: [id, city]}",
        "{aggregate: {by: [city], measures: {last: last(id order by seen), best: 'arg_max(id, seen)'}}}",
        "{window: {partition_by: [city], order_by: seen, columns: {n: row_number(), p: lag(id)}}}, {select: [n, p]}",
    ],
)
def test_breaking_a_tie_by_a_column_does_not_pass_its_label_on(steps: str) -> None:
    assert all(labels == [] for labels in _labels(steps).values())


def test_a_merge_sink_tells_rows_apart_without_passing_labels_on() -> None:
    graph = _labelled("{select: [id, email, city]}", "{from: out, type: table, mode: merge, keys: [id], allow: [pii]}")
    schema = graph["lake"].schema
    assert schema is not None
    assert {item.name: sorted(item.labels) for item in schema} == {"id": [], "email": ["pii"], "city": []}


def test_labels_of_a_column_that_is_not_there() -> None:
    with pytest.raises(ConfigError) as caught:
        _labelled("{select: [id]}", sources=_SOURCES.replace("{email: [pii]}", "{e_mail: [pii]}"))
    found = caught.value.problems[0]
    assert (found.code, found.hint) == ("CMP-311", 'did you mean "email"?')


def test_what_a_contract_checks_of_a_column_says_nothing_of_it() -> None:
    text = _SOURCES.replace("email: string?", "email: string")
    schema = _labelled("{select: [id, city]}", sources=text)["lake"].schema
    assert schema is not None
    assert all(not item.labels for item in schema)


@pytest.mark.parametrize("steps", ["[]", "[{aggregate: {measures: {n: count(*)}}}]", "[{select: [id]}]"])
def test_labels_come_back_with_the_table_of_a_sink(steps: str) -> None:
    """Its rows are those of a filter over a labelled column, whatever is read of them."""
    text = (
        _SOURCES + "transforms:\n  some: {from: people, steps: [{filter: email is null}]}\n"
        f"  again: {{from: lake, steps: {steps}}}\n"
        "sinks:\n  lake: {from: some, type: table, allow: [pii]}\n  copy: {from: again, type: table}\n"
    )
    pipeline = memory_sink.read(text)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    with pytest.raises(ConfigError) as caught:
        label(build(pipeline, Facts(sources=known), TypingEngine()).graph, pipeline)
    assert {problem.code for problem in caught.value.problems} == {"CMP-310"}
    assert all('"copy"' in problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(("column", "code"), [("low", "CMP-310"), ("lower", "CMP-311")])
def test_labels_of_a_transform_stand_at_its_output(column: str, code: str) -> None:
    text = (
        _SOURCES.replace("    labels: {email: [pii]}\n", "")
        + "transforms:\n  out: {from: people, steps: [{select: {low: lower(email)}}], "
        f"labels: {{{column}: [contact]}}}}\n"
        "sinks:\n  lake: {from: out, type: table}\n"
    )
    pipeline = memory_sink.read(text)
    known = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    with pytest.raises(ConfigError) as caught:
        label(build(pipeline, Facts(sources=known), TypingEngine()).graph, pipeline)
    assert [problem.code for problem in caught.value.problems] == [code]


def test_a_sink_must_allow_every_label() -> None:
    text = _SOURCES.replace("{email: [pii]}", "{email: [pii, contact]}")
    with pytest.raises(ConfigError) as caught:
        _labelled("{select: [email]}", "{from: out, type: table, allow: [pii]}", sources=text)
    assert caught.value.problems[0].message.startswith('column "email" carries contact,')
