"""``plan``, ``preview``, ``lineage``: what can be known of a pipeline without changing anything."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.compile.lineage import Lineage, Origin, lineage_of
from penstock.compile.reads import only
from penstock.connectors.api import Position, Spooling
from penstock.errors import ConfigError, InternalError, PenstockError, nearest
from penstock.graph.nodes import Project, Read, Table, Write
from penstock.graph.select import to_select
from penstock.plan.stages import Acknowledge, Commit, Keep, Pass, Seal, Spool, Stage
from penstock.run.replays import replay_of
from penstock.run.series import own_of
from penstock.service.ahead import ahead_of_clock
from penstock.service.caring import CaredFor, Setting, cared_for, grouped
from penstock.service.drift import drifts
from penstock.service.families import PerPart, parts
from penstock.service.late import late_for_cursors
from penstock.service.masking import masked_rows
from penstock.service.naming import node_of
from penstock.service.opening import opened
from penstock.service.read_again import warnings_of_repeats
from penstock.service.standing import standing
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import pyarrow as pa

    from penstock.compile.pipeline import Compiled
    from penstock.document.models import Pipeline
    from penstock.errors import Problem
    from penstock.graph import Graph, Node
    from penstock.ledger.api import EpochRecord
    from penstock.plan.stages import Plan
    from penstock.service.families import Part, Parts
    from penstock.service.opening import Opened
    from penstock.service.request import Request
    from penstock.types import Schema

__all__ = [
    "Acknowledge",
    "CaredFor",
    "Commit",
    "Explained",
    "Keep",
    "Origin",
    "Pass",
    "Position",
    "Reach",
    "Read",
    "Sampled",
    "Seal",
    "Setting",
    "Spool",
    "Stage",
    "Traced",
    "grouped",
    "lineage",
    "plan",
    "preview",
    "statements_of",
]

# ---------------------------------------------------------------- plan

_NO_ASOF: Final = "-- Spark SQL has no ASOF JOIN: this node has no direct form there"


class Reach(Frozen):
    """What a run now would read of one partition: (after, upto]. ``after`` None: from its beginning; ``upto`` None: what
    the source answers when the run asks it.
    """

    source: str
    partition: str
    after: Position | None
    upto: Position | None

    @property
    def is_empty(self) -> bool:
        """Whether it ends where it begins."""
        return self.after is not None and self.upto is not None and own_of(self.after) == self.upto

    def to_json(self) -> dict[str, Any]:
        return {"source": self.source, "partition": self.partition, "after": self.after, "upto": self.upto}


class Explained(Frozen):
    """A plan, and what the ledger knows of the pipeline. ``last`` is the newest sealed epoch; ``left`` the one that an earlier
    run left in the midst, which a run would finish first. ``warnings`` are the plan's and those of the ranges.
    """

    plan: Plan
    compiled: Compiled
    ranges: tuple[Reach, ...]
    last: EpochRecord | None
    news: tuple[str, ...]
    connections: tuple[CaredFor, ...] = ()
    left: EpochRecord | None = None
    warnings: tuple[Problem, ...] = ()

    @property
    def has_nothing_new(self) -> bool:
        """Whether a run now would read and commit nothing, as far as the sources say without being read."""
        whole = {read.source for read in self.plan.graph.reads if not read.incremental}
        return self.left is None and not whole and all(item.is_empty for item in self.ranges)

    def to_json(self, *, sql: bool = True) -> dict[str, Any]:
        delivery = self.plan.delivery
        return {
            "pipeline": self.plan.pipeline,
            "plan_hash": self.plan.hash,
            "guarantee": {"asked": delivery.asked, "given": delivery.given, "because": delivery.because},
            "stages": [_stage_json(stage) for stage in self.plan.stages],
            "ranges": [item.to_json() for item in self.ranges],
            "nodes": {node.id: _node_json(node, sql=sql) for node in self.plan.graph.nodes},
            "sinks": {
                name: {"type": commit.type, "mode": commit.mode, "action": commit.action, "place": commit.place}
                for name, commit in self.plan.commits.items()
            },
            "series": _series_json(self.plan),
            "rejects": _rejects_json(self.compiled.pipeline),
            "connections": [connection.to_json() for connection in self.connections],
            "last_epoch": self.last.number if self.last is not None else None,
            "left_epoch": self.left.number if self.left is not None else None,
            "nothing_new": self.has_nothing_new,
            "news": list(self.news),
            "warnings": [problem.to_json() for problem in self.warnings],
        }


def plan(request: Request) -> PerPart[Explained]:
    """One per table of ``tables:`` and one of the rest; of a document without tables one. Asks the systems for their
    columns and for their markers, writes nothing. Raises ConfigError with every problem of the first part that has any, and
    FatalError RUN-110 to RUN-114 as a run would.
    """
    with parts(request) as found:
        return PerPart(tuple(_explained(request, part) for part in found.each), found.of_tables)


def _explained(request: Request, part: Part) -> Explained:
    with opened(request, part.loaded) as found:
        found.connect()
        compiled, made = found.plan()
        memory = found.memory
        last = memory.last_sealed(found.key) if memory is not None else None
        situation = standing(found, compiled, made, last)
        sealed = found.ledger.positions(found.key, last.incarnation) if last is not None else {}
        ranges = tuple(_ranges(found, made, sealed))
        ends = [(item.source, item.after, item.upto) for item in ranges]
        repeats = warnings_of_repeats(made.graph, found.pipeline, found.sources, ends)
        return Explained(
            made,
            compiled,
            ranges,
            last,
            tuple(_news(found, last, made)),
            cared_for(found.pipeline),
            situation.epoch if situation is not None and situation.todo != "nothing" else None,
            (
                *made.warnings,
                *repeats,
                *ahead_of_clock(made.graph, sealed, request.clock.now()),
                *late_for_cursors(
                    made.graph, ((name, end) for (name, _), end in sealed.items()), last.ranges if last else ()
                ),
            ),
        )


def _ranges(found: Opened, made: Plan, sealed: Mapping[tuple[str, str], Position]) -> Iterator[Reach]:
    for read in {read.source: read for read in made.graph.reads}.values():
        name, source, use = read.source, found.sources[read.source], found.pipeline.sources[read.source]
        try:
            for part in source.partitions():
                after = sealed.get((name, part.id)) if read.incremental else None
                is_open = isinstance(source, Spooling) or read.cursor is not None
                yield Reach(name, part.id, after, None if is_open else source.beyond(part, after))
        except PenstockError as error:
            raise error.placed(use.at, use.places) from None


def _news(found: Opened, last: EpochRecord | None, made: Plan) -> list[str]:
    """What is different from what was seen last time."""
    news = []
    if last is not None and replay_of(last.ranges) is None and last.plan_hash != made.hash:
        news.append("the pipeline has changed since its last run")
    return [*news, *map(str, drifts(found))]


def _rejects_json(pipeline: Pipeline) -> dict[str, str] | None:
    if pipeline.rejects is None:
        return None
    return {"type": pipeline.rejects.descriptor.name, "sink": pipeline.rejects.name}


def _series_json(made: Plan) -> dict[str, Any] | None:
    if made.series is None:
        return None
    return {
        "rows": made.series.size.rows,
        "bytes": made.series.size.bytes,
        "sources": list(made.series.sources),
        "each": list(made.series.each),
        "at_the_end": [name for name in made.commits if name not in made.series.each],
    }


def _stage_json(stage: Stage) -> dict[str, Any]:
    match stage:
        case Spool():
            return {"stage": "spool", "source": stage.source, "because": stage.because}
        case Keep():
            return {"stage": "keep", "node": stage.node, "because": stage.because}
        case Pass():
            return {
                "stage": "pass",
                "number": stage.number,
                "reads": list(stage.reads),
                "tables": list(stage.tables),
                "sinks": list(stage.sinks),
                "shared": [{"node": item.node, "how": item.how, "because": item.because} for item in stage.shared],
            }
        case Commit():
            return {"stage": "commit", "sink": stage.sink, "mode": stage.mode, "action": stage.action}
        case Seal():
            return {"stage": "seal"}
        case Acknowledge():
            return {"stage": "acknowledge", "sources": list(stage.sources)}


def _node_json(node: Node, *, sql: bool) -> dict[str, Any]:
    columns = [
        {
            "name": item.name,
            "type": str(item.type),
            "nullable": item.nullable,
            "labels": sorted(item.labels),
        }
        for item in node.schema or ()
    ]
    found: dict[str, Any] = {"kind": node.kind.value, "inputs": list(node.inputs), "columns": columns}
    if sql:
        found["sql"] = statements_of(node)
    if isinstance(node, Read | Table) and node.predicate is not None:
        found["pushed"] = node.predicate.sql(dialect="duckdb")
    return found


def statements_of(node: Node) -> dict[str, str]:
    """The node's SELECT in DuckDB's dialect and, transpiled, in Spark's; a comment where Spark has no such statement."""
    query = to_select(node)
    for cast in query.find_all(exp.TryCast):
        cast.set("safe", True)  # else Spark's dialect has it as a cast that fails
    spark = _NO_ASOF if _has_asof(query) else query.sql(dialect="spark", pretty=True)
    return {"duckdb": query.sql(dialect="duckdb", pretty=True), "spark": spark}


