"""A graph that reads nothing and writes into memory: the rows of a test stand where sources and sinks' tables stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.api import BatchWriter, Staged
from penstock.errors import InternalError
from penstock.graph.nodes import Check, Column, Project, Read, Table
from penstock.structs import replace
from penstock.trees import column

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from penstock.graph import Graph, Node
    from penstock.graph.nodes import Query


class MemoryWriter(BatchWriter):
    """Keeps the rows; ``table`` has them."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []

    @property
    def table(self) -> pa.Table:
        import pyarrow as pa

        return pa.Table.from_batches(self._batches, self._schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)

    def stage(self) -> Staged:
        return Staged(sum(batch.num_rows for batch in self._batches), 0)

    def abort(self) -> None:
        self._batches.clear()


def self_contained(graph: Graph, given: Mapping[str, Query]) -> Graph:
    """``given`` has the rows of every source by its name, and of those sinks' tables that have any. Another table holds what
    the graph itself sends to the sink: it was empty before.
    """
    written = {write.sink: write.input for write in graph.writes}

    def stand_in(node: Node) -> Node:
        match node:
            case Read(source=name):
                return _rows(node, given[name])
            case Table(sink=name) if name in given:
                return _rows(node, given[name])
            case Table(sink=name) if node.schema is not None:
                sent = tuple(Column(item, column(item)) for item in node.schema.names)
                return Project(node.id, input=written[name], columns=sent, at=node.at, schema=node.schema)
            case _:
                return node

    return graph.map(stand_in)


def _rows(node: Read | Table, rows: Query) -> Query:
    """With the columns that the node reads."""
    if rows.schema is None or node.schema is None:
        raise InternalError("INT-900", f'"{node.id}" has no columns yet')
    query = rows.query
    if node.schema.names != rows.schema.names:
        from sqlglot import exp

        query = exp.select(*map(column, node.schema.names)).from_(query.subquery("rows"))
    return replace(rows, id=node.id, query=query, at=node.at, schema=node.schema)


def without_ends(graph: Graph) -> Graph:
    """The graph in which no rule ends a run: such rows are rejected as well, and no number of them is too high."""
    return graph.map(lambda node: _mild(node) if isinstance(node, Check) else node)


def _mild(node: Check) -> Check:
    causes = tuple(replace(cause, on_fail="reject", threshold=None) for cause in node.causes)
    return replace(node, causes=causes, notes=tuple(replace(note, threshold=None) for note in node.notes))
