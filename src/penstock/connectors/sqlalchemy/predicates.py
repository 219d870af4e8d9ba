"""Which conditions the database may apply in the engine's place, as SQLAlchemy's expressions: its values are parameters.

Whole numbers, decimals, days and moments, where a column of the dialect holds nothing but values of its type. No text,
since what is equal depends on collations; no floats.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal as Number
from functools import reduce
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from penstock.connectors.conditions import Conditions, Sort
from penstock.types import DATE, TIMESTAMP, TIMESTAMPTZ, Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable

    import sqlalchemy as sa

    from penstock.connectors.sqlalchemy.columns import Column
    from penstock.connectors.sqlalchemy.dialects import Dialect

_WHOLE = frozenset({Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64})


class Predicates:
    """The conditions over these columns."""

    def __init__(self, columns: Iterable[Column], dialect: Dialect) -> None:
        known = [item for item in columns if dialect.exact_types and item.kind is not None]
        self._kinds = {item.name: item.kind for item in known}
        self._conditions = Conditions({item.name: _sort(item, dialect) for item in known})

    def takes(self, condition: exp.Expr) -> bool:
        """Whether the database gives the same answer for every row."""
        return self._conditions.takes(condition)

    def expression(self, condition: exp.Expr) -> sa.ColumnElement[bool] | None:
        """The conjuncts that can be taken; None where there is none."""
        taken = self._conditions.taken(condition)
        return self._boolean(taken) if taken is not None else None

    def _boolean(self, node: exp.Expr) -> sa.ColumnElement[bool]:
        import sqlalchemy as sa

        match node:
            case exp.Paren():
                return self._boolean(node.this)
            case exp.Not():
                return sa.not_(self._boolean(node.this))
            case exp.And():
                return sa.and_(self._boolean(node.left), self._boolean(node.right))
            case exp.Or():
                return sa.or_(self._boolean(node.left), self._boolean(node.right))
            case exp.Is():
                return self._column(node.this).is_(None)
            case exp.In():
                return reduce(sa.or_, [self._column(node.this) == _value(item) for item in node.expressions])
            case exp.Between():
                low, high = node.args["low"], node.args["high"]
                return self._column(node.this).between(_value(low), _value(high))
            case _:
                return self._compared(node)

    def _compared(self, node: exp.Expr) -> sa.ColumnElement[bool]:
        left, right = (
            self._column(side) if isinstance(side, exp.Column) else _value(side)
            for side in (node.this, node.expression)
        )
        found: sa.ColumnElement[bool] = _COMPARISONS[type(node)](left, right)
        return found

    def _column(self, node: exp.Expr) -> sa.ColumnElement[Any]:
        import sqlalchemy as sa

        return sa.column(node.name, self._kinds[node.name])


_COMPARISONS: Any = {
    exp.EQ: lambda left, right: left == right,
    exp.NEQ: lambda left, right: left != right,
    exp.LT: lambda left, right: left < right,
    exp.LTE: lambda left, right: left <= right,
    exp.GT: lambda left, right: left > right,
    exp.GTE: lambda left, right: left >= right,
}


def _sort(column: Column, dialect: Dialect) -> Sort:
    match column.logical:
        case Decimal():
            return Sort.NUMBER
        case Primitive(kind=kind) if kind in _WHOLE:
            return Sort.NUMBER
        case _ if column.logical == DATE:
            return Sort.DATE
        case _ if column.logical == TIMESTAMP:
            return Sort.TIMESTAMP
        case _ if column.logical == TIMESTAMPTZ and dialect.zoned:
            return Sort.TIMESTAMPTZ
        case _:
            return Sort.NONE


def _value(node: exp.Expr) -> Any:
    if isinstance(node, exp.Neg):
        return -_value(node.this)
    if isinstance(node, exp.Cast):
        node = node.this
    if not node.is_string:
        return int(node.name) if node.is_int else Number(node.name)
    return date.fromisoformat(node.name) if len(node.name) == len("2024-01-31") else datetime.fromisoformat(node.name)
