"""What a writer leaves before the commit: a table beside the target, filled in one transaction, which ``stage`` commits.

Its name is ``_penstock_stage_<sink>_<unique>``, so that whoever takes the sink over finds what earlier attempts left; while
a writer is at it, its session holds the server's lock of that name, which tells whom to end.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from penstock.connectors.api import BatchWriter, Staged
from penstock.connectors.commits import fingerprint
from penstock.connectors.mariadb.driver import Fault, rows_of, run, translated, without_values
from penstock.connectors.mariadb.encoding import load_statement
from penstock.connectors.mariadb.loading import Load
from penstock.connectors.mariadb.locks import end_holder, lock, unlock
from penstock.connectors.mariadb.names import OWN_PREFIX, TableName
from penstock.connectors.mariadb.pool import begin
from penstock.connectors.mariadb.sql import Sql, literal, sql
from penstock.errors import DataError, PenstockError, TransientError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa
    from pymysql.connections import Connection

    from penstock.connectors.api import Json, SinkId
    from penstock.connectors.mariadb.encoding import Encoder
    from penstock.connectors.mariadb.pool import Connections
    from penstock.types import Schema

PREFIX: Final = f"{OWN_PREFIX}stage_"
DUPLICATE_KEY: Final = 1062
_LEFT: Final = "SELECT table_name FROM information_schema.tables WHERE table_schema = {} AND left(table_name, {}) = {}"


def prefix_of(sink_id: SinkId) -> str:
    """Of every staging table of this sink, whatever the incarnation."""
    return f"{PREFIX}{fingerprint(*sink_id.lasting)}_"


def new_name(sink_id: SinkId) -> str:
    """Of a staging table that nobody has made yet."""
    return prefix_of(sink_id) + uuid.uuid4().hex[:16]


def leftovers(connection: Connection[Any], database: str, sink_id: SinkId) -> list[str]:
    """Names of the staging tables of this sink that were not used."""
    prefix = prefix_of(sink_id)
    statement = sql(_LEFT, literal(database), literal(len(prefix)), literal(prefix))
    return [str(name) for (name,) in rows_of(connection, statement)]


def drop(connection: Connection[Any], database: str, names: Sequence[str]) -> None:
    """Staging tables. Commits what is open on the connection."""
    for name in names:
        run(connection, sql("DROP TABLE IF EXISTS {}", TableName(database, name).identifier()))


class Stage(Frozen):
    """Where a writer puts its rows: the database, the sink, the rows' columns, those of them that are keys, and the
    staging table's: their definitions as a CREATE TABLE says them, and the kind of each.
    """

    database: str
    sink_id: SinkId
    columns: Schema
    keys: tuple[str, ...]
    definitions: Sql
    kinds: Mapping[str, str]


class StageWriter(BatchWriter):
    """Without rows there is no table. Payload: ``{"v": 1, "table": name or None, "columns": [...]}``, the columns as
    ``Schema.to_json`` gives them.
    """

    def __init__(
        self, connections: Connections, stage: Stage, *, encoder: Encoder, reached: Callable[[str], None]
    ) -> None:
        self._connections = connections
        self._stage = stage
        self._encoder = encoder
        self._reached = reached
        self._connection: Connection[Any] | None = None
        self._load: Load | None = None
        self._table: str | None = None
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises DataError SNK-241 (a value that cannot be stored), SNK-242 (a null key), and the server's refusals."""
        if batch.num_rows == 0:
            return
        try:
            self._send(batch)
        except BaseException:
            self.abort()
            raise
        self._rows += batch.num_rows

    def _send(self, batch: pa.RecordBatch) -> None:
        for name in self._stage.keys:
            if batch.column(name).null_count:
                raise DataError("SNK-242", f'the key "{name}" is null in {batch.column(name).null_count} rows')
        with translated(self._connections.place, "sending rows"):
            load = self._load = self._load or self._opened()
            for piece in self._encoder(batch):
                load.send(piece)

    def _opened(self) -> Load:
        connection = self._connection = self._connections.take()
        self._table = new_name(self._stage.sink_id)
        table = TableName(self._stage.database, self._table).identifier()
        lock(connection, self._table, 0)
        run(connection, sql("CREATE TABLE {} ({}) ENGINE = InnoDB", table, self._stage.definitions))
        begin(connection)
        return Load(connection, load_statement(table, self._stage.columns, self._stage.kinds))

    def stage(self) -> Staged:
        """The staging table is committed: it outlives this process. Raises DataError SNK-236 and SNK-242,
        TransientError SNK-244.
        """
        self._encoder.close()
        size = 0
        if self._load is not None and self._connection is not None:
            try:
                size = self._finish(self._load, self._connection)
            except BaseException:
                self.abort()
                raise
        self._reached("mariadb.staged")
        columns = cast("Json", [dict(column) for column in self._stage.columns.to_json()])
        return Staged(self._rows, size, {"v": 1, "table": self._table, "columns": columns})

    def _finish(self, load: Load, connection: Connection[Any]) -> int:
        with translated(self._connections.place, "sending rows"):
            taken, size = load.finish()
            complaints = rows_of(connection, sql("SHOW WARNINGS LIMIT 1"))
            if complaints:
                _, number, words = complaints[0]
                if number == DUPLICATE_KEY and self._stage.keys:
                    raise DataError(
                        "SNK-242", f"two rows of one epoch have the same key ({', '.join(self._stage.keys)})"
                    )
                told = f"{without_values(str(words))} (error {number})"
                raise self._connections.place.error(Fault.VALUE, "taking rows", told)
            if taken != self._rows:
                raise TransientError("SNK-244", f"{self._rows} rows were sent and the server took {taken}")
            run(connection, sql("COMMIT"))
            unlock(connection, self._table or "")
        self._connections.give_back(connection)
        self._load = self._connection = None
        return size

    def abort(self) -> None:
        self._encoder.close()
        connection, self._connection = self._connection, None
        self._load = None
        if connection is not None:
            self._connections.discard(connection)
        table, self._table = self._table, None
        if table is not None:
            self._drop(table)

    def _drop(self, table: str) -> None:
        """As far as the server answers; what stays is removed by the next ``marker``."""
        with suppress(PenstockError), self._connections.connection("removing staged rows") as connection:
            end_holder(connection, table)
            drop(connection, self._stage.database, [table])
