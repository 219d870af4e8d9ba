"""The account of every node of an epoch, and the equations it must meet before anything is committed or sealed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

from penstock.errors import FatalError
from penstock.graph.nodes import (
    Aggregate,
    Check,
    Explode,
    Filter,
    Join,
    Limit,
    NodeKind,
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
from penstock.graph.replayed import node_of
from penstock.ledger.api import NodeBalance, RuleResult
from penstock.rules.about import told_of
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penstock.connectors.api import Receipt, Staged
    from penstock.engines.api import NodeCounts
    from penstock.graph import Graph, Node
    from penstock.graph.nodes import Rule, TableRule
    from penstock.ledger.api import RejectFile

_FILTERS = frozenset({NodeKind.FILTER, NodeKind.LIMIT, NodeKind.SAMPLE})


def account(graph: Graph, counts: Mapping[str, NodeCounts]) -> tuple[NodeBalance, ...]:
    """One entry per node of a pass, in graph order."""
    return tuple(_entry(node, counts[node.id]) for node in graph.nodes if node.id in counts)


def _entry(node: Node, counts: NodeCounts) -> NodeBalance:
    lost = sum(counts.into.values()) - counts.out
    kind = node.kind
    return NodeBalance(
        node.id,
        kind.value,
        counts.into,
        counts.out,
        filtered=lost if kind in _FILTERS else 0,
        deduplicated=lost if kind is NodeKind.DEDUPLICATE else 0,
        rejected=lost if kind is NodeKind.CHECK else counts.rejected,
        unmatched=counts.unmatched,
        empty=counts.empty,
        noted=counts.noted,
        rules=_results(node, counts) if isinstance(node, Check) else (),
        columns=counts.columns,
    )


def _results(node: Check, counts: NodeCounts) -> tuple[RuleResult, ...]:
    notes = {rule.code: rule.note for rule in node.table_rules}
    labelled = {column.name for column in node.schema or () if column.labels}
    hidden = {rule.code: _compared_later(rule) for rule in node.table_rules if labelled & set(rule.columns)}
    return tuple(
        _result(rule, counts, notes.get(rule.code), hidden.get(rule.code), masked=bool(labelled & rule.columns))
        for rule in node.rules
    )


def _compared_later(rule: TableRule) -> frozenset[str]:
    """The measures that later epochs look at."""
    return frozenset(one.name for one in rule.measures if rule.aging or one.name in {b.measure for b in rule.baselines})


def _result(
    rule: Rule, counts: NodeCounts, note: str | None, hidden: frozenset[str] | None, *, masked: bool
) -> RuleResult:
    """``hidden``: the rule tells of labelled columns, and of its figures these alone are kept. ``masked``: it looks at labelled
    columns, and nothing of what it compares them with is kept.
    """
    of_all = rule.code in counts.measured
    measured = counts.measured.get(rule.code, {})
    return RuleResult(
        rule.code,
        rule.kind,
        rule.dimension,
        rule.weight,
        rule.on_fail,
        violating=None if of_all else counts.noted.get(rule.code, counts.refused.get(rule.code, 0)),
        measured={name: value for name, value in measured.items() if hidden is None or name in hidden},
        broken=counts.broken.get(rule.code),
        note=note,
        samples=tuple(counts.samples.get(rule.code, ())),
        hidden=hidden is not None,
        about=told_of(rule.about, masked=masked),
    )


def check(
    graph: Graph,
    entries: Sequence[NodeBalance],
    rejects: Sequence[RejectFile],
    staged: Mapping[str, Sequence[Staged]],
) -> None:
    """Raises FatalError RUN-120 naming the first node that does not balance, with its figures: nothing is committed."""
    kept, rejected = _by_node(rejects, entries)
    out = {entry.node: entry.out for entry in entries}
    partly = _partly(graph, entries)
    for entry in entries:
        node = graph[entry.node]
        for source, rows in entry.into.items():
            if (
                source != entry.node
                and source in out
                and not _passed_on(rows, out[source], in_part=partly.passed(node.id, source))
            ):
                raise _unbalanced(entry, f'"{source}" gave {out[source]} rows, {rows} arrived')
        _check_node(node, entry, in_part=partly.computed(node.id))
        name = node_of(entry.node)
        if kept[name] != rejected[name]:
            raise _unbalanced(entry, f"{rejected[name]} rows were rejected, the reject store has {kept[name]}")
        if isinstance(node, Write):
            handed = sum(part.rows for part in staged.get(node.sink, ()))
            if node.sink in staged and handed != entry.out:
                raise _unbalanced(entry, f"{entry.out} rows were sent, the sink staged {handed}")
    _check_shared_out(graph, entries, partly)


def _by_node(rejects: Sequence[RejectFile], entries: Sequence[NodeBalance]) -> tuple[Counter[str], Counter[str]]:
    """What the reject store has, and what nodes say that they rejected, by the document's own node."""
    kept, rejected = Counter[str](), Counter[str]()
    for file in rejects:
        kept[file.node] += file.rows
    for entry in entries:
        rejected[node_of(entry.node)] += entry.rejected
    return kept, rejected


