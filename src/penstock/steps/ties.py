"""What decides between rows that an order leaves equal: their other columns, so that a second run decides the same.

The tie is broken by the columns that the order does not name, in their order (ADR 0045). Rows that agree in these too are the
same row, so that it does not matter which of them is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.graph.select import row_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.types import Schema


def tie_break(schema: Schema, decided: Sequence[exp.Expr]) -> tuple[exp.Ordered, ...]:
    """The last keys of an order over rows of ``schema`` whose values of ``decided`` are equal; none where those are all
    its columns.
    """
    named = {tree.name for tree in decided if isinstance(tree, exp.Column)}
    return row_order(schema, [name for name in schema.names if name not in named])


def first_of(schema: Schema, keys: Sequence[exp.Expr], order: Sequence[exp.Ordered]) -> exp.Expr:
    """True for exactly one row of each group of equal ``keys`` (null equals null here): the first by ``order``."""
    ordered = [*order, *tie_break(schema, [*keys, *(item.this for item in order)])]
    number = exp.Window(
        this=exp.RowNumber(),
        partition_by=[key.copy() for key in keys],
        order=exp.Order(expressions=[item.copy() for item in ordered]) if ordered else None,
    )
    return exp.EQ(this=number, expression=exp.Literal.number(1))
