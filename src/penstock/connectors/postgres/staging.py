"""What a writer leaves before the commit: an unlogged table beside the target, or rows in the target that only their
own transaction sees.

A staging table is created and filled in one transaction, which ``stage`` commits: what dies before leaves nothing at all.
Its name is ``_penstock_stage_<sink>_<transaction>``, so that whoever takes the sink over finds what earlier attempts left.
It outlives the connection, and any number of writers may have one; but its rows are written twice.
Rows that go straight into the target are written once. Their transaction stays open until ``commit`` takes it over to put
the marker beside them (ADR 0015): they are gone with this process.
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final, cast

from penstock.connectors.api import BatchWriter, Staged
from penstock.connectors.commits import fingerprint
from penstock.connectors.postgres.columns import definitions
from penstock.connectors.postgres.driver import translated
from penstock.connectors.postgres.names import OWN_PREFIX
from penstock.errors import DataError, PenstockError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import psycopg
    import pyarrow as pa
    from psycopg import sql

    from penstock.connectors.api import Json, SinkId
    from penstock.connectors.postgres.pool import Connections
    from penstock.types import Schema

PREFIX: Final = f"{OWN_PREFIX}stage_"
# Pieces between encoder and server: enough that neither waits for the other, few enough to hold in memory.
PIECES_AHEAD: Final = 3
# Whatever the server's default: another writer's staging table, committed later, must be seen.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE"


def prefix_of(sink_id: SinkId) -> str:
    """Of every staging table of this sink, whatever the incarnation."""
    return f"{PREFIX}{fingerprint(*sink_id.lasting)}_"


def leftovers(connection: psycopg.Connection, schema: str, sink_id: SinkId) -> list[str]:
    """Names of the staging tables of this sink that were committed and not used."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND starts_with(c.relname, %s) ORDER BY 1",
        (schema, prefix_of(sink_id)),
    ).fetchall()
    return [name for (name,) in rows]


def end_open(connection: psycopg.Connection, sink_id: SinkId) -> None:
    """Ends transactions in which earlier attempts of this sink put rows into the target: one whose process hangs would
    hold up every row of the same key.
    """
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE application_name = %s"
        " AND usename = current_user AND datname = current_database() AND pid <> pg_catalog.pg_backend_pid()",
        (prefix_of(sink_id),),
    )


def drop(connection: psycopg.Connection, schema: str, names: Sequence[str]) -> None:
    """Staging tables, in the connection's transaction."""
    from psycopg import sql

    for name in names:
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(schema, name)))


class Stage(Frozen):
    """Where a writer puts its rows: into ``target`` itself, or (None) into a table of its own in ``schema``; the sink, the
    rows' columns, those that are keys.
    """

    schema: str
    sink_id: SinkId
    columns: Schema
    keys: tuple[str, ...]
    target: sql.Identifier | None = None


class StageWriter(BatchWriter):
    """Encodes batches on the caller's thread and sends them on another. Without rows there is no table and no transaction.

    Payload: ``{"v": 1, "table": name or None, "open": transaction or None, "columns": [...]}``, the columns as
    ``Schema.to_json`` gives them, the transaction by its number.
    """

    def __init__(self, connections: Connections, stage: Stage, reached: Callable[[str], None]) -> None:
        self._connections = connections
        self._stage = stage
        self._reached = reached
        self._copy: _Copy | None = None
        self._rows = 0
        self._table: str | None = None
        self._open: tuple[str, psycopg.Connection] | None = None
        self.ended = False

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises DataError SNK-209 (a value that cannot be stored), SNK-210 (a null key), and the server's refusals."""
        if batch.num_rows == 0:
            return
        try:
            self._send(batch)
        except BaseException:
            self.abort()
            raise
        self._rows += batch.num_rows

    def _send(self, batch: pa.RecordBatch) -> None:
        from penstock.connectors.postgres.binary import encode

        for name in self._stage.keys:
            if batch.column(name).null_count:
                raise DataError("SNK-210", f'the key "{name}" is null in {batch.column(name).null_count} rows')
        copy = self._copy = self._copy or _Copy(self._connections, self._stage)
        for piece in encode(batch, self._stage.columns):
            copy.send(piece)

    def stage(self) -> Staged:
        """A staging table is committed: it outlives this process, but not a crash of the server."""
        copy, self._copy = self._copy, None
        opened, size = None, 0
        if copy is None:
            self.ended = True
        elif self._stage.target is None:
            self.ended = True
            self._table, size = copy.table, copy.finish(self._rows)
            copy.commit()
        else:
            opened, size = copy.transaction, copy.finish(self._rows)
            self._open = opened, copy.connection
        self._reached("postgres.staged")
        columns = cast("Json", [dict(column) for column in self._stage.columns.to_json()])
        return Staged(self._rows, size, {"v": 1, "table": self._table, "open": opened, "columns": columns})

    def take_over(self, transaction: str) -> psycopg.Connection | None:
        """The connection on which this transaction is open, once: whoever takes it ends it."""
        if self._open is None or self._open[0] != transaction:
            return None
        (_, connection), self._open = self._open, None
        self.ended = True
        return connection

    def leave(self) -> None:
        """End what is not staged yet, as if the process died: the server forgets it. Idempotent, raises nothing."""
        copy, self._copy = self._copy, None
        opened, self._open = self._open, None
        self.ended = True
        if copy is not None:
            copy.abandon()
        if opened is not None:
            self._connections.discard(opened[1])

    def abort(self) -> None:
        self.leave()
        table, self._table = self._table, None
        if table is not None:
            self._drop(table)

    def _drop(self, table: str) -> None:
        """As far as the server answers; what stays is removed by the next ``marker``."""
        try:
            with self._connections.transaction("removing staged rows") as connection:
                drop(connection, self._stage.schema, [table])
        except PenstockError:
            return