class _Partly(Frozen):
    """What need not have been read to its end: ``edges`` (reader, input) of which the reader had enough before, and
    ``nodes`` of which whatever reads them had enough.
    """

    edges: frozenset[tuple[str, str]]
    nodes: frozenset[str]

    def passed(self, reader: str, source: str) -> bool:
        return (reader, source) in self.edges or reader in self.nodes

    def computed(self, node: str) -> bool:
        return node in self.nodes or any(reader == node for reader, _ in self.edges)


def _partly(graph: Graph, entries: Sequence[NodeBalance]) -> _Partly:
    edges = frozenset((entry.node, source) for entry in entries for source in _not_read_on(graph[entry.node], entry))
    readers: dict[str, set[str]] = {}
    for entry in entries:
        for source in graph[entry.node].inputs:
            readers.setdefault(source, set()).add(entry.node)
    nodes: set[str] = set()
    for name in reversed([entry.node for entry in entries]):
        if name in readers and all((reader, name) in edges or reader in nodes for reader in readers[name]):
            nodes.add(name)
    return _Partly(edges, frozenset(nodes))


def _not_read_on(node: Node, entry: NodeBalance) -> Iterable[str]:
    """The inputs of a node of which it may have had enough before their end."""
    match node:
        case Limit(rows=rows, input=source):
            return (source,) if entry.out == rows else ()
        case Join(left=left, right=right):
            # Nothing can match an empty side; but without a partner are then all rows of the other.
            empty = {side for side, rows in entry.into.items() if rows == 0}
            return tuple(
                side for side, other in ((left, right), (right, left)) if other in empty and not _keeps(node, side)
            )
        case Query(query=query):
            return node.inputs if any(map(_may_stop, query.walk())) else ()
        case _:
            return ()


def _keeps(node: Join, side: str) -> bool:
    """Whether rows of that side are passed on which have no partner."""
    return (side == node.left and node.how in {"left", "full", "anti", "asof_left"}) or (
        side == node.right and node.how in {"right", "full"}
    )


def _may_stop(part: exp.Expr) -> bool:
    """Whether this part of a person's SELECT may have enough before its inputs end: a limit, a sample, a join or a
    subquery, which may find its other side empty.
    """
    if isinstance(part, exp.Subquery):
        return not isinstance(part.parent, exp.From)
    return isinstance(
        part, exp.Limit | exp.Fetch | exp.TableSample | exp.Join | exp.Exists | exp.In | exp.Except | exp.Intersect
    )


def _passed_on(arrived: int, given: int, *, in_part: bool) -> bool:
    return arrived == given or (in_part and arrived < given)


def _check_node(node: Node, entry: NodeBalance, *, in_part: bool) -> None:
    into, out = sum(entry.into.values()), entry.out
    match node:
        case Read() | Table():
            # Nothing in: the planner proved what it leads to empty, and nothing was asked for.
            right = not entry.into or _passed_on(out + entry.rejected, into, in_part=in_part)
        case Limit(rows=rows):
            right = _passed_on(out, min(rows, into), in_part=in_part)
        case Sample(rows=int(rows)):
            right = _passed_on(out, min(rows, into), in_part=in_part)
        case Filter() | Sample() | Check():
            right = 0 <= out <= into
        case Explode(keep_empty=keep_empty):
            least = into - (0 if keep_empty else entry.empty)
            right = 0 <= entry.empty <= into and (out >= least or in_part)
        case Join():
            possible = all(0 <= rows <= entry.into.get(side, 0) for side, rows in entry.unmatched.items())
            right = possible and (in_part or node.left == node.right or _joined(node, entry))
        case Aggregate(by=()):
            right = _passed_on(out, 1, in_part=in_part)
        case Aggregate():
            right = out <= into and ((out > 0) == (into > 0) or in_part)
        case Project() | Sort() | Union() | Write():
            right = into == out
        case Query() | Python():
            right = out >= 0
        case _:
            assert_never(node)
    if not right:
        raise _unbalanced(entry, _figures(entry))


