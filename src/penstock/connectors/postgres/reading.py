"""How each PostgreSQL type leaves the server: as which logical type, and as which text the engine's reader takes.

| PostgreSQL | here | remark |
|---|---|---|
| bool, int2, int4, int8, float4, float8, uuid, json, jsonb | the same | jsonb as the server prints it |
| numeric(p,s), p <= 38 | decimal | a negative scale becomes digits before the point |
| numeric without precision, or above 38 digits | string, exact | a `schema:` that says decimal or a whole number takes it as that, exactly |
| money | decimal(19,2) | |
| date, timestamp, timestamptz | the same, years before 1 too | infinity is a bad value |
| time | time | 24:00:00 is a bad value |
| interval | interval | months, days and microseconds apart |
| bytea | binary | |
| t[] | list<t>, nested as often as the column declares | another number of dimensions is a bad value; lower bounds are dropped |
| json[], jsonb[] | json | |
| oid | uint32 | |
| all others: text, varchar, char, enum, range, inet, xml, bit, hstore, composite, timetz … | string | as the server prints them |

Domains count as the type below them. A bad value is NULL where the policy is `null`; else it is handed on as text that
no reader takes for a value of the type (``!infinity``), so that it is rejected or fails by the engine's policy.
"""

from __future__ import annotations

from decimal import Decimal as PyDecimal
from typing import TYPE_CHECKING, Final, Literal, LiteralString

from penstock.structs import Frozen
from penstock.types import (
    BINARY,
    BOOLEAN,
    DATE,
    FLOAT32,
    FLOAT64,
    INT16,
    INT32,
    INT64,
    INTERVAL,
    JSON,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT32,
    UUID,
    Decimal,
    Kind,
    List,
    Primitive,
)
from penstock.types.logical import MAX_PRECISION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import sql

    from penstock.connectors.postgres.catalogue import PgColumn, PgType
    from penstock.types import LogicalType

BadValues = Literal["reject", "null", "fail"]

_PLAIN: Final[Mapping[str, LogicalType]] = {
    "bool": BOOLEAN,
    "int2": INT16,
    "int4": INT32,
    "int8": INT64,
    "oid": UINT32,
    "float4": FLOAT32,
    "float8": FLOAT64,
    "date": DATE,
    "time": TIME,
    "timestamp": TIMESTAMP,
    "timestamptz": TIMESTAMPTZ,
    "interval": INTERVAL,
    "uuid": UUID,
    "bytea": BINARY,
    "json": JSON,
    "jsonb": JSON,
    "money": Decimal(19, 2),
}
# What the server prints of these, a reader does not take, or takes for another value (24:00:00).
_RENDERED: Final = frozenset({"time", "interval", "bytea", "money"})
_BITS: Final[Mapping[Kind, int]] = {Kind.INT16: 16, Kind.INT32: 32, Kind.INT64: 64}


# ---------------------------------------------------------------- types


def logical_of(column: PgColumn, wanted: LogicalType | None = None) -> LogicalType:
    """The type a column is delivered as; ``wanted`` is what a contract says of it."""
    kind = column.type
    if kind.element is None:
        return _scalar(kind, wanted)
    element = _scalar(kind.element, None)
    if element == JSON:
        return JSON
    nested: LogicalType = element
    for _ in range(max(1, column.dimensions)):
        nested = List(nested)
    return nested


def _scalar(kind: PgType, wanted: LogicalType | None) -> LogicalType:
    if not kind.built_in:
        return STRING
    if kind.name == "numeric":
        return _numeric(kind, wanted)
    return _PLAIN.get(kind.name, STRING)


def _numeric(kind: PgType, wanted: LogicalType | None) -> LogicalType:
    declared = kind.precision_and_scale
    if declared is not None:
        precision, scale = declared
        digits = max(precision - min(scale, 0), scale)
        if digits <= MAX_PRECISION:
            return Decimal(digits, max(scale, 0))
    if isinstance(wanted, Decimal) or wanted == FLOAT64:
        return wanted
    if isinstance(wanted, Primitive) and wanted.kind in _BITS:
        return wanted
    return STRING


# ---------------------------------------------------------------- text


