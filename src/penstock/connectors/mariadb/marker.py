"""The row that makes a commit exactly once: ``_penstock_commits`` beside the target, one row per sink and incarnation.

Within the committing transaction the sink's rows are locked, those of all incarnations (``SELECT ... FOR UPDATE``), its row
is compared with the epoch, and moved with ``UPDATE ... WHERE epoch = e - 1 AND fence = f``, which must hit one row. Creating the table and the row commits by itself,
hence comes before: a row at epoch 0 is no marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import EpochMarker, Receipt
from penstock.connectors.mariadb.catalogue import find_relation
from penstock.connectors.mariadb.driver import rows_of, run
from penstock.connectors.mariadb.names import TableName
from penstock.connectors.mariadb.sql import Sql, literal, sql
from penstock.errors import FatalError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from pymysql.connections import Connection

    from penstock.connectors.api import Epoch, SinkId

TABLE: Final = "_penstock_commits"
# Names as bytes: no collation takes two of them for one. An index takes 3,072 bytes.
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS {} (
    project varbinary(600) NOT NULL, environment varbinary(300) NOT NULL, pipeline varbinary(900) NOT NULL,
    sink varbinary(900) NOT NULL, incarnation varbinary(200) NOT NULL, epoch bigint NOT NULL, fence bigint NOT NULL,
    `rows` bigint NOT NULL DEFAULT 0, checksum varchar(200) NOT NULL DEFAULT '', inserted bigint NOT NULL DEFAULT 0,
    updated bigint NOT NULL DEFAULT 0, unchanged bigint NOT NULL DEFAULT 0, ignored_older bigint NOT NULL DEFAULT 0,
    deleted bigint NULL, bytes bigint NOT NULL DEFAULT 0, target varbinary(600) NOT NULL,
    commits bigint NOT NULL DEFAULT 0, committed_at datetime(6) NOT NULL DEFAULT current_timestamp(6),
    PRIMARY KEY (project, environment, pipeline, sink, incarnation)
) ENGINE = InnoDB
"""
_SAME: Final = "project = {} AND environment = {} AND pipeline = {} AND sink = {} AND incarnation = {}"
_READ: Final = """
SELECT epoch, fence, `rows`, inserted, updated, unchanged, ignored_older, deleted, bytes, checksum FROM {} WHERE {}
"""
_INCARNATIONS: Final = """
SELECT incarnation FROM {} WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {} AND target = {}
    AND epoch > 0
"""
_LOCK: Final = """
SELECT fence FROM {} WHERE project = {} AND environment = {} AND pipeline = {} AND sink = {} AND target = {}
FOR UPDATE
"""
_INSERT: Final = """
INSERT IGNORE INTO {} (project, environment, pipeline, sink, incarnation, epoch, fence, target)
VALUES ({}, {}, {}, {}, {}, 0, 0, {})
"""
_STATE: Final = "SELECT coalesce(sum(commits), 0) FROM {} WHERE target = {}"
_ADVANCE: Final = """
UPDATE {} SET epoch = {}, fence = {}, `rows` = {}, inserted = {}, updated = {}, unchanged = {}, ignored_older = {},
    deleted = {}, bytes = {}, checksum = {}, target = {}, committed_at = current_timestamp(6), commits = commits + 1
WHERE {} AND epoch = {} AND fence = {}
"""
_ANNOUNCE: Final = "UPDATE {} SET commits = commits + 1 WHERE {} AND epoch = {} AND fence = {}"


