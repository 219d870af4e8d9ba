"""How one read is cut into parts: conditions that no two rows share and every row meets one of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, LiteralString

from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg
    from psycopg import sql

    from penstock.connectors.postgres.catalogue import PgColumn, Relation

# Below this size a second connection costs more than it saves (blocks of 8 KiB: 8 MiB).
LEAST_BLOCKS_PER_PART: Final = 1024
# Ranges of row places are found without reading the whole table only from this version on.
RANGE_SCAN_VERSION: Final = 140_000
# How a bound between two values is computed, and whether two values have any between them.
_WHOLE: Final = ("floor(low::numeric + (high::numeric - low::numeric) * at / {parts})::int8", "true")
_MOMENT: Final = ("low + (high - low) * at / {parts}", "pg_catalog.isfinite(low) AND pg_catalog.isfinite(high)")
_SPLITS: Final[Mapping[str, tuple[LiteralString, LiteralString, LiteralString]]] = {
    "int2": (*_WHOLE, "int8"),
    "int4": (*_WHOLE, "int8"),
    "int8": (*_WHOLE, "int8"),
    "numeric": ("low + (high - low) * at / {parts}", "true", "numeric"),
    "date": (*_MOMENT, "date"),
    "timestamp": (*_MOMENT, "timestamp"),
    "timestamptz": (*_MOMENT, "timestamptz"),
}


def by_place(relation: Relation, parts: int, server_version: int) -> list[sql.Composable | None]:
    """Ranges of blocks; rows that are added behind the last block counted fall into the last range. [None] is one part.

    A partitioned table's ranges hold for each of its partitions.
    """
    from psycopg import sql

    count = min(parts, max(1, relation.blocks // LEAST_BLOCKS_PER_PART))
    if count == 1 or relation.kind not in ("r", "p", "m") or server_version < RANGE_SCAN_VERSION:
        return [None]
    bounds = [relation.blocks * at // count for at in range(1, count)]
    places = [sql.SQL("{}::tid").format(sql.Literal(f"({block},0)")) for block in bounds]
    return _between(sql.Identifier("ctid"), places, nullable=False)


def by_key(
    connection: psycopg.Connection, rows: sql.Composable, column: PgColumn, parts: int
) -> list[sql.Composable | None]:
    """Ranges of equal width between the column's least and greatest value; nulls are in the first.

    ``rows`` is what stands after FROM. Raises ConfigError SRC-209 for a column that has no such ranges.
    """
    from psycopg import sql

    split = _SPLITS.get(column.type.name) if column.type.built_in else None
    if split is None:
        raise ConfigError(
            "SRC-209",
            f'the column "{column.name}" of type {column.type.spelling} cannot split a read',
            hint="name a column of whole or decimal numbers, dates or timestamps",
        )
    if parts == 1:
        return [None]
    bound, finite, kind = split
    key = sql.Identifier(column.name)
    found = connection.execute(
        sql.SQL(
            "SELECT bound::text FROM (SELECT DISTINCT {bound} AS bound"
            " FROM (SELECT min({key}) AS low, max({key}) AS high FROM {rows}) AS ends,"
            " pg_catalog.generate_series(1, {last}) AS at WHERE low < high AND {finite}) AS bounds ORDER BY bounds.bound"
        ).format(
            bound=sql.SQL(bound).format(parts=sql.Literal(parts)),
            key=key,
            rows=rows,
            last=sql.Literal(parts - 1),
            finite=sql.SQL(finite),
        )
    ).fetchall()
    return _between(key, [sql.SQL("{}::{}").format(sql.Literal(text), sql.SQL(kind)) for (text,) in found])


def _between(
    key: sql.Composable, bounds: Sequence[sql.Composable], *, nullable: bool = True
) -> list[sql.Composable | None]:
    """Below the first bound (or null), between two, from the last on. No bounds: everything."""
    from psycopg import sql

    if not bounds:
        return [None]
    first = sql.SQL("{} < {}").format(key, bounds[0])
    if nullable:
        first = sql.SQL("({} OR {} IS NULL)").format(first, key)
    middle = [
        sql.SQL("{key} >= {low} AND {key} < {high}").format(key=key, low=low, high=high)
        for low, high in pairwise(bounds)
    ]
    return [first, *middle, sql.SQL("{} >= {}").format(key, bounds[-1])]
