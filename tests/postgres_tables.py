"""Tables of a real PostgreSQL, filled and read by psycopg alone: what the tests compare the connector with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
from psycopg import sql

from penstock.clock import SystemClock
from penstock.connectors.api import Context, pass_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_TYPES = {
    "string": "text",
    "bool": "boolean",
    "int8": "int2",
    "int16": "int2",
    "int32": "int4",
    "int64": "int8",
    "float": "float4",
    "double": "float8",
    "date32[day]": "date",
    "time64[us]": "time",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamptz",
    "month_day_nano_interval": "interval",
    "extension<arrow.uuid>": "uuid",
    "binary": "bytea",
    "extension<arrow.json>": "jsonb",
}
_ARROW = {
    "text": pa.string(),
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "interval": pa.month_day_nano_interval(),
    "uuid": pa.string(),
    "bytea": pa.binary(),
    "jsonb": pa.string(),
}


def sql_type(kind: pa.DataType) -> str:
    """PostgreSQL's name for an Arrow type."""
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    if pa.types.is_list(kind):
        return sql_type(kind.value_type) + "[]"
    return _TYPES[str(kind).replace("extension<arrow.uuid[uuid]>", "extension<arrow.uuid>")]


def connect(url: str) -> psycopg.Connection:
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("SET TimeZone = 'UTC'; SET lock_timeout = '5s'")
    return connection


def create(connection: psycopg.Connection, name: str, table: pa.Table) -> None:
    """The table anew, with the Arrow table's columns and rows."""
    columns = [sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(sql_type(f.type))) for f in table.schema]
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), sql.SQL(", ").join(columns)))
    insert(connection, name, table)


def insert(connection: psycopg.Connection, name: str, table: pa.Table) -> None:
    values = [[_value(v, f.type) for v in table.column(f.name).to_pylist()] for f in table.schema]
    marks = [sql.SQL("%s::{}").format(sql.SQL(sql_type(f.type))) for f in table.schema]
    names = [sql.Identifier(f.name.replace("%", "%%")) for f in table.schema]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(name), sql.SQL(", ").join(names), sql.SQL(", ").join(marks)
    )
    with connection.transaction():
        connection.cursor().executemany(statement, list(zip(*values, strict=True)))


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is not None and kind == pa.month_day_nano_interval():
        months, days, nanoseconds = value
        return f"{months} months {days} days {nanoseconds // 1000} microseconds"
    return value


def read(connection: psycopg.Connection, name: str) -> pa.Table | None:
    """All rows, columns in the table's order; None where there is no table."""
    found = connection.execute(
        """
        SELECT a.attname, t.typname, e.typname, a.atttypmod FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
        WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
        """,
        (sql.Identifier(name).as_string(connection),),
    ).fetchall()
    if not found:
        return None
    fields, items = [], []
    for column, kind, element, modifier in found:
        logical = _arrow(element or kind, modifier)
        fields.append(pa.field(column, pa.list_(logical) if element else logical))
        items.append(_item(sql.Identifier(column), kind))
    rows = connection.execute(
        sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(items), sql.Identifier(name))
    ).fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * len(fields)
    arrays = [_array(values, field.type) for values, field in zip(columns, fields, strict=True)]
    return pa.table(arrays, schema=pa.schema(fields))


def _arrow(kind: str, modifier: int) -> pa.DataType:
    if kind == "numeric":
        return pa.decimal128((modifier - 4) >> 16, (modifier - 4) & 0x7FF)
    return _ARROW[kind]


def _item(name: sql.Identifier, kind: str) -> sql.Composable:
    if kind == "interval":
        parts = "extract(year from {0})*12+extract(month from {0}), extract(day from {0}), "
        parts += "extract(hour from {0})*3600000000+extract(minute from {0})*60000000+extract(microseconds from {0})"
        return sql.SQL("CASE WHEN {0} IS NOT NULL THEN ARRAY[" + parts + "]::bigint[] END").format(name)
    return sql.SQL("{}::text").format(name) if kind in ("jsonb", "uuid") else name


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == pa.month_day_nano_interval():
        values = [v and (v[0], v[1], v[2] * 1000) for v in values]
    return pa.array(values, kind)


def context(tmp_path: Path, reached: Callable[[str], None] = pass_by, **more: Any) -> Context:
    return Context("shop", lambda text: tmp_path / text, tmp_path, SystemClock(), reached=reached, **more)
