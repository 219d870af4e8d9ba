"""Rows that came too late for a cursor: no range has them, and without a word they would be missing for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.errors import Problem
from penstock.run.keysets import Behind, behind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.connectors.api import Position
    from penstock.graph import Graph
    from penstock.ledger.api import Range


def late_for_cursors(
    graph: Graph, positions: Iterable[tuple[str, Position]], ranges: Iterable[Range] = ()
) -> Iterator[Problem]:
    """RUN-137 for each source and value of its cursor where rows came too late for it, by what these positions of sources say; not
    where one of the ``ranges`` read the value again since.
    """
    again = {(item.source, _begin(item)) for item in ranges if item.aside}
    reads = {read.source: read for read in graph.reads if read.cursor is not None}
    found: dict[tuple[str, Behind], None] = {}
    for source, position in positions:
        late = behind_of(position)
        if late is not None and source in reads and (source, late.value) not in again:
            found[source, late] = None
    for source, late in found:
        cursor = reads[source].cursor
        assert cursor is not None
        rows = "at least 1 row" if late.rows == 1 else f"at least {late.rows:,} rows"
        yield Problem(
            "RUN-137",
            f'{rows} of "{source}" came too late for its cursor, with {cursor.by} = {late.value}, and no run reads them by itself',
            at=reads[source].at,
            detail=f"More rows had this value than a position names; they were read in the order of {', '.join(cursor.identity)}, "
            "and these stand before the place that was reached.",
            hint=f"where the sinks merge or replace partitions, `run --from '{late.value}'` reads all rows of this value and beyond "
            "again; else --full-refresh. The warning ends then, or with the source's next epoch",
            severity="warning",
        )


def _begin(item: Range) -> str | None:
    """The value with which an interval begins that was read once more."""
    match item.after:
        case {"cursor": {"value": str() as value, "cut": True}}:
            return value
    return None


__all__ = ["late_for_cursors"]
