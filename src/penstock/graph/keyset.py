"""The greatest of a value's rows by further columns, where they are too many to be named one by one (graph/span.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.errors import InternalError
from penstock.structs import Frozen
from penstock.trees import call, column, struct, text_of
from penstock.types import Decimal, Kind, Primitive
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.graph.nodes import Read
    from penstock.types import LogicalType

_UNORDERED: Final = (Kind.INTERVAL, Kind.JSON)  # equal values have more than one text


class Key(Frozen):
    """The greatest ``values``, as texts, of ``columns`` (lexicographic, each by the order of its type, which ``types`` names) that
    the rows of one value of a cursor had; how many ``rows`` there were up to it, and the ``total`` of their checksums,
    whatever their order.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    values: tuple[str, ...]
    rows: int
    total: str


def has_order(kind: LogicalType) -> bool:
    """Whether values of the type have an order, and a text that gives them back."""
    return isinstance(kind, Decimal) or (isinstance(kind, Primitive) and kind.kind not in _UNORDERED)


def is_beyond(read: Read, key: Key) -> exp.Expr:
    """Whether a row, none of whose ``columns`` is null, stands behind the greatest one."""
    if read.schema is None:
        raise InternalError("INT-900", f'"{read.id}" has no columns')
    pairs = [
        (column(name), exp.Cast(this=exp.Literal.string(value), to=to_duckdb(read.schema[name].type)))
        for name, value in zip(key.columns, key.values, strict=True)
    ]
    parts = []
    for place, (found, value) in enumerate(pairs):
        alike = [exp.EQ(this=left.copy(), expression=right.copy()) for left, right in pairs[:place]]
        parts.append(exp.and_(*alike, exp.GT(this=found, expression=value)))
    return exp.or_(*parts)


def total_of(columns: Iterable[str]) -> exp.Expr:
    """Over many rows, a checksum of these columns in which no order counts; null where there is no row."""
    row = text_of(struct({name: column(name) for name in columns}))
    return call("sum", call("md5_number_lower", row))


__all__ = ["Key", "has_order", "is_beyond", "total_of"]
