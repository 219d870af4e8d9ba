"""Column lineage: from every column of every node back to the sources, through values and through what decides rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from penstock.compile.flow import flow_of
from penstock.graph.nodes import Read, Table

if TYPE_CHECKING:
    from penstock.graph import Graph


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A column of a source, or of a sink's table as it was before."""

    node: str
    column: str


@dataclass(frozen=True, slots=True)
class ColumnLineage:
    """``values``: what the column's values are made of. ``predicates``: what decided which rows there are, or their order
    within a window.
    """

    values: frozenset[Origin] = frozenset()
    predicates: frozenset[Origin] = frozenset()


Lineage: TypeAlias = Mapping[str, Mapping[str, ColumnLineage]]


def lineage_of(graph: Graph) -> Lineage:
    """By node id and column."""
    found: dict[str, dict[str, ColumnLineage]] = {}
    for node in graph.nodes:
        names = node.schema.names if node.schema is not None else ()
        match node:
            case Read(source=source):
                found[node.id] = {name: ColumnLineage(frozenset({Origin(source, name)})) for name in names}
            case Table(sink=sink):
                # Its rows are what this pipeline sends, and what stood there.
                sent = found.get(sink, {})
                found[node.id] = {name: _with(sent.get(name), Origin(sink, name)) for name in names}
            case _:
                flow = flow_of(node, graph)
                deciding = _every(found, flow.rows) | _beneath(found, node.inputs)
                found[node.id] = {
                    name: ColumnLineage(
                        _values(found, flow.values.get(name, frozenset())),
                        deciding
                        | _every(found, flow.orders.get(name, frozenset()))
                        | _predicates(found, flow.values.get(name, frozenset())),
                    )
                    for name in names
                }
    return found


def _with(sent: ColumnLineage | None, own: Origin) -> ColumnLineage:
    before = sent or ColumnLineage()
    return ColumnLineage(before.values | {own}, before.predicates)


def _values(found: Lineage, places: frozenset[tuple[str, str]]) -> frozenset[Origin]:
    return frozenset().union(*(found[node][column].values for node, column in places))


def _predicates(found: Lineage, places: frozenset[tuple[str, str]]) -> frozenset[Origin]:
    return frozenset().union(*(found[node][column].predicates for node, column in places))


def _every(found: Lineage, places: frozenset[tuple[str, str]]) -> frozenset[Origin]:
    return _values(found, places) | _predicates(found, places)


def _beneath(found: Lineage, inputs: tuple[str, ...]) -> frozenset[Origin]:
    """What decided the rows of the inputs decides these: it stands in the predicates of each of their columns."""
    shared = [
        frozenset.intersection(*(column.predicates for column in found[name].values()))
        for name in inputs
        if found[name]
    ]
    return frozenset().union(*shared)
