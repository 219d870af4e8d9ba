"""What the ledger knows of a sink's columns: figures that runs left there, of all that was written."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import TYPE_CHECKING, Final

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from penstock.connectors.api import ColumnFigures
    from penstock.document.models import Pipeline
    from penstock.ledger.api import EpochRecord, NodeBalance

REMEMBERED: Final = 200  # epochs that are looked at
_MARGIN: Final = Decimal("0.1")  # of what lies between the bounds, on either side
_DIGITS: Final = 3  # of a margin
_EXACT: Final = Context(prec=400)  # of the widest double and its margin


class Recalled(Frozen):
    """``runs`` wrote ``rows``. ``columns`` are those that every one of them had; ``repeated`` are those with fewer whole numbers
    between their bounds than rows in some run, which are no keys.
    """

    runs: int
    rows: int
    columns: Mapping[str, ColumnFigures]
    repeated: frozenset[str] = frozenset()


def recalled(history: Iterable[tuple[EpochRecord, Sequence[NodeBalance]]], sink: str) -> Recalled | None:
    """None where no run left figures of the sink; of epochs without a row there is nothing to tell."""
    runs: set[str] = set()
    rows, repeated = 0, set[str]()
    columns: dict[str, ColumnFigures] | None = None
    for epoch, entries in history:
        for entry in entries:
            if entry.node != sink or not entry.out or not entry.columns:
                continue
            runs.add(epoch.run_id)
            rows += entry.out
            repeated |= {name for name, found in entry.columns.items() if _repeats(found)}
            before = entry.columns if columns is None else columns
            columns = {
                name: found if columns is None else found.plus(entry.columns[name])
                for name, found in before.items()
                if name in entry.columns
            }
    return None if columns is None else Recalled(len(runs), rows, columns, frozenset(repeated))


def _repeats(found: ColumnFigures) -> bool:
    if found.low is None or found.high is None:
        return False
    low, high = Decimal(found.low), Decimal(found.high)
    if low.as_tuple().exponent != 0 or high.as_tuple().exponent != 0:  # no whole numbers
        return False
    return found.values > high - low + 1


def sinks_of(pipeline: Pipeline, name: str) -> Iterator[str]:
    """The sinks that get the node's rows as they are: it is one, or the sink's only input."""
    for sink, use in pipeline.sinks.items():
        if name in (sink, *(use.inputs if len(use.inputs) == 1 else ())):
            yield sink


def widened(low: str, high: str) -> tuple[str, str]:
    """With room for a tenth more on either side, but not on the other side of zero; whole numbers stay whole.

    >>> widened("3", "57"), widened("-0.50", "0.50"), widened("7", "7")
    (('0', '63'), ('-0.60', '0.60'), ('7', '7'))
    """
    least, most = Decimal(low), Decimal(high)
    margin = _EXACT.multiply(_EXACT.subtract(most, least), _MARGIN)
    if not margin:
        return low, high
    ends = min(0, *(int(end.as_tuple().exponent) for end in (least, most)))
    place = Decimal(1).scaleb(max(ends, margin.adjusted() - _DIGITS))
    down = _EXACT.subtract(least, margin).quantize(place, ROUND_FLOOR, _EXACT)
    up = _EXACT.add(most, margin).quantize(place, ROUND_CEILING, _EXACT)
    return str(max(down, place * 0) if least >= 0 else down), str(min(up, place * 0) if most <= 0 else up)


__all__ = ["REMEMBERED", "Recalled", "recalled", "sinks_of", "widened"]
