"""Whether a JSON value has the shape of a type: what a lenient cast would turn into null without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

from penstock.trees import call, is_not_null, is_null
from penstock.types.duckdb import to_duckdb
from penstock.types.logical import Decimal, Kind, List, Map, Primitive, Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.types import LogicalType


def misfits(value: exp.Expr, kind: LogicalType) -> exp.Expr:
    """True where a part of the JSON value, at any depth, is there and is no value of its type; else false or null.

    Keys that the type does not name, and keys that are missing, are no misfits.
    """
    match kind:
        case Primitive(kind=Kind.JSON):
            return exp.false()
        case Primitive() | Decimal():
            return exp.and_(_there(value), is_null(exp.TryCast(this=value.copy(), to=to_duckdb(kind))))
        case Struct():
            parts = [misfits(member(value, field.name), field.type) for field in kind.fields]
            return exp.and_(_there(value), exp.or_(_is_no(value, "OBJECT"), *parts))
        case List():
            return exp.and_(
                _there(value), exp.or_(_is_no(value, "ARRAY"), _any(value, "$[*]", kind=kind.element, test=misfits))
            )
        case Map():
            return exp.and_(
                _there(value), exp.or_(_is_no(value, "OBJECT"), _any(value, "$.*", kind=kind.value, test=misfits))
            )
    assert_never(kind)


def lacks(value: exp.Expr, fields: tuple[StructField, ...]) -> exp.Expr:
    """True where a field that may not be null is missing or null, also in structs inside; else false or null."""
    parts: list[exp.Expr] = []
    for field in fields:
        part = member(value, field.name)
        if not field.nullable:
            parts.append(exp.Not(this=exp.Paren(this=_there(part))))
        if isinstance(field.type, Struct):
            parts.append(exp.and_(_there(part), lacks(part, field.type.fields)))
    return exp.Paren(this=exp.or_(*parts)) if parts else exp.false()


def member(value: exp.Expr, name: str) -> exp.Expr:
    """The value under a key, by a JSON pointer: any name is safe in it."""
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    return call("json_extract", value, exp.Literal.string(pointer))


def _there(value: exp.Expr) -> exp.Expr:
    """Neither null nor the null of JSON; never null itself."""
    return exp.and_(is_not_null(value), _is_no(value, "NULL"))


def _is_no(value: exp.Expr, kind: str) -> exp.Expr:
    found = call("json_type", value)
    return exp.NEQ(this=found, expression=exp.Literal.string(kind))


def _any(
    value: exp.Expr, path: str, *, kind: LogicalType, test: Callable[[exp.Expr, LogicalType], exp.Expr]
) -> exp.Expr:
    """Whether the test is true of any member at the path."""
    members = call("json_extract", value, exp.Literal.string(path))
    item = f"item_{_depth(value)}"
    condition = test(exp.Column(this=exp.to_identifier(item)), kind)
    found = call("list_filter", members, exp.Lambda(this=condition, expressions=[exp.to_identifier(item)], colon=True))
    return exp.GT(this=call("len", found), expression=exp.Literal.number(0))


def _depth(value: exp.Expr) -> int:
    """A number for the lambda's parameter, another one inside of another lambda."""
    names = [node.name for node in value.find_all(exp.Column) if node.name.startswith("item_")]
    return 1 + max((int(name.removeprefix("item_")) for name in names if name[5:].isdigit()), default=0)
