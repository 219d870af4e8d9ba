"""Only the columns that somebody uses are asked of a source that can leave columns out.

What a node computes for nobody has been left out before (prune_columns).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.compile.needed import following, needed_columns
from penstock.graph.nodes import Read, Table
from penstock.registry import Capability
from penstock.structs import replace

if TYPE_CHECKING:
    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node
    from penstock.types import Schema


def push_projection(graph: Graph, pipeline: Pipeline, _facts: Facts) -> Graph:
    needed = needed_columns(graph)
    schemas: dict[str, Schema | None] = {}

    def narrow(node: Node) -> Node:
        done = (
            _narrowed(node, needed[node.id], pipeline) if isinstance(node, Read | Table) else following(node, schemas)
        )
        schemas[node.id] = done.schema
        return done

    return graph.map(narrow)


def _narrowed(node: Read | Table, asked: frozenset[str], pipeline: Pipeline) -> Read | Table:
    if node.schema is None:
        return node
    use = pipeline.sources[node.source] if isinstance(node, Read) else pipeline.sinks[node.sink]
    if isinstance(node, Read) and Capability.PROJECTION not in use.descriptor.capabilities:
        return node
    kept = tuple(name for name in node.schema.names if name in asked)
    if len(kept) == len(node.schema.names):
        return node
    kept = kept or node.schema.names[:1]  # a row is at least one column
    return replace(node, columns=kept, schema=node.schema.select(kept))
