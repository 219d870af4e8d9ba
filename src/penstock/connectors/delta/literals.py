"""Small SQLGlot trees in DuckDB's dialect: names, values, the Parquet reader."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from penstock.types.duckdb import to_duckdb, to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.types import LogicalType, Schema


def identifier(name: str) -> exp.Identifier:
    """A quoted name: any text is safe in it."""
    return exp.Identifier(this=name, quoted=True)


def column(name: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=identifier(name), table=identifier(table) if table else None)


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
            return exp.Anonymous(this="from_hex", expressions=[exp.Literal.string(value.hex())])
        case datetime() | date():
            return exp.Literal.string(value.isoformat())
        case int() | float() | Decimal() | str():
            return exp.Literal.string(str(value))
        case _:
            raise TypeError(type(value).__name__)


def parquet(paths: Iterable[str], schema: Schema, **options: exp.Expr) -> exp.Anonymous:
    """``read_parquet`` of these files, whose columns come by name with exactly these types.

    A column that a file lacks is null in its rows; one that the schema lacks is not read. Paths are literal: what DuckDB
    takes for a pattern in them is escaped.
    """
    listed = exp.Array(expressions=[exp.Literal.string(escaped(path)) for path in paths])
    arguments = [exp.EQ(this=exp.to_identifier(name), expression=option) for name, option in options.items()]
    given = exp.EQ(this=exp.to_identifier("schema"), expression=_columns(schema))
    return exp.Anonymous(this="read_parquet", expressions=[listed, given, *arguments])


def escaped(path: str) -> str:
    """A path in which DuckDB sees no pattern; only in a pattern is a backslash more than itself."""
    if not any(mark in path for mark in "*?["):
        return path
    marks = {"*": "[*]", "?": "[?]", "[": "[[]", "\\": "\\\\"}
    return "".join(marks.get(character, character) for character in path)


def _columns(schema: Schema) -> exp.ToMap:
    entries = [
        exp.PropertyEQ(this=exp.Literal.string(field.name), expression=_entry(field.name, field.type))
        for field in schema
    ]
    return exp.ToMap(this=exp.Struct(expressions=entries))


def _entry(name: str, logical: LogicalType) -> exp.Struct:
    parts: dict[str, exp.Expr] = {
        "name": exp.Literal.string(name),
        "type": exp.Literal.string(to_duckdb_text(logical)),
        "default_value": exp.null(),
    }
    return exp.Struct(
        expressions=[exp.PropertyEQ(this=exp.to_identifier(key), expression=part) for key, part in parts.items()]
    )
