"""How one read is cut into parts by a key: conditions that no two rows share and every row meets one of."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.driver import rows_of
from penstock.connectors.mariadb.sql import identifier, literal, sql
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql.connections import Connection

    from penstock.connectors.mariadb.catalogue import Column
    from penstock.connectors.mariadb.sql import Sql

_KINDS: Final = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "date", "datetime", "timestamp"}
)


def by_key(connection: Connection[Any], rows: Sql, column: Column, parts: int) -> list[Sql | None]:
    """Ranges of equal width between the column's least and greatest value; nulls are in the first. ``rows`` is what stands
    after FROM; [None] is one part. Raises ConfigError SRC-394 for a column that has no such ranges.
    """
    if column.kind not in _KINDS:
        raise ConfigError(
            "SRC-394",
            f'the column "{column.name}" of type {column.declared} cannot split a read',
            hint="name a column of whole or decimal numbers, dates or timestamps",
            about=("split_by",),
        )
    key = identifier(column.name)
    ((low, high),) = rows_of(connection, sql("SELECT MIN({}), MAX({}) FROM {}", key, key, rows))
    return _between(key, [_literal(bound) for bound in _bounds(low, high, parts)])


def _bounds(low: Any, high: Any, parts: int) -> list[Any]:
    """Between the ends, in order and each once; none where there is nothing between, or a day is none (0000-00-00)."""
    match low, high:
        case (int(), int()) | (Decimal(), Decimal()):
            whole = isinstance(low, int)
            found = [
                low + ((high - low) * at // parts if whole else (high - low) * at / parts) for at in range(1, parts)
            ]
        case (date(), date()):
            span = high - low
            is_moment = isinstance(low, datetime)
            found = [
                low + (span * at / parts if is_moment else timedelta(days=span.days * at // parts))
                for at in range(1, parts)
            ]
        case _:
            return []
    return sorted({bound for bound in found if low < bound <= high})


def _literal(bound: Any) -> Sql:
    return literal(bound.isoformat(" ") if isinstance(bound, datetime) else str(bound))


def _between(key: Sql, bounds: Sequence[Sql]) -> list[Sql | None]:
    """Below the first bound (or null), between two, from the last on. No bounds: everything."""
    if not bounds:
        return [None]
    first = sql("({} < {} OR {} IS NULL)", key, bounds[0], key)
    middle = [sql("({} >= {} AND {} < {})", key, low, key, high) for low, high in pairwise(bounds)]
    return [first, *middle, sql("{} >= {}", key, bounds[-1])]
