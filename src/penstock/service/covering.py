"""What the tests of a pipeline have seen of it: nodes with rows, rules kept and violated, filters and CASE both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from sqlglot import exp

from penstock.compile.branches import choices_of
from penstock.graph.nodes import Aggregate, Check, Column, Explode, Filter, NodeKind, Project, Query
from penstock.graph.select import violated
from penstock.structs import Frozen, Selective
from penstock.trees import when
from penstock.types import Field, Schema
from penstock.types.logical import INT64

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import pyarrow as pa

    from penstock.document.models import Pipeline, SinkUse, SourceUse, Transform
    from penstock.errors import Location
    from penstock.graph import Graph, Node
    from penstock.graph.nodes import Cause, Note
    from penstock.service.rehearsing import Outcome

Kind: TypeAlias = Literal["node", "rule", "filter", "case"]
KINDS: Final[tuple[Kind, ...]] = ("node", "rule", "filter", "case")


class Item(Selective):
    """One thing that a test may see: of a node that it has rows; of a rule, a filter or a CASE one of its outcomes."""

    kind: Kind
    node: str
    what: str
    outcome: str
    at: Location | None = None
    uncompared = frozenset({"at"})

    def to_json(self) -> dict[str, Any]:
        place = {"file": self.at.file, "line": self.at.line, "column": self.at.column} if self.at is not None else {}
        return {"kind": self.kind, "node": self.node, "what": self.what, "outcome": self.outcome, **place}


class Coverage(Frozen):
    """``items`` are all that there is to see, in the order of the document's nodes and then of the graph."""

    items: tuple[Item, ...]
    seen: frozenset[Item]

    @property
    def missing(self) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item not in self.seen)

    def of(self, kind: Kind) -> tuple[int, int]:
        """How many were seen, of how many."""
        every = [item for item in self.items if item.kind == kind]
        return sum(1 for item in every if item in self.seen), len(every)

    @property
    def percent(self) -> float:
        """Of all items; 100 where there is nothing to see."""
        return 100 * (1 - len(self.missing) / len(self.items)) if self.items else 100.0

    def to_json(self) -> dict[str, Any]:
        return {
            "percent": round(self.percent, 1),
            **{kind: dict(zip(("seen", "of"), self.of(kind), strict=True)) for kind in KINDS},
            "missing": [item.to_json() for item in self.missing],
        }


class Probe(Frozen):
    """A node that counts the rows of each outcome ``at`` another one: one row, a column per item."""

    at: str
    node: Aggregate | Query
    items: tuple[Item, ...]

    def seen(self, rows: pa.Table) -> Iterator[Item]:
        for item, column in zip(self.items, rows.columns, strict=True):
            if column[0].as_py():
                yield item


class Observer(Frozen):
    """What there is to see in the compiled pipeline. ``ids`` are the nodes whose rows are those of a document's name."""

    named: tuple[Item, ...]
    ids: Mapping[str, frozenset[str]]
    probes: tuple[Probe, ...]

    @classmethod
    def of(cls, graph: Graph, pipeline: Pipeline) -> Observer:
        uses: tuple[Mapping[str, SourceUse | Transform | SinkUse], ...]
        uses = (pipeline.sources, pipeline.transforms, pipeline.sinks)
        named = {name: use.at for part in uses for name, use in part.items()}
        ends = {**{write.sink: write.input for write in graph.writes}, **graph.outputs}
        ids = {
            name: frozenset(
                {ends.get(name, name), *(node.id for node in graph.nodes if node.id.startswith(f"{name}."))}
            )
            for name in named
        }
        items = tuple(Item("node", name, name, "has rows", at) for name, at in named.items())
        return cls(items, ids, tuple(filter(None, map(_probe, graph.nodes))))

    @property
    def asks(self) -> Mapping[str, Node]:
        """What a test has to run besides, by the node that it is about."""
        return {probe.at: probe.node for probe in self.probes}

    @property
    def items(self) -> tuple[Item, ...]:
        return (*self.named, *(item for probe in self.probes for item in probe.items))

    def seen(self, outcome: Outcome) -> Iterator[Item]:
        """By a test that ran the probes too."""
        full = {name for name, counts in outcome.counts.items() if counts.out or any(counts.into.values())}
        yield from (item for item in self.named if self.ids[item.node] & full)
        for probe in self.probes:
            if probe.at in outcome.asked:
                yield from probe.seen(outcome.asked[probe.at])


