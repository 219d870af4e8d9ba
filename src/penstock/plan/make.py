"""From the compiled pipeline to its stages: which sinks a pass fills, what it keeps for several of them, what is spooled."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from penstock.compile.guarantee import repeat_of
from penstock.graph.chance import kept_until_sealed, with_kept
from penstock.graph.nodes import Check, Column, Project, Python, Read, Write
from penstock.plan.stages import Acknowledge, Commit, Keep, Pass, Plan, Seal, Shared, Spool, Stage
from penstock.registry import Capability
from penstock.structs import replace
from penstock.trees import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

    from penstock.compile.pipeline import Compiled
    from penstock.connectors.api import Preparation
    from penstock.document.models import Pipeline, SinkUse
    from penstock.graph import Graph, Node


def make_plan(compiled: Compiled, changes: Mapping[str, Preparation]) -> Plan:
    """``changes`` says per sink what preparing it would do (from the sink itself)."""
    pipeline, graph = compiled.pipeline, _without_ignored(compiled.graph, changes)
    stages: list[Stage] = list(_spools(pipeline, graph))
    spooled = {stage.source for stage in stages if isinstance(stage, Spool)}
    keeps = list(_keeps(graph))
    kept = {keep.node for keep in keeps}
    passed = with_kept(graph, kept)
    for number, sinks in enumerate(_levels(graph), start=1):
        needed = graph.upstream(*sinks)
        stages += [keep for keep in keeps if keep.node in needed and keep not in stages]
        stages.append(_pass(number, passed, sinks=sinks, pipeline=pipeline, spooled=spooled | kept))
        stages += [_commit(pipeline.sinks[name], changes.get(name)) for name in sinks]
    stages += [Seal(), Acknowledge(tuple(dict.fromkeys(read.source for read in graph.reads)))]
    return Plan(
        pipeline.name,
        graph,
        tuple(stages),
        compiled.delivery,
        _hash(pipeline, compiled.graph, stages),
        {name: use.descriptor.name for name, use in pipeline.sources.items()},
        frozenset(name for name in pipeline.sources if _has(Capability.REPLAYABLE, pipeline, name)),
        compiled.warnings,
        compiled.series,
    )


def _without_ignored(graph: Graph, changes: Mapping[str, Preparation]) -> Graph:
    """Columns that a sink's table lacks and is not to get are left out before the rows reach it."""
    nodes: list[Node] = []
    for node in graph.nodes:
        change = changes.get(node.sink) if isinstance(node, Write) else None
        if change is None or not change.ignores or not isinstance(node, Write) or node.schema is None:
            nodes.append(node)
            continue
        schema = node.schema.without([item.name for item in change.ignores])
        columns = tuple(Column(name, column(name)) for name in schema.names)
        nodes.append(Project(f"{node.id}.kept", input=node.input, columns=columns, schema=schema, at=node.at))
        nodes.append(replace(node, input=f"{node.id}.kept", schema=schema))
    return replace(graph, nodes=tuple(nodes))


# ---------------------------------------------------------------- passes


def _levels(graph: Graph) -> list[list[str]]:
    """Sinks by pass: one that reads another's table comes in a later pass."""
    level: dict[str, int] = {}
    for write in graph.writes:
        needed = graph.upstream(write.id)
        tables = [node for node in graph.tables if node.id in needed]
        level[write.sink] = 1 + max((level[table.sink] for table in tables), default=-1)
    return [
        [name for name, at in level.items() if at == number] for number in range(max(level.values(), default=-1) + 1)
    ]


def _pass(number: int, graph: Graph, *, sinks: list[str], pipeline: Pipeline, spooled: set[str]) -> Pass:
    part = graph.only(graph.upstream(*sinks))
    return Pass(
        number,
        tuple(node.id for node in part.nodes),
        tuple(node.id for node in part.reads),
        tuple(node.id for node in part.tables),
        tuple(sinks),
        tuple(_shared(part, pipeline, spooled)),
    )


def _shared(part: Graph, pipeline: Pipeline, spooled: set[str]) -> Iterable[Shared]:
    """Nodes whose consumers end in different statements; the others are computed inside one statement anyway."""
    ends = _ends(part)
    for node in part.nodes:
        consumers = part.consumers[node.id]
        together = ends[node.id]
        splits = len(together) > 1 and any(ends[name] != together for name in consumers)
        if isinstance(node, Read) and _must_stay(node, part, pipeline=pipeline, spooled=spooled):
            yield Shared(node.id, "kept", "its source gives other rows when it is read again")
        elif splits and _cheap(node, part, pipeline=pipeline, spooled=spooled):
            yield Shared(node.id, "read again", "reading its columns twice is cheaper than keeping the rows")
        elif splits and not isinstance(node, Python):
            yield Shared(node.id, "kept", f"{_listed(sorted(together))} need it")


