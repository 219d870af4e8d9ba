"""Columns that nobody uses are not computed, so that what they are made of need not be read either.

How many rows a node has stays as it is: a column is left out of a projection, of what a join or an explode carries along,
of an aggregate's measures; never a key of a group, nor what a check shows of a rejected row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.compile.needed import following, kept_columns, needed_columns
from penstock.graph.nodes import Aggregate, Explode, Join, Project
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node
    from penstock.types import Schema


def prune_columns(graph: Graph, _pipeline: Pipeline, _facts: Facts) -> Graph:
    needed = needed_columns(graph)
    schemas: dict[str, Schema | None] = {}

    def narrow(node: Node) -> Node:
        done = _narrowed(node, needed[node.id], schemas)
        schemas[node.id] = done.schema
        return done

    return graph.map(narrow)


def _narrowed(node: Node, asked: frozenset[str], schemas: Mapping[str, Schema | None]) -> Node:
    if node.schema is None:
        return node
    match node:
        case Project() | Join():
            kept = kept_columns(node.columns, asked)
            schema = node.schema.select([item.name for item in kept])
            return replace(node, columns=kept, schema=schema)
        case Aggregate():
            measures = tuple(item for item in node.measures if item.name in asked)
            if not node.by:
                measures = kept_columns(node.measures, asked)
            schema = node.schema.select([item.name for item in (*node.by, *measures)])
            return replace(node, measures=measures, schema=schema)
        case Explode():
            carried = tuple(item for item in node.columns if item.name in asked)
            gone = {item.name for item in node.columns} - {item.name for item in carried}
            return replace(node, columns=carried, schema=node.schema.without(gone))
        case _:
            return following(node, schemas)
