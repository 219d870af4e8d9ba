"""Reading a table, a view or a query: COPY in one snapshot, in parts, into pipes that the engine reads."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import LIVE_TABLE, Context, CsvFormat, Partition, Pipe, Source
from penstock.connectors.postgres.catalogue import columns_of_result, find_relation, relations
from penstock.connectors.postgres.copying import CopyPipes
from penstock.connectors.postgres.names import nearest_table, parse_name
from penstock.connectors.postgres.pool import Connections
from penstock.connectors.postgres.predicates import Predicates
from penstock.connectors.postgres.ranges import by_key, by_place
from penstock.connectors.postgres.reading import Rendering, logical_of
from penstock.connectors.queried import query_text, told_apart
from penstock.errors import ConfigError, InternalError, nearest
from penstock.types import Field, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg
    from psycopg import sql
    from sqlglot import exp

    from penstock.connectors.api import Position, ScanRequest, Undivided
    from penstock.connectors.postgres.catalogue import PgColumn, Relation
    from penstock.connectors.postgres.params import PostgresSourceParams
    from penstock.types import LogicalType

# A row whose only column is null would be an empty line, which readers skip; so null is never an empty text.
_NULL: Final = "\\N"
FORMAT: Final = CsvFormat(
    delimiter=",", quote='"', escape='"', header=False, null_values=(_NULL,), quoted_nulls=False, compression="none"
)


class PostgresSource(Source):
    """A live table, view or query: read in full, in one snapshot that is taken when the rows are.

    Position: ``{"v": 1, "snapshot": "xmin:xmax:xip", "database": "…"}``, where the server stood when it was asked. A later scan sees a later state: the rows cannot be read again as they were (no Capability.REPLAYABLE).
    """

    def __init__(
        self, params: PostgresSourceParams, context: Context, *, connections: Connections | None = None
    ) -> None:
        self._params = params
        self._contract = context.contract.schema if context.contract else None
        self._bad_values = context.contract.on_bad_value if context.contract else params.on_bad_value
        self._owns_connections = connections is None
        self._connections = connections or Connections(params.connection, "SRC", context.clock, context.wards)

    # ------------------------------------------------------------ what it is

    def describe(self) -> Schema:
        """Columns in the table's or query's order. Raises ConfigError SRC-112, SRC-203, SRC-204 and what connecting
        raises.
        """
        self.__dict__.pop("_read", None)
        return self._read.schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- there is one
        """The server's snapshot now."""
        with self._connections.connection("asking for its position") as connection:
            row = connection.execute("SELECT pg_catalog.pg_current_snapshot()::text, current_database()").fetchone()
        snapshot, database = row or ("", "")
        return {"v": 1, "snapshot": snapshot, "database": database}

    def takes(self, predicate: exp.Expr) -> bool:
        """Comparisons with constants that mean the same in both dialects; see ``predicates``."""
        return self._read.predicates.takes(predicate)

    def scan(self, request: ScanRequest) -> Pipe:
        """All rows as they are when the pipe is opened, in one snapshot."""
        if request.after is not None:
            raise InternalError("INT-900", "a postgres source is read in full and was asked for a part")
        return self._pipe(request, None)

    def undivided(self) -> Undivided:
        """Two epochs would see two states of it."""
        return LIVE_TABLE

    def close(self) -> None:
        if self._owns_connections:
            self._connections.close()

    # ------------------------------------------------------------ how it is read

    @cached_property
    def _read(self) -> _Read:
        with self._connections.transaction("describing the source") as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            if self._params.table is not None:
                return self._of_table(connection, self._params.table)
            return self._of_query(connection)

    def _of_table(self, connection: psycopg.Connection, text: str) -> _Read:
        wanted = parse_name(text, "SRC")
        relation = find_relation(connection, wanted)
        if relation is None:
            near = nearest_table(wanted, relations(connection))
            raise ConfigError(
                "SRC-203",
                f'there is no table or view "{text}"',
                detail=f"it was looked for on {self._connections.place.name}; names are taken as they are written",
                hint=f'did you mean "{near}"?' if near else None,
                about=("table",),
            )
        return self._described(relation.columns, relation.identifier(), relation)

    def _of_query(self, connection: psycopg.Connection) -> _Read:
        """The statement is prepared, which a text of several statements does not survive."""
        from psycopg import sql

        text = query_text(self._params.query)
        rows = sql.SQL("(\n{}\n) AS _query").format(_trusted(text))
        cursor = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(rows), prepare=True)
        return self._described(columns_of_result(connection, cursor), rows, None)

    def _described(self, columns: Sequence[PgColumn], rows: sql.Composable, relation: Relation | None) -> _Read:
        wanted = self._contract
        typed = [
            (column, logical_of(column, wanted[column.name].type if wanted and column.name in wanted else None))
            for column in columns
        ]
        return _Read(tuple(typed), rows, relation)

    def _pipe(self, request: ScanRequest, check: Callable[[psycopg.Connection], None] | None) -> Pipe:
        from psycopg import sql

        read = self._read
        names = request.columns or read.schema.names[: None if request.columns is None else 1]
        schema = read.schema.select(names)
        rendering = Rendering(self._bad_values)
        columns = [next(item for item in read.columns if item[0].name == name) for name in schema.names]
        parts = self._rows(read, request.predicate)
        # A row whose only column is empty text would be an empty line, which readers skip.
        quoting = sql.SQL(", FORCE_QUOTE *" if len(schema) == 1 else "")
        form = sql.SQL("(FORMAT csv, NULL {}, ENCODING 'UTF8'{})").format(sql.Literal(_NULL), quoting)
        checked = _copies([rendering.column(*item) for item in columns], parts, form)
        plain = [value for item in columns if (value := rendering.unchecked(*item)) is not None]
        if len(plain) < len(columns):
            copies = CopyPipes(self._connections, checked, check=check)
            return Pipe(FORMAT, schema, copies.open, copies.finish, copied=copies.copied)
        unchecked = _copies(plain, parts, sql.SQL("(FORMAT text, ENCODING 'UTF8')"))
        copies = CopyPipes(self._connections, checked, unchecked=unchecked, check=check)
        return Pipe(FORMAT, schema, copies.open, copies.finish, copies.open_unchecked, copies.copied)

    def _rows(self, read: _Read, predicate: exp.Expr | None) -> list[sql.Composable]:
        """What stands after FROM, once per part."""
        from psycopg import sql

        condition = read.predicates.text(predicate) if predicate is not None else None
        chosen: list[sql.Composable] = [sql.SQL("({})").format(_trusted(condition))] if condition else []
        found: list[sql.Composable] = []
        for part in self._parts(read):
            kept = [*chosen, part] if part is not None else chosen
            where = sql.SQL(" WHERE {}").format(sql.SQL(" AND ").join(kept)) if kept else sql.SQL("")
            found.append(sql.SQL("{}{}").format(read.rows, where))
        return found

    def _parts(self, read: _Read) -> list[sql.Composable | None]:
        with self._connections.connection("dividing the read") as connection:
            if self._params.split_by is not None:
                column = read.column(self._params.split_by)
                return by_key(connection, read.rows, column, self._params.parallel)
            if read.relation is not None:
                return by_place(read.relation, self._params.parallel, connection.info.server_version)
        return [None]


