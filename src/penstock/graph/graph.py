"""The graph: nodes by id in an order in which every node follows its inputs, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

from penstock.errors import InternalError
from penstock.graph.nodes import Node, Read, Table, Write
from penstock.structs import Frozen, Selective, field, replace


class Graph(Frozen, dict=True):
    """``nodes`` in topological order; ``outputs`` maps a document's name (source, transform, sink) to the node whose
    rows it stands for. A sink named as an input is a Table node, which also depends on the Write of that sink.
    """

    nodes: tuple[Node, ...]
    outputs: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[str, ...]]:
        """Ids of the nodes that read a node, in graph order; a node that reads it twice stands twice."""
        found: dict[str, list[str]] = {node.id: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node.id)
        return {name: tuple(ids) for name, ids in found.items()}

    @property
    def writes(self) -> tuple[Write, ...]:
        return tuple(node for node in self.nodes if isinstance(node, Write))

    @property
    def reads(self) -> tuple[Read, ...]:
        return tuple(node for node in self.nodes if isinstance(node, Read))

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(node for node in self.nodes if isinstance(node, Table))

    def __getitem__(self, node_id: str) -> Node:
        return self.by_id[node_id]

    def upstream(self, *ids: str) -> frozenset[str]:
        """These nodes and all that they read, directly or not; a Table is a leaf."""
        seen: set[str] = set()
        todo = list(ids)
        while todo:
            current = todo.pop()
            if current not in seen:
                seen.add(current)
                todo.extend(self.by_id[current].inputs)
        return frozenset(seen)

    def only(self, ids: frozenset[str]) -> Graph:
        """The graph of these nodes; every input of each must be among them."""
        kept = tuple(node for node in self.nodes if node.id in ids)
        if any(name not in ids for node in kept for name in node.inputs):
            raise InternalError("INT-900", "a node was cut off from its input")
        return Graph(kept, {name: target for name, target in self.outputs.items() if target in ids})

    def map(self, change: Callable[[Node], Node]) -> Graph:
        """Every node through ``change``, ids kept."""
        return replace(self, nodes=tuple(change(node) for node in self.nodes))

    def fingerprint(self) -> str:
        """SHA-256 (hex) over the whole meaning of the graph; places in files and dictionary order do not count."""
        text = json.dumps([_canonical(node) for node in self.nodes], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> object:
    """JSON of a node: values by field, SQL trees as their canonical text."""
    from sqlglot import exp

    match value:
        case None | bool() | int() | float() | str():
            return value
        case exp.Expr():
            return value.sql(dialect="duckdb", normalize=False, comments=False)
        case Mapping():
            return {str(key): _canonical(item) for key, item in value.items()}
        case tuple() | list():
            return [_canonical(item) for item in value]
        case frozenset() | set():
            return sorted(str(item) for item in value)
        case Frozen():
            return [type(value).__name__, *(_canonical(item) for item in _compared(value))]
        case _:
            return str(value)


def _compared(value: Frozen) -> Iterator[object]:
    kept = value.uncompared if isinstance(value, Selective) else ()
    for name in value.__struct_fields__:
        if name not in kept and name != "at":
            yield getattr(value, name)
