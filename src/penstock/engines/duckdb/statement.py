"""From a part of the graph to one DuckDB statement: a common table expression per node, each with its counting tags.

A tag is a filter that lets everything pass (or the node's own condition), whose rows DuckDB's profile reports by name
(profile.py). A node that several others read within the statement is materialized, so that it runs, and counts, once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.engines.duckdb.counting import Counted, counted_check, counted_explode, counted_join, tapped
from penstock.engines.duckdb.profile import tag_condition
from penstock.errors import InternalError
from penstock.graph.nodes import (
    Aggregate,
    Check,
    Explode,
    Filter,
    Join,
    Limit,
    Project,
    Python,
    Query,
    Read,
    Sample,
    Sort,
    Table,
    Union,
    Write,
)
from penstock.graph.select import keep, order, to_select
from penstock.structs import Frozen
from penstock.trees import identifier, relation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from penstock.engines.api import NodeCounts
    from penstock.graph import Graph, Node


class Statement(Frozen):
    """``query`` gives the rows of ``target``; ``nodes`` are those it computes, in graph order; ``counted`` has, for each
    that is counted, its tags.
    """

    target: str
    query: exp.Query
    nodes: tuple[str, ...]
    counted: Mapping[str, Counted]

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag for item in self.counted.values() for tag in item.tags)

    @property
    def observed(self) -> Mapping[str, str]:
        """By check, the function that must be there to take its rows when the query is run."""
        return {name: item.observer for name, item in self.counted.items() if item.observer is not None}

    @property
    def sampled(self) -> Mapping[str, str]:
        """By check, the function that must be there to take the first rows that its notes speak of."""
        return {name: item.sampler for name, item in self.counted.items() if item.sampler is not None}

    @property
    def sequences(self) -> tuple[str, ...]:
        """Those that must be there, at their start, when the query is run."""
        return tuple(sequence for item in self.counted.values() for sequence in item.notes.values())


class Composer(Frozen):
    """Builds statements over a graph."""

    graph: Graph

    def statement(self, target: str, leaves: Mapping[str, exp.Query], tables: Collection[str] = ()) -> Statement:
        """The rows of ``target``, a node of the graph. ``leaves`` are queries that stand for nodes which need no
        computing: bound inputs and ``tables`` that were materialized before. A table that is read twice stands where it is
        read, uncounted: its rows are known.
        """
        needed = self.needed_nodes(target, leaves.keys())
        uses = _uses(needed, leaves)
        counted: dict[str, Counted] = {}
        parts: list[exp.CTE] = []
        for node in needed:
            tag = f"n{len(parts)}"
            query = leaves[node.id].copy() if node.id in leaves else None
            if query is not None and node.id in tables and uses[node.id] > 1:
                counted[node.id] = Counted(query, out=tag)
                parts.append(_cte(node.id, query, materialized=False))
                continue
            part = _part(self.graph, node, leaf=query, tag=tag)
            if part.tags:
                counted[node.id] = part
            parts.append(_cte(node.id, part.query, materialized=True if uses[node.id] > 1 else None))
        query = exp.select("*").from_(relation(needed[-1].id))
        query.set("with_", exp.With(expressions=parts))
        return Statement(target, query, tuple(node.id for node in needed), counted)

    def needed(self, target: str, leaves: Iterable[str]) -> list[str]:
        """The ids of the nodes that a statement for the target computes or, being leaves, reads."""
        return [node.id for node in self.needed_nodes(target, leaves)]

    def needed_nodes(self, target: str, leaves: Iterable[str]) -> list[Node]:
        ends = frozenset(leaves)
        wanted: set[str] = set()
        todo = [target]
        while todo:
            current = todo.pop()
            if current not in wanted:
                wanted.add(current)
                if current not in ends:
                    todo.extend(self.graph[current].inputs)
        return [node for node in self.graph.nodes if node.id in wanted]


def cut_off_joins(graph: Graph) -> frozenset[str]:
    """Nodes that something which a limit cuts off reads more than once. DuckDB 2.0 does not come to an end where a LIMIT
    stands over a hash join of a materialized CTE with itself: they are computed into tables before.
    """
    limited = graph.upstream(*(node.id for node in graph.nodes if _limits(node)))
    return read_twice(graph) & limited


def _limits(node: Node) -> bool:
    return isinstance(node, Limit) or (isinstance(node, Query) and node.query.find(exp.Limit) is not None)


def measured_in_part(graph: Graph) -> frozenset[str]:
    """Checks that measure all of their rows, below what may have enough of them before their end: they are computed into
    tables, so that all of them are seen.
    """
    below = graph.upstream(*(name for node in graph.nodes for name in _not_read_on(node)))
    return frozenset(
        node.id for node in graph.nodes if isinstance(node, Check) and node.table_rules and node.id in below
    )


def _not_read_on(node: Node) -> tuple[str, ...]:
    """The inputs of which the node may have enough before their end."""
    match node:
        case Limit(input=source):
            return (source,)
        case Query():
            return node.inputs
        case Join(left=left, right=right, how="left" | "anti" | "asof_left"):
            return (right,) if right != left else ()
        case Join(left=left, how="right"):
            return (left,)
        case Join(how="full"):
            return ()
        case Join():
            return node.inputs
        case _:
            return ()


def read_twice(graph: Graph) -> frozenset[str]:
    """The nodes that a statement over the whole graph reads more than once."""
    return frozenset(name for name, times in _uses(list(graph.nodes), {}).items() if times > 1)


def _uses(nodes: list[Node], leaves: Mapping[str, exp.Query]) -> Counter[str]:
    """How often the statement reads each node."""
    uses: Counter[str] = Counter()
    for node in nodes:
        if node.id in leaves:
            continue
        if isinstance(node, Query):
            named = Counter(table.name for table in node.query.find_all(exp.Table))
            for name, source in node.tables.items():
                uses[source] += named[name]
        else:
            uses.update(node.inputs)
    return uses


def _cte(name: str, query: exp.Query, *, materialized: bool | None) -> exp.CTE:
    alias = exp.TableAlias(this=identifier(name))
    return exp.CTE(this=query, alias=alias, materialized=materialized)


def _part(graph: Graph, node: Node, *, leaf: exp.Query | None, tag: str) -> Counted:
    """The node's SELECT with its tags; a node that never changes the number of rows needs none."""
    if leaf is not None:
        return tapped(leaf, tag)
    match node:
        case Filter():
            return _kept(node, tag)
        case Check():
            return counted_check(node, tag)
        case Join():
            return counted_join(node, tag)
        case Explode():
            return counted_explode(node, tag)
        case Project() | Sort() | Union() | Write():
            return Counted(to_select(node))
        case Limit():
            return tapped(_limited(graph, node), tag)
        case Aggregate() | Sample() | Query():
            return tapped(to_select(node), tag)
        case Read() | Table() | Python():
            raise InternalError("INT-900", f'the node "{node.id}" was not bound before its statement')


