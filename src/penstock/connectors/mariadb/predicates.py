"""Which conditions the server may apply in the engine's place, and their text in its dialect.

Text is compared where equal means the same bytes. A day or moment that is none (0000-00-00) is one before all others to the
server: a row that has one is delivered, and told as a bad value, where the condition is true of it so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.conditions import Conditions, Sort
from penstock.connectors.mariadb.sql import Sql, literal
from penstock.types import DATE, FLOAT64, STRING, TIMESTAMP, TIMESTAMPTZ, Decimal, Kind, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.connectors.mariadb.catalogue import Column
    from penstock.connectors.mariadb.reading import BadValues
    from penstock.types import LogicalType

_WHOLE: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_BYTEWISE: Final = frozenset({"utf8mb4_nopad_bin", "utf8mb4_0900_bin"})
_MOMENTS: Final[Mapping[LogicalType, Sort]] = {
    DATE: Sort.DATE,
    TIMESTAMP: Sort.TIMESTAMP,
    TIMESTAMPTZ: Sort.TIMESTAMPTZ,
}
_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between)


class Predicates:
    """The conditions over these columns. A value that the policy makes null is none to the server: of columns that may have
    such values nothing is asked then.
    """

    def __init__(self, columns: Iterable[tuple[Column, LogicalType]], policy: BadValues) -> None:
        self._sorts = {
            column.name: _sort(column, logical)
            for column, logical in columns
            if policy != "null" or not _may_be_bad(column, logical)
        }
        self._conditions = Conditions(self._sorts)

    def takes(self, condition: exp.Expr) -> bool:
        """Whether the server gives the same answer for every row."""
        return self._conditions.takes(condition)

    def text(self, condition: exp.Expr) -> Sql | None:
        """The conjuncts that ``takes`` allows; None where there is none."""
        taken = self._conditions.taken(condition)
        if taken is None:
            return None
        for comparison in list(taken.find_all(*_COMPARISONS)):
            is_instant = any(self._sorts[item.name] is Sort.TIMESTAMPTZ for item in comparison.find_all(exp.Column))
            for constant in list(comparison.find_all(exp.Literal)):
                if constant.is_string:
                    _spell(constant, is_instant=is_instant)
        return Sql(taken.sql(dialect="mysql"))


def _spell(constant: exp.Literal, *, is_instant: bool) -> None:
    """The constant as the server reads it: text without a cast, which would cut a moment's microseconds."""
    text = constant.name
    if is_instant:
        text = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
    place = constant.parent if isinstance(constant.parent, exp.Cast) else constant
    place.replace(exp.var(literal(text)))


def _may_be_bad(column: Column, logical: LogicalType) -> bool:
    return logical in _MOMENTS or column.kind in ("time", "tinyint")


def _sort(column: Column, logical: LogicalType) -> Sort:
    match logical:
        case Primitive(kind=kind) if kind in _WHOLE:
            return Sort.NUMBER if column.kind != "bit" else Sort.NONE
        case Decimal():
            return Sort.NUMBER
        case _ if logical == FLOAT64:
            return Sort.NUMBER
        case _ if logical == STRING and column.collation in _BYTEWISE and column.kind not in ("enum", "set"):
            return Sort.TEXT
        case _:
            return _MOMENTS.get(logical, Sort.NONE)
