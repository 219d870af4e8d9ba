"""Which columns of each node somebody uses, from the sinks upwards.

What a node needs is read from its expressions; a node that hands on all its columns needs those of its consumers; a
sample and a merge's comparison of rows need all of them, as does whatever a person wrote as a query with a star.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.nodes import (
    Aggregate,
    Check,
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
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penstock.graph import Graph, Node
    from penstock.graph.nodes import Column
    from penstock.types import Schema


def needed_columns(graph: Graph) -> Mapping[str, frozenset[str]]:
    """By node id; of a node that nobody reads, as a sink's write, all."""
    asked: dict[str, set[str]] = {node.id: set() for node in graph.nodes}
    for node in reversed(graph.nodes):
        if not graph.consumers[node.id]:
            asked[node.id] = _all(graph, node.id)
        for source, columns in _uses(node, asked[node.id], graph):
            asked[source] |= columns & _all(graph, source)
    return {node_id: frozenset(columns) for node_id, columns in asked.items()}


def kept_columns(columns: Sequence[Column], asked: frozenset[str] | set[str]) -> tuple[Column, ...]:
    """Those that are asked for; one at least, for a row is at least one column."""
    return tuple(item for item in columns if item.name in asked) or tuple(columns[:1])


def following(node: Node, schemas: Mapping[str, Schema | None]) -> Node:
    """The node with the columns that its input has by now, if it hands on what it gets."""
    if not isinstance(node, Filter | Sort | Limit | Check) or node.schema is None:
        return node
    below = schemas[node.input]
    names = below.names if below is not None else ()
    return replace(node, schema=node.schema.select([name for name in node.schema.names if name in names]))


def _all(graph: Graph, node_id: str) -> set[str]:
    schema = graph[node_id].schema
    return set(schema.names) if schema is not None else set()


def _uses(node: Node, asked: set[str], graph: Graph) -> Iterable[tuple[str, set[str]]]:
    match node:
        case Read() | Table():
            return
        case Project():
            yield node.input, _columns(*(item.value for item in kept_columns(node.columns, asked)))
        case Filter():
            yield node.input, asked | _columns(node.condition)
        case Sort():
            yield node.input, asked | _columns(*(key.value for key in node.keys))
        case Limit():
            yield node.input, asked
        case Aggregate():
            measures = [item.value for item in node.measures if item.name in asked]
            yield node.input, _columns(*(item.value for item in node.by), *measures)
        case Explode():
            carried = [item.value for item in node.columns if item.name in asked]
            yield node.input, _columns(node.value, *carried)
        case Join():
            trees = [item.value for item in kept_columns(node.columns, asked)]
            trees += [node.on] if node.on is not None else []
            yield node.left, _columns(*trees, of=node.left_alias)
            yield node.right, _columns(*trees, of=node.right_alias)
        case Check() | Sample() | Python() | Query() | Union() | Write():
            # A reject shows the whole row, a sample hashes it, a union goes by place, a query may say `*`.
            for name in node.inputs:
                yield name, _all(graph, name)


def _columns(*trees: exp.Expr, of: str | None = None) -> set[str]:
    return {
        found.name for tree in trees for found in tree.find_all(exp.Column) if of is None or found.table in {of, ""}
    }
