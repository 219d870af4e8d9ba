"""Which files of a table may hold one of the keys that came, by the bounds and partitions that the table tells."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connectors.lake.tables import DataFile, LakeTable


class Extent(Frozen):
    """What came: how many rows, least and greatest value by key, all values of keys that divide the table."""

    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    folders: Mapping[str, frozenset[Any]]


def candidates(table: LakeTable, came: Extent) -> tuple[DataFile, ...]:
    """The files, in the table's order, for which nothing rules out that they hold one of the keys."""
    if not came.rows:
        return ()
    allowed = [
        file for file in table.files if all(file.partition.get(name) in found for name, found in came.folders.items())
    ]
    for key, bounds in came.bounds.items():
        if key not in table.partition_by and _comparable(*bounds):
            told = table.bounds(key)
            allowed = [file for file in allowed if _meets(*told.get(file.path, (None, None)), bounds)]
    return tuple(allowed)


def _comparable(low: Any, high: Any) -> bool:
    """Not moments, whose bounds some writers round, nor floats, where NaN is anywhere."""
    plain = (int, str, date, Decimal)
    return all(isinstance(value, plain) and not isinstance(value, (bool, datetime)) for value in (low, high))


def _meets(least: Any, greatest: Any, bounds: tuple[Any, Any]) -> bool:
    low, high = bounds
    if type(least) is not type(low) or type(greatest) is not type(high):  # unknown, or beyond what Python holds
        return True
    return bool(least <= high and low <= greatest)
