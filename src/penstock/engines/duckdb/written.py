"""What DuckDB says of the columns of Parquet files that it wrote, as it counted them while writing."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import ColumnFigures
from penstock.structs import replace
from penstock.types.families import Family, family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.types import Field, Schema

MOST: Final = 200  # columns of which the ledger keeps figures


def figures_of(schema: Schema, files: Iterable[Mapping[str, Mapping[str, str]]]) -> dict[str, ColumnFigures]:
    """By column, over all files. ``files`` are COPY's statistics (RETURN_STATS), texts by the column's quoted path; a column
    that does not stand in one of them has no figures. Bounds are told of numbers without labels, NaN and infinities alone.
    """
    found: dict[str, ColumnFigures] = {}
    each = list(files)
    for item in [*schema][:MOST]:
        path = '"{}"'.format(item.name.replace('"', '""'))
        if not each or not all("null_count" in statistics.get(path, {}) for statistics in each):
            continue
        first, *others = (_figures(item, statistics[path]) for statistics in each)
        for other in others:
            first = first.plus(other)
        found[item.name] = first
    return found


def _figures(item: Field, statistics: Mapping[str, str]) -> ColumnFigures:
    nulls, values = int(statistics["null_count"]), int(statistics.get("num_values", 0))
    low, high = statistics.get("min"), statistics.get("max")
    counted = ColumnFigures(nulls, values - nulls)
    if item.labels or family(item.type) is not Family.NUMBER or statistics.get("has_nan") == "true":
        return counted
    return replace(counted, low=low, high=high) if _is_finite(low) and _is_finite(high) else counted


def _is_finite(text: str | None) -> bool:
    try:
        return text is not None and Decimal(text).is_finite()
    except InvalidOperation:
        return False
