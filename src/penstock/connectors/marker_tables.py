"""What a database file (SQLite, DuckDB) remembers of commits: the marker per sink id, its newest runner, the version of each table.

All of it is read and written inside the transaction that it is about, but for the fence, which is taken before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Protocol

from penstock.connectors.api import EpochMarker, Receipt
from penstock.connectors.commits import check_fence
from penstock.structs import asdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Epoch, SinkId


class Cursor(Protocol):
    """The rows of a statement."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """What both drivers have; both know these statements, and ``sqlite_master``."""

    def execute(self, statement: str, values: Sequence[Any] = ..., /) -> Cursor: ...


OWN_TABLES: Final = ("_penstock_commits", "_penstock_runners", "_penstock_tables")
_CREATE: Final = (
    """CREATE TABLE IF NOT EXISTS _penstock_commits (
        project TEXT NOT NULL, environment TEXT NOT NULL, pipeline TEXT NOT NULL, sink TEXT NOT NULL,
        incarnation TEXT NOT NULL, epoch BIGINT NOT NULL, fence BIGINT NOT NULL, receipt TEXT NOT NULL,
        PRIMARY KEY (project, environment, pipeline, sink, incarnation))""",
    """CREATE TABLE IF NOT EXISTS _penstock_runners (
        project TEXT NOT NULL, environment TEXT NOT NULL, pipeline TEXT NOT NULL, sink TEXT NOT NULL,
        incarnation TEXT NOT NULL, fence BIGINT NOT NULL,
        PRIMARY KEY (project, environment, pipeline, sink, incarnation))""",
    "CREATE TABLE IF NOT EXISTS _penstock_tables (name TEXT PRIMARY KEY, version BIGINT NOT NULL)",
)
_THERE: Final = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
_READ_MARK: Final = """SELECT epoch, fence, receipt FROM _penstock_commits
    WHERE project = ? AND environment = ? AND pipeline = ? AND sink = ? AND incarnation = ?"""
_INCARNATIONS: Final = """SELECT incarnation FROM _penstock_commits
    WHERE project = ? AND environment = ? AND pipeline = ? AND sink = ?"""
_WRITE_MARK: Final = """INSERT INTO _penstock_commits VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, environment, pipeline, sink, incarnation)
    DO UPDATE SET epoch = excluded.epoch, fence = excluded.fence, receipt = excluded.receipt"""
_READ_FENCE: Final = """SELECT max(fence) FROM _penstock_runners
    WHERE project = ? AND environment = ? AND pipeline = ? AND sink = ?"""
_RAISE_FENCE: Final = """INSERT INTO _penstock_runners VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, environment, pipeline, sink, incarnation)
    DO UPDATE SET fence = CASE WHEN excluded.fence > fence THEN excluded.fence ELSE fence END"""
_READ_VERSION: Final = "SELECT version FROM _penstock_tables WHERE name = ?"
_NEXT_VERSION: Final = """INSERT INTO _penstock_tables VALUES (?, 1)
    ON CONFLICT (name) DO UPDATE SET version = version + 1 RETURNING version"""


def _is_there(connection: Connection, table: str) -> bool:
    return bool(connection.execute(_THERE, (table,)).fetchone()[0])


def create(connection: Connection) -> None:
    """Idempotent."""
    for statement in _CREATE:
        connection.execute(statement)


def read(connection: Connection, sink_id: SinkId) -> EpochMarker | None:
    """The marker of a sink id; None where nothing was committed under it."""
    if not _is_there(connection, "_penstock_commits"):
        return None
    found = connection.execute(_READ_MARK, sink_id.parts).fetchone()
    return None if found is None else EpochMarker(found[0], found[1], Receipt(**json.loads(found[2])))


def incarnations(connection: Connection, sink_id: SinkId) -> frozenset[str]:
    """Of the sink's markers."""
    if not _is_there(connection, "_penstock_commits"):
        return frozenset()
    names = sink_id.lasting
    return frozenset(found for (found,) in connection.execute(_INCARNATIONS, names).fetchall())


def write(connection: Connection, epoch: Epoch, receipt: Receipt) -> None:
    """Set the marker of the epoch's sink id; in the transaction that writes the rows."""
    row = (*epoch.sink_id.parts, epoch.number, epoch.fence, json.dumps(asdict(receipt)))
    connection.execute(_WRITE_MARK, row)


def newest(connection: Connection, epoch: Epoch) -> int:
    """The fence of the sink's newest runner, of whatever incarnation; 0 where there was none."""
    (found,) = connection.execute(_READ_FENCE, epoch.sink_id.lasting).fetchone()
    return int(found or 0)


def raise_fence(connection: Connection, epoch: Epoch) -> None:
    """From now on no older runner is the newest. Idempotent. Raises FatalError SNK-120 where there is a newer one."""
    check_fence(newest(connection, epoch), epoch)
    connection.execute(_RAISE_FENCE, (*epoch.sink_id.parts, epoch.fence))


def version(connection: Connection, table: str) -> int:
    """How many commits the table has seen."""
    if not _is_there(connection, "_penstock_tables"):
        return 0
    found = connection.execute(_READ_VERSION, (table,)).fetchone()
    return 0 if found is None else int(found[0])


def next_version(connection: Connection, table: str) -> int:
    """Count one more commit to the table; its number."""
    return int(connection.execute(_NEXT_VERSION, (table,)).fetchone()[0])
