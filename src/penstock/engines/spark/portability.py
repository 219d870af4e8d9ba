"""Whether a graph can be run on Spark: every expression in it that cannot, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engines.spark.lowering import Lowering
from penstock.engines.spark.refusal import Unportable, UnportableError
from penstock.graph.nodes import (
    Aggregate,
    Explode,
    Filter,
    Join,
    Project,
    Query,
    Sample,
    Sort,
)
from penstock.structs import Frozen
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlglot import exp

    from penstock.engines.spark.typed import SchemaOf
    from penstock.errors import Location
    from penstock.graph import Graph, Node


class Refusal(Frozen):
    """A part of a node's expressions that Spark does not run; ``at`` is the place of the expression, if it has one."""

    node: str
    part: Unportable
    at: Location | None = None


def refusals(graph: Graph, schema_of: SchemaOf) -> tuple[Refusal, ...]:
    """All of them, in the graph's order, each once. ``schema_of`` is DuckDB's binder. Checks have none: a rule in words that
    are not known to mean the same on Spark is judged by DuckDB there, too.
    """
    lowering = Lowering(schema_of)
    return tuple(dict.fromkeys(found for node in graph.nodes for found in _of_node(node, graph, lowering)))


def _of_node(node: Node, graph: Graph, lowering: Lowering) -> Iterator[Refusal]:
    match node:
        case Sample():
            yield Refusal(node.id, Unportable("sample", "its rows are chosen by DuckDB's hash of them"), node.at)
        case Query(tables=tables, query=query):
            try:
                lowering.query(query, {name: _schema(graph[source]) for name, source in tables.items()})
            except UnportableError as error:
                yield from (Refusal(node.id, part, node.at) for part in error.parts)
        case _:
            scope = _scope(node, graph)
            for value, at, ordering in _expressions(node):
                try:
                    (lowering.ordered if ordering else lowering.expression)(value, scope)
                except UnportableError as error:
                    yield from (Refusal(node.id, part, at or node.at) for part in error.parts)


def _scope(node: Node, graph: Graph) -> Mapping[str, Schema]:
    match node:
        case Join():
            return {node.left_alias: _schema(graph[node.left]), node.right_alias: _schema(graph[node.right])}
        case _ if node.inputs:
            return {"": _schema(graph[node.inputs[0]])}
        case _:
            return {}


def _expressions(node: Node) -> Iterator[tuple[exp.Expr, Location | None, bool]]:
    """What is computed of the node's input, where it stands, and whether rows are ordered by it."""
    match node:
        case Project(columns=columns):
            yield from ((item.value, item.at, False) for item in columns)
        case Filter(condition=condition, among=among):
            yield condition, None, False
            if among is not None:
                yield among, None, False
        case Join(on=on, columns=columns):
            if on is not None:
                yield on, None, False
            yield from ((item.value, item.at, False) for item in columns)
        case Aggregate(by=by, measures=measures):
            yield from ((item.value, item.at, False) for item in (*by, *measures))
        case Explode(value=value, columns=columns):
            yield value, None, False
            yield from ((item.value, item.at, False) for item in columns)
        case Sort(keys=keys):
            yield from ((key.value, None, True) for key in keys)
        case _:
            return


def _schema(node: Node) -> Schema:
    return node.schema or Schema(())


__all__ = ["Refusal", "refusals"]
