"""Staged rows into the target, within the committing transaction: all of them, or by key.

By key: each staged row that has a row in the target is told what becomes of it (unchanged, older, changed), in a column of
the staging table; then the changed rows are updated in the columns that were sent, and the new ones inserted. The rows of
the target that were compared are locked by the comparison until the transaction ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import Receipt
from penstock.connectors.mariadb.catalogue import has_unique_key
from penstock.connectors.mariadb.columns import identical
from penstock.connectors.mariadb.driver import rows_of, run
from penstock.connectors.mariadb.names import TableName
from penstock.connectors.mariadb.sql import Sql, identifier, joined, listed, literal, sql
from penstock.errors import DataError, TransientError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql.connections import Connection

    from penstock.connectors.mariadb.catalogue import Relation
    from penstock.types import Schema

VERDICT: Final = "_penstock_verdict"
VERDICT_COLUMN: Final = sql("{} tinyint NULL", identifier(VERDICT))
# Of a staging table without keys: some servers take no table without one, and do not copy its rows elsewhere.
OWN_KEY: Final = sql("{} bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY", identifier("_penstock_row"))
_UNCHANGED: Final = 0
_OLDER: Final = 1
_CHANGED: Final = 2


class Loading(Frozen):
    """What one commit puts into its target. ``stages`` are tables of the target's database with the columns of ``sent``;
    ``rows`` all rows as their writers counted them.
    """

    connection: Connection[Any]
    target: Relation
    stages: Sequence[str]
    sent: Schema
    rows: int
    bytes: int

    # ------------------------------------------------------------ all of them

    def append(self) -> Receipt:
        """Raises TransientError SNK-244."""
        inserted = sum(self._run(self._insert(stage)) for stage in self.stages)
        self._check(inserted, self.rows)
        return Receipt(self.rows, inserted=inserted, bytes=self.bytes)

    def count(self) -> int:
        """How many rows the target holds."""
        return int(rows_of(self.connection, sql("SELECT count(*) FROM {}", self.target.identifier()))[0][0])

    def clear(self) -> int:
        """The old rows go, readers see them until the commit; TRUNCATE would commit by itself."""
        return self._run(sql("DELETE FROM {}", self.target.identifier()))

    # ------------------------------------------------------------ by key

    def merge(self, keys: Sequence[str], order_by: str | None) -> Receipt:
        """Raises DataError SNK-242 (a key twice among the rows), SNK-243 (twice in the target), and
        TransientError SNK-244.
        """
        if not self.stages:
            return Receipt(0, inserted=0)
        self._gather(keys)
        if not has_unique_key(self.connection, self.target.table, keys):
            self._check_unique(keys)
        self._judge(keys, order_by)
        counts = self._verdicts()
        unchanged, older, changed = (counts.get(verdict, 0) for verdict in (_UNCHANGED, _OLDER, _CHANGED))
        inserted = self.rows - unchanged - older - changed
        if changed:
            self._update(keys)
        self._check(self._run(self._insert(self.stages[0], only_new=True)), inserted)
        return Receipt(self.rows, inserted, changed, unchanged, older, bytes=self.bytes)

    @property
    def _stage(self) -> Sql:
        return self._beside(self.stages[0])

    def _beside(self, name: str) -> Sql:
        return TableName(self.target.table.database, name).identifier()

    def _gather(self, keys: Sequence[str]) -> None:
        """The rows of all writers in the first one's table."""
        import pymysql

        names = listed(self.sent.names)
        for other in self.stages[1:]:
            statement = sql("INSERT INTO {} ({}) SELECT {} FROM {}", self._stage, names, names, self._beside(other))
            try:
                self._run(statement)
            except pymysql.err.IntegrityError:
                raise _repeated(keys) from None

    def _check_unique(self, keys: Sequence[str]) -> None:
        """Where no index of the target does it, and the staging tables have none either."""
        exact = joined(", ", [self._exact(key, "s") for key in keys])
        repeated = sql("SELECT 1 FROM {} AS s GROUP BY {} HAVING count(*) > 1 LIMIT 1", self._stage, exact)
        if rows_of(self.connection, repeated):
            raise _repeated(keys)
        several = sql(
            "SELECT 1 FROM {} AS s JOIN {} AS t ON {} GROUP BY {} HAVING count(*) > 1 LIMIT 1",
            self._stage,
            self.target.identifier(),
            self._same_key(keys),
            exact,
        )
        if rows_of(self.connection, several):
            raise DataError(
                "SNK-243",
                f'the table "{self.target.table}" holds several rows of one key',
                detail=f"the keys are {', '.join(keys)}",
            )

    def _same_key(self, keys: Sequence[str]) -> Sql:
        """As the target compares, so that an index serves, and exactly."""
        parts = []
        for key in keys:
            new, old = identifier("s", key), identifier("t", key)
            parts.append(sql("{} = {}", new, old))
            exact = self._exact(key, "s"), self._exact(key, "t")
            if exact != (new, old):
                parts.append(sql("{} = {}", *exact))
        return joined(" AND ", parts)

    def _exact(self, name: str, side: str) -> Sql:
        return identical(self.target.column(name), identifier(side, name))

    def _judge(self, keys: Sequence[str], order_by: str | None) -> None:
        others = [name for name in self.sent.names if name not in keys]
        differs = [sql("NOT {} <=> {}", self._exact(name, "s"), self._exact(name, "t")) for name in others]
        older = sql("FALSE")
        if order_by is not None:
            new, old = self._exact(order_by, "s"), self._exact(order_by, "t")
            older = sql("({} IS NULL AND {} IS NOT NULL) OR coalesce({} < {}, FALSE)", new, old, new, old)
        self._run(
            sql(
                "UPDATE {} AS s JOIN {} AS t ON {} SET {} = CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END",
                self._stage,
                self.target.identifier(),
                self._same_key(keys),
                identifier("s", VERDICT),
                older,
                literal(_OLDER),
                joined(" OR ", differs) if differs else sql("FALSE"),
                literal(_CHANGED),
                literal(_UNCHANGED),
            )
        )

    def _verdicts(self) -> dict[int, int]:
        verdict = identifier(VERDICT)
        statement = sql("SELECT {}, count(*) FROM {} WHERE {} IS NOT NULL GROUP BY 1", verdict, self._stage, verdict)
        return {int(kind): int(count) for kind, count in rows_of(self.connection, statement)}

    def _update(self, keys: Sequence[str]) -> None:
        values = [
            sql("{} = {}", identifier("t", name), identifier("s", name)) for name in self.sent.names if name not in keys
        ]
        self._run(
            sql(
                "UPDATE {} AS t JOIN {} AS s ON {} SET {} WHERE {} = {}",
                self.target.identifier(),
                self._stage,
                self._same_key(keys),
                joined(", ", values),
                identifier("s", VERDICT),
                literal(_CHANGED),
            )
        )

    # ------------------------------------------------------------ in both

    def _insert(self, stage: str, *, only_new: bool = False) -> Sql:
        names = listed(self.sent.names)
        condition = sql(" WHERE {} IS NULL", identifier(VERDICT)) if only_new else sql("")
        return sql(
            "INSERT INTO {} ({}) SELECT {} FROM {}{}",
            self.target.identifier(),
            names,
            names,
            self._beside(stage),
            condition,
        )

    def _run(self, statement: Sql) -> int:
        return run(self.connection, statement)

    def _check(self, done: int, wanted: int) -> None:
        if done != wanted:
            raise TransientError("SNK-244", f"{wanted} rows of those that were staged are due and {done} are left")


def _repeated(keys: Sequence[str]) -> DataError:
    return DataError("SNK-242", f"two rows of one epoch have the same key ({', '.join(keys)})")
