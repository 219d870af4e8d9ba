"""Which files of a table may hold one of the keys that came, by the bounds and partitions that the log tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.connectors.delta.table import DataFile, Snapshot


@dataclass(frozen=True, slots=True)
class Extent:
    """What came: how many rows, least and greatest value by key, all values of keys that divide the table."""

    rows: int
    bounds: Mapping[str, tuple[Any, Any]]
    folders: Mapping[str, frozenset[Any]]


def candidates(table: Snapshot, came: Extent) -> tuple[DataFile, ...]:
    """The files, in the table's order, for which nothing rules out that they hold one of the keys."""
    if not came.rows:
        return ()
    allowed = [
        file for file in table.files if all(file.partition.get(name) in found for name, found in came.folders.items())
    ]
    for key, bounds in came.bounds.items():
        if key not in table.partition_by and _comparable(*bounds):
            least, greatest = _logged(table, "min", key), _logged(table, "max", key)
            allowed = [file for file in allowed if _meets(least.get(file.path), greatest.get(file.path), bounds)]
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


def _logged(table: Snapshot, side: str, key: str) -> dict[str, Any]:
    """By path; empty where the log has no such bounds."""
    from arro3.core import struct_field

    if side not in table.actions.column_names:
        return {}
    bounds = table.actions.column(side).combine_chunks()
    names = [field.name for field in bounds.type.fields]
    if key not in names:
        return {}
    return dict(zip(table.paths, struct_field(bounds, names.index(key)).to_pylist(), strict=True))
