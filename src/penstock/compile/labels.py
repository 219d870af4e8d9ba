"""Sensitivity labels follow their columns through values, conditions and joins; a sink takes only those it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.compile.tracing import trace
from penstock.errors import ConfigError, Problem, nearest
from penstock.graph.nodes import Check, Read, Table
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.document.models import Pipeline
    from penstock.graph import Graph, Node
    from penstock.graph.nodes import TableRule
    from penstock.types import Schema

_Labels = dict[str, dict[str, frozenset[str]]]


def label(graph: Graph, pipeline: Pipeline) -> Graph:
    """Every node's schema with its columns' labels.

    Raises ConfigError CMP-310 for each column that would flow into a sink which does not allow its labels, RUN-118 for each
    figure of one that the ledger would keep and that is the value of one row, CMP-311 where
    labels are declared for a column that is not there.
    """
    _check_declared(graph, pipeline)
    if not _any_declared(pipeline):
        return graph
    declared = {graph.outputs[name]: labels for name, labels in _declared(pipeline).items() if name in graph.outputs}

    def of_leaf(leaf: Read | Table, name: str) -> frozenset[str]:
        # A sink's table has the labels of what the pipeline sends to it.
        own = pipeline.sources[leaf.source].params.labels if isinstance(leaf, Read) else {}
        return frozenset(own.get(name, ()))

    def of_transform(node: Node, name: str) -> frozenset[str]:
        return declared.get(node.id, {}).get(name, frozenset())

    # That a value is one of its type, or no null, says nothing of it: else every column beside one would be as sensitive.
    traced = trace(graph, of_leaf, of_transform, checks_decide=False)
    found = {id_: {name: marks.every for name, marks in node.columns.items()} for id_, node in traced.items()}
    _check_sinks(graph, pipeline, found)
    _check_figures(graph, found)
    return graph.map(lambda node: replace(node, schema=_labelled(node, found[node.id])))


def _labelled(node: Node, labels: Mapping[str, frozenset[str]]) -> Schema | None:
    return node.schema.with_labels(labels) if node.schema is not None else None


def _declared(pipeline: Pipeline) -> dict[str, Mapping[str, frozenset[str]]]:
    """Of transforms, at their output; a source's stand at its read."""
    return {name: use.labels for name, use in pipeline.transforms.items() if use.labels}


def _any_declared(pipeline: Pipeline) -> bool:
    return bool(_declared(pipeline)) or any(use.params.labels for use in pipeline.sources.values())


def _check_figures(graph: Graph, found: _Labels) -> None:
    problems = [
        Problem(
            "RUN-118",
            f"the {figure}, a column with labels, is the value of one row",
            at=rule.at or node.at,
            detail="the ledger would keep it in plain, for later epochs to be compared with.",
            hint="compare the mean or the null_share; or put the rule above the step by which the column gets its labels",
        )
        for node in graph.nodes
        if isinstance(node, Check)
        for rule in node.table_rules
        if any(found[node.id].get(name) for name in rule.columns)
        for figure in _single_values(rule)
    ]
    if problems:
        raise ConfigError.of(problems)


def _single_values(rule: TableRule) -> Iterator[str]:
    """Its figures that are kept to be compared with, and are what one row has."""
    kept = {one.measure for one in rule.baselines}
    for measure in rule.measures:
        value = measure.value
        is_quantile = isinstance(value, exp.Anonymous) and value.name == "approx_quantile"
        if measure.name in kept and (is_quantile or isinstance(value, exp.Min | exp.Max)):
            yield measure.name


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
