"""Whatever asks for the time in a graph is told the moment, and keeps its type."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Column, Filter, Project, Query, Read, Sort, SortKey
from penstock.trees import column

MOMENT = datetime(2001, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
STAMP = "2001-02-03 04:05:06.789012"


def tree(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="duckdb")


def value_of(expression: exp.Expr) -> tuple[str, str]:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    select = exp.select(exp.cast(expression.copy(), "text", dialect="duckdb"), exp.func("typeof", expression.copy()))
    (found,) = connection.execute(select.sql(dialect="duckdb")).fetchall()
    return found


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("now()", f"{STAMP}+00"),
        ("NOW()", f"{STAMP}+00"),
        ("main.now()", f"{STAMP}+00"),
        ("current_timestamp", f"{STAMP}+00"),
        ("get_current_timestamp()", f"{STAMP}+00"),
        ("transaction_timestamp()", f"{STAMP}+00"),
        ("current_date", "2001-02-03"),
        ("today()", "2001-02-03"),
        ("current_time", f"{STAMP[11:]}+00"),
        ("get_current_time()", f"{STAMP[11:]}+00"),
        ("localtime", STAMP[11:]),
        ("current_localtime()", STAMP[11:]),
        ("localtimestamp", STAMP),
        ("current_localtimestamp()", STAMP),
        ("age(timestamp '2001-02-01 12:00:00')", "1 day 12:00:00"),
        ("year(current_date) + 1", "2002"),
    ],
)
def test_the_moment_stands_in_the_place_of_the_clock(asked: str, told: str) -> None:
    graph = Graph((Project("p", input="a", columns=(Column("x", tree(asked)),)),))
    (bound,) = at_moment(graph, MOMENT).nodes
    assert isinstance(bound, Project)
    _, kind = value_of(tree(asked))
    assert value_of(bound.columns[0].value) == (told, kind)


def test_every_kind_of_place_is_told() -> None:
    late = tree("k < now()")
    graph = Graph(
        (
            Read("a", source="a", predicate=late),
            Filter("f", input="a", condition=late),
            Sort("s", input="f", keys=(SortKey(late),)),
            Query("q", tables={"s": "s"}, query=exp.select("*").from_("s").where(late)),
        )
    )
    assert "NOW" in str(graph.nodes).upper()
    bound = at_moment(graph, MOMENT)
    assert "NOW" not in str(bound.nodes).upper()
    assert str(bound.nodes).count(f"{STAMP}+00") == len(graph.nodes)


def test_a_node_that_does_not_ask_is_left_as_it_is() -> None:
    node = Project("p", input="a", columns=(Column("now", column("now")), Column("age", tree("age(a, b)"))))
    (bound,) = at_moment(Graph((node,)), MOMENT).nodes
    assert bound is node
