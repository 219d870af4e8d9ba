"""Cursors that stand in the future: a row whose clock ran ahead hides all that come after it, and no run would say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from penstock.errors import Problem
from penstock.types.logical import DATE, TIMESTAMP, TIMESTAMPTZ

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.connectors.api import Position
    from penstock.graph import Graph
    from penstock.graph.nodes import Read

_TIMES: Final = (DATE, TIMESTAMP, TIMESTAMPTZ)
_AHEAD: Final = timedelta(days=1)  # more than any two time zones are apart, nearly


def ahead_of_clock(graph: Graph, positions: Mapping[tuple[str, str], Position], now: datetime) -> Iterator[Problem]:
    """RUN-136 for each source whose cursor has come to a value more than a day beyond ``now``."""
    for read in {read.source: read for read in graph.reads}.values():
        for (source, _), position in positions.items():
            value = _value(read, position) if source == read.source else None
            if read.cursor is not None and value is not None and _is_ahead(value, now):
                yield Problem(
                    "RUN-136",
                    f'the cursor {read.cursor.by} of "{read.source}" stands in the future, at {value}',
                    at=read.at,
                    detail="Rows with an earlier value that come from now on are not read.",
                    hint="filter or reject such values, or run with --full-refresh once the source is mended",
                    severity="warning",
                )


def _value(read: Read, position: Position) -> str | None:
    """The newest value of a cursor of time, as text."""
    if read.cursor is None or read.schema is None or read.schema[read.cursor.by].type not in _TIMES:
        return None
    match position:
        case {"cursor": {"by": [by, *_], "value": str() as value}} if by == read.cursor.by:
            return value
    return None


def _is_ahead(value: str, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:  # beyond the years that Python knows, on either side
        return not value.endswith("(BC)") and value[:1] != "-"
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return moment - now > _AHEAD


__all__ = ["ahead_of_clock"]
