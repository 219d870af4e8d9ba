"""Staged rows into the target, within the committing transaction: all of them, or by key.

By key: the staged rows that have a row in the target are counted first, and with them what may then be inserted. Then
the rows of the target that change are deleted and inserted anew with the new ones, which is the fastest, where the rows
bring every column and nobody watches deletes (no triggers, no foreign keys that point here); else they are updated in
place, only in the columns that were sent. What is inserted has no row of its key in the target by then.
The target is locked against other writers, not against readers, so that what was counted is what is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, LiteralString

from penstock.connectors.api import Receipt
from penstock.connectors.postgres.columns import arrives_as, differs, ordered, sent_as
from penstock.errors import DataError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg import sql

    from penstock.connectors.postgres.catalogue import PgColumn, Relation
    from penstock.types import Schema

# What a join and a sort of one merge may take of the server's memory, where its own setting is lower.
WORK_MEMORY_BYTES: Final = 64 << 20
WORK_MEMORY: Final = "64MB"

_WATCHED: Final[LiteralString] = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = %(table)s AND NOT tgisinternal)
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = %(table)s AND contype = 'f')
    OR EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = %(table)s)
    OR EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = %(table)s AND relrowsecurity)
    OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = %(table)s)
"""
_REFERENCED: Final[LiteralString] = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE confrelid = %s AND contype = 'f' AND conrelid <> confrelid)"
)
_ASKS_OTHERS: Final[LiteralString] = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype = 'f')"
)
_UNIQUE: Final[LiteralString] = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = %s AND i.indisunique AND i.indisvalid AND i.indimmediate
    AND i.indpred IS NULL AND i.indexprs IS NULL
    AND (SELECT array_agg(a.attname::text) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = i.indrelid AND a.attnum = ANY((i.indkey::int2[])[0:i.indnkeyatts - 1])) <@ %s::text[]
)
"""


@dataclass(frozen=True)
class Load:
    """What one commit puts into its target. ``stages`` are tables of the target's schema with the columns of ``sent``;
    ``rows`` all rows as their writers counted them, ``inside`` those of them that this transaction put into the target.
    """

    connection: psycopg.Connection
    target: Relation
    stages: Sequence[str]
    sent: Schema
    rows: int
    bytes: int
    inside: int = 0

    # ------------------------------------------------------------ all of them

    def append(self) -> Receipt:
        """Raises DataError SNK-213 and TransientError SNK-212."""
        stages = [self._beside(stage) for stage in self.stages]
        inserted = self.inside + sum(self._run(self._insert(stage)) for stage in stages)
        if inserted != self.rows:
            self._check_staged(stages)
        self._check_taken(inserted, self.rows)
        return Receipt(self.rows, inserted=inserted, bytes=self.bytes)

    def clear(self) -> int | None:
        """The old rows go; grants, indexes, views stay. A table that foreign keys point to cannot be truncated, its rows
        are deleted; how many is known in that case only.
        """
        name = self.target.identifier()
        if self._says(_REFERENCED, (self.target.oid,)):
            return self._run(_sql("DELETE FROM {}", name))
        self._run(_sql("TRUNCATE {}", name))
        return None

    # ------------------------------------------------------------ by key

    def merge(self, keys: Sequence[str], order_by: str | None) -> Receipt:
        """Raises DataError SNK-210 (a key twice among the rows), SNK-211 (twice in the target), SNK-213, and
        TransientError SNK-212.
        """
        self._run(_sql("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", self.target.identifier()))
        if not self.stages:
            return Receipt(0, inserted=0)
        self._gather()
        self._help_the_planner(keys)
        if not self._says(_UNIQUE, (self.target.oid, list(keys))):
            self._check_unique(keys)
        matched, older = self._matched(keys, order_by)
        if self._brings_all and not self._says(_WATCHED, {"table": self.target.oid}):
            changed = self._delete(keys, order_by) if matched > older else 0
            insert = self._insert(self._stage) if changed == matched else self._insert_unmatched(keys)
            self._check_inserted(self._inserted(insert, keys), self.rows - matched + changed)
        else:
            changed = self._update(keys, order_by) if matched > older else 0
            self._check_inserted(self._inserted(self._insert_unmatched(keys), keys), self.rows - matched)
        unchanged = matched - older - changed
        return Receipt(self.rows, self.rows - matched, changed, unchanged, older, bytes=self.bytes)

    def _beside(self, name: str) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(self.target.schema, name)

    @property
    def _stage(self) -> sql.Identifier:
        return self._beside(self.stages[0])

    @property
    def _brings_all(self) -> bool:
        return all(column.generated or column.name in self.sent for column in self.target.columns)

    def _gather(self) -> None:
        """The rows of all writers in the first one's table."""
        for other in self.stages[1:]:
            self._run(_sql("INSERT INTO {} SELECT * FROM {}", self._stage, self._beside(other)))

    def _help_the_planner(self, keys: Sequence[str]) -> None:
        """It knows nothing of a table that was just filled, and would spill a join that fits in memory."""
        from psycopg import sql

        names = sql.SQL(", ").join([sql.Identifier(key) for key in keys])
        self._run(_sql("ANALYZE {} ({})", self._stage, names))
        memory = _sql("SET LOCAL work_mem = {}", sql.Literal(WORK_MEMORY))
        row = self.connection.execute("SELECT pg_catalog.pg_size_bytes(current_setting('work_mem'))").fetchone()
        if row and row[0] < WORK_MEMORY_BYTES:
            self._run(memory)

    def _matched(self, keys: Sequence[str], order_by: str | None) -> tuple[int, int]:
        """How many staged rows have a row in the target, and to how many of them that one is newer."""
        row = self.connection.execute(
            _sql(
                "SELECT count(*), count(*) FILTER (WHERE {}) FROM {} AS s JOIN {} AS t ON {}",
                self._older(order_by),
                self._stage,
                self.target.identifier(),
                self._same_key(keys),
            )
        ).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def _same_key(self, keys: Sequence[str]) -> sql.Composable:
        from psycopg import sql

        return sql.SQL(" AND ").join([_sql("{} = {}", self._new(key), _old(key)) for key in keys])

    def _older(self, order_by: str | None) -> sql.Composable:
        from psycopg import sql

        if order_by is None:
            return sql.SQL("false")
        new = ordered(self._column(order_by), self._new(order_by))
        old = ordered(self._column(order_by), _old(order_by))
        return _sql("({new} IS NULL AND {old} IS NOT NULL) OR {new} < {old}", new=new, old=old)

    def _changing(self, keys: Sequence[str], order_by: str | None) -> sql.Composable:
        """Whether the staged row takes the place of the target's: one of the key, not newer, and another."""
        from psycopg import sql

        others = [name for name in self.sent.names if name not in keys]
        differing = [differs(self._column(name), self._new(name), _old(name)) for name in others]
        changed = sql.SQL(" OR ").join(differing) if differing else sql.SQL("false")
        if order_by is None:
            return _sql("{} AND ({})", self._same_key(keys), changed)
        return _sql("{} AND ({}) AND ({}) IS NOT TRUE", self._same_key(keys), changed, self._older(order_by))

    def _check_unique(self, keys: Sequence[str]) -> None:
        """Where no index of the target does it."""
        self._check_keys_once(keys)
        if self._finds(
            "SELECT EXISTS (SELECT FROM {} AS s JOIN {} AS t ON {} GROUP BY s.ctid HAVING count(*) > 1)",
            self._stage,
            self.target.identifier(),
            self._same_key(keys),
        ):
            raise DataError(
                "SNK-211",
                f'the table "{self.target.schema}.{self.target.name}" holds several rows of one key',
                detail=f"the keys are {', '.join(keys)}",
            )

    def _check_keys_once(self, keys: Sequence[str]) -> None:
        from psycopg import sql

        names = sql.SQL(", ").join([sql.Identifier(key) for key in keys])
        if self._finds("SELECT EXISTS (SELECT FROM {} GROUP BY {} HAVING count(*) > 1)", self._stage, names):
            raise DataError("SNK-210", f"two rows of one epoch have the same key ({', '.join(keys)})")

    def _delete(self, keys: Sequence[str], order_by: str | None) -> int:
        return self._run(
            _sql(
                "DELETE FROM {} AS t USING {} AS s WHERE {}",
                self.target.identifier(),
                self._stage,
                self._changing(keys, order_by),
            )
        )

    def _update(self, keys: Sequence[str], order_by: str | None) -> int:
        from psycopg import sql

        names = [name for name in self.sent.names if name not in keys]
        if not names:
            return 0
        values = [_sql("{} = {}", sql.Identifier(name), self._new(name)) for name in names]
        return self._run(
            _sql(
                "UPDATE {} AS t SET {} FROM {} AS s WHERE {}",
                self.target.identifier(),
                sql.SQL(", ").join(values),
                self._stage,
                self._changing(keys, order_by),
            )
        )

    # ------------------------------------------------------------ statements

    @cached_property
    def _columns(self) -> dict[str, PgColumn]:
        return {column.name: column for column in self.target.columns}

    def _column(self, name: str) -> PgColumn:
        return self._columns[name]

    def _new(self, name: str) -> sql.Composable:
        from psycopg import sql

        return sent_as(self._column(name), self.sent[name].type, sql.Identifier("s", name))

    def _insert(self, stage: sql.Identifier) -> sql.Composed:
        """Into the target, from one staging table."""
        from psycopg import sql

        names = sql.SQL(", ").join([sql.Identifier(name) for name in self.sent.names])
        values = sql.SQL(", ").join([self._new(name) for name in self.sent.names])
        own = any(self._column(name).identity for name in self.sent.names)
        overriding = sql.SQL("OVERRIDING SYSTEM VALUE " if own else "")
        return sql.SQL("INSERT INTO {} ({}) {}SELECT {} FROM {} AS s").format(
            self.target.identifier(), names, overriding, values, stage
        )

    def _insert_unmatched(self, keys: Sequence[str]) -> sql.Composed:
        """The staged rows without a row in the target."""
        return _sql(
            "{} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {})",
            self._insert(self._stage),
            self.target.identifier(),
            self._same_key(keys),
        )

    def _inserted(self, statement: sql.Composed, keys: Sequence[str]) -> int:
        """Where the target refuses a second row of a key, it is told whether both were sent."""
        from psycopg import errors

        try:
            with self.connection.transaction():
                return self._run(statement)
        except errors.UniqueViolation:
            self._check_keys_once(keys)
            raise

    def _run(self, statement: sql.Composed) -> int:
        return self.connection.execute(statement).rowcount

    def _says(self, statement: LiteralString, values: tuple[object, ...] | dict[str, object]) -> bool:
        row = self.connection.execute(statement, values).fetchone()
        return bool(row and row[0])

    def _finds(self, template: LiteralString, *parts: sql.Composable) -> bool:
        row = self.connection.execute(_sql(template, *parts)).fetchone()
        return bool(row and row[0])

    # ------------------------------------------------------------ accounting

    def _check_taken(self, done: int, wanted: int) -> None:
        if done == wanted:
            return
        raise DataError(
            "SNK-213",
            f'the table "{self.target.schema}.{self.target.name}" took {done} of {wanted} rows',
            hint="a trigger or rule of the table drops rows; remove it, or filter them before the sink",
        )

    def _check_inserted(self, done: int, wanted: int) -> None:
        if done != wanted:
            self._check_staged([self._stage])
        self._check_taken(done, wanted)

    def _check_staged(self, stages: Sequence[sql.Identifier]) -> None:
        there = 0
        for stage in stages:
            row = self.connection.execute(_sql("SELECT count(*) FROM {}", stage)).fetchone()
            there += row[0] if row else 0
        if self.inside + there != self.rows:
            raise TransientError("SNK-212", f"{self.rows - self.inside} rows were staged and {there} are left")


def takes_straight(connection: psycopg.Connection, target: Relation, sent: Schema) -> bool:
    """Whether rows may be copied into the target as they come: it takes every column as it is sent, and nothing of its
    looks at other tables, which another sink of the epoch may not have committed yet, or at who writes.
    """
    columns = {column.name: column for column in target.columns}
    if not all(arrives_as(columns[field.name], field.type) for field in sent):
        return False
    asks = connection.execute(_ASKS_OTHERS, (target.oid,)).fetchone()
    watched = connection.execute(_WATCHED, {"table": target.oid}).fetchone()
    return asks == watched == (False,)


def _old(name: str) -> sql.Identifier:
    from psycopg import sql

    return sql.Identifier("t", name)


def _sql(template: LiteralString, *parts: sql.Composable, **named: sql.Composable) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(template).format(*parts, **named)
