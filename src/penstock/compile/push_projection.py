"""Only the columns that somebody uses are asked of a source that can leave columns out.

What a node needs is read from its expressions; a node that hands on all its columns needs those of its consumers; a
sample and a merge's comparison of rows need all of them, as does whatever a person wrote as a query with a star.
"""

from __future__ import annotations

import dataclasses
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
from penstock.registry import Capability

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node


def push_projection(graph: Graph, pipeline: Pipeline, _facts: Facts) -> Graph:
    needed = _needed(graph)

    def narrow(node: Node) -> Node:
        if not isinstance(node, Read | Table) or node.schema is None:
            return node
        use = pipeline.sources[node.source] if isinstance(node, Read) else pipeline.sinks[node.sink]
        if isinstance(node, Read) and Capability.PROJECTION not in use.descriptor.capabilities:
            return node
        kept = tuple(name for name in node.schema.names if name in needed[node.id])
        if len(kept) == len(node.schema.names):
            return node
        kept = kept or node.schema.names[:1]  # a row is at least one column
        return dataclasses.replace(node, columns=kept, schema=node.schema.select(kept))

    return graph.map(narrow)


def _needed(graph: Graph) -> dict[str, set[str]]:
    """The columns of each node that its consumers use; all of those that are some transform's or sink's own output."""
    needed: dict[str, set[str]] = {node.id: set() for node in graph.nodes}
    for node in reversed(graph.nodes):
        for source, columns in _uses(node, needed[node.id], graph):
            needed[source] |= columns
    return needed


def _all(graph: Graph, node_id: str) -> set[str]:
    schema = graph[node_id].schema
    return set(schema.names) if schema is not None else set()


def _uses(node: Node, asked: set[str], graph: Graph) -> Iterable[tuple[str, set[str]]]:
    match node:
        case Read() | Table():
            return
        case Project():
            # Values that nobody asks for are computed all the same: the statement names them.
            yield node.input, _columns(*(item.value for item in node.columns))
        case Filter():
            yield node.input, asked | _columns(node.condition)
        case Sort():
            yield node.input, asked | _columns(*(key.value for key in node.keys))
        case Limit():
            yield node.input, asked
        case Aggregate():
            yield node.input, _columns(*(item.value for item in (*node.by, *node.measures)))
        case Explode():
            yield node.input, _columns(node.value, *(item.value for item in node.columns))
        case Join():
            trees = [item.value for item in node.columns] + ([node.on] if node.on is not None else [])
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
