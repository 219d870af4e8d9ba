"""Whether a null stands inside a value where its type allows none: in a list, a map or a struct."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

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
            values = exp.Anonymous(this="map_values", expressions=[value.copy()])
            return _any(values, kind.value, depth, nullable=kind.value_nullable)
        case Struct():
            parts = [
                _wrong(_field(value, field.name), field.type, depth, nullable=field.nullable) for field in kind.fields
            ]
            inside = exp.or_(*(part for part in parts if part is not None))
            return exp.and_(exp.Not(this=_is_null(value)), exp.Paren(this=inside))
        case Primitive() | Decimal():
            return None
    assert_never(kind)


def _field(value: exp.Expr, name: str) -> exp.Expr:
    return exp.StructExtract(this=value.copy(), expression=exp.Literal.string(name))


def _is_null(value: exp.Expr) -> exp.Expr:
    return exp.Is(this=value.copy(), expression=exp.null())


def _wrong(value: exp.Expr, kind: LogicalType, depth: int, *, nullable: bool) -> exp.Expr | None:
    inside = has_forbidden_null(value, kind, depth)
    if nullable:
        return inside
    return _is_null(value) if inside is None else exp.or_(_is_null(value), inside)


def _any(values: exp.Expr, kind: LogicalType, depth: int, *, nullable: bool) -> exp.Expr | None:
    name = exp.to_identifier(f"item_{depth}")
    condition = _wrong(exp.Column(this=name.copy()), kind, depth + 1, nullable=nullable)
    if condition is None:
        return None
    test = exp.Lambda(this=condition, expressions=[name], colon=True)
    found = exp.Anonymous(this="list_filter", expressions=[values.copy(), test])
    return exp.GT(this=exp.Anonymous(this="len", expressions=[found]), expression=exp.Literal.number(0))
