"""Values and the Parquet reader as SQLGlot trees in DuckDB's dialect."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlglot import exp

from penstock.errors import InternalError
from penstock.trees import call, file_names, parquet_columns
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.types import LogicalType, Schema


def value_of(value: Any, logical: LogicalType) -> exp.Cast:
    """A Python value as a constant of that type; None as its null."""
    return exp.Cast(this=_constant(value), to=to_duckdb(logical))


def _constant(value: Any) -> exp.Expr:
    match value:
        case None:
            return exp.null()
        case bool():
            return exp.true() if value else exp.false()
        case bytes():
            return call("from_hex", exp.Literal.string(value.hex()))
        case datetime() | date() | time():
            return exp.Literal.string(value.isoformat())
        case int() | float() | Decimal() | str() | UUID():
            return exp.Literal.string(str(value))
        case _:
            raise InternalError("INT-900", f"a {type(value).__name__} is no value of a table")


def parquet(
    paths: Iterable[str], schema: Schema, ids: Mapping[str, int] = MappingProxyType({}), **options: exp.Expr
) -> exp.Anonymous:
    """``read_parquet`` of these files, whose columns come by name, or by their ``ids``, with exactly these types.

    A column that a file lacks is null in its rows; one that the schema lacks is not read. Paths are literal: what DuckDB
    takes for a pattern in them is escaped.
    """
    columns = parquet_columns({item.name: item.type for item in schema}, ids)
    return call("read_parquet", file_names(paths), schema=columns, **options)
