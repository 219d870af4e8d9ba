"""An as-of join, which Spark does not have: both sides in one order, in which each row of the left looks back to the last
of the right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.spark.refusal import Unportable, UnportableError
from penstock.engines.spark.types import to_spark
from penstock.structs import Frozen
from penstock.trees import call, column, identifier, is_not_null
from penstock.types import Struct, StructField

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock.engines.spark.lowering import Lowering
    from penstock.graph.nodes import Join
    from penstock.types import Schema

# A document's column may have any name; these are not expected in it.
_KEY, _ORDER, _SIDE, _OTHER = "penstock key", "penstock order", "penstock side", "penstock other"
_LINED_UP: Final = "penstock_lined_up"
_MIRRORED: Final = {exp.GTE: exp.LTE, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.LT: exp.GT}


class _Conditions(Frozen):
    """``keys``: values of the left and of the right that are equal, in Spark's words and of one type; ``order``: those along
    which the nearest is taken. ``back``: the right comes before the left; ``even``: it may be at the same place.
    """

    keys: tuple[tuple[exp.Expr, exp.Expr], ...]
    order: tuple[exp.Expr, exp.Expr]
    back: bool
    even: bool


def lined_up(
    node: Join, lowering: Lowering, scope: Mapping[str, Schema], table: Callable[[str], exp.Table]
) -> exp.Select:
    """Each row of the left as a struct by the name of its alias, and by that of the right's alias its nearest row, or null.

    Raises UnportableError.
    """
    found = _conditions(node, lowering, scope)
    left, right = (scope[alias] for alias in (node.left_alias, node.right_alias))
    sides = exp.Union(
        this=_side(found, 0, table(node.left), node.left_alias, {node.left_alias: left, _OTHER: right}),
        expression=_side(found, 1, table(node.right), node.right_alias, {node.left_alias: left, _OTHER: right}),
        distinct=False,
    )
    window = exp.Window(
        this=call("last_value", column(_OTHER), exp.true()),
        partition_by=[column(_key(place)) for place in range(len(found.keys))],
        order=exp.Order(
            expressions=[
                exp.Ordered(this=column(_ORDER), desc=not found.back, nulls_first=True),
                exp.Ordered(this=column(_SIDE), desc=False, nulls_first=True),
            ]
        ),
        spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
    )
    every = exp.select(column(node.left_alias), exp.alias_(window, identifier(node.right_alias)))
    every = every.from_(sides.subquery(identifier(_LINED_UP)))
    rows = exp.select(column(node.left_alias), column(node.right_alias)).from_(every.subquery(identifier(_LINED_UP)))
    return rows.where(is_not_null(column(node.left_alias)))


def _conditions(node: Join, lowering: Lowering, scope: Mapping[str, Schema]) -> _Conditions:
    if node.on is None:
        raise _refused(node, "it has no condition")
    keys: list[tuple[exp.Expr, exp.Expr]] = []
    order: tuple[exp.Expr, exp.Expr] | None = None
    kind: type[exp.Expr] = exp.GTE
    for part in node.on.flatten() if isinstance(node.on, exp.And) else [node.on]:
        asked = part.unnest()
        lowered = lowering.expression(asked, scope).unnest()
        if type(lowered) is not type(asked) or not isinstance(asked, exp.EQ | exp.GTE | exp.GT | exp.LTE | exp.LT):
            raise _refused(node, f"{asked.sql('duckdb')} is no comparison of two values that Spark can order")
        turned = any(found.table == node.right_alias for found in asked.this.find_all(exp.Column))
        pair = (lowered.expression, lowered.this) if turned else (lowered.this, lowered.expression)
        if isinstance(asked, exp.EQ):
            keys.append(pair)
        else:
            order, kind = pair, _MIRRORED[type(asked)] if turned else type(asked)
    if order is None:
        raise _refused(node, "it has no inequality")
    return _Conditions(tuple(keys), order, kind in {exp.GTE, exp.GT}, kind in {exp.GTE, exp.LTE})


def _side(found: _Conditions, side: int, table: exp.Table, alias: str, structs: Mapping[str, Schema]) -> exp.Select:
    """One side's rows with the values that they are compared by, and themselves as a struct; null for the other side's."""
    keys = [pair[side] for pair in found.keys]
    first = int(side == 0) if found.even else side
    own = list(structs)[side]
    parts: list[exp.Expr] = [exp.alias_(key.copy(), identifier(_key(place))) for place, key in enumerate(keys)]
    parts.append(exp.alias_(found.order[side].copy(), identifier(_ORDER)))
    parts.append(exp.alias_(exp.Literal.number(first), identifier(_SIDE)))
    for name, schema in structs.items():
        value = _struct(schema, alias) if name == own else exp.Cast(this=exp.null(), to=_struct_type(schema))
        parts.append(exp.alias_(value, identifier(name)))
    select = exp.select(*parts).from_(exp.alias_(table, identifier(alias), table=True))
    if side == 1:
        select = select.where(*[is_not_null(value.copy()) for value in (*keys, found.order[1])])
    return select


def _struct(schema: Schema, alias: str) -> exp.Expr:
    named = [part for name in schema.names for part in (exp.Literal.string(name), column(name, alias))]
    return call("named_struct", *named)


def _struct_type(schema: Schema) -> exp.DataType:
    return to_spark(Struct(tuple(StructField(item.name, item.type) for item in schema)))


def _key(place: int) -> str:
    return f"{_KEY} {place}"


def _refused(node: Join, why: str) -> UnportableError:
    return UnportableError([Unportable(node.on.sql(dialect="duckdb") if node.on is not None else "asof", why)])


__all__ = ["lined_up"]