class Rendering(Frozen):
    """The expressions that print one column; ``bad_values`` is the source's policy."""

    bad_values: BadValues

    def column(self, column: PgColumn, logical: LogicalType) -> sql.Composable:
        """The select list's item."""
        from psycopg import sql

        name = sql.Identifier(column.name)
        if column.type.element is None:
            return self._value(name, column.type, logical)
        if logical == JSON:
            return _form("pg_catalog.array_to_json({})", name)
        return self._array(name, column)

    def unchecked(self, column: PgColumn, logical: LogicalType) -> sql.Composable | None:
        """The select list's item where the server's own text serves: a reader either takes each such value for what it
        is, or refuses it. None where it does not. A timestamp before Christ, which a reader takes for one after, becomes
        one that it refuses.
        """
        from psycopg import sql

        kind, name = column.type, sql.Identifier(column.name)
        if kind.element is not None:
            return None
        if not kind.built_in:
            return name
        if kind.name == "timestamp":
            return _form("CASE WHEN {} < '0001-01-01' THEN 'infinity' ELSE {} END", name, name)
        if kind.name == "numeric":
            return name if logical == STRING or kind.precision_and_scale is not None else None
        return None if kind.name in _RENDERED else name

    def _value(self, value: sql.Composable, kind: PgType, logical: LogicalType) -> sql.Composable:
        if not kind.built_in:
            return value
        match kind.name:
            case "date":
                return self._moment(value, 'YYYY-MM-DD "(BC)"', "date")
            case "timestamp":
                return self._moment(value, 'YYYY-MM-DD "(BC)" HH24:MI:SS.US', "timestamp")
            case "timestamptz":
                return self._moment(value, 'YYYY-MM-DD "(BC)" HH24:MI:SS.US"+00"', "timestamptz")
            case "time":
                return self._checked(value, _form("{} < '24:00'", value))
            case "interval":
                return _interval(value)
            case "bytea":
                return _form(r"pg_catalog.regexp_replace(pg_catalog.encode({}, 'hex'), '(..)', '\\x\1', 'g')", value)
            case "numeric":
                return self._number(value, kind, logical)
            case "money":
                return self._number(_form("{}::numeric", value), kind, logical)
            case _:
                return value

    def _moment(self, value: sql.Composable, pattern: str, kind: str) -> sql.Composable:
        """A date or timestamp: the server writes BC at the end, the engine reads (BC) after the date."""
        from psycopg import sql

        return sql.SQL(
            "CASE WHEN {value} >= {first}::{kind} AND {value} < 'infinity' THEN {value}::text"
            " WHEN pg_catalog.isfinite({value}) THEN pg_catalog.to_char({value}, {pattern}) ELSE {bad} END"
        ).format(
            value=value,
            first=sql.Literal("0001-01-01"),
            kind=sql.Identifier("pg_catalog", kind),
            pattern=sql.Literal(pattern),
            bad=self._bad(value),
        )

    def _number(self, value: sql.Composable, kind: PgType, logical: LogicalType) -> sql.Composable:
        """Exact, or bad: the engine's reader would round."""
        from psycopg import sql

        if logical == STRING:
            return value
        if logical == FLOAT64:
            return _form("{}::float8", value)
        if kind.precision_and_scale is not None and isinstance(logical, Decimal):
            return self._checked(value, _form("{} <> 'NaN'", value)) if self.bad_values == "null" else value
        low, high, scale = _bounds(logical)
        fits = sql.SQL(
            "{value} = pg_catalog.round({value}, {scale}) AND {value} >= {low} AND {value} <= {high}"
        ).format(value=value, scale=sql.Literal(scale), low=sql.Literal(low), high=sql.Literal(high))
        return self._checked(value, fits, shown=_form("pg_catalog.round({}, {})", value, sql.Literal(scale)))

    def _array(self, array: sql.Composable, column: PgColumn) -> sql.Composable:
        """``["a","b",NULL]``, nested by dimensions; quotes and backslashes of elements escaped by a backslash."""
        from psycopg import sql

        dimensions = max(1, column.dimensions)
        return sql.SQL(
            "CASE WHEN {array} IS NULL THEN NULL WHEN pg_catalog.array_ndims({array}) IS NULL THEN '[]'"
            " WHEN pg_catalog.array_ndims({array}) = {dimensions} THEN {items} ELSE {bad} END"
        ).format(
            array=array,
            dimensions=sql.Literal(dimensions),
            items=self._items(array, column.type.element or column.type, dimensions),
            bad=self._bad(array),
        )

    def _items(self, array: sql.Composable, element: PgType, dimensions: int, level: int = 1) -> sql.Composable:
        from psycopg import sql

        at = sql.Identifier(f"_at{level}")
        if dimensions == 1:
            rows, item = _form("pg_catalog.unnest({})", array), self._item(at, element)
        else:
            rows = _form("pg_catalog.generate_subscripts({}, {})", array, sql.Literal(level))
            if level < dimensions:
                item = self._items(array, element, dimensions, level + 1)
            else:
                places = [_form("[{}]", sql.Identifier(f"_at{depth}")) for depth in range(1, level + 1)]
                item = self._item(_form("({}){}", array, sql.SQL("").join(places)), element)
        return sql.SQL(
            "'[' || pg_catalog.array_to_string(ARRAY(SELECT {} FROM {} AS _items({})), ',', 'NULL') || ']'"
        ).format(item, rows, at)

    def _item(self, value: sql.Composable, element: PgType) -> sql.Composable:
        text = _form("({})::text", self._value(value, element, _scalar(element, None)))
        escaped = _form(r"""pg_catalog.replace(pg_catalog.replace({}, '\', '\\'), '"', '\"')""", text)
        return _form("""'"' || {} || '"'""", escaped)

    def _checked(
        self, value: sql.Composable, holds: sql.Composable, shown: sql.Composable | None = None
    ) -> sql.Composable:
        return _form("CASE WHEN {} THEN ({})::text ELSE {} END", holds, shown or value, self._bad(value))

    def _bad(self, value: sql.Composable) -> sql.Composable:
        from psycopg import sql

        return sql.SQL("NULL") if self.bad_values == "null" else _form("'!' || ({})::text", value)


def _form(template: LiteralString, *values: sql.Composable) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(template).format(*values)


def _interval(value: sql.Composable) -> sql.Composable:
    """Months, days, microseconds, each with its sign, as the engine reads them."""
    from psycopg import sql

    return sql.SQL(
        "(extract(year FROM {value})::bigint * 12 + extract(month FROM {value})::bigint) || ' months '"
        " || extract(day FROM {value})::bigint || ' days '"
        " || (extract(hour FROM {value})::bigint * 3600000000 + extract(minute FROM {value})::bigint * 60000000"
        " + extract(microseconds FROM {value})::bigint) || ' microseconds'"
    ).format(value=value)


def _bounds(logical: LogicalType) -> tuple[PyDecimal, PyDecimal, int]:
    """Least and greatest value, and digits after the point."""
    if isinstance(logical, Decimal):
        limit = (PyDecimal(10**logical.precision) - 1).scaleb(-logical.scale)
        return -limit, limit, logical.scale
    bits = _BITS[logical.kind] if isinstance(logical, Primitive) else 64
    return PyDecimal(-(2 ** (bits - 1))), PyDecimal(2 ** (bits - 1) - 1), 0