def _copies(
    values: Sequence[sql.Composable], parts: Sequence[sql.Composable], form: sql.Composable
) -> list[sql.Composable]:
    from psycopg import sql

    items = sql.SQL(", ").join(values)
    return [sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT {}").format(items, rows, form) for rows in parts]


class _Read:
    """A described source: its columns with their types, what stands after FROM, and the relation if it is one."""

    def __init__(
        self, columns: tuple[tuple[PgColumn, LogicalType], ...], rows: sql.Composable, relation: Relation | None
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.relation = relation
        self.schema = _schema(columns)
        self.predicates = Predicates(columns)

    def column(self, name: str) -> PgColumn:
        for column, _ in self.columns:
            if column.name == name:
                return column
        near = nearest(name, self.schema.names)
        raise ConfigError(
            "SRC-209",
            f'the column "{name}", named in split_by, is not there',
            hint=f'did you mean "{near}"?' if near else None,
        )


def _schema(columns: tuple[tuple[PgColumn, LogicalType], ...]) -> Schema:
    return told_apart(Schema(tuple(Field(column.name, logical, column.nullable) for column, logical in columns)))


def _trusted(text: str) -> sql.SQL:
    """Text that is SQL already: the author's own SELECT, or what SQLGlot printed from a tree."""
    from psycopg import sql

    return sql.SQL(text)
