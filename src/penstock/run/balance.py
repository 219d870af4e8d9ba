"""The account of every node of an epoch, and the equations it must meet before anything is committed or sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import FatalError
from penstock.graph.nodes import Join, Limit, NodeKind, Query, Write
from penstock.ledger.api import NodeBalance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.connectors.api import Receipt, Staged
    from penstock.engines.api import NodeCounts
    from penstock.graph import Graph, Node
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
    )


def check(
    graph: Graph,
    entries: Sequence[NodeBalance],
    rejects: Sequence[RejectFile],
    staged: Mapping[str, Sequence[Staged]],
) -> None:
    """Raises FatalError RUN-120 naming the first node that does not balance, with its figures: nothing is committed."""
    kept = {file.node: file.rows for file in rejects}
    out = {entry.node: entry.out for entry in entries}
    unread = _read_in_part(graph, entries)
    for entry in entries:
        node = graph[entry.node]
        _check_node(entry)
        if kept.get(entry.node, 0) != entry.rejected:
            raise _unbalanced(
                entry, f"{entry.rejected} rows were rejected, the reject store has {kept.get(entry.node, 0)}"
            )
        for source, rows in entry.into.items():
            if source != entry.node and source in out and not _passed_on(rows, out[source], in_part=node.id in unread):
                raise _unbalanced(entry, f'"{source}" gave {out[source]} rows, {rows} arrived')
        if isinstance(node, Write):
            handed = sum(part.rows for part in staged.get(node.sink, ()))
            if node.sink in staged and handed != entry.out:
                raise _unbalanced(entry, f"{entry.out} rows were sent, the sink staged {handed}")


def _read_in_part(graph: Graph, entries: Sequence[NodeBalance]) -> frozenset[str]:
    """The nodes whose input need not have been read to its end, since something that they feed had enough before."""
    return graph.upstream(*(entry.node for entry in entries if _had_enough(graph[entry.node], entry)))


def _had_enough(node: Node, entry: NodeBalance) -> bool:
    match node:
        case Limit(rows=rows):
            return entry.out == rows
        case Join():
            return any(rows == 0 for rows in entry.into.values())  # nothing can match an empty side
        case Query():
            return True  # what a person's SELECT reads of its inputs is not known: LIMIT, EXISTS, a join
        case _:
            return False


def _passed_on(arrived: int, given: int, *, in_part: bool) -> bool:
    return arrived == given or (in_part and arrived < given)


def _check_node(entry: NodeBalance) -> None:
    into, kind = sum(entry.into.values()), NodeKind(entry.kind)
    match kind:
        case NodeKind.READ | NodeKind.TABLE:
            right = into in {0, entry.out + entry.rejected}
        case NodeKind.PROJECT | NodeKind.SORT | NodeKind.UNION | NodeKind.WRITE:
            right = into == entry.out
        case NodeKind.FILTER | NodeKind.LIMIT | NodeKind.SAMPLE:
            right = entry.filtered >= 0 and into == entry.out + entry.filtered
        case NodeKind.DEDUPLICATE:
            right = entry.deduplicated >= 0 and into == entry.out + entry.deduplicated
        case NodeKind.CHECK:
            right = entry.rejected >= 0 and into == entry.out + entry.rejected
        case NodeKind.EXPLODE:
            right = 0 <= entry.empty <= into and entry.out >= into - entry.empty
        case NodeKind.JOIN:
            right = all(0 <= rows <= entry.into.get(side, 0) for side, rows in entry.unmatched.items())
        case NodeKind.AGGREGATE:
            right = entry.out <= max(into, 1)
        case NodeKind.QUERY | NodeKind.PYTHON:
            right = entry.out >= 0
    if not right:
        raise _unbalanced(entry, _figures(entry))


def check_receipt(sink: str, sent: int, receipt: Receipt) -> None:
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
