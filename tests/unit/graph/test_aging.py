"""How old the newest value is by a later moment."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.aging import ages_at, aging_checks, with_ages
from penstock.graph.history import Earlier
from penstock.graph.nodes import Check, Column, Read, TableRule
from penstock.trees import column
from penstock.types import Field, Schema
from penstock.types.logical import DATE, TIMESTAMP, LogicalType

DAY = 86_400
KEY = ("a.rules", "freshness", "age")
NIGHT, MORNING = datetime(2026, 1, 1, 23, 0, tzinfo=UTC), datetime(2026, 1, 2, 1, 0, tzinfo=UTC)


def check(kind: LogicalType = TIMESTAMP, *, aging: bool = True) -> Check:
    measure = Column("age", exp.Max(this=column("day")))
    old = exp.GT(this=column("age"), expression=exp.Literal.number(1))
    rule = TableRule("freshness", (measure,), old, exp.Literal.string("old"), ("day",), "warn", aging=aging)
    return Check("a.rules", input="a", causes=(), table_rules=(rule,), schema=Schema((Field("day", kind),)))


@pytest.mark.parametrize(("kind", "age"), [(TIMESTAMP, 10 + 2 * 3600), (DATE, 10 + DAY)])
def test_what_came_ages_by_the_time_since_and_a_date_by_whole_days(kind: LogicalType, age: float) -> None:
    assert ages_at(MORNING, [Earlier(NIGHT, {KEY: 10})], [check(kind)]) == {KEY[:2]: age}


def test_the_newest_value_of_all_epochs_counts_not_that_of_the_newest_epoch() -> None:
    late = Earlier(MORNING, {KEY: 5 * DAY})
    assert ages_at(MORNING, [late, Earlier(NIGHT, {}), Earlier(NIGHT, {KEY: 0})], [check()]) == {KEY[:2]: 2 * 3600}


def test_of_what_never_had_a_value_nothing_is_known() -> None:
    assert ages_at(MORNING, [Earlier(NIGHT, {("a.rules", "other", "age"): 1})], [check()]) == {}


@pytest.mark.parametrize(("incremental", "aging"), [(True, False), (False, True)])
def test_rows_that_are_all_there_are_and_other_rules_age_not(*, incremental: bool, aging: bool) -> None:
    read = Read("a", source="a", incremental=incremental)
    assert list(aging_checks(Graph((read, check(aging=aging))))) == []


def test_a_rule_goes_by_an_age_where_no_value_comes() -> None:
    graph = Graph((Read("a", source="a", incremental=True), check()))
    assert [node.id for node in aging_checks(graph)] == ["a.rules"]
    (bound,) = (node for node in with_ages(graph, {KEY[:2]: 7}).nodes if isinstance(node, Check))
    (measure,) = bound.table_rules[0].measures
    assert (measure.name, measure.value.sql(dialect="duckdb")) == (
        "age",
        "COALESCE(MAX(\"day\"), CAST('7.0' AS DOUBLE))",
    )
    assert with_ages(graph, {}) == graph
