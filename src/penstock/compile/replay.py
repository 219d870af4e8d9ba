"""A pipeline that sends rejected rows again: of the document's graph what lies behind the node that rejected them.

The rows enter where they are kept from: as the source's own where each row of the source became one row at the node, else
as they came to the node. From there on they take every step of the document, and nothing else does: other members of a
union are left out, what they are joined with is read as it stands now. A step that needs more than these rows is refused,
as it is over an incremental source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from penstock.compile.contract import enforce
from penstock.compile.guarantee import delivery_of
from penstock.compile.incremental import needing_all
from penstock.compile.labels import label
from penstock.compile.pipeline import OPTIMISING, Compiled
from penstock.compile.scope import Builder, StepScope, unknown_node
from penstock.connectors.params import SourceParams
from penstock.document.models import SourceUse
from penstock.errors import ConfigError, InternalError
from penstock.faithful import as_text
from penstock.fields import Located
from penstock.graph import Graph
from penstock.graph.nodes import Check, Column, Filter, Project, Read, Union, Write
from penstock.graph.replayed import REPAIRED, SOURCE, node_of, read_id, repaired_id
from penstock.registry import Capability, Descriptor
from penstock.structs import Frozen, replace
from penstock.trees import column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.compile.facts import Facts
    from penstock.document.models import Pipeline
    from penstock.engines.api import Engine
    from penstock.fields import NamedExpression
    from penstock.graph import Node
    from penstock.types import Schema

# Where rows come in again: as the source gave them, or as they came to the node that rejected them.
Place: TypeAlias = Literal["source", "node"]

_REPLACING = frozenset({"overwrite", "overwrite_partitions"})


class Entry(Frozen):
    """The node in whose place the rows stand, and those from the one that rejected them up to it, both included.
    ``as_text``: they are kept as text, since they were no values of its columns.
    """

    node: str
    path: tuple[str, ...]
    as_text: bool

    @property
    def rejecting(self) -> str:
        return self.path[0]


def entry_of(graph: Graph, rejecting: str, place: Place) -> Entry:
    """Raises ConfigError CMP-201 where the document has no such node any more, CMP-392 where its rows do not come from there
    one by one.
    """
    name = node_of(rejecting)
    node = graph.by_id.get(name)
    if node is None:
        raise unknown_node(name, list(graph.by_id), at=None)
    path = _to_source(graph, node) if place == "source" else _to_columns(graph, node)
    return Entry(path[-1], path, as_text=isinstance(node, Read) or name != rejecting)


def _to_source(graph: Graph, node: Node) -> tuple[str, ...]:
    path = [node.id]
    while not isinstance(node, Read):
        if not isinstance(node, Project | Filter | Check):
            raise _elsewhere(path[0], f'"{node.id}" does not make one row of each row of a source')
        node = graph[node.input]
        path.append(node.id)
    return tuple(path)


def _to_columns(graph: Graph, node: Node) -> tuple[str, ...]:
    """Up to the first node that has the row's own columns: others may be the compiler's."""
    path = [node.id]
    record = node.record if isinstance(node, Check) else None
    names = record or _schema(node).names
    while not isinstance(node, Read):
        if len(node.inputs) != 1:
            raise _elsewhere(path[0], f'"{node.id}" has several inputs')
        node = graph[node.inputs[0]]
        path.append(node.id)
        if _schema(node).names == names:
            break
    return tuple(path)


def _elsewhere(node: str, why: str) -> ConfigError:
    return ConfigError(
        "CMP-392",
        f'the rejects of "{node}" do not fit this document',
        detail=f"{why}.",
        hint="send them with the document that they were rejected by, or give the repaired rows as a file",
    )


# ---------------------------------------------------------------- the pipeline


class Replayed(Frozen):
    """``read`` is the node that gets the kept rows."""

    compiled: Compiled
    read: Read


def replayed(
    compiled: Compiled,
    *,
    rejecting: str,
    place: Place,
    sets: Sequence[NamedExpression],
    given: Schema | None,
    facts: Facts,
    engine: Engine,
) -> Replayed:
    """The pipeline whose only new rows are those of a group; ``sets`` are the repairs, by column. ``given``: the columns of
    the rows that stand in their place.

    Raises ConfigError CMP-203 to CMP-209 for a repair that is wrong, CMP-390 where a step or a sink needs more than these
    rows, CMP-391 where a sink would be replaced by them, and as ``entry_of``.
    """
    whole = _asked_of_rows(compiled.written)
    entry = entry_of(whole, rejecting, place)
    pipeline = _pipeline(compiled.pipeline, whole, entry)
    part = _Part(whole, entry, pipeline).graph(_entering(whole, entry, sets, given=given, engine=engine))
    _check(part, compiled.scoped, pipeline)
    pipeline = replace(pipeline, sinks={write.sink: pipeline.sinks[write.sink] for write in part.writes})
    written = label(part, pipeline)
    graph = written
    for change in OPTIMISING:
        graph = change(graph, pipeline, facts)
    read = graph[read_id(entry.node)]
    if not isinstance(read, Read):
        raise InternalError("INT-900", "the rejected rows lead nowhere")
    done = replace(compiled, pipeline=pipeline, written=written, graph=graph)
    return Replayed(replace(done, delivery=delivery_of(pipeline, graph)), read)


def _pipeline(pipeline: Pipeline, whole: Graph, entry: Entry) -> Pipeline:
    """With the rejects as one more source, whose columns have the labels that they have in the document."""
    schema = _schema(whole[entry.node])
    labels = {item.name: sorted(item.labels) for item in schema if item.labels}
    at = whole[entry.node].at
    if at is None:
        raise InternalError("INT-900", f'"{entry.node}" stands nowhere')
    source = SourceUse(SOURCE, at, _REJECTS, SourceParams.model_validate({"type": _REJECTS.name, "labels": labels}))
    return replace(pipeline, sources={**pipeline.sources, SOURCE: source})


def _made_by_the_run(_params: object, _context: object) -> None:
    raise InternalError("INT-900", "rejected rows are read by the run itself")


# What the planner must know of it; no document can name it.
_REJECTS = Descriptor(
    name="rejects",
    group="sources",
    summary="Rows that were rejected before.",
    params=SourceParams,
    make=_made_by_the_run,
    example="",
    capabilities=frozenset({Capability.REPLAYABLE, Capability.PROJECTION}),
)


def _entering(
    whole: Graph, entry: Entry, sets: Sequence[NamedExpression], *, given: Schema | None, engine: Engine
) -> tuple[Node, ...]:
    """From the read of the kept rows to the node in whose place they stand, which has its id and its columns."""
    wanted = _schema(whole[entry.node])
    at = whole[entry.node].at
    builder = Builder(engine, SOURCE)
    kept = wanted.relaxed()
    if given is not None:
        kept = given.select([name for name in given.names if name in wanted])
    elif entry.as_text:
        kept = kept.with_fields([replace(item, type=as_text(item.type)) for item in kept])
    read = Read(read_id(entry.node), source=SOURCE, schema=kept, incremental=True, at=at)
    current = builder.add(read)
    scope = StepScope(builder, entry.node, REPAIRED, (current,), at, _nowhere)
    if sets:
        values = {item.name: item for item in scope.expressions(_known(sets, scope))}
        columns = tuple(values.get(name, Column(name, column(name))) for name in wanted.names)
        current = builder.add(Project(repaired_id(entry.node), input=current, columns=columns, at=at))
    contract = wanted.with_fields(replace(item, nullable=True) for item in wanted)
    current = enforce(builder, current, contract, owner=repaired_id(entry.node), at=at)
    carried = tuple(Column(name, column(name)) for name in wanted.names)
    builder.add(Project(entry.node, input=current, columns=carried, is_origin=True, at=at))
    return tuple(builder.nodes.values())


def _known(sets: Sequence[NamedExpression], scope: StepScope) -> list[NamedExpression]:
    """Each with the exact name of a column that is there. Raises ConfigError CMP-203."""
    return [replace(item, name=scope.column(_placed(item)).name) for item in sets]


def _placed(item: NamedExpression) -> str:
    """The name with its place before its value: ``price = …``."""
    place = item.value.place
    if place is None:
        return item.name
    before = len(f"{item.name} = ")
    return Located.of(item.name, place(-before, len(item.name)), lambda start, length: place(start - before, length))


def _nowhere(name: str, at: object) -> str:
    raise InternalError("INT-900", f'a repair asked for "{name}" at {at}')


def _schema(node: Node) -> Schema:
    if node.schema is None:
        raise InternalError("INT-900", f'"{node.id}" has no columns yet')
    return node.schema


# ---------------------------------------------------------------- what is left of the graph


class _Part(Frozen):
    whole: Graph
    entry: Entry
    pipeline: Pipeline

    def graph(self, entering: Sequence[Node]) -> Graph:
        way = {*self.entry.path, *self._behind(self.entry.rejecting)}
        anew = self._from_tables(way)
        kept = [self._cut(self.whole[name], way) for name in way - {self.entry.node}]
        beside = {name for node in kept for name in node.inputs if name not in way}
        met = self.whole.upstream(*beside) & set(self.entry.path)
        if met:
            raise _refused(
                self.whole[min(met)], "is read by two ways that meet again, one of which has none of the rejected rows"
            )
        found = {name: self.whole[name] for name in self.whole.upstream(*beside) | anew}
        found |= {node.id: node for node in kept}
        ordered = [found[name] for name in self.whole.by_id if name in found]
        outputs = {name: node for name, node in self.whole.outputs.items() if node in {*found, self.entry.node}}
        return Graph((*entering, *ordered), outputs)

    def _behind(self, node: str) -> set[str]:
        seen: set[str] = set()
        todo = [node]
        while todo:
            for name in self.whole.consumers[todo.pop()]:
                if name not in seen:
                    seen.add(name)
                    todo.append(name)
        return seen

    def _from_tables(self, way: set[str]) -> set[str]:
        """The nodes of sinks that are made anew of tables which these rows go to, and of nothing that is new rows only."""
        found: set[str] = set()
        for write in self.whole.writes:
            above = self.whole.upstream(write.id)
            tables = {node.sink for node in self.whole.tables if node.id in above}
            partial = any(read.incremental for read in self.whole.reads if read.id in above)
            appends = str(self.pipeline.sinks[write.sink].params.mode) == "append"
            if way & tables and not (above & way or partial or appends):
                found |= above
        return found

    def _cut(self, node: Node, way: set[str]) -> Node:
        """The node without what it has from elsewhere."""
        if not isinstance(node, Union):
            return node
        return replace(node, members=tuple(name for name in node.members if name in way))


def _asked_of_rows(graph: Graph) -> Graph:
    """What leads to sinks, with what is asked of each row by itself: thresholds and rules about all rows are of whole
    epochs, and ask nothing of these.
    """

    def change(node: Node) -> Node:
        if not isinstance(node, Check):
            return node
        causes = tuple(replace(item, threshold=None) for item in node.causes)
        notes = tuple(replace(item, threshold=None) for item in node.notes)
        return replace(node, causes=causes, notes=notes, table_rules=())

    asked = graph.map(change)
    return asked.only(asked.upstream(*(write.id for write in asked.writes)))


def _check(graph: Graph, scoped: frozenset[str], pipeline: Pipeline) -> None:
    problems = [
        _refused(node, f"{what}, and would get the rejected rows alone") for node, what, _ in needing_all(graph, scoped)
    ]
    problems += [
        _refused(read, "gives its new rows to the next run, and none to these")
        for read in graph.reads
        if read.incremental and read.source != SOURCE
    ]
    (rows,) = (read.id for read in graph.reads if read.source == SOURCE)
    problems += [
        _replaced(write, pipeline)
        for write in graph.writes
        if rows in graph.upstream(write.id) and str(pipeline.sinks[write.sink].params.mode) in _REPLACING
    ]
    if problems:
        raise ConfigError.of(problem for error in problems for problem in error.problems)


def _refused(node: Node, why: str) -> ConfigError:
    return ConfigError(
        "CMP-390",
        f'the rejected rows cannot be sent again by themselves: "{node.id}" {why}',
        at=node.at,
        hint="mend them where they come from, and run the pipeline",
    )


def _replaced(write: Write, pipeline: Pipeline) -> ConfigError:
    use = pipeline.sinks[write.sink]
    return ConfigError(
        "CMP-391",
        f'the sink "{write.sink}" would hold the rejected rows alone: each epoch replaces what it holds',
        at=use.places.get("mode", use.at),
        hint="mend the rows where they come from, and run the pipeline: it reads them again",
    )
