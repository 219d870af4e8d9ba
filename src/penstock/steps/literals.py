"""Values that stand in a document for a column's value: literals of the column's type, checked before a row is read."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time
from decimal import Decimal as Number
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, assert_never

from pydantic import PlainValidator, WithJsonSchema
from sqlglot import exp

from penstock.types.duckdb import to_duckdb
from penstock.types.logical import STRING, Decimal, Kind, List, Map, Primitive, Struct

if TYPE_CHECKING:
    from penstock.steps.api import Scope
    from penstock.types import LogicalType

Value: TypeAlias = str | int | float | bool | None


def _scalar(value: object) -> str | int | float | bool:
    if isinstance(value, (str, int, float, bool)):
        return value  # a Located stays one: pydantic's own str would forget the place
    raise ValueError("takes a text, a number or a boolean")


Scalar = Annotated[
    str | int | float | bool,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
_BITS: Final = {
    Kind.INT8: (-(2**7), 2**7), Kind.INT16: (-(2**15), 2**15), Kind.INT32: (-(2**31), 2**31),
    Kind.INT64: (-(2**63), 2**63), Kind.UINT8: (0, 2**8), Kind.UINT16: (0, 2**16), Kind.UINT32: (0, 2**32),
    Kind.UINT64: (0, 2**64),
}  # fmt: skip
_SPECIAL: Final = ("infinity", "-infinity", "epoch")


def literal(scope: Scope, value: Value, kind: LogicalType, *, of: str) -> exp.Expr:
    """The value as a literal of the type; ``of`` names the column. Raises ConfigError CMP-258 where it is no such value."""
    if value is None:
        return exp.Cast(this=exp.null(), to=to_duckdb(kind))
    tree = literal_of(value, kind)
    if tree is None:
        written = f'"{value}"' if isinstance(value, str) else str(value).lower()
        scope.fail("CMP-258", f'{written[:100]} is no value of the column "{of}", which is {kind}', at=value)
    return tree


def fits(tree: exp.Expr, kind: LogicalType) -> bool:
    """Whether a literal of SQL is a value of the type: ``0`` of an int8, ``'2024-01-01'`` of a date."""
    negative = isinstance(tree, exp.Neg)
    inner = tree.this if negative else tree
    match inner:
        case exp.Literal():
            sign = "-" if negative else ""
            text = f"{sign}{inner.name}"
            if not inner.is_string and kind == STRING:
                return False
            return literal_of(text, kind) is not None
        case exp.Paren():
            return fits(inner.this, kind)
        case _:
            return False


def literal_of(value: str | float | bool, kind: LogicalType) -> exp.Expr | None:  # noqa: FBT001 -- a value of a document
    """The value as a literal of the type; None where it is no such value."""
    match kind:
        case Decimal():
            return _number(value, kind)
        case Primitive():
            return _primitive(value, kind)
        case List() | Map() | Struct():
            return None
    assert_never(kind)


def _primitive(value: str | float | bool, kind: Primitive) -> exp.Expr | None:  # noqa: FBT001 -- a value of a document
    match kind.kind:
        case Kind.STRING:
            return exp.Literal.string(str(value)) if isinstance(value, str) else None
        case Kind.BOOLEAN:
            return exp.Boolean(this=value) if isinstance(value, bool) else None
        case Kind.FLOAT32 | Kind.FLOAT64:
            return _number(value, kind)
        case (
            Kind.DATE
            | Kind.TIME
            | Kind.TIMESTAMP
            | Kind.TIMESTAMPTZ
            | Kind.UUID
            | Kind.INTERVAL
            | Kind.JSON
            | Kind.BINARY
        ):
            return _typed_text(value, kind)
        case _:
            return _whole_number(value, kind)


def _whole_number(value: str | float | bool, kind: Primitive) -> exp.Expr | None:  # noqa: FBT001 -- as above
    number = _parsed(value)
    if number is None or not number.is_finite() or number != number.to_integral_value():
        return None
    low, high = _BITS[kind.kind]
    if not low <= number < high:
        return None
    digits = exp.Literal.number(str(abs(int(number))))
    return exp.Neg(this=digits) if number < 0 else digits


def _number(value: str | float | bool, kind: LogicalType) -> exp.Expr | None:  # noqa: FBT001 -- as above
    number = _parsed(value)
    if number is None:
        return None
    if isinstance(kind, Decimal):
        fits = number.is_finite() and abs(number) < Number(10) ** (kind.precision - kind.scale)
        if not fits or number != number.quantize(Number(1).scaleb(-kind.scale)):
            return None
    return _cast(str(number), kind)


def _parsed(value: str | float | bool) -> Number | None:  # noqa: FBT001 -- as above
    if isinstance(value, bool):
        return None
    try:
        return Number(str(value).strip())
    except InvalidOperation:
        return None


def _cast(text: str, kind: LogicalType) -> exp.Expr:
    return exp.Cast(this=exp.Literal.string(text), to=to_duckdb(kind))


def _typed_text(value: str | float | bool, kind: Primitive) -> exp.Expr | None:  # noqa: FBT001 -- as above
    if not isinstance(value, str):
        return None
    readers = {
        Kind.DATE: date.fromisoformat,
        Kind.TIME: time.fromisoformat,
        Kind.TIMESTAMP: datetime.fromisoformat,
        Kind.TIMESTAMPTZ: datetime.fromisoformat,
        Kind.UUID: uuid.UUID,
    }
    reader = readers.get(kind.kind)
    special = value in _SPECIAL and kind.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ)
    if reader is not None and not special:
        try:
            reader(str(value))
        except ValueError:
            return None
    return _cast(str(value), kind)