def _ends(part: Graph) -> dict[str, frozenset[str]]:
    """The statements that need each node: those of Writes, of Python steps, and of what checks compare with."""
    ends: dict[str, frozenset[str]] = {}
    for node in reversed(part.nodes):
        if isinstance(node, Write):
            ends[node.id] = frozenset({node.id})
        else:
            ends[node.id] = frozenset().union(
                *(_end(node, part[consumer], ends) for consumer in part.consumers[node.id])
            )
    return ends


def _end(node: Node, consumer: Node, ends: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The statements that need a node for one that reads it: what a check compares with is computed before it."""
    if isinstance(consumer, Check) and node.id in consumer.beside:
        return frozenset({node.id})
    return frozenset({consumer.id}) if isinstance(consumer, Python) else ends[consumer.id]


def _must_stay(node: Read, part: Graph, *, pipeline: Pipeline, spooled: set[str]) -> bool:
    """Rejected rows are found by a second read, and so is what several statements share."""
    if node.source in spooled or _has(Capability.REPLAYABLE, pipeline, node.source):
        return False
    below = [other for other in part.nodes if node.id in part.upstream(other.id)]
    return any(isinstance(other, Check) for other in below) or len(_ends(part)[node.id]) > 1


def _cheap(node: object, part: Graph, *, pipeline: Pipeline, spooled: set[str]) -> bool:
    """A few columns computed right above files that are read by column."""
    while isinstance(node, Project):
        node = part[node.input]
    return isinstance(node, Read) and node.source not in spooled and _has(Capability.COLUMNAR, pipeline, node.source)


def _has(capability: Capability, pipeline: Pipeline, source: str) -> bool:
    return capability in pipeline.sources[source].descriptor.capabilities


# ---------------------------------------------------------------- spools and commits


def _spools(pipeline: Pipeline, graph: Graph) -> Iterable[Spool]:
    """epochs.md: once one sink has an epoch its ranges are fixed, so that a second one must be able to read them."""
    for name in dict.fromkeys(read.source for read in graph.reads):
        match repeat_of(pipeline.sources[name], sinks=len(graph.writes)):
            case "kept as they came":
                yield Spool(name, "its answers are kept as they came, so that they can be read again")
            case "copied":
                yield Spool(name, "several sinks must get the same rows, and it cannot be read twice alike")
            case "read again" | "never":
                pass


def _keeps(graph: Graph) -> Iterable[Keep]:
    for name in kept_until_sealed(graph):
        sinks = [write.sink for write in graph.writes if name in graph.upstream(write.id)]
        yield Keep(name, f"{_listed(sinks)} must get the same rows, and computed again they could fall otherwise")


def _commit(use: SinkUse, change: Preparation | None) -> Commit:
    mode = str(use.params.mode)
    return Commit(use.name, use.descriptor.name, mode, _action(use, mode, change), use.params.elsewhere())


def _action(use: SinkUse, mode: str, change: Preparation | None) -> str:
    words = {
        "append": "appends the rows",
        "overwrite": "replaces the whole table",
        "overwrite_partitions": "replaces the partitions that get rows",
        "merge": f"merges by {_listed(use.params.keys)}",
    }[mode]
    if use.params.scope == "epoch":
        words += ", by those of the epoch alone"
    if mode == "merge" and use.params.order_by:
        words += f", the newest {use.params.order_by} wins"
    if change is None:
        return words
    if change.creates:
        return f"creates the table, then {words}"
    if change.replaces:
        return f"{words}, its columns too"
    steps = [f"adds {_listed([item.name for item in change.adds])}"] if change.adds else []
    steps += [f"widens {old.name} to {new.type}" for old, new in change.widens]
    if change.ignores:
        steps.append(f"leaves out {_listed([item.name for item in change.ignores])}")
    return ", ".join([*steps, words])


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}" if found else ""


# ---------------------------------------------------------------- identity


def _hash(pipeline: Pipeline, graph: Graph, stages: Iterable[Stage]) -> str:
    """Over what the run means: the graph, every parameter (secrets as ***) and the stages; not over where a connection
    leads, for a system may move, nor over what the target happens to look like now, nor over columns that a source has
    beside those that are read.
    """
    sources = {use.name: _parameters(use.params) for use in pipeline.sources.values()}
    sinks = {use.name: _parameters(use.params) for use in pipeline.sinks.values()}
    shape = [[type(stage).__name__, *_meaning(stage)] for stage in stages]
    text = json.dumps([pipeline.name, _named(graph).fingerprint(), sources, sinks, shape], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _named(graph: Graph) -> Graph:
    """Every read with the names of its columns, also where it reads all that there are."""
    nodes = (
        replace(node, columns=node.schema.names)
        if isinstance(node, Read) and node.columns is None and node.schema is not None
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def _parameters(params: BaseModel) -> dict[str, object]:
    return params.model_dump(mode="json", exclude={"connection"})


def _meaning(stage: Stage) -> list[object]:
    match stage:
        case Spool():
            return [stage.source]
        case Keep():
            return [stage.node]
        case Pass():
            return [stage.number, stage.sinks, sorted(stage.kept)]
        case Commit():
            return [stage.sink, stage.type, stage.mode]
        case Seal():
            return []
        case Acknowledge():
            return [stage.sources]
