"""Where a row came from: the source's own row, carried along in one column through nodes that keep row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import POSITION
from penstock.graph.nodes import Check, Column, Filter, Project, Read
from penstock.structs import Frozen, Mutable, replace
from penstock.trees import column, identifier, struct, unused_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from penstock.graph import Graph, Node
    from penstock.types import Schema

_WANTED: Final = "penstock source row"


class Origin(Frozen):
    """``graph`` has the same nodes, those of the way carrying a struct of the source's columns in ``column``. ``begins`` is the
    node of which these are: the read, a table that has its columns, or a projection that stands for a source. They carry
    too where each row comes from, in ``place``, where they have it from a ``read``; None: a table came in between.
    """

    graph: Graph
    source: str
    begins: str
    schema: Schema
    column: str
    place: str
    read: str | None = None

    def leaf(self, query: exp.Query) -> exp.Query:
        """The rows of the read, or the table, with the column in which they are carried."""
        whole = struct({name: column(name) for name in self.schema.names})
        carried = exp.alias_(whole, identifier(self.column))
        return exp.select("*", carried).from_(query.subquery(identifier("source"), copy=False))


class Carried(Mutable):
    """How the rows of a statement carry their source's row: asked anew for each, since a table may have come in between."""

    origin: Origin | None = None

    def looked_up(self, graph: Graph, node_id: str, tables: Collection[str]) -> Origin | None:
        self.origin = origin_of(graph, node_id, tables)
        return self.origin


def origin_of(graph: Graph, node_id: str, tables: Collection[str]) -> Origin | None:
    """None where the way from a source to the node is not row by row, or begins at a table (``tables``) that has not the
    source's own columns.
    """
    way: list[Node] = []
    begins = graph[node_id]
    while begins.id not in tables and not _is_source(begins):
        if not _is_row_by_row(begins):
            return None
        way.append(begins)
        begins = graph[begins.inputs[0]]
    read, schema = _read_behind(graph, begins), begins.schema
    if read is None or schema is None or not schema.names:
        return None
    behind = _between(graph, begins, read)
    names = [name for node in (*way, begins, *behind) if node.schema is not None for name in node.schema.names]
    carrier, place = unused_name(_WANTED, names), unused_name(POSITION, names)
    located = not any(node.id in tables for node in (begins, *behind))
    changed = {node.id for node in way}
    passing = {*changed, begins.id, *(node.id for node in behind)} if located else set()

    def carry(node: Node) -> Node:
        if not isinstance(node, Project) or node.id not in {*changed, begins.id, *passing}:
            return node
        added: list[Column] = []
        if node.id == begins.id:
            added.append(Column(carrier, struct({item.name: item.value for item in node.columns})))
        elif node.id in changed:
            added.append(Column(carrier, column(carrier)))
        if node.id in passing:
            added.append(Column(place, column(place)))
        return replace(node, columns=(*node.columns, *added))

    return Origin(graph.map(carry), read.source, begins.id, schema, carrier, place, read.id if located else None)


def _between(graph: Graph, begins: Node, read: Read) -> list[Node]:
    """The nodes behind where the source's columns begin, up to its read."""
    found: list[Node] = []
    node = begins
    while node.id != read.id:
        node = graph[node.inputs[0]]
        found.append(node)
    return found


def _is_source(node: Node) -> bool:
    return isinstance(node, Read) or (isinstance(node, Project) and node.is_origin)


def _read_behind(graph: Graph, node: Node) -> Read | None:
    """The read whose columns the node has; None where there is none, or where they were changed."""
    stands = False
    while not isinstance(node, Read):
        stands = stands or _is_source(node)
        if not (isinstance(node, Check | Filter) or stands) or not _is_row_by_row(node):
            return None
        node = graph[node.inputs[0]]
    return node


def _is_row_by_row(node: Node) -> bool:
    match node:
        case Project():
            return not any(item.value.find(exp.Window) for item in node.columns)
        case Filter():
            return node.among is None and node.condition.find(exp.Window) is None
        case Check():
            return True
        case _:
            return False
