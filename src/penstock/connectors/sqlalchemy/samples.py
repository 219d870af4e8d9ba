"""The types of a query's columns, which most drivers do not tell: by what its first rows hold."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID as Identity  # noqa: N811 -- UUID is the logical type

from penstock.connectors.sqlalchemy.columns import Column
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    Decimal,
)
from penstock.types.logical import MAX_PRECISION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from penstock.types import LogicalType, Schema

SAMPLE_ROWS: Final = 1_000
_INT64: Final = 2**63
_BY_KIND: Final[Mapping[type, LogicalType]] = {
    bool: BOOLEAN,
    str: STRING,
    bytes: BINARY,
    memoryview: BINARY,
    bytearray: BINARY,
    float: FLOAT64,
    date: DATE,
    time: TIME,
    Identity: UUID,
}


def columns_of(names: Sequence[str], rows: Sequence[Sequence[Any]], stated: Schema | None) -> tuple[Column, ...]:
    """A type that the document states is taken as it is; a column of nothing but nulls, of several kinds, or of values that
    are none of ours is text, as the database prints it.
    """
    found = []
    for at, name in enumerate(names):
        told = stated.get(name) if stated is not None else None
        values = [row[at] for row in rows if row[at] is not None]
        logical = told.type if told is not None else _logical(values)
        found.append(Column(name, logical or STRING, as_text=logical is None))
    return tuple(found)


def _logical(values: Collection[Any]) -> LogicalType | None:
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return INT64 if all(-_INT64 <= value < _INT64 for value in values) else None
    if kinds in ({int, float}, {float}):
        return FLOAT64
    if kinds in ({Number}, {Number, int}):
        return _decimal([Number(value) for value in values])
    if kinds == {datetime}:
        zoned = {value.tzinfo is not None for value in values}
        return None if len(zoned) > 1 else TIMESTAMPTZ if True in zoned else TIMESTAMP
    return _BY_KIND.get(kinds.pop()) if len(kinds) == 1 else None


def _decimal(values: Collection[Number]) -> LogicalType | None:
    """As many places as the sample has, and as many digits before the point as are left."""
    exponents = [value.as_tuple().exponent for value in values]
    scale = max((-item for item in exponents if isinstance(item, int)), default=0)
    finite = all(isinstance(item, int) for item in exponents)
    return Decimal(MAX_PRECISION, max(scale, 0)) if finite and scale <= MAX_PRECISION // 2 else None
