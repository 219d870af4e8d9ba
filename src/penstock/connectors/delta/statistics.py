"""What a Parquet file's footer says of its rows, in the form in which Delta's log keeps it.

Readers leave files out by these numbers, so a bound that is not certain is left out: that of a column with NaN (which
Spark takes for the largest number), of a text that no cut bounds, of a value that JSON or Python cannot hold.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal as Number
from struct import pack, unpack
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.structs import Frozen
from penstock.trees import call, file_names
from penstock.types import Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.lake.duck import Duck
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


class Group(Frozen):
    """What the footer says of a column in one row group: bounds as DuckDB prints them, None where it does not tell."""

    values: int
    nulls: int | None
    least: str | None
    greatest: str | None


class Footer(Frozen):
    """The footer of one file: its rows, and its columns that are not nested, by row group."""

    rows: int
    columns: Mapping[str, Sequence[Group]]

    def nulls(self, name: str) -> int | None:
        """Nulls of a column that is not nested; None where the footer does not tell; a column it lacks is all null."""
        if name not in self.columns:
            return self.rows
        counts = [group.nulls for group in self.columns[name] if group.nulls is not None]
        return sum(counts) if len(counts) == len(self.columns[name]) else None

    def bounds(self, name: str, logical: LogicalType) -> tuple[Any, Any] | None:
        """The least and the greatest value, None where the footer does not tell, or Python does not hold them."""
        groups = [group for group in self.columns.get(name, ()) if group.values != group.nulls]
        try:
            lows = [_value(group.least, logical) for group in groups]
            highs = [_value(group.greatest, logical) for group in groups]
        except ValueError:  # not told, or a moment beyond what Python holds
            return None
        return (min(lows), max(highs)) if groups else None


def footers(duck: Duck, paths: Sequence[Path]) -> dict[Path, Footer]:
    """Those of files that DuckDB has written. Errors as :meth:`Duck.rows`."""
    if not paths:
        return {}
    table = exp.Table(this=call("parquet_metadata", file_names(map(str, paths))))
    told = ("num_values", "stats_null_count", "stats_min_value", "stats_max_value")
    query = exp.select("file_name", "row_group_id", "row_group_num_rows", "path_in_schema", *told).from_(table)
    rows: dict[str, dict[int, int]] = {}
    columns: dict[str, dict[str, dict[int, Group]]] = {}
    doubtful: set[str] = set()
    for file, number, size, name, *group in duck.rows(query):
        rows.setdefault(file, {})[number] = size
        groups = columns.setdefault(file, {}).setdefault(name, {})
        if number in groups:  # a column named as the leaf of a struct is
            doubtful.add(name)
        groups[number] = Group(*group)
    unknown = Group(1, None, None, None)
    return {
        path: Footer(
            sum(rows.get(str(path), {}).values()),
            {
                name: (unknown,) if name in doubtful else tuple(groups.values())
                for name, groups in columns.get(str(path), {}).items()
            },
        )
        for path in paths
    }


def _value(text: str | None, logical: LogicalType) -> Any:
    """A value that DuckDB has printed. Raises ValueError."""
    if text is None:
        raise ValueError
    match logical:
        case Decimal():
            return Number(text)
        case Primitive(Kind.STRING):
            return text
        case Primitive(Kind.DATE):
            return date.fromisoformat(text)
        case Primitive(Kind.TIMESTAMP | Kind.TIMESTAMPTZ):
            return datetime.fromisoformat(text)
        case Primitive(Kind.FLOAT64):
            return float(text)
        case Primitive(Kind.FLOAT32):  # all digits: in the log it is the number of a double
            return unpack("f", pack("f", float(text)))[0]
        case _:
            return int(text)


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
        bounds = footer.bounds(field.name, field.type) if _bounded(field.type) else None
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
