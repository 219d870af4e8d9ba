"""Column lineage: from every column of every node back to the sources, through values and through what decides rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from penstock.compile.tracing import trace
from penstock.graph.nodes import Read, Table
from penstock.structs import Frozen

if TYPE_CHECKING:
    from penstock.document.models import Pipeline
    from penstock.graph import Graph


class Origin(Frozen, order=True):
    """A column of a source, or of a sink's table as it was before."""

    node: str
    column: str


class ColumnLineage(Frozen):
    """``values``: what the column's values are made of. ``predicates``: what decided which rows there are, or their order
    within a window.
    """

    values: frozenset[Origin] = frozenset()
    predicates: frozenset[Origin] = frozenset()


Lineage: TypeAlias = Mapping[str, Mapping[str, ColumnLineage]]


def lineage_of(graph: Graph, pipeline: Pipeline | None = None) -> Lineage:
    """By node id and column. From the ``pipeline`` comes by which columns a sink that is read back merges its rows."""
    merged_by = {
        use.name: (*use.params.keys, *([use.params.order_by] if use.params.order_by else ()))
        for use in (pipeline.sinks.values() if pipeline is not None else ())
        if use.params.mode == "merge"
    }
    return {
        node: {name: ColumnLineage(marks.values, marks.deciding) for name, marks in traced.columns.items()}
        for node, traced in trace(graph, _origin, merged_by=merged_by).items()
    }


def _origin(leaf: Read | Table, name: str) -> frozenset[Origin]:
    return frozenset({Origin(leaf.source if isinstance(leaf, Read) else leaf.sink, name)})
