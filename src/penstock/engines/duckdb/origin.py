"""Where a row came from: the source's own row, carried along in one column through nodes that keep row by row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.graph.nodes import Check, Column, Filter, Project, Read
from penstock.trees import column, identifier, struct, unused_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.graph import Graph, Node
    from penstock.types import Schema

_WANTED: Final = "penstock source row"


@dataclass(frozen=True, slots=True)
class Origin:
    """``graph`` has the same nodes, those of the way carrying a struct of the source's columns in ``column``."""

    graph: Graph
    read: Read
    schema: Schema
    column: str

    def leaf(self, query: exp.Query) -> exp.Query:
        """The rows of the read with the column in which they are carried."""
        whole = struct({name: column(name) for name in self.schema.names})
        carried = exp.alias_(whole, identifier(self.column))
        return exp.select("*", carried).from_(query.subquery(identifier("source"), copy=False))


def origin_of(graph: Graph, node_id: str, tables: Mapping[str, str]) -> Origin | None:
    """None where the way from a source to the node is not row by row, or begins at a table (``tables``)."""
    way: list[Node] = []
    current = graph[node_id]
    while not isinstance(current, Read):
        if current.id in tables or not _is_row_by_row(current):
            return None
        way.append(current)
        current = graph[current.inputs[0]]
    if current.id in tables or current.schema is None or not current.schema.names:
        return None
    schema = current.schema if current.columns is None else current.schema.select(current.columns)
    names = [name for node in (*way, current) if node.schema is not None for name in node.schema.names]
    carrier = unused_name(_WANTED, names)
    changed = {node.id for node in way}

    def carry(node: Node) -> Node:
        if node.id not in changed or not isinstance(node, Project):
            return node
        return dataclasses.replace(node, columns=(*node.columns, Column(carrier, column(carrier))))

    return Origin(graph.map(carry), current, schema, carrier)


def _is_row_by_row(node: Node) -> bool:
    match node:
        case Project():
            return not any(item.value.find(exp.Window) for item in node.columns)
        case Filter():
            return node.condition.find(exp.Window) is None
        case Check():
            return True
        case _:
            return False