def _has_asof(query: exp.Query) -> bool:
    return any(join.method.upper() == "ASOF" for join in query.find_all(exp.Join))


# ---------------------------------------------------------------- preview


class Sampled(Frozen):
    """The first rows of a node, and its columns as they were compiled. ``rejected``: of what was read for them, how many
    rows each node rejected; a run tells why, and what it rejects of the rest.
    """

    schema: Schema
    rows: pa.Table
    rejected: Mapping[str, int]


def preview(request: Request, name: str, rows: int, allow: Collection[str] = ()) -> Sampled:
    """The first rows of a source, a transform, a step (``transform.step``) or what a sink would get; nothing is written.
    Columns with labels are masked but for those that ``allow`` names.

    Of a document with ``tables:`` a node is that of the first table, or of the one that is named before it:
    ``crm.sales.orders/cleaned``; ``crm.sales.orders`` alone is that table. Only the node and what it reads are asked for
    and compiled. Raises ConfigError CMP-201 with the nearest name.
    """
    with looking_at(request, name) as look:
        first = look.found.engine.sample(look.graph, look.node, look.found.inputs(look.graph), rows)
        return Sampled(look.schema, masked_rows(first.table, look.schema, allow), first.rejected)


class Look(Frozen):
    """A node that is to be read outside of a run, and what its document calls it: ``graph`` is all that it takes, as the
    document says it; ``whole`` is the document's pipeline, of which ``found`` has no more than that.
    """

    called: str
    found: Opened
    graph: Graph
    node: str
    schema: Schema
    whole: Pipeline


