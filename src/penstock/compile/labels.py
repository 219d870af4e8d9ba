"""Sensitivity labels follow their columns through values, conditions and joins; a sink takes only those it allows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from penstock.compile.flow import flow_of
from penstock.errors import ConfigError, Problem, nearest
from penstock.graph.nodes import Read, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node
    from penstock.types import Schema

_Labels = dict[str, dict[str, frozenset[str]]]


def label(graph: Graph, pipeline: Pipeline) -> Graph:
    """Every node's schema with its columns' labels.

    Raises ConfigError CMP-310 for each column that would flow into a sink which does not allow its labels, CMP-311 where
    labels are declared for a column that is not there.
    """
    _check_declared(graph, pipeline)
    if not _any_declared(pipeline):
        return graph
    declared = {graph.outputs[name]: labels for name, labels in _declared(pipeline).items() if name in graph.outputs}
    found: _Labels = {}
    for node in graph.nodes:
        own = declared.get(node.id, {})
        found[node.id] = {
            name: labels | own.get(name, frozenset()) for name, labels in _flowing(node, graph, pipeline, found).items()
        }
    _check_sinks(graph, pipeline, found)
    return graph.map(lambda node: dataclasses.replace(node, schema=_labelled(node, found[node.id])))


def _labelled(node: Node, labels: Mapping[str, frozenset[str]]) -> Schema | None:
    return node.schema.with_labels(labels) if node.schema is not None else None


def _declared(pipeline: Pipeline) -> dict[str, Mapping[str, frozenset[str]]]:
    """Of transforms, at their output; a source's stand at its read."""
    return {name: use.labels for name, use in pipeline.transforms.items() if use.labels}


def _any_declared(pipeline: Pipeline) -> bool:
    return bool(_declared(pipeline)) or any(use.params.labels for use in pipeline.sources.values())


def _flowing(node: Node, graph: Graph, pipeline: Pipeline, found: _Labels) -> dict[str, frozenset[str]]:
    names = node.schema.names if node.schema is not None else ()
    match node:
        case Read(source=source):
            own = pipeline.sources[source].params.labels
            return {name: frozenset(own.get(name, ())) for name in names}
        case Table(sink=sink):
            sent = found.get(sink, {})
            return {name: sent.get(name, frozenset()) for name in names}
    flow = flow_of(node, graph)
    rows = frozenset().union(*(found[place[0]][place[1]] for place in flow.rows))
    return {
        name: rows.union(
            *(
                found[source][column]
                for source, column in flow.values.get(name, frozenset()) | flow.orders.get(name, frozenset())
            )
        )
        for name in names
    }


def _check_sinks(graph: Graph, pipeline: Pipeline, found: _Labels) -> None:
    problems = []
    for write in graph.writes:
        use = pipeline.sinks[write.sink]
        for name, labels in found[write.id].items():
            refused = sorted(labels - set(use.params.allow))
            if refused:
                problems.append(
                    Problem(
                        "CMP-310",
                        f'column "{name}" carries {", ".join(refused)}, which the sink "{use.name}" does not allow',
                        at=use.at,
                        detail="labels follow a column through values, conditions and joins; `penstock lineage` shows how.",
                        hint=f"leave the column out, or state `allow: [{', '.join(refused)}]` on the sink",
                    )
                )
    if problems:
        raise ConfigError.of(problems)


def _check_declared(graph: Graph, pipeline: Pipeline) -> None:
    problems = []
    places = {name: (use.at, use.params.labels) for name, use in pipeline.sources.items()}
    places |= {
        name: (use.at, {key: list(value) for key, value in use.labels.items()})
        for name, use in pipeline.transforms.items()
    }
    for name, (at, labels) in places.items():
        node = graph.by_id.get(graph.outputs.get(name, ""))
        source = graph.by_id.get(name)  # a source's labels may name a column that its schema leaves out
        known = {*(_names(node)), *(_names(source))}
        for column in labels:
            if node is not None and column not in known:
                near = nearest(column, known)
                problems.append(
                    Problem(
                        "CMP-311",
                        f'"{name}" has no column "{column}" to label',
                        at=at,
                        hint=f'did you mean "{near}"?' if near else None,
                    )
                )
    if problems:
        raise ConfigError.of(problems)


def _names(node: Node | None) -> tuple[str, ...]:
    return node.schema.names if node is not None and node.schema is not None else ()