def _joined(node: Join, entry: NodeBalance) -> bool:
    """Each row that found a partner is in at least one row out, and of an as-of join in exactly one; a side that the join
    keeps has its other rows there once.
    """
    left, right = entry.into[node.left], entry.into[node.right]
    alone = entry.unmatched
    match node.how:
        case "cross":
            return entry.out == left * right
        case "semi" | "asof":
            return entry.out == left - alone[node.left]
        case "anti":
            return entry.out == alone[node.left]
        case "asof_left":
            return entry.out == left
        case "inner" | "left" | "right" | "full":
            kept = {"inner": (), "left": (node.left,), "right": (node.right,), "full": (node.left, node.right)}[
                node.how
            ]
            pairs = entry.out - sum(alone.get(side, 0) for side in kept)
            met = left - alone.get(node.left, 0), right - alone.get(node.right, 0)
            return max(met) <= pairs <= met[0] * met[1]


def _check_shared_out(graph: Graph, entries: Sequence[NodeBalance], partly: _Partly) -> None:
    """A semi and an anti join of the same two sides share out the rows of the left one."""
    halves: dict[tuple[str, str, str], dict[str, NodeBalance]] = {}
    for entry in entries:
        node = graph[entry.node]
        if isinstance(node, Join) and node.how in {"semi", "anti"} and node.on is not None:
            halves.setdefault((node.left, node.right, node.on.sql(dialect="duckdb")), {})[node.how] = entry
    for (left, _, _), found in halves.items():
        if found.keys() != {"semi", "anti"} or any(entry.node in partly.nodes for entry in found.values()):
            continue
        rows, out = found["anti"].into[left], {entry.node: entry.out for entry in found.values()}
        if sum(out.values()) != rows:
            shares = " and ".join(f'{taken} in "{name}"' for name, taken in out.items())
            raise _unbalanced(found["anti"], f'of {rows} rows of "{left}" there are {shares}')


def check_receipt(sink: str, *, sent: int, receipt: Receipt) -> None:
    """Rows sent = inserted + updated + unchanged + ignored as older. Raises FatalError RUN-121: not sealed."""
    told = receipt.inserted + receipt.updated + receipt.unchanged + receipt.ignored_older
    if receipt.rows == sent == told:
        return
    raise FatalError(
        "RUN-121",
        f'the receipt of the sink "{sink}" does not balance',
        detail=f"{sent} rows were sent, its receipt says {receipt.rows}: {receipt.inserted} inserted, {receipt.updated} "
        f"updated, {receipt.unchanged} unchanged, {receipt.ignored_older} ignored as older.",
    )


def totals(entries: Sequence[NodeBalance]) -> tuple[int, int, int]:
    """Rows in (out of the sources, with what was rejected there), out (into the sinks), rejected."""
    rows_in = sum(sum(entry.into.values()) for entry in entries if entry.kind == NodeKind.READ)
    rows_out = sum(entry.out for entry in entries if entry.kind == NodeKind.WRITE)
    return rows_in, rows_out, sum(entry.rejected for entry in entries)


def _figures(entry: NodeBalance) -> str:
    into = ", ".join(f"{rows} from {source}" for source, rows in entry.into.items()) or "nothing"
    return (
        f"in {into}; out {entry.out}, filtered {entry.filtered}, deduplicated {entry.deduplicated}, "
        f"rejected {entry.rejected}"
    )


def _unbalanced(entry: NodeBalance, figures: str) -> FatalError:
    return FatalError(
        "RUN-120",
        f'the balance of "{entry.node}" does not close',
        detail=f"{figures}; nothing of this epoch was sealed.",
        hint="please report it with what `penstock plan FILE --json` prints",
    )
