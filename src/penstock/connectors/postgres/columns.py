"""How each logical type enters PostgreSQL, and what a column that is there already takes.

| here | created as | comes back as |
|---|---|---|
| string, boolean, int16, int32, int64, float32, float64, date, time, timestamp, timestamptz, interval, uuid | text, boolean, smallint, integer, bigint, real, double precision, date … | the same |
| int8, uint8 / uint16 / uint32 / uint64 | smallint / integer / bigint / numeric(20,0) | int16 / int32 / int64 / decimal(20,0) |
| decimal(p,s) | numeric(p,s) | the same |
| binary | bytea | the same |
| json | jsonb | json, keys in PostgreSQL's order |
| list<t> of these | t[] | the same |
| lists of lists, maps, structs | refused: cast them to json | |

The staging table has the created types, whatever the target has: the server casts on the way, by assignment where it
would complain of a loss, explicitly where PostgreSQL knows no assignment (text to an enum, an inet, a json).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString, assert_never

from penstock.connectors.postgres.names import MAX_NAME_BYTES, too_long
from penstock.connectors.postgres.reading import logical_of
from penstock.errors import InternalError
from penstock.types import JSON, STRING, Decimal, Field, Kind, List, Map, Primitive, Schema, Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import sql

    from penstock.connectors.postgres.catalogue import PgColumn
    from penstock.types import LogicalType

_TYPES: Final[Mapping[Kind, LiteralString]] = {
    Kind.STRING: "text",
    Kind.BOOLEAN: "boolean",
    Kind.INT8: "smallint",
    Kind.INT16: "smallint",
    Kind.INT32: "integer",
    Kind.INT64: "bigint",
    Kind.UINT8: "smallint",
    Kind.UINT16: "integer",
    Kind.UINT32: "bigint",
    Kind.UINT64: "numeric(20,0)",
    Kind.FLOAT32: "real",
    Kind.FLOAT64: "double precision",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.TIMESTAMP: "timestamp",
    Kind.TIMESTAMPTZ: "timestamptz",
    Kind.INTERVAL: "interval",
    Kind.UUID: "uuid",
    Kind.BINARY: "bytea",
    Kind.JSON: "jsonb",
}
# Types whose own binary form is the one that is sent; what is sent for the others, the server casts.
_SENT: Final = frozenset(
    {
        *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time", "timestamp", "timestamptz"),
        *("interval", "uuid", "bytea", "text", "jsonb"),
    }
)
_EXACT: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
# To these, text is assigned as it is, and refused where it is too long; an explicit cast would cut it.
_TEXTS: Final = frozenset({"text", "varchar", "bpchar", "name", "citext"})
# Types whose equality is identity, so that a row may be called unchanged by it (no float: -0.0; no interval: 30 days).
_IDENTICAL: Final = frozenset(
    {
        *("bool", "int2", "int4", "int8", "date", "time", "timestamp", "timestamptz", "uuid", "bytea", "oid"),
        *("text", "varchar"),
    }
)


def objection(field: Field) -> str | None:
    """Why PostgreSQL has no place for a column, or None."""
    if too_long(field.name):
        return f"PostgreSQL's names have at most {MAX_NAME_BYTES} bytes; rename it in a step before"
    match field.type:
        case List(element=List() | Map() | Struct()) | Map() | Struct():
            return "PostgreSQL has no such type; cast it to json"
        case _:
            return None


def type_of(logical: LogicalType) -> sql.Composable:
    """The type a column is created with, in the target and in the staging table."""
    from psycopg import sql

    match logical:
        case Primitive():
            return sql.SQL(_TYPES[logical.kind])
        case Decimal():
            return sql.SQL("numeric({},{})").format(sql.Literal(logical.precision), sql.Literal(logical.scale))
        case List():
            return sql.SQL("{}[]").format(type_of(logical.element))
        case Map() | Struct():
            raise InternalError("INT-900", f"a column of type {logical} is refused before its table is made")
        case _:
            assert_never(logical)


def definitions(schema: Schema) -> sql.Composable:
    """The column list of a CREATE TABLE."""
    from psycopg import sql

    return sql.SQL(", ").join([sql.SQL("{} {}").format(sql.Identifier(f.name), type_of(f.type)) for f in schema])


def held(columns: Sequence[PgColumn], rows: Schema | None = None) -> Schema:
    """The target's columns as logical types. Where a column takes the rows' type though it reads back as another (a
    numeric without digits, text for json), it is given the rows' type.
    """
    fields = []
    for column in columns:
        sent = rows.get(column.name) if rows is not None else None
        logical = logical_of(column)
        fields.append(Field(column.name, sent.type if sent and _takes(column, sent.type) else logical, column.nullable))
    return Schema(tuple(fields))


def _takes(column: PgColumn, sent: LogicalType) -> bool:
    """Exactly, though the type is another here."""
    kind = column.type
    if not kind.built_in or kind.element is not None:
        return False
    match kind.name:
        case "numeric":
            exact = isinstance(sent, Decimal) or (isinstance(sent, Primitive) and sent.kind in _EXACT)
            return exact and kind.precision_and_scale is None
        case "text" | "varchar":
            return sent == JSON
        case "json" | "jsonb":
            return sent == STRING
        case _:
            return False


def sent_as(column: PgColumn, logical: LogicalType, value: sql.Composable) -> sql.Composable:
    """A staged value as the target's column takes it."""
    from psycopg import sql

    kind = column.type
    if logical == STRING and not (kind.built_in and kind.name in _TEXTS) and kind.name != "citext":
        return sql.SQL("{}::{}").format(value, sql.SQL(kind.spelling))
    if logical == JSON and not (kind.built_in and kind.name == "jsonb"):
        return sql.SQL("{}::text::{}").format(value, sql.SQL(kind.spelling))
    return value


def arrives_as(column: PgColumn, logical: LogicalType) -> bool:
    """Whether the column's own binary form is the one that is sent: then the server needs no cast."""
    kind = column.type
    if not kind.built_in or kind.element is not None or logical_of(column) != logical:
        return False
    # A numeric without digits is told as a string, and what is sent for one is text.
    return kind.name in _SENT and isinstance(logical, Decimal) == (kind.name == "numeric")


def differs(column: PgColumn, one: sql.Composable, other: sql.Composable) -> sql.Composable:
    """Whether two values of the column are not the same, nulls included; by their text where equal may be less."""
    from psycopg import sql

    kind = column.type
    if kind.built_in and column.bytewise and kind.element is None and kind.name in _IDENTICAL:
        return sql.SQL("{} IS DISTINCT FROM {}").format(one, other)
    if kind.built_in and kind.name == "numeric" and kind.precision_and_scale is not None:
        return sql.SQL("{} IS DISTINCT FROM {}").format(one, other)
    if kind.built_in and kind.name in ("float4", "float8"):
        name = sql.Identifier("pg_catalog", f"{kind.name}send")
        return sql.SQL("{name}({one}) IS DISTINCT FROM {name}({other})").format(name=name, one=one, other=other)
    return sql.SQL('({})::text COLLATE "C" IS DISTINCT FROM ({})::text COLLATE "C"').format(one, other)


def ordered(column: PgColumn, value: sql.Composable) -> sql.Composable:
    """A value such that the server orders it as the engine does: text by its bytes."""
    from psycopg import sql

    texts = column.type.built_in and column.type.name in ("text", "varchar", "bpchar", "name")
    return sql.SQL('{} COLLATE "C"').format(value) if texts else value