@contextmanager
def looking_at(request: Request, name: str) -> Iterator[Look]:
    """The node that ``preview`` calls so. Errors as ``preview``."""
    with parts(request) as every:
        part, node = _chosen(every, name)
        pipeline = part.loaded.pipeline
        own = node.partition(".")[0]
        if own in pipeline.names:
            pipeline = replace(only(pipeline, (own,)), rejects=None)
        with opened(request, replace(part.loaded, pipeline=pipeline)) as found:
            found.connect()
            graph = found.compile().written
            node_id = node_of(node, graph)
            schema = graph[node_id].schema
            if schema is None:
                raise InternalError("INT-900", f'"{node_id}" has no columns yet')
            yield Look(node, found, graph.only(graph.upstream(node_id)), node_id, schema, part.loaded.pipeline)


def _chosen(found: Parts, name: str) -> tuple[Part, str]:
    for part in found.each:
        if part.member is not None and name == part.member:
            return part, name.partition(".")[0]
        if part.member is not None and name.startswith(f"{part.member}/"):
            return part, name.removeprefix(f"{part.member}/")
    own = name.partition(".")[0]
    for part in found.each:
        if own in part.loaded.pipeline.names:
            return part, name
    return found.each[0], name


# ---------------------------------------------------------------- lineage


