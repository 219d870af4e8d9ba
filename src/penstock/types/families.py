"""Which types may be compared with each other or stand in one column: those of one family.

DuckDB would compare a number with a text by casting the text, and fail on the first row that is no number; and it would
turn a column of numbers and texts into texts. Both are a mistake of the author's far more often than not.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from penstock.types.logical import Decimal, Kind, List, LogicalType, Map, Primitive, Struct

_NUMBERS = frozenset({
    Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64,
    Kind.FLOAT32, Kind.FLOAT64,
})  # fmt: skip
_TIMES = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})
_TEXTS = frozenset({Kind.STRING, Kind.JSON})


class Family(StrEnum):
    """A family that has more than one type; every other type is a family of its own."""

    NUMBER = "number"
    INSTANT = "instant"
    TEXT = "text"


def family(logical: LogicalType) -> Family | Kind | None:
    """None for nested types, whose parts decide."""
    match logical:
        case Decimal():
            return Family.NUMBER
        case Primitive():
            if logical.kind in _NUMBERS:
                return Family.NUMBER
            if logical.kind in _TIMES:
                return Family.INSTANT
            return Family.TEXT if logical.kind in _TEXTS else logical.kind
        case List() | Map() | Struct():
            return None
    assert_never(logical)


def comparable(one: LogicalType, other: LogicalType) -> bool:
    """Whether values of both may meet in a comparison or in one column; symmetric and reflexive."""
    match one, other:
        case List(), List():
            return comparable(one.element, other.element)
        case Map(), Map():
            return comparable(one.key, other.key) and comparable(one.value, other.value)
        case Struct(), Struct():
            theirs = {field.name: field.type for field in other.fields}
            return len(one.fields) == len(other.fields) and all(
                field.name in theirs and comparable(field.type, theirs[field.name]) for field in one.fields
            )
        case _:
            found = family(one)
            return found is not None and found == family(other)
