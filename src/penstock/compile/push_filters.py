"""Conditions into the reads of sources that can apply them: what is not delivered need not be moved.

A condition that stands directly on a source is split at its ANDs; a part that the source takes becomes part of the read
and is not accounted as filtered (``plan`` says so); the others stay.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.nodes import Filter, Read
from penstock.registry import Capability

if TYPE_CHECKING:
    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Node


def push_filters(graph: Graph, pipeline: Pipeline, facts: Facts) -> Graph:
    changed: dict[str, Node] = {}
    gone: dict[str, str] = {}
    for node in graph.nodes:
        read = _read_below(node, graph, pipeline)
        if read is None or not isinstance(node, Filter):
            continue
        parts = list(node.condition.flatten()) if isinstance(node.condition, exp.And) else [node.condition]
        taken = [part for part in parts if facts.takes(read.source, part)]
        if not taken:
            continue
        changed[read.id] = dataclasses.replace(read, predicate=exp.and_(*taken))
        left = [part for part in parts if part not in taken]
        if left:
            changed[node.id] = dataclasses.replace(node, condition=exp.and_(*left))
        else:
            gone[node.id] = read.id
    nodes = tuple(_rewired(changed.get(node.id, node), gone) for node in graph.nodes if node.id not in gone)
    return Graph(nodes, {name: gone.get(target, target) for name, target in graph.outputs.items()})


def _read_below(node: Node, graph: Graph, pipeline: Pipeline) -> Read | None:
    """The read that only this filter uses, of a source that takes conditions."""
    if not isinstance(node, Filter) or node.why != "filter":
        return None
    below = graph[node.input]
    if not isinstance(below, Read) or len(graph.consumers[below.id]) != 1:
        return None
    takes = Capability.FILTER in pipeline.sources[below.source].descriptor.capabilities
    return below if takes else None


def _rewired(node: Node, gone: dict[str, str]) -> Node:
    """The node with every input that is gone replaced by what that one read."""
    if not any(name in gone for name in node.inputs):
        return node
    changes: dict[str, object] = {}
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        match value:
            case str() if item.name in {"input", "left", "right"}:
                changes[item.name] = gone.get(value, value)
            case tuple() if item.name == "members":
                changes[item.name] = tuple(gone.get(name, name) for name in value)
            case dict() if item.name == "tables":
                changes[item.name] = {name: gone.get(target, target) for name, target in value.items()}
    return dataclasses.replace(node, **changes)  # type: ignore[arg-type]  # the fields' own names and types
