"""Whether a null stands inside a value where its type allows none: in a list, a map or a struct."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

from penstock.trees import call, field_of, is_not_null, is_null
from penstock.types.logical import Decimal, List, Map, Primitive, Struct, relaxed

if TYPE_CHECKING:
    from penstock.types import LogicalType


def has_forbidden_null(value: exp.Expr, kind: LogicalType, depth: int = 0) -> exp.Expr | None:
    """A condition, true where there is one (else false or null); None where the type allows every null inside."""
    if kind == relaxed(kind):
        return None
    match kind:
        case List():
            return _any(value, kind.element, depth, nullable=kind.element_nullable)
        case Map():
            values = call("map_values", value)
            return _any(values, kind.value, depth, nullable=kind.value_nullable)
        case Struct():
            parts = [
                _wrong(field_of(value, item.name), item.type, depth, nullable=item.nullable) for item in kind.fields
            ]
            inside = exp.or_(*(part for part in parts if part is not None))
            return exp.and_(is_not_null(value), exp.Paren(this=inside))
        case Primitive() | Decimal():
            return None
    assert_never(kind)


def _wrong(value: exp.Expr, kind: LogicalType, depth: int, *, nullable: bool) -> exp.Expr | None:
    inside = has_forbidden_null(value, kind, depth)
    if nullable:
        return inside
    return is_null(value) if inside is None else exp.or_(is_null(value), inside)


def _any(values: exp.Expr, kind: LogicalType, depth: int, *, nullable: bool) -> exp.Expr | None:
    name = exp.to_identifier(f"item_{depth}")
    condition = _wrong(exp.Column(this=name.copy()), kind, depth + 1, nullable=nullable)
    if condition is None:
        return None
    test = exp.Lambda(this=condition, expressions=[name], colon=True)
    found = call("list_filter", values, test)
    return exp.GT(this=call("len", found), expression=exp.Literal.number(0))
