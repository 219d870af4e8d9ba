"""A sink's table, read back: as of the last commit that any Penstock sink made to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.connectors.postgres.params import PostgresSourceParams
from penstock.connectors.postgres.source import PostgresSource
from penstock.errors import ConfigError, DataError, InternalError

if TYPE_CHECKING:
    import psycopg

    from penstock.connectors.api import Context, Partition, Pipe, Position, ScanRequest
    from penstock.connectors.postgres.marker import Markers
    from penstock.connectors.postgres.names import TableName
    from penstock.connectors.postgres.params import PostgresConnection


class PostgresTable(PostgresSource):
    """Position: ``{"v": 1, "state": "…"}``, another one after each commit. A scan checks it in the snapshot it reads:
    where the table has moved on, DataError SRC-110. What others write to the table between commits is not noticed.
    """

    def __init__(self, connection: PostgresConnection, target: TableName, markers: Markers, context: Context) -> None:
        quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (target.schema or "", target.name))
        params = PostgresSourceParams.model_validate({"type": "postgres", "connection": connection, "table": quoted})
        super().__init__(params, context)
        self._markers = markers

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        with self._connections.connection("asking for its state") as connection:
            return {"v": 1, "state": self._markers.state(connection)}

    def scan(self, request: ScanRequest) -> Pipe:
        """Raises ConfigError SRC-210 for a position of another form; the pipe's ``open`` raises DataError SRC-110."""
        if request.after is not None:
            raise InternalError("INT-900", "a sink's table is read in full and was asked for a part")
        match request.upto:
            case {"v": 1, "state": str() as state}:
                pass
            case _:
                raise ConfigError("SRC-210", "a position was not written by this version of the postgres sink")

        def check(connection: psycopg.Connection) -> None:
            if self._markers.state(connection) != state:
                raise DataError(
                    "SRC-110", f'the table "{self._markers.target}" has changed since the epoch was planned'
                )

        return self._pipe(request, check)