def _limited(graph: Graph, node: Limit) -> exp.Query:
    """A limit right above a sort is one operator with it: an order is promised to no other reader of a sort's rows."""
    below = graph[node.input]
    query = to_select(node)
    if isinstance(below, Sort) and isinstance(query, exp.Select):
        return query.order_by(*[order(key) for key in below.keys], copy=False)
    return query


def _kept(node: Filter, tag: str) -> Counted:
    """The condition carries the tag; one with a window function is counted above it, which leaves DuckDB its faster
    plan for the first row of each group.
    """
    select = exp.select("*").from_(relation(node.input))
    if node.among is not None or node.condition.find(exp.Window) is not None:
        return tapped(keep(select, node.condition, node.among), tag)
    return Counted(select.where(tag_condition(node.condition, tag), copy=False), out=tag)


def counts_of(statement: Statement, graph: Graph, rows: Mapping[str, int]) -> dict[str, NodeCounts]:
    """The counts of every node that the statement computed, from the rows that its tags and sequences saw; a leaf's are its rows out,
    under no input.
    """
    from penstock.engines.api import NodeCounts

    out: dict[str, int] = {}
    counts: dict[str, NodeCounts] = {}
    for name in statement.nodes:
        node, counted = graph[name], statement.counted.get(name)
        leaf = not all(source in out for source in node.inputs) or not node.inputs
        sources = (node.input,) if isinstance(node, Check) else node.inputs
        into = {} if leaf else {source: out[source] for source in sources}
        out[name] = sum(into.values()) if counted is None or counted.out is None else rows[counted.out]
        alone = {} if leaf else _alone(node, into, out[name])
        unmatched = alone or ({} if counted is None else counted.unmatched_in(rows))
        empty = 0 if counted is None else counted.empty_in(rows)
        noted = {} if counted is None else counted.noted_in(rows)
        counts[name] = NodeCounts(into, out[name], unmatched=unmatched, empty=empty, noted=noted)
    return counts


def _alone(node: Node, into: Mapping[str, int], out: int) -> dict[str, int]:
    """Rows without a partner of the joins that pass on rows of their left side only."""
    match node:
        case Join(how="semi"):
            return {node.left: into[node.left] - out}
        case Join(how="anti"):
            return {node.left: out}
        case _:
            return {}