# ---------------------------------------------------------------- probes


def _probe(node: Node) -> Probe | None:
    """None where there is nothing to see at the node; what is given is none of the pipeline's own."""
    found = list(_outcomes(node)) if node.inputs else []
    if not found:
        return None
    names = [f"seen_{place}" for place in range(len(found))]
    schema = Schema(tuple(Field(name, INT64) for name in names))
    counts = [
        exp.Cast(this=exp.Count(this=when(condition, exp.Literal.number(1))), to=exp.DataType.build("bigint"))
        for _, condition in found
    ]
    items = tuple(item for item, _ in found)
    if isinstance(node, Query):
        query = _bare(node.query).select(
            *(exp.alias_(count, name) for name, count in zip(names, counts, strict=True)), append=False
        )
        return Probe(node.id, Query(f"{node.id}:seen", tables=node.tables, query=query, schema=schema), items)
    columns = tuple(Column(name, count) for name, count in zip(names, counts, strict=True))
    return Probe(
        node.id, Aggregate(f"{node.id}:seen", input=node.inputs[0], by=(), measures=columns, schema=schema), items
    )


def _outcomes(node: Node) -> Iterator[tuple[Item, exp.Expr]]:
    """What is to be seen at the node, each with the condition of the rows that show it."""
    match node:
        case Check() if _is_of_rules(node):
            for code, demands in _by_code(node).items():
                violates = violated(demands)
                yield Item("rule", node.id.partition(".")[0], code, "violated", demands[0].at or node.at), violates
                yield (
                    Item("rule", node.id.partition(".")[0], code, "kept", demands[0].at or node.at),
                    exp.Not(this=violates),
                )
        case Filter(condition=condition) if node.kind is NodeKind.FILTER and not isinstance(condition, exp.Boolean):
            yield from _both(node, condition)
            yield from _cases(node, [condition])
        case Project(columns=columns):
            yield from _cases(node, [item.value for item in columns])
        case Aggregate():
            yield from _cases(node, [item.value for item in (*node.by, *node.measures)])
        case Explode(value=value):
            yield from _cases(node, [value])
        case Query(query=exp.Select() as query):
            where = query.args.get("where")
            if where is not None and where.find(exp.Query) is None:
                yield from _both(node, where.this)
            yield from _cases(node, [part for part in query.expressions if part.find(exp.Query) is None], written=False)
        case _:
            return


def _is_of_rules(node: Check) -> bool:
    return node.id.split(".")[-1].rstrip("_0123456789") == "rules"


def _by_code(node: Check) -> Mapping[str, list[Cause | Note]]:
    found: dict[str, list[Cause | Note]] = {}
    for demand in node.demands:
        found.setdefault(demand.code, []).append(demand)
    return found


def _both(node: Node, condition: exp.Expr) -> Iterator[tuple[Item, exp.Expr]]:
    met = exp.func("coalesce", condition.copy(), exp.false())
    yield Item("filter", node.id, "filter", "kept", node.at), met
    yield Item("filter", node.id, "filter", "left out", node.at), exp.Not(this=met)


def _cases(node: Node, values: Iterable[exp.Expr], *, written: bool = True) -> Iterator[tuple[Item, exp.Expr]]:
    for number, choice in enumerate((one for value in values for one in choices_of(value, written=written)), start=1):
        name = "case" if number == 1 else f"case {number}"
        for place, branch in enumerate(choice.branches):
            taken = exp.EQ(this=exp.Paren(this=choice.taken), expression=exp.Literal.number(place))
            yield Item("case", node.id, name, branch, node.at), taken


_CLAUSES: Final = ("where", "group", "having", "qualify", "order", "limit", "offset", "distinct", "windows")


def _bare(query: exp.Query) -> exp.Select:
    """The rows that a SELECT begins with."""
    bare = query.copy()
    for clause in _CLAUSES:
        bare.set(clause, None)
    return cast("exp.Select", bare)
