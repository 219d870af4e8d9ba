"""The clock in a graph: what asks for the time gets the epoch's own, so that a redo of the epoch gives the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlglot import exp

from penstock.graph.nodes import Cause, Column, Note, SortKey, TableRule
from penstock.structs import replace
from penstock.trees import call

if TYPE_CHECKING:
    from datetime import datetime

    from penstock.graph.graph import Graph
    from penstock.graph.nodes import Node

_Item = TypeVar("_Item", bound="Node | Cause | Column | Note | SortKey | TableRule")
# By tree or by the name of a function that SQLGlot has no tree for: the type of what it gives, in UTC.
_TREES: Final[dict[type[exp.Expr], exp.DType]] = {
    exp.CurrentTimestamp: exp.DType.TIMESTAMPTZ,
    exp.CurrentDate: exp.DType.DATE,
    exp.CurrentTime: exp.DType.TIMETZ,
    exp.Localtimestamp: exp.DType.TIMESTAMP,
    exp.Localtime: exp.DType.TIME,
}
_NAMED: Final = {
    "now": exp.DType.TIMESTAMPTZ,
    "get_current_timestamp": exp.DType.TIMESTAMPTZ,
    "transaction_timestamp": exp.DType.TIMESTAMPTZ,
    "current_localtime": exp.DType.TIME,
}
_AGE: Final = "age"  # of one moment: the time since, up to today's midnight


def at_moment(graph: Graph, moment: datetime) -> Graph:
    """The graph with that moment (UTC) in place of every ``now()``, ``current_date`` and their like."""
    return graph.map(lambda node: _bound(node, moment))


def _bound(item: _Item, moment: datetime) -> _Item:
    """The item itself where nothing in it asks for the time."""
    before = {name: getattr(item, name) for name in item.__struct_fields__}
    after = {name: _value(value, moment) for name, value in before.items()}
    changed: dict[str, Any] = {name: value for name, value in after.items() if value is not before[name]}
    return replace(item, **changed) if changed else item


def _value(value: object, moment: datetime) -> object:
    match value:
        case exp.Expr():
            return value.transform(_told, moment) if any(map(_asks, value.walk())) else value
        case Column() | Cause() | Note() | SortKey() | TableRule():
            return _bound(value, moment)
        case tuple():
            items = tuple(_value(item, moment) for item in value)
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        case _:
            return value


def _asks(tree: exp.Expr) -> bool:
    return _type_of(tree) is not None or _is_age(tree)


def _type_of(tree: exp.Expr) -> exp.DType | None:
    return _NAMED.get(tree.name.lower()) if isinstance(tree, exp.Anonymous) else _TREES.get(type(tree))


def _is_age(tree: exp.Expr) -> bool:
    return isinstance(tree, exp.Anonymous) and tree.name.lower() == _AGE and len(tree.expressions) == 1


def _told(tree: exp.Expr, moment: datetime) -> exp.Expr:
    if isinstance(tree, exp.Dot) and _asks(tree.expression):  # main.now()
        return _told(tree.expression, moment)
    if _is_age(tree):
        midnight = _literal(moment.replace(hour=0, minute=0, second=0, microsecond=0), exp.DType.TIMESTAMP)
        return call(_AGE, midnight, *tree.expressions)
    kind = _type_of(tree)
    return tree if kind is None else _literal(moment, kind)


def _literal(moment: datetime, kind: exp.DType) -> exp.Cast:
    text = {
        exp.DType.TIMESTAMPTZ: f"{moment:%Y-%m-%d %H:%M:%S.%f}+00",
        exp.DType.DATE: f"{moment:%Y-%m-%d}",
        exp.DType.TIMETZ: f"{moment:%H:%M:%S.%f}+00",
        exp.DType.TIMESTAMP: f"{moment:%Y-%m-%d %H:%M:%S.%f}",
        exp.DType.TIME: f"{moment:%H:%M:%S.%f}",
    }[kind]
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType.build(kind, dialect="duckdb"))
