"""Which columns a format of files can hold, in words that follow 'column "x" of type t cannot be held: '."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.types import BINARY, INTERVAL, JSON, Decimal, List, Map, Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.types import Field, LogicalType

# Digits that a double keeps: the engine reads numbers of JSON through one.
_DOUBLE_DIGITS: Final = 15


def csv_objection(column: Field) -> str | None:
    """Why a CSV file cannot hold values of the column; None: it can."""
    if isinstance(column.type, (List, Map, Struct)):
        return "CSV has no nested values; cast it to json"
    return "CSV has no intervals; cast it to string" if column.type == INTERVAL else None


def json_objection(column: Field) -> str | None:
    """The engine writes a decimal without digits before the point as .5, which is no JSON."""
    if _has(column.type, lambda part: part == INTERVAL):
        return "JSON has no intervals; cast it to string"
    if _has(column.type, lambda part: part == BINARY):
        return "JSON has no binary; encode it, such as with base64()"
    if _has(column.type, lambda part: isinstance(part, Decimal) and part.precision == part.scale):
        return "JSON needs a digit before the point; cast it to a decimal with room for one"
    return None


def parquet_objection(column: Field) -> str | None:
    """Why a Parquet file cannot hold values of the column; None: it can."""
    if _has(column.type, lambda part: part == INTERVAL):
        return "Parquet keeps intervals to the millisecond; cast it to string"
    return None


def unreadable_json(column: Field) -> str | None:
    """Why a column that JSON files hold exactly would not be read back exactly."""
    if _has(column.type, lambda part: isinstance(part, Decimal) and part.precision > _DOUBLE_DIGITS):
        return f"decimals of more than {_DOUBLE_DIGITS} digits are read from JSON through doubles"
    if _has(column.type, lambda part: part == JSON):
        return "numbers inside json values are read from JSON through doubles, and null is lost"
    return None


def _has(logical: LogicalType, wanted: Callable[[LogicalType], bool]) -> bool:
    return any(wanted(part) for part in _parts(logical))


def _parts(logical: LogicalType) -> Iterator[LogicalType]:
    """The type and all types inside it."""
    yield logical
    match logical:
        case List():
            yield from _parts(logical.element)
        case Map():
            yield from _parts(logical.key)
            yield from _parts(logical.value)
        case Struct():
            for field in logical.fields:
                yield from _parts(field.type)
        case _:
            return
