"""How each type leaves the server: the text that the engine's CSV reader takes, composed by the server.

A row is one text with a line break at its end, so that nothing of it is touched on the way. A bad value (a zero date, a
time of more than a day, a tinyint(1) that is neither 0 nor 1) is NULL where the policy is ``null``; else it is handed on
as the server prints it, which no reader takes for a value of the type, so that it is rejected or fails by the engine's policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from penstock.connectors.api import CsvFormat
from penstock.connectors.mariadb.columns import BLOBS
from penstock.connectors.mariadb.sql import identifier, joined, sql
from penstock.types import BOOLEAN, TIMESTAMPTZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.mariadb.catalogue import Column
    from penstock.connectors.mariadb.sql import Sql
    from penstock.types import LogicalType

BadValues = Literal["reject", "null", "fail"]

# A row whose only column is null would be an empty line, which readers skip; so null is never an empty text. Quotes are a
# letter that hardly any text holds: the server's REPLACE moves the rest of the text for each one that it doubles.
_QUOTE: Final = "\x01"
FORMAT: Final = CsvFormat(
    delimiter=",",
    quote=_QUOTE,
    escape=_QUOTE,
    header=False,
    null_values=("\\N",),
    quoted_nulls=False,
    compression="none",
)
_NULL: Final = sql("'\\\\N'")
_NUMBERS: Final = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "year", "float", "bit"}
)
_MOMENTS: Final = frozenset({"date", "datetime", "timestamp"})


def row_text(columns: Sequence[tuple[Column, LogicalType]], policy: BadValues, *, is_mariadb: bool) -> Sql:
    """The expression of a row's text."""
    values = [
        sql("COALESCE({}, {})", _value(column, logical, policy, is_mariadb=is_mariadb), _NULL)
        for column, logical in columns
    ]
    return sql("CONCAT({}, '\\n')", joined(", ',', ", values))


def _value(column: Column, logical: LogicalType, policy: BadValues, *, is_mariadb: bool) -> Sql:
    name = identifier(column.name)
    if policy == "null":
        name = _good(column, logical, name)
    match column.kind:
        case kind if logical == BOOLEAN:
            number = sql("{} + 0", name) if kind == "bit" else name
            return sql("CASE {} WHEN 0 THEN 'false' WHEN 1 THEN 'true' ELSE {} END", number, number)
        case "float" | "bit":  # whose own text is rounded, or bytes
            return sql("{} * 1e0", name) if column.kind == "float" else sql("{} + 0", name)
        case "timestamp" | "datetime" if logical == TIMESTAMPTZ:
            return sql("CONCAT({}, '+00')", name)
        case kind if kind in _NUMBERS or kind in _MOMENTS or kind in ("time", "uuid"):
            return sql("CAST({} AS CHAR)", name)
        case kind if kind in BLOBS:
            # The engine's own writing of bytes: \x41\x42. What stands for a group differs.
            if is_mariadb:
                return sql(r"REGEXP_REPLACE(HEX({}), '(..)', '\\\\x\\1')", name)
            return sql(r"REGEXP_REPLACE(HEX({}), '(..)', '\\\\x$1')", name)
        case "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon":
            return _quoted(sql("ST_AsText({})", name))
        case _:
            return _quoted(sql("CONVERT({} USING utf8mb4)", name))


def _quoted(value: Sql) -> Sql:
    return sql("CONCAT('\x01', REPLACE({}, '\x01', '\x01\x01'), '\x01')", value)


def _good(column: Column, logical: LogicalType, name: Sql) -> Sql:
    """The value, or NULL where it is a bad one."""
    if column.kind in _MOMENTS:
        return sql("IF(MONTH({}) > 0 AND DAYOFMONTH({}) > 0, {}, NULL)", name, name, name)
    if column.kind == "time":
        return sql("IF({} >= '00:00:00' AND {} < '24:00:00', {}, NULL)", name, name, name)
    if column.kind == "tinyint" and logical == BOOLEAN:
        return sql("IF({} IN (0, 1), {}, NULL)", name, name)
    return name
