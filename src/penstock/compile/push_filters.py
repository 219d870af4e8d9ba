"""Conditions into the reads of sources that can apply them: what is not delivered need not be moved.

A condition is split at its ANDs. Each part sinks through what lies between it and the source as long as that changes
nothing for it: other filters, a sort, a projection that hands its columns on under whatever name. A check stands in the
way of rows that it rejects or counts: these must be delivered whatever the condition says, so the part becomes ``part OR rejected``
there; and of all rows where it has rules about all of them. What the source then takes is part of its read and is not accounted as filtered (``plan`` says so); the rest stays
where it is. Nothing sinks through a limit, a deduplication, a window, nor past a node that somebody else reads as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph import Graph
from penstock.graph.nodes import Check, Filter, Project, Read, Sort
from penstock.registry import Capability
from penstock.structs import replace
from penstock.trees import conjuncts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.graph import Node
    from penstock.graph.nodes import Cause, Note


def push_filters(graph: Graph, pipeline: Pipeline, facts: Facts) -> Graph:
    taken: dict[str, list[exp.Expr]] = {}
    left: dict[str, list[exp.Expr]] = {}
    for node in graph.nodes:
        if not isinstance(node, Filter) or node.why != "filter":
            continue
        parts = conjuncts(node.condition)
        left[node.id] = []
        for part in parts:
            sunk = _sunk(part, graph[node.input], graph)
            if sunk is not None and _takes(*sunk, pipeline, facts):
                taken.setdefault(sunk[0].id, []).append(sunk[1])
            else:
                left[node.id].append(part)
        if len(left[node.id]) == len(parts):
            del left[node.id]
    return _changed(graph, taken, left) if taken else graph


def _sunk(part: exp.Expr, node: Node, graph: Graph) -> tuple[Read, exp.Expr] | None:
    """The read that the part comes down to, and what it says there."""
    while len(graph.consumers[node.id]) == 1:
        match node:
            case Read():
                return node, part
            case Filter(why="filter") | Sort():
                pass
            case Check(demands=demands, table_rules=table_rules):
                if table_rules or any(map(_has_share, demands)):
                    return None
                part = exp.or_(part, *(item.violated for item in demands))
            case Project(columns=columns):
                below = _beneath(part, {item.name: item.value for item in columns})
                if below is None:
                    return None
                part = below
            case _:
                return None
        node = graph[node.inputs[0]]
    return None


def _has_share(cause: Cause | Note) -> bool:
    """Whether the rule counts shares of all rows: fewer of them would be another whole."""
    return cause.threshold is not None and cause.threshold.max_share is not None


def _beneath(part: exp.Expr, values: Mapping[str, exp.Expr]) -> exp.Expr | None:
    """The part over a projection's input, where it hands the part's columns on; fewer rows would change its windows."""
    if any(value.find(exp.Window) is not None for value in values.values()):
        return None
    named = [values.get(found.name) for found in part.find_all(exp.Column)]
    if not all(isinstance(value, exp.Column) for value in named):
        return None
    return part.copy().transform(lambda tree: values[tree.name].copy() if isinstance(tree, exp.Column) else tree)


def _takes(read: Read, part: exp.Expr, pipeline: Pipeline, facts: Facts) -> bool:
    can = Capability.FILTER in pipeline.sources[read.source].descriptor.capabilities
    return can and facts.takes(read.source, part)


# ---------------------------------------------------------------- the new graph


def _changed(graph: Graph, taken: Mapping[str, list[exp.Expr]], left: Mapping[str, Sequence[exp.Expr]]) -> Graph:
    gone: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        current = _rewired(node, gone)
        if isinstance(current, Read) and node.id in taken:
            current = replace(current, predicate=exp.and_(*taken[node.id]))
        elif isinstance(current, Filter) and node.id in left:
            if not left[node.id]:
                gone[node.id] = current.input
                continue
            current = replace(current, condition=exp.and_(*left[node.id]))
        nodes.append(current)
    return Graph(tuple(nodes), {name: gone.get(target, target) for name, target in graph.outputs.items()})


def _rewired(node: Node, gone: Mapping[str, str]) -> Node:
    """The node with every input that is gone replaced by what that one read."""
    if not any(name in gone for name in node.inputs):
        return node
    changes: dict[str, object] = {}
    for name in node.__struct_fields__:
        value = getattr(node, name)
        match value:
            case str() if name in {"input", "left", "right"}:
                changes[name] = gone.get(value, value)
            case tuple() if name == "members":
                changes[name] = tuple(gone.get(name, name) for name in value)
            case dict() if name == "tables":
                changes[name] = {table: gone.get(target, target) for table, target in value.items()}
    return replace(node, **changes)  # type: ignore[arg-type]  # the fields' own names and types
