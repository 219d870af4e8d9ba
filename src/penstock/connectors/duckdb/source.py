"""Reading a table or a view of a DuckDB file, and the table that a sink has written."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from sqlglot import exp

from penstock.connectors import marker_tables
from penstock.connectors.api import LIVE_TABLE, Batches, Chunk, Source
from penstock.connectors.duckdb import catalog, statements
from penstock.connectors.duckdb.driver import opened, reading
from penstock.errors import ConfigError, DataError, InternalError, nearest
from penstock.types.conform import conform

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta
    from pathlib import Path

    from penstock.connectors.api import Context, Partition, Position, Rows, ScanRequest, Undivided
    from penstock.connectors.duckdb.driver import Opened
    from penstock.connectors.duckdb.params import DuckdbSourceParams
    from penstock.types import Schema
    from penstock.types.duckdb import EngineType

_BATCH_ROWS: Final = 100_000
# What a predicate may consist of: the engine and the file answer alike, and no row makes either fail.
_ALLOWED: Final = (
    *(exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Neg, exp.Paren),
    *(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between, exp.Is, exp.Not, exp.And, exp.Or),
)
_TYPED: Final = (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ)


def _is_constant(node: exp.Expr) -> bool:
    """A day or a time without a zone, and the type around it."""
    if isinstance(node, exp.Cast):
        return isinstance(node.this, exp.Literal) and node.to.this in _TYPED
    return isinstance(node, exp.DataType) and isinstance(node.parent, exp.Cast)


class _Reader(Source):
    """What a table, a view and a sink's table have in common."""

    only_reads: ClassVar[bool] = True

    def __init__(self, path: Path, named: str, wait: timedelta, context: Context) -> None:
        self._path = path
        self._named = named
        self._wait = wait
        self._context = context

    def describe(self) -> Schema:
        """Raises ConfigError SRC-330 (no such file), SRC-338 (no such table), DOC-407 (a column's type), and as ``driver``."""
        with self._looking() as connection:
            _, types = self._relation(connection)
        return catalog.schema_of(types)

    def takes(self, predicate: exp.Expr) -> bool:
        return all(isinstance(node, _ALLOWED) or _is_constant(node) for node in predicate.walk())

    def scan(self, request: ScanRequest) -> Rows:
        """Batches; errors as ``describe``, and DataError SRC-337 for a value that no type here can take."""
        if request.after is not None:
            raise InternalError("INT-900", "a duckdb source is read in full and was asked for a part")
        match request.upto:
            case {"v": 1}:
                pass
            case _:
                raise ConfigError("SRC-171", "a position was not written by this version of the duckdb source")
        whole = self.describe()
        schema = whole if request.columns is None else whole.select(request.columns)
        return Batches(schema, lambda: self._chunks(schema, request))

    def _chunks(self, schema: Schema, request: ScanRequest) -> Iterator[Chunk]:
        """All of it in one transaction: one consistent look."""
        predicate = request.predicate if request.predicate is not None and self.takes(request.predicate) else None
        with self._looking() as connection:
            connection.execute("BEGIN TRANSACTION")
            self._check(connection, request.upto)
            name, types = self._relation(connection)
            query = statements.read(name, types, schema.names, predicate)
            for batch in connection.batches(query, _BATCH_ROWS):
                yield Chunk(conform(batch, schema), request.upto)

    @contextmanager
    def _looking(self) -> Iterator[Opened]:
        if not self._path.is_file():
            detail = "there is no such file"
            raise ConfigError("SRC-330", f'the DuckDB file "{self._path.name}" cannot be opened', detail=detail)
        with (
            reading(self._path.name),
            opened(self._path, self._context, self._wait, only_reads=self.only_reads) as connection,
        ):
            yield connection

    def _relation(self, connection: Opened) -> tuple[str, Mapping[str, EngineType]]:
        """The name of the table or view as it stands there, and its types by column."""
        found = catalog.find(connection, self._named)
        if found is None:
            there = catalog.names(connection)
            near = nearest(self._named, there)
            raise ConfigError(
                "SRC-338",
                f'there is no table "{self._named}" in "{self._path.name}"',
                detail=f"its tables are {', '.join(there[:20])}" if there else "it has no tables",
                hint=f'did you mean "{near}"?' if near else None,
                about=("table",),
            )
        return found.name, catalog.types(connection, found.name)

    def _check(self, connection: Opened, upto: Position) -> None:
        """Whether what is there now is what was planned."""

    def undivided(self) -> Undivided:
        """Two epochs would see two states of it."""
        return LIVE_TABLE


class DuckdbSource(_Reader):
    """A table as it stands when it is read. Position: ``{"v": 1}``, all rows there are: a live table cannot be read again
    as it was.
    """

    def __init__(self, params: DuckdbSourceParams, context: Context) -> None:
        super().__init__(context.resolve(params.path), params.table, params.lock_wait, context)

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        return {"v": 1}


class DuckdbTable(_Reader):
    """What a sink has committed. Position: ``{"v": 1, "version": N}``, the table after its Nth commit, which can be read
    until the next one.
    """

    only_reads = False  # other sinks of the run may write to the file meanwhile

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        with self._looking() as connection:
            return {"v": 1, "version": marker_tables.version(connection, self._named)}

    def _check(self, connection: Opened, upto: Position) -> None:
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
