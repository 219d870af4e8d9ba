"""Staged rows into the target, within the committing transaction: all of them, or by key.

By key: the staged rows that have a row in the target are listed with what becomes of them (unchanged, older, changed),
in a table that exists only in this transaction. Then the changed rows of the target are deleted and inserted anew with
the new ones, which is the fastest, where the rows bring every column and nobody watches deletes (no triggers, no foreign
keys that point here); else they are updated in place, only in the columns that were sent.
The target is locked against other writers, not against readers, so that what was compared is what is changed.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, LiteralString

from penstock.connectors.api import Receipt
from penstock.connectors.postgres.columns import arrives_as, differs, ordered, sent_as
from penstock.errors import DataError, TransientError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg
    from psycopg import sql

    from penstock.connectors.postgres.catalogue import PgColumn, Relation
    from penstock.types import Schema

# What a join and a sort of one merge may take of the server's memory, where its own setting is lower.
WORK_MEMORY_BYTES: Final = 64 << 20
WORK_MEMORY: Final = "64MB"

_UNCHANGED: Final = 0
_OLDER: Final = 1
_CHANGED: Final = 2

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


class Load(Frozen, dict=True):
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
        self._judge(keys, order_by)
        if not self._says(_UNIQUE, (self.target.oid, list(keys))):
            self._check_unique(keys)
        counts = self._verdicts()
        unchanged, older, changed = (counts.get(verdict, 0) for verdict in (_UNCHANGED, _OLDER, _CHANGED))
        inserted = self.rows - unchanged - older - changed
        if self._brings_all and not self._says(_WATCHED, {"table": self.target.oid}):
            self._replace(changed, kept=unchanged + older, keys=keys)
        else:
            self._update(changed, keys)
            self._check_inserted(self._run(self._insert_unmatched(None)), inserted)
        self._run(_sql("DROP TABLE {}", self._verdict))
        return Receipt(self.rows, inserted, changed, unchanged, older, bytes=self.bytes)

    def _beside(self, name: str) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(self.target.schema, name)

    @property
    def _stage(self) -> sql.Identifier:
        return self._beside(self.stages[0])

    @property
    def _verdict(self) -> sql.Identifier:
        return self._beside(f"{self.stages[0]}_v")

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

    def _judge(self, keys: Sequence[str], order_by: str | None) -> None:
        from psycopg import sql

        same_key = sql.SQL(" AND ").join([sql.SQL("{} = {}").format(self._new(key), _old(key)) for key in keys])
        others = [name for name in self.sent.names if name not in keys]
        changes = [differs(self._column(name), self._new(name), _old(name)) for name in others]
        changed: sql.Composable = sql.SQL(" OR ").join(changes) if changes else sql.SQL("false")
        older: sql.Composable = sql.SQL("false")
        if order_by is not None:
            older = sql.SQL("({new} IS NULL AND {old} IS NOT NULL) OR {new} < {old}").format(
                new=ordered(self._column(order_by), self._new(order_by)),
                old=ordered(self._column(order_by), _old(order_by)),
            )
        self._run(
            sql.SQL(
                "CREATE UNLOGGED TABLE {verdict} AS SELECT s.ctid AS staged, t.ctid AS place, t.tableoid AS part,"
                " CASE WHEN {older} THEN {is_older} WHEN {changed} THEN {is_changed} ELSE {is_unchanged} END::int2"
                " AS verdict FROM {stage} AS s JOIN {target} AS t ON {same_key}"
            ).format(
                verdict=self._verdict,
                older=older,
                is_older=sql.Literal(_OLDER),
                changed=changed,
                is_changed=sql.Literal(_CHANGED),
                is_unchanged=sql.Literal(_UNCHANGED),
                stage=self._stage,
                target=self.target.identifier(),
                same_key=same_key,
            )
        )

    def _check_unique(self, keys: Sequence[str]) -> None:
        """Where no index of the target does it."""
        self._check_keys_once(keys)
        if self._finds("SELECT EXISTS (SELECT FROM {} GROUP BY staged HAVING count(*) > 1)", self._verdict):
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

    def _verdicts(self) -> dict[int, int]:
        statement = _sql("SELECT verdict, count(*) FROM {} GROUP BY verdict", self._verdict)
        return dict(self.connection.execute(statement).fetchall())

    def _replace(self, changed: int, *, kept: int, keys: Sequence[str]) -> None:
        if changed:
            gone = self._run(
                _sql(
                    "DELETE FROM {} AS t USING {} AS v WHERE t.ctid = v.place AND v.verdict = 2",
                    self.target.identifier(),
                    self._verdict,
                )
            )
            self._check_changed(gone, changed, keys)
        insert = self._insert_unmatched(_CHANGED) if kept else self._insert(self._stage)
        self._check_inserted(self._run(insert), self.rows - kept)

    def _update(self, changed: int, keys: Sequence[str]) -> None:
        from psycopg import sql

        if not changed:
            return
        names = [name for name in self.sent.names if name not in keys]
        values = [sql.SQL("{} = {}").format(sql.Identifier(name), self._new(name)) for name in names]
        done = self._run(
            sql.SQL(
                "UPDATE {target} AS t SET {values} FROM {verdict} AS v JOIN {stage} AS s ON s.ctid = v.staged"
                " WHERE t.ctid = v.place AND t.tableoid = v.part AND v.verdict = {changed}"
            ).format(
                target=self.target.identifier(),
                values=sql.SQL(", ").join(values),
                verdict=self._verdict,
                stage=self._stage,
                changed=sql.Literal(_CHANGED),
            )
        )
        self._check_changed(done, changed, keys)

    def _check_changed(self, done: int, wanted: int, keys: Sequence[str]) -> None:
        if done != wanted:
            self._check_keys_once(keys)
            self._check_taken(done, wanted)

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

    def _insert_unmatched(self, but: int | None) -> sql.Composed:
        """The staged rows without a row in the target, and those of the verdict ``but``."""
        from psycopg import sql

        except_for = sql.SQL("" if but is None else " AND v.verdict <> {}").format(sql.Literal(but))
        return sql.SQL("{} WHERE NOT EXISTS (SELECT FROM {} AS v WHERE v.staged = s.ctid{})").format(
            self._insert(self._stage), self._verdict, except_for
        )

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


def _sql(template: LiteralString, *parts: sql.Composable) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(template).format(*parts)
