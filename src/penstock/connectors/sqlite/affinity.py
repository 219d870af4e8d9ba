"""Which type a SQLite column is declared with, and which logical type a declared one stands for.

SQLite takes any words for a type and derives from them how values are kept (its "affinity"): INT anywhere means whole
numbers, TEXT text, REAL or FLOA or DOUB floats, BLOB bytes, all else numbers where they look like such. What SQLite has
no exact place for is text with a declared type that starts with TEXT and says what is in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    JSON,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    UUID,
    Decimal,
)

if TYPE_CHECKING:
    from penstock.types import Field, LogicalType

_DECLARED: Final[dict[LogicalType, str]] = {
    STRING: "TEXT",
    BOOLEAN: "BOOLEAN",
    INT8: "INT8",
    INT16: "INT16",
    INT32: "INT32",
    INT64: "INTEGER",
    UINT8: "UINT8",
    UINT16: "UINT16",
    UINT32: "UINT32",
    UINT64: "TEXT UNSIGNED64",  # beyond SQLite's 64 bits with sign, and "UINT64" would make it a rounded float
    FLOAT32: "FLOAT32",
    FLOAT64: "REAL",
    DATE: "TEXT DATE",
    TIME: "TEXT TIME",
    TIMESTAMP: "TEXT TIMESTAMP",
    TIMESTAMPTZ: "TEXT TIMESTAMPTZ",
    UUID: "TEXT UUID",
    BINARY: "BLOB",
    JSON: "TEXT JSON",
}
_LOGICAL: Final = {text: logical for logical, text in _DECLARED.items()}
_DECIMAL: Final = re.compile(r"TEXT DECIMAL\((\d+),(\d+)\)")
_UNORDERED: Final = (UINT64,)


def declared(logical: LogicalType) -> str | None:
    """The declared type; None where SQLite has no place for the values."""
    if isinstance(logical, Decimal):
        return f"TEXT DECIMAL({logical.precision},{logical.scale})"
    return _DECLARED.get(logical)


def logical_of(text: str) -> LogicalType | None:
    """The logical type of a declared one: exactly for those that :func:`declared` gives, else by SQLite's affinity.

    None for no declared type: values alone can tell. Numbers of foreign NUMERIC columns are float64, their dates text.
    """
    known = _LOGICAL.get(text.upper())
    if known is not None:
        return known
    decimal = _DECIMAL.fullmatch(text.upper())
    if decimal:
        return Decimal(int(decimal[1]), int(decimal[2]))
    return _by_affinity(text.upper())


def _by_affinity(text: str) -> LogicalType | None:
    """The five rules of SQLite in their order; dates and times have numeric affinity, and hold text in practice."""
    if not text:
        return None
    if "INT" in text:
        return INT64
    if any(word in text for word in ("CHAR", "CLOB", "TEXT", "DATE", "TIME", "JSON", "UUID")):
        return STRING
    if "BLOB" in text:
        return BINARY
    if "BOOL" in text:
        return BOOLEAN
    return FLOAT64


def objection(column: Field) -> str | None:
    """Why SQLite has no place for a column."""
    return None if declared(column.type) else "SQLite has no intervals and no nested values; cast it to json or string"


def is_ordered(logical: LogicalType) -> bool:
    """Whether SQLite compares the kept values as their type does: numbers that are kept as text it does not."""
    return not isinstance(logical, Decimal) and logical not in _UNORDERED
