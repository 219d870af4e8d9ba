"""Reading a table, a view or a query in one snapshot, as CSV that the server composes and the engine reads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import LIVE_TABLE, Pipe, Source
from penstock.connectors.mariadb.catalogue import columns_of_result, current_database, find_relation, table_names
from penstock.connectors.mariadb.columns import logical_of
from penstock.connectors.mariadb.driver import is_mariadb, rows_of
from penstock.connectors.mariadb.names import TableName, parse_name
from penstock.connectors.mariadb.params import MariadbSourceParams
from penstock.connectors.mariadb.pipes import RowPipe
from penstock.connectors.mariadb.pool import Connections
from penstock.connectors.mariadb.predicates import Predicates
from penstock.connectors.mariadb.ranges import by_key
from penstock.connectors.mariadb.reading import FORMAT, row_text
from penstock.connectors.mariadb.sql import Sql, joined, sql
from penstock.connectors.queried import query_text, told_apart
from penstock.errors import ConfigError, DataError, InternalError, nearest
from penstock.registry import Capability, Descriptor
from penstock.structs import Frozen
from penstock.types import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymysql.connections import Connection
    from sqlglot import exp

    from penstock.connectors.api import Context, Partition, Position, ScanRequest, Undivided
    from penstock.connectors.mariadb.catalogue import Column
    from penstock.connectors.mariadb.marker import Markers
    from penstock.connectors.mariadb.params import MariadbConnection
    from penstock.types import LogicalType


class _Read(Frozen):
    """A described source: its columns with their types, and what stands after FROM."""

    columns: tuple[tuple[Column, LogicalType], ...]
    rows: Sql
    is_mariadb: bool
    schema: Schema
    predicates: Predicates


class MariadbSource(Source):
    """A live table, view or query: read in full, in one snapshot that is taken when the rows are.

    Position: ``{"v": 1, "at": "…"}``, the server's time when it was asked. A later scan sees a later state: the rows
    cannot be read again as they were (no Capability.REPLAYABLE).
    """

    def __init__(self, params: MariadbSourceParams, context: Context) -> None:
        self._params = params
        self._contract = context.contract.schema if context.contract else None
        self._bad_values = context.contract.on_bad_value if context.contract else params.on_bad_value
        self._connections = Connections(params.connection, "SRC", context.clock, context.wards)

    def describe(self) -> Schema:
        """Columns in the table's or query's order. Raises ConfigError SRC-112, SRC-233, SRC-234 and what connecting
        raises.
        """
        self.__dict__.pop("_read", None)
        return self._read.schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        with self._connections.connection("asking for its position") as connection:
            return {"v": 1, "at": str(rows_of(connection, sql("SELECT UTC_TIMESTAMP(6)"))[0][0])}

    def takes(self, predicate: exp.Expr) -> bool:
        """Comparisons with constants that mean the same in both dialects; see ``predicates``."""
        return self._read.predicates.takes(predicate)

    def scan(self, request: ScanRequest) -> Pipe:
        """All rows as they are when the pipe is opened. Raises ConfigError SRC-394."""
        if request.after is not None:
            raise InternalError("INT-900", "a mariadb source is read in full and was asked for a part")
        return self._pipe(request, None)

    def undivided(self) -> Undivided:
        """Two epochs would see two states of it."""
        return LIVE_TABLE

    def close(self) -> None:
        self._connections.close()

    # ------------------------------------------------------------ how it is read

    @cached_property
    def _read(self) -> _Read:
        with self._connections.connection("describing the source") as connection:
            if self._params.table is None:
                text = query_text(self._params.query)
                rows = sql("(\n{}\n) AS _query", Sql(text))
                columns: Sequence[Column] = columns_of_result(connection, sql("SELECT * FROM {} LIMIT 0", rows))
            else:
                rows, columns = self._table(connection, self._params.table)
            typed = tuple((column, logical_of(column, self._wanted(column.name))) for column in columns)
            predicates = Predicates(typed, self._bad_values)
            return _Read(typed, rows, is_mariadb(connection), _schema(typed), predicates)

    def _wanted(self, name: str) -> LogicalType | None:
        stated = self._contract.get(name) if self._contract else None
        return stated.type if stated else None

    def _table(self, connection: Connection[Any], text: str) -> tuple[Sql, Sequence[Column]]:
        wanted = parse_name(text, "SRC")
        relation = find_relation(connection, wanted)
        if relation is None:
            database = wanted.database or current_database(connection)
            near = nearest(wanted.name, table_names(connection, database))
            meant = near and TableName(wanted.database, near)
            raise ConfigError(
                "SRC-233",
                f'there is no table or view "{text}"',
                detail=f"it was looked for on {self._connections.place.name}; names are taken as they are written",
                hint=f'did you mean "{meant}"?' if meant else None,
                about=("table",),
            )
        return relation.identifier(), relation.columns

    def _pipe(self, request: ScanRequest, check: Callable[[Connection[Any]], None] | None) -> Pipe:
        read = self._read
        names = request.columns or read.schema.names[: None if request.columns is None else 1]
        schema = read.schema.select(names)
        typed = {column.name: (column, logical) for column, logical in read.columns}
        row = row_text([typed[name] for name in schema.names], self._bad_values, is_mariadb=read.is_mariadb)
        queries = [sql("SELECT {} FROM {}", row, rows) for rows in self._rows(read, request.predicate)]
        pipe = RowPipe(self._connections, queries, table=read.rows, check=check)
        return Pipe(FORMAT, schema, pipe.open, pipe.finish)

    def _rows(self, read: _Read, predicate: exp.Expr | None) -> list[Sql]:
        """What stands after FROM, once per part."""
        condition = read.predicates.text(predicate) if predicate is not None else None
        found = []
        for part in self._parts(read):
            kept = [item for item in (condition and sql("({})", condition), part) if item]
            found.append(sql("{} WHERE {}", read.rows, joined(" AND ", kept)) if kept else read.rows)
        return found

    def _parts(self, read: _Read) -> list[Sql | None]:
        wanted = self._params.split_by
        if wanted is None or self._params.parallel == 1:
            return [None]
        column = next((item for item, _ in read.columns if item.name == wanted), None)
        if column is None:
            near = nearest(wanted, read.schema.names)
            raise ConfigError(
                "SRC-394",
                f'the column "{wanted}", named in split_by, is not there',
                hint=f'did you mean "{near}"?' if near else None,
                about=("split_by",),
            )
        with self._connections.connection("dividing the read") as connection:
            return by_key(connection, read.rows, column, self._params.parallel)


class MariadbTable(MariadbSource):
    """A sink's table, read back: as of the last commit that any Penstock sink made to it.

    Position: ``{"v": 1, "state": "…"}``, another one after each commit. A scan checks it in the snapshot it reads: where
    the table has moved on, DataError SRC-110. What others write to the table between commits is not noticed.
    """

    def __init__(self, connection: MariadbConnection, target: TableName, markers: Markers, context: Context) -> None:
        params = MariadbSourceParams.model_validate(
            {"type": "mariadb", "connection": connection, "table": str(target.identifier())}
        )
        super().__init__(params, context)
        self._markers = markers

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        with self._connections.connection("asking for its state") as connection:
            return {"v": 1, "state": self._markers.state(connection)}

    def scan(self, request: ScanRequest) -> Pipe:
        """Raises ConfigError SRC-240 for a position of another form; the pipe's ``open`` raises DataError SRC-110."""
        if request.after is not None:
            raise InternalError("INT-900", "a sink's table is read in full and was asked for a part")
        match request.upto:
            case {"v": 1, "state": str() as state}:
                pass
            case _:
                raise ConfigError("SRC-240", "a position was not written by this version of the mariadb sink")

        def check(connection: Connection[Any]) -> None:
            if self._markers.state(connection) != state:
                raise DataError(
                    "SRC-110", f'the table "{self._markers.target}" has changed since the epoch was planned'
                )

        return self._pipe(request, check)