class _Copy:
    """One COPY FROM STDIN, fed by a thread, in a transaction of its own. ``table`` is a new staging table, "" where the rows
    go into the target.
    """

    def __init__(self, connections: Connections, stage: Stage) -> None:
        self._connections = connections
        self._stage = stage
        self.connection = connections.take()
        self._pieces: queue.Queue[bytes | memoryview | None] = queue.Queue(PIECES_AHEAD)
        self._error: BaseException | None = None
        self._bytes = 0
        self._copied = 0
        try:
            with translated(connections.place, "opening a place for rows"):
                self.transaction = self._begin()
                self.table = "" if stage.target is not None else self._create()
        except BaseException:
            connections.discard(self.connection)
            raise
        self._thread = threading.Thread(target=self._feed, name="penstock-postgres-stage", daemon=True)
        self._thread.start()

    def _begin(self) -> str:
        """The number of the transaction. One that puts rows into the target may wait for its commit as long as the other
        sinks take, and can be found by who takes the sink over.
        """
        from psycopg import sql

        self.connection.execute(BEGIN)
        if self._stage.target is not None:
            name = sql.Literal(prefix_of(self._stage.sink_id))
            self.connection.execute(sql.SQL("SET LOCAL application_name = {}").format(name))
        row = self.connection.execute("SELECT pg_catalog.pg_current_xact_id()::text").fetchone()
        return str(row[0]) if row else ""

    def _create(self) -> str:
        from psycopg import sql

        table = prefix_of(self._stage.sink_id) + self.transaction
        self.connection.execute(
            sql.SQL("CREATE UNLOGGED TABLE {} ({}) WITH (autovacuum_enabled = false)").format(
                sql.Identifier(self._stage.schema, table), definitions(self._stage.columns)
            )
        )
        return table

    def _into(self) -> sql.Composed:
        from psycopg import sql

        table = self._stage.target or sql.Identifier(self._stage.schema, self.table)
        names = sql.SQL(", ").join([sql.Identifier(name) for name in self._stage.columns.names])
        return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(table, names)

    def send(self, piece: bytes | memoryview) -> None:
        """Waits while the server is behind. Raises what the server said, as soon as it said it."""
        self._bytes += len(piece)
        self._put(piece)
        self._raise()

    def _put(self, piece: bytes | memoryview | None) -> None:
        while self._thread.is_alive():
            try:
                self._pieces.put(piece, timeout=0.2)
            except queue.Full:
                continue
            return

    def _feed(self) -> None:
        from penstock.connectors.postgres.binary import HEADER, TRAILER

        try:
            with translated(self._connections.place, "sending rows"), self.connection.cursor() as cursor:
                with cursor.copy(self._into()) as copy:
                    copy.write(HEADER)
                    for piece in self._received():
                        copy.write(piece)
                    copy.write(TRAILER)
                self._copied = cursor.rowcount
        except BaseException as error:  # noqa: BLE001 -- handed to the writer's thread
            self._error = error

    def _received(self) -> Iterator[bytes | memoryview]:
        while (piece := self._pieces.get()) is not None:
            if piece is _ABANDON:
                raise _AbandonedError
            yield piece

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self, rows: int) -> int:
        """The end of the rows; the number of bytes sent. The transaction is still open. Raises what the server said."""
        self._put(None)
        self._thread.join()
        try:
            self._raise()
            self._check_copied(rows)
        except BaseException:
            self._connections.discard(self.connection)
            raise
        return self._bytes

    def _check_copied(self, rows: int) -> None:
        if self._copied != rows:
            raise DataError("SNK-213", f"the server took {self._copied} of {rows} rows")

    def commit(self) -> None:
        try:
            with translated(self._connections.place, "committing staged rows"):
                self.connection.execute("COMMIT")
        except BaseException:
            self._connections.discard(self.connection)
            raise
        self._connections.give_back(self.connection)

    def abandon(self) -> None:
        """Ends the connection; the server forgets the table and its rows. Raises nothing."""
        self._put(_ABANDON)
        self._thread.join()
        self._connections.discard(self.connection)


_ABANDON: Final = b"abandon"


class _AbandonedError(Exception):
    """Ends a COPY that nobody wants any more."""
