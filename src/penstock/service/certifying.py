"""``penstock certify``: a pipeline's own rows through both engines, node by node, and where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from sqlglot import exp

from penstock.engines.api import Pass, Unkept
from penstock.errors import together
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Limit, Read, Table, Write
from penstock.run.kept import KeptWriter, kept_rows, rows_of
from penstock.secret import MASK
from penstock.service.copied import Copied, asked
from penstock.service.families import parts
from penstock.service.masking import hidden_columns
from penstock.service.opening import both_engines, opened
from penstock.service.portable import unportable
from penstock.structs import Frozen
from penstock.trees import call, column, identifier, relation
from penstock.types import FLOAT32, FLOAT64
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from penstock.engines.api import Engine, NodeCounts
    from penstock.graph import Node
    from penstock.service.families import Part
    from penstock.service.opening import Opened
    from penstock.service.request import Request
    from penstock.types import Schema

_SHOWN: Final = 5  # rows that one engine has alone
_DIGITS: Final = "%.12g"  # of floats: what differs beyond differs in the last digits alone
_SEED: Final = "certify"


class NodeVerdict(Frozen):
    """What a node gave on both engines. ``rows``: how many, by engine; ``figures``: what was counted differently; ``only``:
    by engine the first rows that the other one does not have; ``columns``: those in which they differ; ``below``: the first
    node above this one that differs as well, and may be the cause.
    """

    node: str
    verdict: Literal["same", "last digits", "different"]
    rows: Mapping[str, int]
    figures: Mapping[str, tuple[Any, Any]]
    only: Mapping[str, Sequence[Mapping[str, Any]]]
    columns: tuple[str, ...]
    below: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "verdict": self.verdict,
            "rows": dict(self.rows),
            "figures": {name: list(pair) for name, pair in self.figures.items()},
            "only": {engine: [dict(row) for row in rows] for engine, rows in self.only.items()},
            "columns": list(self.columns),
            "below": self.below,
        }


class Certificate(Frozen):
    """Of one pipeline: ``rows`` that went in, by source or table; ``most`` of each, None: all; the nodes in their order."""

    pipeline: str
    rows: Mapping[str, int]
    most: int | None
    nodes: tuple[NodeVerdict, ...]

    @property
    def agrees(self) -> bool:
        return all(node.verdict != "different" for node in self.nodes)

    def to_json(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline,
            "agrees": self.agrees,
            "rows": dict(self.rows),
            "most": self.most,
            "nodes": [node.to_json() for node in self.nodes],
        }


def certify(request: Request, *, most: int | None, allow: Collection[str] = ()) -> tuple[Certificate, ...]:
    """Runs every node on DuckDB and on Spark over what the sources hold now, at most ``most`` rows of each, and compares what
    comes as multisets. Writes scratch files alone. ``allow``: labels whose columns are shown.

    Raises ConfigError CMP-385 for what Spark does not run, and what reading a source raises.
    """
    with parts(request) as found:
        return tuple(_certified(request, part, most=most, allow=allow) for part in found.each)


def _certified(request: Request, part: Part, *, most: int | None, allow: Collection[str]) -> Certificate:
    with opened(request, part.loaded) as found:
        found.connect()
        graph = at_moment(found.compile().graph, request.clock.now())
        local, spark = both_engines(found)
        refused = unportable(graph, local)
        if refused:
            raise together(refused)
        folder = found.scratch / "certify"
        folder.mkdir()
        leaves = _leaves(graph, found, local, folder, most=most)
        inner = Graph(tuple(_standing(node, leaves) for node in graph.nodes if not isinstance(node, Write)))
        ran = {engine.name: _Ran.of(engine, inner, leaves, local, folder) for engine in (local, spark)}
        nodes = tuple(_Comparison(inner, ran, local, allow).verdicts())
    return Certificate(found.pipeline.name, {name: leaf.rows for name, leaf in leaves.items()}, most, nodes)


# ---------------------------------------------------------------- running


def _leaves(graph: Graph, found: Opened, local: Engine, folder: Path, *, most: int | None) -> dict[str, Copied]:
    """What each source and table holds, read once, so that both engines get the very same rows."""
    inputs = found.inputs(graph)
    copies: dict[str, Copied] = {}
    every: list[Read | Table] = [*graph.reads, *graph.tables]
    for number, leaf in enumerate(every):
        schema = _schema(leaf)
        nodes: list[Node] = [leaf]
        if most is not None:
            nodes.append(Limit(f"{leaf.id}:first", input=leaf.id, rows=most, schema=schema))
        given = {leaf.id: inputs[leaf.id]}
        into = folder / f"leaf-{number}"
        copy = Copied.of(local, Graph(tuple(nodes)), nodes[-1].id, given, schema=schema, into=into)
        copies[leaf.id] = copy.named(leaf.id)
    return copies


def _standing(node: Node, leaves: Mapping[str, Copied]) -> Node:
    return leaves[node.id].read if isinstance(node, Read | Table) else node


class _Ran(Frozen):
    """What an engine gave: the counts, and a copy of the rows, of each node that is no leaf."""

    counts: Mapping[str, NodeCounts]
    copies: Mapping[str, Copied]

    @classmethod
    def of(cls, engine: Engine, graph: Graph, leaves: Mapping[str, Copied], local: Engine, folder: Path) -> _Ran:
        own = [node for node in graph.nodes if node.id not in leaves]
        paths = {node.id: folder / f"{engine.name}-{number}" for number, node in enumerate(own)}
        writes = [Write(f"{node.id}:copy", input=node.id, sink=node.id, schema=_schema(node)) for node in own]
        outcome = engine.run(
            Pass(Graph((*graph.nodes, *writes)), seed=_SEED),
            inputs={name: leaf.parts for name, leaf in leaves.items()},
            outputs={node.id: _opener(paths[node.id], node) for node in own},
            rejects=Unkept(),
        )
        copies = {}
        for node in own:
            read = Read(engine.name, source=engine.name, schema=_schema(node))
            rows = sum(staged.rows for staged in outcome.staged[node.id])
            copies[node.id] = Copied(local, read, [rows_of(folder, read, kept_rows(folder, paths[node.id]))], rows, ())
        return cls(outcome.counts, copies)


def _opener(path: Path, node: Node) -> Any:
    return lambda: KeptWriter(path, to_arrow(_schema(node)))


def _schema(node: Node) -> Schema:
    assert node.schema is not None
    return node.schema


# ---------------------------------------------------------------- comparing


class _Comparison:
    """Both engines' rows of one graph; ``local`` compares them."""

    def __init__(self, graph: Graph, ran: Mapping[str, _Ran], local: Engine, allow: Collection[str]) -> None:
        self._graph, self._ran, self._local, self._allow = graph, ran, local, allow

    def verdicts(self) -> Iterator[NodeVerdict]:
        different: list[str] = []
        for node in self._graph.nodes:
            if any(node.id not in one.copies for one in self._ran.values()):
                continue
            above = self._graph.upstream(node.id) - {node.id}
            found = self._verdict(node, next((name for name in different if name in above), None))
            if found.verdict == "different":
                different.append(node.id)
            yield found

    def _verdict(self, node: Node, below: str | None) -> NodeVerdict:
        copies = {engine: one.copies[node.id] for engine, one in self._ran.items()}
        figures = self._figures(node)
        schema = _schema(node)
        only = self._only(copies, [column(name) for name in schema.names])
        verdict: Literal["same", "last digits", "different"] = "different" if any(only.values()) else "same"
        if verdict == "different" and not any(
            self._only(copies, [_rounded(item.name, schema) for item in schema]).values()
        ):
            verdict, only = "last digits", {}
        columns = tuple(name for name in schema.names if verdict == "different" and self._differs(copies, name))
        hidden = hidden_columns({item.name: item.labels for item in schema}, self._allow)
        shown = {
            engine: [{name: MASK if name in hidden else _told(value) for name, value in row.items()} for row in rows]
            for engine, rows in only.items()
        }
        return NodeVerdict(
            node.id,
            "different" if figures else verdict,
            {engine: copy.rows for engine, copy in copies.items()},
            figures,
            shown,
            columns,
            below,
        )

    def _figures(self, node: Node) -> dict[str, tuple[Any, Any]]:
        one, other = (_counted(ran.counts[node.id]) for ran in self._ran.values())
        return {name: (value, other[name]) for name, value in one.items() if value != other[name]}

    def _only(self, copies: Mapping[str, Copied], values: Sequence[exp.Expr]) -> dict[str, list[dict[str, Any]]]:
        """By engine, the first rows of these values that the other does not have, or not so often."""
        selects = {engine: exp.select(*[value.copy() for value in values]).from_(relation(engine)) for engine in copies}
        found = {}
        for engine, other in zip(selects, reversed(selects), strict=True):
            query = exp.Except(this=selects[engine].copy(), expression=selects[other].copy(), distinct=False)
            found[engine] = asked(self._local, list(copies.values()), query, most=_SHOWN)
        return found

    def _differs(self, copies: Mapping[str, Copied], name: str) -> bool:
        return any(self._only(copies, [column(name)]).values())


def _counted(counts: NodeCounts) -> dict[str, Any]:
    return {
        "in": dict(counts.into),
        "out": counts.out,
        "unmatched": {name: rows for name, rows in counts.unmatched.items() if rows},
        "empty": counts.empty,
        "rejected": {name: rows for name, rows in counts.refused.items() if rows},
        "noted": {name: rows for name, rows in counts.noted.items() if rows},
    }


def _told(value: object) -> object:
    """As JSON has it; what it has no word for as a text."""
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _rounded(name: str, schema: Schema) -> exp.Expr:
    """A float without its last digits."""
    if schema[name].type not in {FLOAT32, FLOAT64}:
        return column(name)
    return exp.alias_(call("printf", exp.Literal.string(_DIGITS), column(name)), identifier(name))


__all__ = ["Certificate", "NodeVerdict", "certify"]
