"""Reading a table, a view or a query of any database that SQLAlchemy knows: rows as its driver streams them, as Arrow."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import LIVE_TABLE, Batches, Chunk, Source
from penstock.connectors.driver_rows import Converter
from penstock.connectors.queried import query_text, told_apart
from penstock.connectors.sqlalchemy.columns import column_of
from penstock.connectors.sqlalchemy.driver import Database
from penstock.connectors.sqlalchemy.names import parse_name
from penstock.connectors.sqlalchemy.predicates import Predicates
from penstock.connectors.sqlalchemy.querying import as_table
from penstock.connectors.sqlalchemy.samples import SAMPLE_ROWS, columns_of
from penstock.connectors.sqlalchemy.values import BAD_VALUE, to_array
from penstock.errors import ConfigError, InternalError, TransientError, nearest
from penstock.structs import Frozen
from penstock.types import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from penstock.connectors.api import Context, Partition, Position, ScanRequest, Undivided
    from penstock.connectors.driver_rows import Policy
    from penstock.connectors.sqlalchemy.columns import Column
    from penstock.connectors.sqlalchemy.names import TableName
    from penstock.connectors.sqlalchemy.params import SqlalchemySourceParams
    from penstock.types import LogicalType

# A batch is about so many bytes: rows of a megabyte come one by one, narrow ones by thousands.
_BATCH_BYTES: Final = 16 * 1024 * 1024
_FIRST_ROWS: Final = 100
_MOST_ROWS: Final = 20_000


class _Read(Frozen):
    """A described source: its columns, what stands after FROM, and the conditions that the database applies."""

    columns: tuple[Column, ...]
    rows: sa.FromClause
    schema: Schema
    predicates: Predicates


class SqlalchemySource(Source):
    """A live table, view or query: read in full, within one transaction.

    Position: ``{"v": 1, "at": "…"}``, the time here when it was asked. A later scan sees a later state: the rows cannot be
    read again as they were (no Capability.REPLAYABLE).
    """

    def __init__(self, params: SqlalchemySourceParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._contract = context.contract.schema if context.contract else None
        self._policy: Policy = context.contract.on_bad_value if context.contract else params.on_bad_value
        self._made: Database | None = None

    def describe(self) -> Schema:
        """Columns in the table's or query's order; of a query the first rows are read. Raises ConfigError SRC-112, SRC-383,
        SRC-385, SRC-389, and what connecting raises (``driver``).
        """
        self.__dict__.pop("_read", None)
        return self._read.schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        return {"v": 1, "at": self._context.clock.now().isoformat()}

    def takes(self, predicate: Any) -> bool:
        """Comparisons with constants that mean the same to every database; see ``predicates``."""
        return self._read.predicates.takes(predicate)

    def scan(self, request: ScanRequest) -> Batches:
        """All rows as they are when they are read. Raises ConfigError SRC-392 for a position of another form; reading them
        raises DataError SRC-387 for a bad value where the policy is fail, and TransientError SRC-388.
        """
        if request.after is not None:
            raise InternalError("INT-900", "a sqlalchemy source is read in full and was asked for a part")
        if request.upto.get("v") != 1:
            raise ConfigError("SRC-392", "a position was not written by this version of the sqlalchemy source")
        read = self._read
        names = request.columns or read.schema.names[: None if request.columns is None else 1]
        schema = read.schema.select(names)
        return Batches(schema, lambda: self._chunks(read, schema, request))

    def undivided(self) -> Undivided:
        """Two epochs would see two states of it."""
        return LIVE_TABLE

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    # ------------------------------------------------------------ rows

    def _chunks(self, read: _Read, schema: Schema, request: ScanRequest) -> Iterator[Chunk]:
        import sqlalchemy as sa

        by_name = {column.name: column for column in read.columns}
        asked = [by_name[name].asked(self._database.backend) for name in schema.names]
        statement = sa.select(*asked).select_from(read.rows)
        counting = sa.select(sa.func.count()).select_from(read.rows)
        condition = read.predicates.expression(request.predicate) if request.predicate is not None else None
        if condition is not None:
            statement, counting = statement.where(condition), counting.where(condition)
        convert = Converter(schema, to_array, self._policy, self._named, BAD_VALUE)
        taken = 0
        with self._database.transaction("reading rows") as connection:
            expected = self._counted(connection, counting)
            streaming = connection.execution_options(stream_results=True, max_row_buffer=_FIRST_ROWS)
            sizes, result = _Sizes(), None
            try:
                result = streaming.execute(statement)
                for rows in _pieces(result, sizes):
                    found = convert(rows, taken + 1)
                    taken += len(rows)
                    sizes.seen(len(rows), found.batch.nbytes)
                    yield Chunk(found.batch, request.upto, found.rejects)
            except BaseException:  # also GeneratorExit: whoever asked wants no more
                self._database.abandon(connection, result)
                raise
        if expected is not None and taken != expected:
            raise TransientError(
                "SRC-388",
                f'"{self._named}" gave {taken:,} rows, and the database counts {expected:,} in the same transaction',
                detail="the stream of rows ended before its end",
            )

    def _counted(self, connection: sa.Connection, counting: sa.Select[Any]) -> int | None:
        """Of a table, where the transaction sees one state throughout: a query might answer otherwise the second time."""
        if self._params.table is None or self._database.dialect.snapshot is None:
            return None
        return int(connection.execute(counting).scalar_one())

    # ------------------------------------------------------------ how it is read

    @property
    def _database(self) -> Database:
        if self._made is None:
            self._made = Database(self._params.connection, self._context.resolve)
        return self._made

    @property
    def _named(self) -> str:
        return self._params.table or "query"

    @cached_property
    def _read(self) -> _Read:
        with self._database.transaction("describing the source") as connection:
            columns, rows = self._of_table(connection) if self._params.table else self._of_query(connection)
        fields = tuple(Field(column.name, column.logical, column.nullable) for column in columns)
        return _Read(columns, rows, told_apart(Schema(fields)), Predicates(columns, self._database.dialect))

    def _of_table(self, connection: sa.Connection) -> tuple[tuple[Column, ...], sa.FromClause]:
        import sqlalchemy as sa
        from sqlalchemy import exc

        wanted = parse_name(self._params.table or "")
        look = sa.inspect(connection)
        try:
            with warnings.catch_warnings():  # of a type that it does not know, which has its own way here
                warnings.simplefilter("ignore", exc.SAWarning)
                described = look.get_columns(wanted.name, schema=wanted.schema)
        except exc.NoSuchTableError:
            described = []
        if not described:
            raise self._no_table(look, wanted)
        rows = sa.table(wanted.name, schema=wanted.schema)
        self._check_names(connection, rows, [str(item["name"]) for item in described])
        columns = tuple(
            column_of(
                str(item["name"]),
                item["type"],
                nullable=bool(item.get("nullable", True)),
                dialect=self._database.dialect,
                wanted=self._wanted(str(item["name"])),
                unknown_is_text=self._params.on_unknown_type == "text",
            )
            for item in described
        )
        return columns, rows

    def _check_names(self, connection: sa.Connection, rows: sa.FromClause, told: list[str]) -> None:
        """A dialect that does not understand how a table prints itself would leave out a column in silence."""
        import sqlalchemy as sa

        there = list(connection.execute(sa.select(sa.text("*")).select_from(rows).where(sa.false())).keys())
        if there != told:
            missing = [name for name in there if name not in told]
            raise ConfigError(
                "SRC-393",
                f'SQLAlchemy\'s dialect tells other columns of "{self._named}" than its rows have',
                detail=f"it does not know {', '.join(missing)}" if missing else None,
                hint="read them through a query that names the columns",
                about=("table",),
            )

    def _wanted(self, name: str) -> LogicalType | None:
        stated = self._contract.get(name) if self._contract else None
        return stated.type if stated else None

    def _no_table(self, look: Any, wanted: TableName) -> ConfigError:
        there = [*look.get_table_names(schema=wanted.schema), *look.get_view_names(schema=wanted.schema)]
        near = nearest(wanted.name, there)
        meant = f"{wanted.schema}.{near}" if near and wanted.schema else near
        return ConfigError(
            "SRC-383",
            f'there is no table or view "{wanted}"',
            detail=f"it was looked for in {self._database.name}",
            hint=f'did you mean "{meant}"?' if meant else None,
            about=("table",),
        )

    def _of_query(self, connection: sa.Connection) -> tuple[tuple[Column, ...], sa.FromClause]:
        import sqlalchemy as sa

        text = query_text(self._params.query)
        rows = as_table(text, self._database.backend, self._database.dialect)
        found = connection.execute(sa.select(sa.text("*")).select_from(rows).limit(SAMPLE_ROWS))
        return columns_of(list(found.keys()), [tuple(row) for row in found], self._contract), rows


class _Sizes:
    """How many rows make a batch, by those that came."""

    def __init__(self) -> None:
        self.rows = _FIRST_ROWS

    def seen(self, rows: int, size: int) -> None:
        fitting = rows * _BATCH_BYTES // max(1, size)
        self.rows = max(1, min(fitting, self.rows * 10, _MOST_ROWS))


def _pieces(result: sa.CursorResult[Any], sizes: _Sizes) -> Iterator[list[tuple[Any, ...]]]:
    while rows := result.fetchmany(sizes.rows):
        yield rows  # type: ignore[misc]  # rows are tuples of a kind
