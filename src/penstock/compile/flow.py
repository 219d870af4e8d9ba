"""Where the values of a node's columns come from, one step back: for lineage and for labels.

A value flows through a projection; a condition, a join, a grouping, an order decide which rows there are, and so flow
into every column. What cannot be told apart is told to come from everywhere: never too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.compile.column_flow import Flow, Place
from penstock.compile.lambdas import is_bound
from penstock.compile.query_flow import query_flow
from penstock.errors import InternalError
from penstock.graph.nodes import (
    Aggregate,
    Check,
    Column,
    Explode,
    Filter,
    Join,
    Limit,
    Project,
    Python,
    Query,
    Read,
    Sample,
    Sort,
    Table,
    Union,
    Write,
)
from penstock.graph.select import says_something

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from penstock.graph import Graph, Node


def flow_of(node: Node, graph: Graph) -> Flow:
    match node:
        case Read() | Table():
            return Flow()
        case Project(input=source, columns=columns):
            return _computed(columns, lambda found: (source, found.name))
        case Filter(input=source, condition=condition):
            return _passed(graph, source, _columns(condition, source))
        case Check(input=source, causes=causes):
            return _passed(graph, source, frozenset().union(*(_columns(cause.violated, source) for cause in causes)))
        case Sort(input=source, keys=keys):
            return _passed(graph, source, frozenset().union(*(_columns(key.value, source) for key in keys)))
        case Limit(input=source) | Sample(input=source) | Write(input=source):
            return _passed(graph, source, frozenset())
        case Join():
            return _join(node, graph)
        case Aggregate(input=source, by=by, measures=measures):
            computed = _computed((*by, *measures), lambda found: (source, found.name))
            return Flow(
                computed.values, computed.orders, frozenset().union(*(_columns(key.value, source) for key in by))
            )
        case Explode(input=source):
            return _explode(node, source)
        case Union(members=members):
            return _union(graph, node, members)
        case Query():
            return query_flow(node, graph)
        case Python(input=source):
            every = frozenset((source, name) for name in _names(graph, source))
            return Flow({item.name: every for item in node.declared}, {}, every)


def _names(graph: Graph, node_id: str) -> tuple[str, ...]:
    schema = graph[node_id].schema
    if schema is None:
        raise InternalError("INT-900", f'"{node_id}" has no columns yet')
    return schema.names


def _columns(tree: exp.Expr, source: str) -> frozenset[Place]:
    return frozenset((source, found.name) for found in _read(tree))


def _read(tree: exp.Expr) -> list[exp.Column]:
    """Not the columns that only break a tie between rows: else every label would stick to every row's number."""
    return [found for found in tree.find_all(exp.Column) if says_something(found) and not is_bound(found)]


def _passed(graph: Graph, source: str, rows: frozenset[Place]) -> Flow:
    return Flow({name: frozenset({(source, name)}) for name in _names(graph, source)}, {}, rows)


def _computed(columns: Iterable[Column], place: Callable[[exp.Column], Place]) -> Flow:
    values: dict[str, frozenset[Place]] = {}
    orders: dict[str, frozenset[Place]] = {}
    for item in columns:
        deciding = {id(found) for found in _deciding(item.value)}
        found = _read(item.value)
        values[item.name] = frozenset(place(one) for one in found if id(one) not in deciding)
        orders[item.name] = frozenset(place(one) for one in found if id(one) in deciding)
    return Flow(values, orders)


def _deciding(tree: exp.Expr) -> Iterable[exp.Column]:
    """Columns that stand in a window's partition or order, in an aggregate's order or filter."""
    for window in tree.find_all(exp.Window):
        for part in (*window.args.get("partition_by", ()), window.args.get("order")):
            if part is not None:
                yield from _read(part)
    for part in tree.find_all(exp.Filter):
        yield from _read(part.expression)
    for order in tree.find_all(exp.Order):
        yield from _read(order)


def _join(node: Join, graph: Graph) -> Flow:
    def place(found: exp.Column) -> Place:
        return (node.left if found.table == node.left_alias else node.right, found.name)

    computed = _computed(node.columns, place)
    on = frozenset(place(found) for found in _read(node.on)) if node.on is not None else frozenset()
    if node.how == "left" and isinstance(keys := graph[node.right], Aggregate) and not keys.measures:
        # Each row once, whatever the keys are: what they decide is what is taken from them.
        taken = {item.name for item in node.columns if any(it.table == node.right_alias for it in _read(item.value))}
        return Flow(computed.values, {**computed.orders, **dict.fromkeys(taken, on)}, frozenset())
    return Flow(computed.values, computed.orders, on)


def _explode(node: Explode, source: str) -> Flow:
    computed = _computed(node.columns, lambda found: (source, found.name))
    element = _columns(node.value, source)
    made = {node.as_: element} | ({node.position: element} if node.position is not None else {})
    return Flow({**computed.values, **made}, computed.orders, element)


def _union(graph: Graph, node: Union, members: Iterable[str]) -> Flow:
    """By place: every member has the same columns in the same order."""
    names = node.schema.names if node.schema is not None else ()
    sources = [[(member, name) for name in _names(graph, member)] for member in members]
    return Flow({name: frozenset(source[place] for source in sources) for place, name in enumerate(names)})


__all__ = ["Flow", "Place", "flow_of"]