def _schema(typed: Sequence[tuple[Column, LogicalType]]) -> Schema:
    return told_apart(Schema(tuple(Field(column.name, logical, column.nullable) for column, logical in typed)))


SOURCE: Final = Descriptor(
    name="mariadb",
    group="sources",
    summary="A MariaDB or MySQL table, view or query, read in one consistent snapshot.",
    params=MariadbSourceParams,
    make=MariadbSource,
    example="type: mariadb\nconnection: mariadb://reader@localhost:3306/shop\ntable: orders\n",
    capabilities=frozenset({Capability.PROJECTION, Capability.FILTER, Capability.NATIVE, Capability.SNAPSHOT}),
    extra="mariadb",
    notes=(
        "A row is at most 2,000,000 bytes as text, and no longer than the server's max_allowed_packet (SRC-241).",
        "A live table cannot be read again as it was: with two or more sinks its rows are spooled first.",
        "With split_by the parts are of one state: the table is locked for reading (LOCK TABLES) until each part has its snapshot.",
        "A condition that the server applies takes a zero date for one before all others.",
        "tinyint(1) is boolean, unless `schema:` says a whole number; a longer bit is uint64, year int16, timestamp timestamptz.",
        "Zero dates, times below 00:00 or from 24:00 on, and a tinyint(1) other than 0 and 1 are bad values.",
        "Decimals above 38 digits, enum, set, inet and geometry arrive as text, as the server prints them.",
        "The columns of a query have the types that the protocol tells: json and uuid arrive as string.",
        "Tables of other engines than InnoDB are read without a snapshot.",
    ),
)