class Markers(Frozen):
    """The marker table in one database. ``target`` is the table whose state the markers tell."""

    database: str
    target: str

    def _table(self) -> Sql:
        return TableName(self.database, TABLE).identifier()

    def create(self, connection: Connection[Any]) -> None:
        """Make the table if it is not there. Commits what is open on the connection."""
        if not self.exists(connection):
            run(connection, sql(_CREATE, self._table()))

    def exists(self, connection: Connection[Any]) -> bool:
        return find_relation(connection, TableName(self.database, TABLE)) is not None

    def read(self, connection: Connection[Any], sink_id: SinkId, *, lock: bool = False) -> EpochMarker | None:
        """The last committed epoch; with ``lock`` nobody else moves it until the transaction ends."""
        statement = sql(_READ, self._table(), _same(sink_id))
        found = rows_of(connection, sql("{} FOR UPDATE", statement) if lock else statement)
        if not found or found[0][0] == 0:
            return None
        epoch, fence, rows, inserted, updated, unchanged, older, deleted, size, checksum = found[0]
        receipt = Receipt(rows, inserted, updated, unchanged, older, deleted, size, checksum=checksum)
        return EpochMarker(epoch, fence, receipt)

    def incarnations(self, connection: Connection[Any], sink_id: SinkId) -> frozenset[str]:
        """Of the sink's markers for this target."""
        if not self.exists(connection):
            return frozenset()
        names = (literal(name) for name in sink_id.lasting)
        found = rows_of(connection, sql(_INCARNATIONS, self._table(), *names, literal(self.target)))
        return frozenset(bytes(row[0]).decode() for row in found)

    def lock(self, connection: Connection[Any], sink_id: SinkId) -> int:
        """Until the transaction ends nobody else commits to this target for the sink, under whatever incarnation; the
        highest fence of such a commit.
        """
        names = (literal(name) for name in sink_id.lasting)
        found = rows_of(connection, sql(_LOCK, self._table(), *names, literal(self.target)))
        return max((int(row[0]) for row in found), default=0)

    def ready(self, connection: Connection[Any], sink_id: SinkId) -> None:
        """The table and a row at epoch 0 where there is none yet, so that there is something to lock. Outside of any
        transaction: two that put the row there within theirs would wait for each other.
        """
        self.create(connection)
        if not rows_of(connection, sql("SELECT epoch FROM {} WHERE {}", self._table(), _same(sink_id))):
            names = (literal(name) for name in sink_id.parts)
            run(connection, sql(_INSERT, self._table(), *names, literal(self.target)))

    def advance(self, connection: Connection[Any], epoch: Epoch, before: EpochMarker | None, receipt: Receipt) -> None:
        """Move the row from the epoch before. Raises FatalError SNK-120 where it does not stand there."""
        values = (
            *(epoch.number, epoch.fence, receipt.rows, receipt.inserted, receipt.updated, receipt.unchanged),
            *(receipt.ignored_older, receipt.deleted, receipt.bytes, receipt.checksum, self.target),
        )
        place = _before(epoch, before)
        _moved(run(connection, sql(_ADVANCE, self._table(), *map(literal, values), *place)), epoch)

    def announce(self, connection: Connection[Any], epoch: Epoch, before: EpochMarker | None) -> None:
        """The target's state becomes another one, though the row stays: what is done to the table commits by itself, before
        the epoch. Errors as ``advance``.
        """
        _moved(run(connection, sql(_ANNOUNCE, self._table(), *_before(epoch, before))), epoch)

    def state(self, connection: Connection[Any]) -> str:
        """Names the target's state: another one after every commit to it, by whatever sink or incarnation."""
        if not self.exists(connection):
            return "0"
        return str(rows_of(connection, sql(_STATE, self._table(), literal(self.target)))[0][0])


def _before(epoch: Epoch, before: EpochMarker | None) -> tuple[Sql, Sql, Sql]:
    return _same(epoch.sink_id), literal(epoch.number - 1), literal(before.fence if before else 0)


def _moved(rows: int, epoch: Epoch) -> None:
    if rows != 1:
        raise FatalError(
            "SNK-120", f'the marker of sink "{epoch.sink_id.sink}" does not stand before epoch {epoch.number}'
        )


def _same(sink_id: SinkId) -> Sql:
    return sql(_SAME, *(literal(part) for part in sink_id.parts))