class Traced(Frozen):
    """``columns`` by node and column, for the document's own names: sources, transforms, sinks."""

    pipeline: str
    lineage: Lineage
    edges: tuple[tuple[str, str], ...]
    kinds: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "edges": [list(edge) for edge in self.edges],
            "nodes": {
                name: {
                    column: {
                        "from": [f"{origin.node}.{origin.column}" for origin in sorted(found.values)],
                        "decided_by": [f"{origin.node}.{origin.column}" for origin in sorted(found.predicates)],
                    }
                    for column, found in columns.items()
                }
                for name, columns in self.lineage.items()
            },
        }


def lineage(request: Request, *, column: str | None = None, connect: bool = True) -> PerPart[Traced]:
    """One per table of ``tables:`` and one of the rest; of a document without tables one. ``column`` (``node.column``):
    of that alone. Raises ConfigError CLI-104 with the nearest name.
    """
    with parts(request, offline=not connect) as every:
        found = tuple(_traced(request, part, connect=connect) for part in every.each)
    if column is not None:
        having = [each for each in found if column.partition(".")[0] in each.kinds]
        found = tuple(_only(each, column) for each in having or found)
    return PerPart(found, every.of_tables)


def _only(traced: Traced, column: str) -> Traced:
    node, _, name = column.partition(".")
    if node in traced.lineage and name in traced.lineage[node]:
        return replace(traced, lineage={node: {name: traced.lineage[node][name]}})
    columns = traced.lineage.get(node)
    message = f'there is no column "{column}"'
    if columns is None:
        nodes = f"the nodes are {', '.join(traced.kinds)}"
        raise ConfigError("CLI-104", message, detail=nodes, hint="write it node.column")
    near = nearest(name, columns)
    hint = f'did you mean "{node}.{near}"?' if near else None
    raise ConfigError("CLI-104", message, detail=f'"{node}" has the columns {", ".join(columns)}', hint=hint)


def _traced(request: Request, part: Part, *, connect: bool) -> Traced:
    with opened(request, part.loaded) as found:
        found.connect(offline=not connect)
        compiled = found.compile(may_read=connect)
        graph = compiled.written
        every = lineage_of(graph, found.pipeline)
        names = {**graph.outputs, **{write.sink: write.id for write in graph.writes}}
        pipeline = found.pipeline
        kinds = {
            **dict.fromkeys(pipeline.sources, "source"),
            **dict.fromkeys(pipeline.transforms, "transform"),
            **dict.fromkeys(pipeline.sinks, "sink"),
        }
        return Traced(
            pipeline.name,
            {name: every[names[name]] for name in kinds if name in names},
            tuple(_edges(graph, kinds)),
            kinds,
        )


def _edges(graph: Graph, kinds: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Between the document's names: who reads whom."""
    owner = {node.id: _owner(node, kinds) for node in graph.nodes}
    found = [
        (owner[source], owner[node.id])
        for node in graph.nodes
        for source in node.inputs
        if owner[source] != owner[node.id]
    ]
    return list(dict.fromkeys(found))


def _owner(node: Node, kinds: Mapping[str, str]) -> str:
    match node:
        case Read():
            return node.source
        case Table() | Write():
            return node.sink
        case Project() if node.id.partition(".")[0] not in kinds:
            return node.id
        case _:
            return node.id.partition(".")[0]
