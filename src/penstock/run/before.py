"""What rules measured in the epochs before one: those that were sealed, and read what it reads.

A replay has the rows that are sent again, an interval those that are read again, and the first load of an incremental
source all that there ever were: none of them is history, nor has one to be compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.graph.history import Earlier
from penstock.run.replays import replay_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penstock.graph import Graph
    from penstock.ledger.api import EpochRecord, Ledger, NodeBalance, Range


def history_of(ledger: Ledger, graph: Graph, record: EpochRecord, window: int) -> Sequence[Earlier] | None:
    """The newest ``window`` sealed epochs but those that are no history, newest first; None where the epoch itself is like
    none of them. Nothing can be sealed between an epoch's plan and its seal, so that a redo has the same.
    """
    new = {read.source for read in graph.reads if read.incremental}
    if not _is_usual(record.ranges, new):
        return None
    sealed = ledger.history(record.key, limit=window)
    return [Earlier(epoch.planned_at, _figures(entries)) for epoch, entries in sealed if _is_usual(epoch.ranges, new)]


def _is_usual(ranges: Sequence[Range], new: Collection[str]) -> bool:
    """``new``: the sources of which an epoch has what came since the one before."""
    if replay_of(ranges) is not None or any(item.aside for item in ranges):
        return False
    since = [item.after for item in ranges if item.source in new]
    return not since or any(after is not None for after in since)


def _figures(entries: Sequence[NodeBalance]) -> dict[tuple[str, str, str], float]:
    return {
        (entry.node, rule.rule, name): float(value)
        for entry in entries
        for rule in entry.rules
        for name, value in rule.measured.items()
        if value is not None
    }
