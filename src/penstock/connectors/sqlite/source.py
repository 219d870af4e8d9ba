"""Reading a table or a query of a SQLite file, and the table that a sink has written."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from penstock.connectors import marker_tables
from penstock.connectors.api import LIVE_TABLE, Batches, Chunk, Source
from penstock.connectors.driver_rows import Converter
from penstock.connectors.sqlite import catalog, query, statements
from penstock.connectors.sqlite.affinity import logical_of
from penstock.connectors.sqlite.driver import open_for_reading, reading, run
from penstock.connectors.sqlite.narrowing import narrowed
from penstock.connectors.sqlite.reading import BAD_VALUE, to_array
from penstock.errors import ConfigError, DataError, InternalError, nearest
from penstock.types import Field, Schema

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from sqlglot import exp

    from penstock.connectors.api import Context, Contract, Partition, Position, Rows, ScanRequest, Undivided
    from penstock.connectors.driver_rows import Policy
    from penstock.connectors.sqlite.params import SqliteSourceParams
    from penstock.types import LogicalType

_BATCH_ROWS: Final = 20_000


class _Reader(Source):
    """What a table, a query and a sink's table have in common. Opens the file for each look at it, and only to read."""

    def __init__(self, path: Path, named: str, wait: timedelta, contract: Contract | None) -> None:
        self._path = path
        self._named = named
        self._wait = wait
        self._contract = contract

    def describe(self) -> Schema:
        """The declared types, or those of a sample where none is declared, or those of the contract.

        Raises ConfigError SRC-173 (no such file), SRC-176 (no such table), SRC-177 (the query), FatalError SRC-175 (no
        SQLite file), TransientError SRC-174 (locked).
        """
        with self._looking() as connection:
            relation, declared = self._relation(connection)
            types = {name: logical_of(text) for name, text in declared.items()}
            unknown = [name for name, logical in types.items() if logical is None]
            sampled = query.sampled(connection, relation, unknown)
        return Schema(tuple(self._field(name, logical or sampled[name]) for name, logical in types.items()))

    def _field(self, name: str, found: LogicalType) -> Field:
        stated = self._contract.schema.get(name) if self._contract else None
        return Field(name, stated.type if stated else found)

    def scan(self, request: ScanRequest) -> Rows:
        """Batches; errors as ``describe``, and DataError SRC-178 for a bad value where the contract says fail."""
        if request.after is not None:
            raise InternalError("INT-900", "a sqlite source is read in full and was asked for a part")
        match request.upto:
            case {"v": 1}:
                pass
            case _:
                raise ConfigError("SRC-171", "a position was not written by this version of the sqlite source")
        whole = self.describe()
        schema = whole if request.columns is None else whole.select(request.columns)
        where = narrowed(request.predicate, whole) if request.predicate is not None else None
        return Batches(schema, lambda: self._chunks(schema, request.upto, where))

    def _chunks(self, schema: Schema, upto: Position, where: exp.Expr | None) -> Iterator[Chunk]:
        """All of it in one transaction: one consistent look."""
        policy: Policy = self._contract.on_bad_value if self._contract else "reject"
        convert = Converter(schema, to_array, policy, self._named, BAD_VALUE)
        with self._looking() as connection:
            connection.execute("BEGIN")
            self._check(connection, upto)
            relation, _ = self._relation(connection)
            cursor = run(connection, statements.select_from(relation, schema.names, where))
            first = 1
            while rows := cursor.fetchmany(_BATCH_ROWS):
                found = convert(rows, first)
                first += len(rows)
                yield Chunk(found.batch, upto, found.rejects)

    @contextmanager
    def _looking(self) -> Iterator[sqlite3.Connection]:
        with (
            reading(self._path.name),
            closing(open_for_reading(self._path, wait_s=self._wait.total_seconds())) as connection,
        ):
            yield connection

    def _relation(self, connection: sqlite3.Connection) -> tuple[exp.Table, dict[str, str]]:
        """The table, or the view that ``named`` finds, and its declared types by column."""
        found = catalog.find(connection, self._named)
        if found is None:
            there = catalog.names(connection)
            near = nearest(self._named, there)
            raise ConfigError(
                "SRC-176",
                f'there is no table "{self._named}" in "{self._path.name}"',
                detail=f"its tables are {', '.join(there[:20])}" if there else "it has no tables",
                hint=f'did you mean "{near}"?' if near else None,
                about=("table",),
            )
        return statements.table(found.name), catalog.declared_types(connection, found.name)

    def _check(self, connection: sqlite3.Connection, upto: Position) -> None:
        """Whether what is there now is what was planned."""

    def undivided(self) -> Undivided:
        """Two epochs would see two states of it."""
        return LIVE_TABLE


class SqliteSource(_Reader):
    """A table or a query as it stands when it is read. Position: ``{"v": 1}``, all rows there are: a live table cannot be
    read again as it was.
    """

    def __init__(self, params: SqliteSourceParams, context: Context) -> None:
        super().__init__(context.resolve(params.path), params.table or "query", params.lock_wait, context.contract)
        self._query = query.parsed(params.query) if params.query is not None else None

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        return {"v": 1}

    def _relation(self, connection: sqlite3.Connection) -> tuple[exp.Table, dict[str, str]]:
        if self._query is None:
            return super()._relation(connection)
        return query.as_view(connection, self._query), catalog.declared_types(connection, query.VIEW)


class SqliteTable(_Reader):
    """What a sink has committed. Position: ``{"v": 1, "version": N}``, the table after its Nth commit, which can be read
    until the next one.
    """

    def __init__(self, path: Path, table: str, wait: timedelta) -> None:
        super().__init__(path, table, wait, None)

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        with self._looking() as connection:
            return {"v": 1, "version": marker_tables.version(connection, self._named)}

    def _check(self, connection: sqlite3.Connection, upto: Position) -> None:
        """Raises DataError SRC-110."""
        version = marker_tables.version(connection, self._named)
        if version != upto.get("version"):
            detail = f"its version is now {version}, and only the newest can be read"
            raise DataError(
                "SRC-110",
                f'a version of "{self._named}" can no longer be read',
                detail=detail,
                hint="begin anew: `penstock run FILE --full-refresh`",
            )
