"""Which conditions PostgreSQL may apply in the engine's place, and their text in its dialect.

Text is compared where equal means the same bytes. In both systems NaN equals itself and is greater than every other
number, and -0.0 equals 0.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.conditions import Conditions, Sort
from penstock.types import FLOAT64, STRING, Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlglot import exp

    from penstock.connectors.postgres.catalogue import PgColumn
    from penstock.types import LogicalType

_INTEGERS: Final = frozenset({Kind.INT16, Kind.INT32, Kind.INT64})
_TEXTS: Final = frozenset({"text", "varchar"})
_PLAIN: Final = {
    Kind.BOOLEAN: Sort.BOOLEAN,
    Kind.DATE: Sort.DATE,
    Kind.TIMESTAMP: Sort.TIMESTAMP,
    Kind.TIMESTAMPTZ: Sort.TIMESTAMPTZ,
}


class Predicates:
    """The conditions over these columns."""

    def __init__(self, columns: Iterable[tuple[PgColumn, LogicalType]]) -> None:
        self._conditions = Conditions({column.name: _sort(column, logical) for column, logical in columns})

    def takes(self, condition: exp.Expr) -> bool:
        """Whether the server gives the same answer for every row."""
        return self._conditions.takes(condition)

    def text(self, condition: exp.Expr) -> str | None:
        """The conjuncts that ``takes`` allows, in PostgreSQL's dialect; None where there is none."""
        taken = self._conditions.taken(condition)
        return taken.sql(dialect="postgres") if taken is not None else None


def _sort(column: PgColumn, logical: LogicalType) -> Sort:
    kind = column.type
    match logical:
        case Primitive(kind=found) if found in _INTEGERS and kind.name != "numeric":
            return Sort.NUMBER
        case Decimal() if kind.precision_and_scale is not None:
            return Sort.NUMBER
        case _ if logical == FLOAT64 and kind.name == "float8":
            return Sort.NUMBER
        case _ if logical == STRING and kind.name in _TEXTS and kind.built_in and column.bytewise:
            return Sort.TEXT
        case Primitive(kind=found):
            return _PLAIN.get(found, Sort.NONE)
        case _:
            return Sort.NONE
