"""The row that makes a commit exactly once: ``_penstock_commits`` beside the target, one row per sink and incarnation.

Within the committing transaction: the sink is locked under all its incarnations (an advisory lock) and its row with
``SELECT ... FOR UPDATE``, compared with the epoch, and moved with ``UPDATE ... WHERE epoch = e - 1 AND fence = f``, which
must hit one row. Who holds the lock decides; whoever comes later sees what was committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, LiteralString

from penstock.connectors.api import EpochMarker, Receipt
from penstock.connectors.commits import fingerprint
from penstock.errors import FatalError
from penstock.structs import Frozen

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

    from penstock.connectors.api import Epoch, SinkId

TABLE: Final = "_penstock_commits"
_CREATE: Final[LiteralString] = """
CREATE TABLE IF NOT EXISTS {} (
    project text NOT NULL, environment text NOT NULL, pipeline text NOT NULL, sink text NOT NULL,
    incarnation text NOT NULL, epoch bigint NOT NULL, fence bigint NOT NULL, rows bigint NOT NULL DEFAULT 0,
    checksum text NOT NULL DEFAULT '', inserted bigint NOT NULL DEFAULT 0, updated bigint NOT NULL DEFAULT 0,
    unchanged bigint NOT NULL DEFAULT 0, ignored_older bigint NOT NULL DEFAULT 0, deleted bigint,
    bytes bigint NOT NULL DEFAULT 0, target text NOT NULL, committed_in bigint NOT NULL DEFAULT 0,
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project, environment, pipeline, sink, incarnation)
)
"""
_READ: Final[LiteralString] = """
SELECT epoch, fence, rows, inserted, updated, unchanged, ignored_older, deleted, bytes, checksum FROM {}
WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {} AND incarnation = {}
"""
_INCARNATIONS: Final[LiteralString] = """
SELECT incarnation FROM {} WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {} AND target = {}
    AND epoch > 0
"""
_NEWEST: Final[LiteralString] = """
SELECT coalesce(max(fence), 0) FROM {} WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {}
    AND target = {}
"""
_INSERT: Final[LiteralString] = """
INSERT INTO {} (project, environment, pipeline, sink, incarnation, epoch, fence, target)
VALUES ({}, {}, {}, {}, {}, 0, 0, {}) ON CONFLICT DO NOTHING
"""
_STATE: Final[LiteralString] = "SELECT coalesce(sum(committed_in), 0) FROM {} WHERE target = {}"
_ADVANCE: Final[LiteralString] = """
UPDATE {} SET epoch = {}, fence = {}, rows = {}, inserted = {}, updated = {}, unchanged = {}, ignored_older = {},
    deleted = {}, bytes = {}, checksum = {}, target = {}, committed_at = now(),
    committed_in = (pg_catalog.pg_current_xact_id()::text)::bigint
WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {} AND incarnation = {}
    AND epoch = {} AND fence = {}
"""


class Markers(Frozen):
    """The marker table in one schema. ``target`` is the table whose state the markers tell."""

    schema: str
    target: str

    def _table(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(self.schema, TABLE)

    def _composed(self, template: LiteralString, *values: str | int | None) -> sql.Composed:
        """The template's first place is the table, the others are values; no parameter, since a name may hold a %."""
        from psycopg import sql

        return sql.SQL(template).format(self._table(), *(sql.Literal(value) for value in values))

    def create(self, connection: psycopg.Connection) -> None:
        """Make the table if it is not there. Two that do it at the same time: one of them waits."""
        from psycopg import sql

        if not self.exists(connection):
            connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%s, 0))", (TABLE,))
            connection.execute(sql.SQL(_CREATE).format(self._table()))

    def exists(self, connection: psycopg.Connection) -> bool:
        row = connection.execute(
            "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = %s",
            (self.schema, TABLE),
        ).fetchone()
        return row is not None

    def read(self, connection: psycopg.Connection, sink_id: SinkId, *, lock: bool = False) -> EpochMarker | None:
        """The last committed epoch; with ``lock`` nobody else moves it until the transaction ends."""
        from psycopg import sql

        statement = self._composed(_READ, *sink_id.parts) + sql.SQL(" FOR UPDATE" if lock else "")
        row = connection.execute(statement).fetchone()
        if row is None or row[0] == 0:
            return None
        epoch, fence, rows, inserted, updated, unchanged, older, deleted, size, checksum = row
        receipt = Receipt(rows, inserted, updated, unchanged, older, deleted, size, checksum=checksum)
        return EpochMarker(epoch, fence, receipt)

    def incarnations(self, connection: psycopg.Connection, sink_id: SinkId) -> frozenset[str]:
        """Of the sink's markers for this target."""
        if not self.exists(connection):
            return frozenset()
        names = sink_id.lasting
        found = connection.execute(self._composed(_INCARNATIONS, *names, self.target)).fetchall()
        return frozenset(str(row[0]) for row in found)

    def lock(self, connection: psycopg.Connection, epoch: Epoch) -> EpochMarker | None:
        """As ``read`` with a lock, on the sink under all its incarnations; the row is made at epoch 0 where there is none
        yet.
        """
        held = fingerprint(TABLE, self.target, *epoch.sink_id.lasting)
        connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(%s, 0))", (held,))
        connection.execute(self._composed(_INSERT, *epoch.sink_id.parts, self.target))
        return self.read(connection, epoch.sink_id, lock=True)

    def newest(self, connection: psycopg.Connection, sink_id: SinkId) -> int:
        """The highest fence of a commit to this target, of whatever incarnation of the sink."""
        row = connection.execute(self._composed(_NEWEST, *sink_id.lasting, self.target)).fetchone()
        return int(row[0]) if row else 0

    def advance(
        self, connection: psycopg.Connection, epoch: Epoch, before: EpochMarker | None, receipt: Receipt
    ) -> None:
        """Move the row from the epoch before. Raises FatalError SNK-120 where it does not stand there."""
        values = (
            *(epoch.number, epoch.fence, receipt.rows, receipt.inserted, receipt.updated, receipt.unchanged),
            *(receipt.ignored_older, receipt.deleted, receipt.bytes, receipt.checksum, self.target),
            *epoch.sink_id.parts,
            *(epoch.number - 1, before.fence if before else 0),
        )
        cursor = connection.execute(self._composed(_ADVANCE, *values))
        if cursor.rowcount != 1:
            raise FatalError(
                "SNK-120", f'the marker of sink "{epoch.sink_id.sink}" does not stand before epoch {epoch.number}'
            )

    def state(self, connection: psycopg.Connection) -> str:
        """Names the target's state: another one after every commit to it, by whatever sink or incarnation. A sum, since
        transactions need not commit in the order of their numbers.
        """
        if not self.exists(connection):
            return "0"
        row = connection.execute(self._composed(_STATE, self.target)).fetchone()
        return str(row[0]) if row else "0"
