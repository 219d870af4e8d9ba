"""One way of writing what DuckDB lets be written in several, so that the allow-list and the types need to know one only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp
from sqlglot.expressions.builders import apply_index_offset

from penstock.trees import call, column, field_of
from penstock.types import Map

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock.types import Schema

_FIRST: Final = "1"
_LAST: Final = "-1"
_TRANSFORMS: Final = frozenset({"list_transform", "list_apply", "array_transform", "array_apply", "apply"})
_FILTERS: Final = frozenset({"list_filter", "array_filter", "filter"})


def canonical(tree: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
    """A copy in which an element of a list is a call of ``array_extract``, a part of it one of ``list_slice``, a value of a
    map one of ``map_extract_value``, a member of a struct a StructExtract, a text read by several patterns the first
    that one of them reads, and a lambda's parameters are columns wherever its body names them.
    """
    whole = exp.Paren(this=tree.copy())
    for function in list(whole.find_all(exp.Lambda)):
        _name_columns(function)
    for node in reversed(list(whole.walk())):  # the innermost first
        said = _said(node, scope)
        if said is not node:
            node.replace(said)
    written: exp.Expr = whole.this
    return written


def _name_columns(function: exp.Lambda) -> None:
    names = {item.name for item in function.expressions}
    for name in list(function.this.find_all(exp.Identifier)):
        if name.name not in names or isinstance(name.parent, exp.Column):
            continue
        if isinstance(name.parent, exp.Dot) and name.arg_key == "expression":
            continue
        if isinstance(name.parent, exp.PropertyEQ) and name.arg_key == "this":
            continue
        if isinstance(name.parent, exp.Lambda) and name.arg_key == "expressions":
            continue
        name.replace(exp.Column(this=name.copy()))


def _said(node: exp.Expr, scope: Mapping[str, Schema]) -> exp.Expr:
    match node:
        case exp.Bracket(expressions=[exp.Slice() as part]):
            first, last = part.this or exp.Literal.number(_FIRST), part.expression or exp.Literal.number(_LAST)
            return call("list_slice", node.this, first, last) if part.args.get("step") is None else node
        case exp.ArraySlice() if node.args.get("step") is None:
            return call("list_slice", node.this, node.args["start"], node.args["end"])
        case exp.Bracket(expressions=[_]):
            return call("map_extract_value" if _is_map(node.this, scope) else "array_extract", node.this, _index(node))
        case exp.Column() if node.args.get("table") is not None:
            return _member(node, frozenset(name.lower() for name in scope if name))
        case exp.Dot(expression=exp.Identifier() as name):
            return field_of(node.this, name.name)
        case exp.StrToTime(this=value, expression=None) if isinstance(patterns := node.args.get("format"), exp.Array):
            return _first_of_patterns(value, patterns.expressions, strict=True)
        case exp.Anonymous(expressions=[value, exp.Array() as patterns]) if node.name.lower() == "try_strptime":
            return _first_of_patterns(value, patterns.expressions, strict=False)
        case exp.Anonymous(expressions=[listed, exp.Lambda() as function]):
            return _with_lambda(node, listed, function)
        case _:
            return node


def _first_of_patterns(value: exp.Expr, patterns: Sequence[exp.Expr], *, strict: bool) -> exp.Expr:
    """What the first of several patterns reads; none is an error where it is so for one."""
    tried: list[exp.Expr] = [call("try_strptime", value, pattern) for pattern in patterns]
    if strict and tried:
        tried[-1] = exp.StrToTime(this=value.copy(), format=patterns[-1].copy())
    return exp.func("coalesce", *tried) if len(tried) > 1 else tried[0]


def _is_map(tree: exp.Expr, scope: Mapping[str, Schema]) -> bool:
    """Whether a tree is a column that has maps."""
    if not isinstance(tree, exp.Column):
        return False
    kinds = [item.type for schema in scope.values() for item in schema if item.name.lower() == tree.name.lower()]
    return bool(kinds) and all(isinstance(kind, Map) for kind in kinds)


def _index(node: exp.Bracket) -> exp.Expr:
    """The index as DuckDB counts: the parser takes one from what it knows to be a number."""
    offset = 1 - (node.args.get("offset") or 0)
    index: exp.Expr = apply_index_offset(node.this.copy(), [node.expressions[0].copy()], offset, dialect="duckdb")[0]
    return index


def _member(node: exp.Column, qualifiers: frozenset[str]) -> exp.Expr:
    """A member of a struct, where what stands before the point is no relation."""
    parts = [part.name for part in node.parts]
    qualified = parts[0].lower() in qualifiers
    value: exp.Expr = column(parts[1], parts[0]) if qualified else column(parts[0])
    members = parts[2:] if qualified else parts[1:]
    for name in members:
        value = field_of(value, name)
    return value if members else node


def _with_lambda(node: exp.Anonymous, listed: exp.Expr, function: exp.Lambda) -> exp.Expr:
    name = node.name.lower()
    if name in _TRANSFORMS:
        return exp.Transform(this=listed.copy(), expression=function.copy())
    if name in _FILTERS:
        return exp.ArrayFilter(this=listed.copy(), expression=function.copy())
    return node


__all__ = ["canonical"]
