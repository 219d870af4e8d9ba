"""The rows of a node read once, into a private file, so that several questions can be asked of the very same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.engines.api import Pass, Unkept
from penstock.graph import Graph
from penstock.graph.nodes import Query, Read, Write
from penstock.run import balance
from penstock.run.kept import KeptWriter, kept_rows, rows_of
from penstock.structs import Frozen, replace
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sqlglot import exp

    from penstock.connectors.api import Rows
    from penstock.engines.api import Engine
    from penstock.ledger.api import NodeBalance
    from penstock.types import Schema


class Copied(Frozen):
    """``read`` stands for them in a graph, and has their name; ``entries`` are the accounts of the nodes that gave them."""

    engine: Engine
    read: Read
    parts: Sequence[Rows]
    rows: int
    entries: tuple[NodeBalance, ...]

    @classmethod
    def of(
        cls,
        engine: Engine,
        graph: Graph,
        node: str,
        inputs: Mapping[str, Sequence[Rows]],
        *,
        schema: Schema,
        into: Path,
    ) -> Copied:
        """``into`` is a file that is not there yet, in a private folder."""
        name = into.stem
        write = Write(f"{name}:copy", input=node, sink=name, schema=schema)
        whole = Graph((*graph.only(graph.upstream(node)).nodes, write))
        outcome = engine.run(
            Pass(whole),
            inputs=inputs,
            outputs={name: lambda: KeptWriter(into, to_arrow(schema))},
            rejects=Unkept(),
        )
        read = Read(name, source=name, schema=schema)
        return cls(
            engine,
            read,
            [rows_of(into.parent, read, kept_rows(into.parent, into))],
            sum(staged.rows for staged in outcome.staged[name]),
            balance.account(whole, outcome.counts),
        )

    def named(self, name: str) -> Copied:
        """The same rows by another name."""
        return replace(self, read=replace(self.read, id=name, source=name))

    @property
    def rejected(self) -> Mapping[str, int]:
        """By node, the rows that were refused on the way."""
        return {entry.node: entry.rejected for entry in self.entries if entry.rejected}


def asked(engine: Engine, tables: Sequence[Copied], query: exp.Query, *, most: int) -> list[dict[str, Any]]:
    """The first rows of a query over copies, by their names: few."""
    node = Query("asked", tables={each.read.id: each.read.id for each in tables}, query=query)
    graph = Graph((*(each.read for each in tables), node))
    found = engine.sample(graph, node.id, {each.read.id: each.parts for each in tables}, most)
    rows: list[dict[str, Any]] = found.table.to_pylist()
    return rows


def made_of(tables: Sequence[Copied], query: exp.Query, *, schema: Schema, into: Path) -> Copied:
    """What a query makes of copies, as a copy."""
    node = Query(
        f"{into.stem}:query", tables={each.read.id: each.read.id for each in tables}, query=query, schema=schema
    )
    graph = Graph((*(each.read for each in tables), node))
    inputs = {each.read.id: each.parts for each in tables}
    return Copied.of(tables[0].engine, graph, node.id, inputs, schema=schema, into=into)


__all__ = ["Copied", "asked", "made_of"]
