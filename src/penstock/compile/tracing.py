"""One walk from every column back to where it comes from, for lineage and for labels alike.

What flows are *marks*: origins for lineage, labels for sensitivity. A node's rows carry marks of their own (whatever
decided which rows there are): they reach also a column that is made of no other, such as a count of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from penstock.compile.flow import Place, flow_of
from penstock.graph.nodes import Check, Read, Table
from penstock.structs import Frozen, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from penstock.graph import Graph, Node

Mark = TypeVar("Mark")


class Marks(Frozen, Generic[Mark]):
    """``values``: of what the column's values are made; ``deciding``: of what decided which rows there are, which of
    them a value was taken from, or their order.
    """

    values: frozenset[Mark] = frozenset()
    deciding: frozenset[Mark] = frozenset()

    @property
    def every(self) -> frozenset[Mark]:
        return self.values | self.deciding


class Traced(Frozen, Generic[Mark]):
    """A node: its columns in order, and what its rows carry; every column's ``deciding`` holds that too."""

    columns: Mapping[str, Marks[Mark]] = field(default_factory=dict)
    rows: frozenset[Mark] = frozenset()


def trace(
    graph: Graph,
    leaf: Callable[[Read | Table, str], frozenset[Mark]],
    added: Callable[[Node, str], frozenset[Mark]] | None = None,
    *,
    checks_decide: bool = True,
    merged_by: Mapping[str, Sequence[str]] | None = None,
) -> Mapping[str, Traced[Mark]]:
    """By node id. ``leaf`` gives the marks that a column of a source or of a sink's table has by itself; ``added`` those
    that a column gets at its node on top of what flows into it; ``checks_decide`` whether the columns that a check looks
    at count as deciding: they do decide which rows are rejected; ``merged_by``, by sink, the columns by which its rows
    are matched with those of its table: they decide which rows of it are replaced.
    """
    found: dict[str, Traced[Mark]] = {}
    for node in graph.nodes:
        traced = (
            _leaf(node, leaf, found=found, merged_by=merged_by or {})
            if isinstance(node, Read | Table)
            else _flowing(node, graph, found=found, checks_decide=checks_decide)
        )
        if added is not None:
            traced = Traced(
                {
                    name: Marks(marks.values | added(node, name), marks.deciding)
                    for name, marks in traced.columns.items()
                },
                traced.rows,
            )
        found[node.id] = traced
    return found


def _leaf(
    node: Read | Table,
    leaf: Callable[[Read | Table, str], frozenset[Mark]],
    *,
    found: Mapping[str, Traced[Mark]],
    merged_by: Mapping[str, Sequence[str]],
) -> Traced[Mark]:
    names = node.schema.names if node.schema is not None else ()
    if isinstance(node, Read):
        return Traced({name: Marks(leaf(node, name)) for name in names})
    # Its rows are those that stood there and those that this pipeline sends.
    sent = found[node.sink]
    matched = [name for name in merged_by.get(node.sink, ()) if name in sent.columns]
    rows = sent.rows | _joined(leaf(node, name) | sent.columns[name].every for name in matched)

    def marks(name: str) -> Marks[Mark]:
        before = sent.columns.get(name, Marks())
        return Marks(before.values | leaf(node, name), before.deciding | rows)

    return Traced({name: marks(name) for name in names}, rows)


def _flowing(node: Node, graph: Graph, *, found: Mapping[str, Traced[Mark]], checks_decide: bool) -> Traced[Mark]:
    flow = flow_of(node, graph)
    own: frozenset[Place] = flow.rows if checks_decide or not isinstance(node, Check) else frozenset()
    rows = _every(own, found).union(*(found[name].rows for name in node.inputs))

    def marks(name: str) -> Marks[Mark]:
        values = flow.values.get(name, frozenset())
        return Marks(
            _joined(found[source].columns[column].values for source, column in values),
            rows
            | _joined(found[source].columns[column].deciding for source, column in values)
            | _every(flow.orders.get(name, frozenset()), found),
        )

    names = node.schema.names if node.schema is not None else ()
    return Traced({name: marks(name) for name in names}, rows)


def _every(places: Iterable[Place], found: Mapping[str, Traced[Mark]]) -> frozenset[Mark]:
    return _joined(found[source].columns[column].every for source, column in places)


def _joined(parts: Iterable[frozenset[Mark]]) -> frozenset[Mark]:
    return frozenset().union(*parts)
