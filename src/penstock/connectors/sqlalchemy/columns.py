"""Which type is which, and how a column is asked for so that its driver hands over exactly what it holds.

| SQLAlchemy's type | here | remark |
|---|---|---|
| Boolean; of MySQL tinyint(1), bit(1) | boolean | tinyint(1) is int8 where `schema:` says a whole number |
| SmallInteger, Integer, BigInteger | int16, int32, int64 | with MySQL's unsigned ones; int64 where INTEGER may hold more than 32 bits |
| Float, Double, REAL | float64; float32 where it is known to have 32 bits | |
| Numeric(p, s), p <= 38 | decimal(p,s) | |
| Numeric without precision, or above 38 digits | string, exact | a `schema:` that says decimal or a whole number is heeded |
| String, Text, Enum | string | |
| LargeBinary | binary | |
| Date, Time, DateTime | date, time, timestamp | with a time zone timestamptz; a time of day with one is text |
| Uuid, JSON | uuid, json | |
| any other | string, as the database prints it | or refused: `on_unknown_type: fail` |

Values come without SQLAlchemy's own conversions: what a driver hands over is looked at here (``values``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.errors import ConfigError
from penstock.structs import Frozen
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
    Kind,
    Primitive,
)
from penstock.types.logical import MAX_PRECISION

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from penstock.connectors.sqlalchemy.dialects import Dialect
    from penstock.types import LogicalType

_WHOLE_KINDS: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_UNSIGNED: Final[Mapping[LogicalType, LogicalType]] = {INT8: UINT8, INT16: UINT16, INT32: UINT32, INT64: UINT64}
# Types of single dialects, by the names of their classes.
_NAMED: Final[Mapping[str, LogicalType]] = {"YEAR": INT16, "DATETIMEOFFSET": TIMESTAMPTZ, "TIMESTAMP_NTZ": TIMESTAMP}


class Column(Frozen):
    """``kind`` is the dialect's type, None where a sample tells; ``as_text``: the database prints the values."""

    name: str
    logical: LogicalType
    nullable: bool = True
    kind: Any = None
    as_text: bool = False

    def asked(self, backend: str) -> sa.ColumnElement[Any]:
        """What stands in the SELECT for it."""
        import sqlalchemy as sa

        plain: sa.ColumnElement[Any] = sa.column(self.name)
        if self.as_text:
            return sa.cast(plain, sa.UnicodeText())
        if backend not in ("mysql", "mariadb"):
            return plain
        match type(self.kind).__name__:
            case "FLOAT":  # whose own text is rounded
                return plain.op("*")(sa.literal_column("1e0"))
            case "BIT":  # which would come as bytes
                return plain.op("+")(sa.literal_column("0"))
            case "TIMESTAMP":  # in the zone of the session, which is UTC
                return sa.func.concat(sa.cast(plain, sa.CHAR()), "+00:00")
            case _:
                return plain


def column_of(
    name: str, kind: Any, *, nullable: bool, dialect: Dialect, wanted: LogicalType | None, unknown_is_text: bool
) -> Column:
    """``wanted`` is what a contract says of it. Raises ConfigError SRC-389."""
    logical = _logical(kind, dialect, wanted)
    if logical is None and not unknown_is_text:
        raise ConfigError(
            "SRC-389",
            f'the column "{name}" has a type that has no counterpart here: {_spelled(kind)}',
            hint="cast it in a query, or say `on_unknown_type: text` to have it as the database prints it",
            about=("on_unknown_type", "table"),
        )
    return Column(
        name, logical or STRING, nullable, kind, as_text=logical is None or (logical == JSON and dialect.exact_types)
    )


def _spelled(kind: Any) -> str:
    from sqlalchemy.exc import CompileError

    try:
        return str(kind)
    except CompileError:
        return type(kind).__name__


def _logical(kind: Any, dialect: Dialect, wanted: LogicalType | None) -> LogicalType | None:
    """None: it has no counterpart."""
    import sqlalchemy as sa

    named = _NAMED.get(type(kind).__name__)
    if named is not None:
        return named
    match kind:
        case sa.Integer():
            return _whole(kind, dialect, wanted)
        case sa.Float():
            return FLOAT32 if type(kind).__name__ in dialect.singles else FLOAT64
        case sa.Numeric():
            return _decimal(kind, wanted)
        case sa.Date():
            return DATE
        case sa.Time():
            return None if kind.timezone else TIME
        case sa.DateTime():
            is_instant = kind.timezone or (dialect.sqlglot == "mysql" and type(kind).__name__ == "TIMESTAMP")
            return TIMESTAMPTZ if is_instant else TIMESTAMP
        case _:
            return _other(kind)


def _other(kind: Any) -> LogicalType | None:
    import sqlalchemy as sa

    match kind:
        case sa.Boolean():
            return BOOLEAN
        case sa.Uuid():
            return UUID
        case sa.JSON():
            return JSON
        case _ if _holds_bytes(kind):
            return BINARY
        case sa.String():
            return STRING
        case _ if type(kind).__name__ == "BIT" and getattr(kind, "length", None) is not None:
            return _bits(kind)
        case _:
            return None


def _holds_bytes(kind: Any) -> bool:
    """Each dialect has its own classes for that."""
    try:
        return bool(kind.python_type is bytes)
    except NotImplementedError:
        return False


def _bits(kind: Any) -> LogicalType | None:
    """MySQL's; those of others are texts of 0 and 1."""
    if not type(kind).__module__.endswith(("mysql.types", "mysql.base")):
        return None
    return BOOLEAN if kind.length == 1 else UINT64


def _whole(kind: Any, dialect: Dialect, wanted: LogicalType | None) -> LogicalType:
    import sqlalchemy as sa

    name = type(kind).__name__
    is_flag = name == "TINYINT" and getattr(kind, "display_width", None) == 1 and not kind.unsigned
    if is_flag and not (isinstance(wanted, Primitive) and wanted.kind in _WHOLE_KINDS):
        return BOOLEAN
    if not dialect.exact_types:
        return INT64
    found: LogicalType
    match kind:
        case _ if name == "TINYINT":
            found = UINT8 if dialect.sqlglot == "tsql" else INT8
        case sa.SmallInteger():
            found = INT16
        case sa.BigInteger():
            found = INT64
        case _:
            found = INT32 if dialect.whole_bits == 32 else INT64  # noqa: PLR2004 -- as it says
    return _UNSIGNED[found] if getattr(kind, "unsigned", False) else found


def _decimal(kind: Any, wanted: LogicalType | None) -> LogicalType:
    if kind.precision is not None and kind.precision <= MAX_PRECISION:
        return Decimal(kind.precision, max(kind.scale or 0, 0))
    is_number = isinstance(wanted, Decimal) or (isinstance(wanted, Primitive) and wanted.kind in _WHOLE_KINDS)
    return wanted if wanted is not None and is_number else STRING
