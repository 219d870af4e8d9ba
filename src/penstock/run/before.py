"""What rules measured in the epochs before one: those that were sealed, and read what it reads.

To compare figures with: a replay has the rows that are sent again, an interval those that are read again, and the first load of an incremental
source all that there ever were: none of them is history, nor has one to be compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.graph.aging import ages_at, aging_checks
from penstock.graph.history import Earlier, History
from penstock.run.replays import replay_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from penstock.graph import Graph
    from penstock.graph.history import Windows
    from penstock.ledger.api import EpochRecord, Ledger, NodeBalance, PipelineKey, Range

# Epochs that are looked at for the newest value: those that most likely have one, and all there are where they have none.
_LOOKS: Final = (100, 1_000_000)


def history_of(ledger: Ledger, graph: Graph, record: EpochRecord, windows: Windows) -> History | None:
    """The sealed epochs but those that are no history; None where the epoch itself is like none of them. Nothing can be sealed
    between an epoch's plan and its seal, so that a redo has the same.
    """
    new = {read.source for read in graph.reads if read.incremental}
    if not _is_usual(record.ranges, new):
        return None

    def found(limit: int, weekday: int | None = None) -> Sequence[Earlier]:
        sealed = ledger.history(record.key, limit=limit, weekday=weekday) if limit else ()
        return [
            Earlier(epoch.planned_at, _figures(entries)) for epoch, entries in sealed if _is_usual(epoch.ranges, new)
        ]

    return History(found(windows.newest), found(windows.of_weekday, record.planned_at.isoweekday()))


def ages_before(
    ledger: Ledger, key: PipelineKey, incarnation: str, graph: Graph, moment: datetime
) -> Mapping[tuple[str, str], float]:
    """By check and rule the age, in seconds at the moment, of the newest value that came in the sealed epochs of this
    incarnation. A value that was sent again, or read again, came too.
    """
    checks, found = aging_checks(graph), dict[tuple[str, str], float]()
    wanted = {(check.id, rule.code) for check in checks for rule in check.table_rules if rule.aging}
    for limit in _LOOKS if wanted else ():
        sealed = ledger.history(key, limit=limit)
        own = [
            Earlier(epoch.planned_at, _figures(entries))
            for epoch, entries in sealed
            if epoch.incarnation == incarnation
        ]
        found = ages_at(moment, own, checks)
        if found.keys() == wanted or len(sealed) < limit:
            break
    return found


def is_of_news(ranges: Sequence[Range]) -> bool:
    """Whether an epoch over these ranges has what came since, and neither rows that are sent again nor an interval."""
    return replay_of(ranges) is None and not any(item.aside for item in ranges)


def _is_usual(ranges: Sequence[Range], new: Collection[str]) -> bool:
    """``new``: the sources of which an epoch has what came since the one before."""
    if not is_of_news(ranges):
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
