"""What a Parquet file's footer says of its rows, in the form in which Delta's log keeps it.

Readers leave files out by these numbers, so a bound that is not certain is left out: that of a column with NaN (which
Spark takes for the largest number), of a text that no cut bounds, of a value that JSON or Python cannot hold.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any, Final

from penstock.types import Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow.parquet as pq

    from penstock.types import LogicalType, Schema

_COLUMNS: Final = 32  # of how many columns, from the first, Delta keeps bounds
_TEXT: Final = 32  # of how many characters of a text
_LAST: Final = "\U0010ffff"
_BOUNDED: Final = frozenset(
    {
        *(Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.FLOAT32, Kind.FLOAT64),
        *(Kind.STRING, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ),
    }
)


class Footer:
    """The footer of one file, read once."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._metadata = pq.read_metadata(path)
        leaves = ((at, self._metadata.schema.column(at)) for at in range(self._metadata.num_columns))
        # A leaf "a.b" of a struct has the path that a column "a.b" has, and is defined deeper.
        self._places = {leaf.path: at for at, leaf in leaves if leaf.max_definition_level <= 1}
        self._groups = [self._metadata.row_group(at) for at in range(self._metadata.num_row_groups)]

    @property
    def rows(self) -> int:
        return int(self._metadata.num_rows)

    def nulls(self, name: str) -> int | None:
        """Nulls of a column that is not nested; None where the footer does not tell; a column it lacks is all null."""
        if name not in self._places:
            return self.rows
        found = [part.null_count for part in self._statistics(name) if part is not None and part.has_null_count]
        return sum(found) if len(found) == len(self._groups) else None

    def bounds(self, name: str) -> tuple[Any, Any] | None:
        """The least and the greatest value, None where the footer does not tell."""
        parts = [part for part in self._statistics(name) if part is None or part.num_values or not part.has_null_count]
        if not parts or any(part is None or not part.has_min_max for part in parts):
            return None
        try:
            known = [part for part in parts if part is not None]
            return min(part.min for part in known), max(part.max for part in known)
        except (ValueError, OverflowError, TypeError):  # a date beyond what Python holds
            return None

    def _statistics(self, name: str) -> list[pq.Statistics | None]:
        at = self._places.get(name)
        return [] if at is None else [group.column(at).statistics for group in self._groups]


def to_log(footer: Footer, schema: Schema) -> str:
    """Delta's ``stats`` of a file: rows, and bounds and nulls of the first columns of ``schema`` that the file has."""
    least: dict[str, str] = {}
    greatest: dict[str, str] = {}
    nulls: dict[str, str] = {}
    for field in schema.fields[:_COLUMNS]:
        if not _flat(field.type):
            continue
        count = footer.nulls(field.name)
        if count is not None:
            nulls[field.name] = str(count)
        bounds = footer.bounds(field.name) if _bounded(field.type) else None
        low, high = (_low(bounds[0]), _high(bounds[1])) if bounds else (None, None)
        if low is not None and high is not None:
            least[field.name], greatest[field.name] = low, high
    parts = {"minValues": _object(least), "maxValues": _object(greatest), "nullCount": _object(nulls)}
    return _object({"numRecords": str(footer.rows), **parts})


def _flat(logical: LogicalType) -> bool:
    return isinstance(logical, (Primitive, Decimal))


def _bounded(logical: LogicalType) -> bool:
    return isinstance(logical, Decimal) or (isinstance(logical, Primitive) and logical.kind in _BOUNDED)


def _object(parts: Mapping[str, str]) -> str:
    """A JSON object of parts that are JSON already: numbers keep their digits."""
    return "{" + ",".join(f"{json.dumps(name)}:{part}" for name, part in parts.items()) + "}"


def _low(value: Any) -> str | None:
    if isinstance(value, float) and value == 0:
        value = -0.0
    return _json(value[:_TEXT] if isinstance(value, str) else value)


def _high(value: Any) -> str | None:
    if isinstance(value, float) and value == 0:
        value = 0.0
    if isinstance(value, str) and len(value) > _TEXT:
        return None if value[_TEXT] == _LAST else _json(value[:_TEXT] + _LAST)
    return _json(value)


def _json(value: Any) -> str | None:
    match value:
        case datetime() if value.tzinfo is not None:
            return json.dumps(value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z")
        case datetime():
            return json.dumps(value.isoformat(timespec="microseconds"))
        case date():
            return json.dumps(value.isoformat())
        case float():
            return json.dumps(value) if math.isfinite(value) else None
        case Number():
            return format(value, "f")
        case int() | str():
            return json.dumps(value)
        case _:
            return None
