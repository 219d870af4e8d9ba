"""Writing a table of a SQLite file: rows, marker and the table's version in one transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors import marker_tables
from penstock.connectors.api import Preparation, Receipt, Sink, WriteMode
from penstock.connectors.arrow_staging import ArrowWriter, StagedRows, StagingFolder
from penstock.connectors.commits import compare, is_committed, policy_of, refuse_empty
from penstock.connectors.sqlite import catalog, statements
from penstock.connectors.sqlite.affinity import is_ordered, objection
from penstock.connectors.sqlite.driver import is_there, most_columns, open_for_writing, run, transaction, writing
from penstock.connectors.sqlite.names import key_index
from penstock.connectors.sqlite.rebuilding import rebuild
from penstock.connectors.sqlite.storing import Storing, values_of
from penstock.errors import ConfigError, DataError, InternalError
from penstock.structs import replace

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.api import Context, Epoch, EpochMarker, SinkId, Source, Staged
    from penstock.connectors.merge_statements import Merge
    from penstock.connectors.sqlite.params import SqliteSinkParams
    from penstock.types import Schema

# The boundaries that the sink passes, in order; Context.reached is told each.
CRASH_POINTS: Final = ("sqlite.staged", "sqlite.rows_written", "sqlite.marked", "sqlite.committed")
_BATCH_ROWS: Final = 20_000


class SqliteSink(Sink):
    """One table of one file; several sinks may share the file, each with transactions of its own."""

    def __init__(self, params: SqliteSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._path: Path = context.resolve(params.path)
        self._open: sqlite3.Connection | None = None
        self._staging = StagingFolder(context.scratch, "sqlite", full="SNK-173", failed="SNK-174")
        self._attempts: set[str] = set()
        self._prepared: Schema | None = None

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        """Raises ConfigError SNK-178 where the table is a view."""
        return None if self._context.refreshes else self._standing()

    def _standing(self) -> Schema | None:
        if not is_there(self._path):
            return None
        with writing(self._params.path):
            return self._describe(self._connection())

    def _describe(self, connection: sqlite3.Connection) -> Schema | None:
        found = catalog.find(connection, self._params.table)
        if found is None:
            return None
        if found.is_view:
            raise ConfigError(
                "SNK-178", f'"{self._params.table}" of "{self._params.path}" is a view, not a table', about=("table",)
            )
        return catalog.stored_schema(connection, found.name)

    def preview(self, schema: Schema) -> Preparation:
        """Also raises ConfigError SNK-179: SQLite does not order the values of order_by as their type does."""
        return self._change(self._standing(), schema)

    def _change(self, target: Schema | None, schema: Schema) -> Preparation:
        order_by = self._params.order_by
        change = compare(
            target,
            schema,
            policy=policy_of(self._params, self._context),
            needed=(*self._params.keys, *((order_by,) if order_by else ())),
            objection=objection,
            fixed="SQLite cannot change a column's type",
            most=most_columns(),
            sink=self._context.name,
        )
        if order_by and not is_ordered(schema[order_by].type):
            kept = f"it is {schema[order_by].type}, which is kept as text"
            raise ConfigError("SNK-179", f'rows cannot be ordered by "{order_by}" in SQLite', detail=kept)
        return change

    def prepare(self, schema: Schema) -> None:
        """Also raises ConfigError SNK-180: the table's rows are not told apart by the keys."""
        with writing(self._params.path):
            connection = self._connection()
            with transaction(connection):
                change = self._change(self._describe(connection), schema)
                marker_tables.create(connection)
                if change.creates:
                    run(connection, statements.create(self._params.table, schema))
                for column in change.adds:
                    run(connection, statements.add_column(self._params.table, column))
                if self._params.mode is WriteMode.MERGE:
                    self._index_keys(connection)
        self._prepared = schema

    def _index_keys(self, connection: sqlite3.Connection) -> None:
        import sqlite3

        table, keys = self._params.table, self._params.keys
        try:
            run(connection, statements.unique_index(table, key_index(table, keys), keys))
        except sqlite3.IntegrityError as error:
            named = ", ".join(keys)
            raise ConfigError(
                "SNK-180", f'rows that are in "{table}" are not told apart by {named}', detail=str(error)
            ) from None

    # ------------------------------------------------------------ writing

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        for path in self._staging.staged_of(sink_id):
            if path.name not in self._attempts:
                path.unlink(missing_ok=True)
        if not is_there(self._path):
            return None
        with writing(self._params.path):
            return marker_tables.read(self._connection(), sink_id)

    def missing(self) -> str | None:
        with writing(self._params.path):
            there = is_there(self._path) and catalog.find(self._connection(), self._params.table)
        return None if there else f'the table "{self._params.table}" of "{self._params.path}"'

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        if not is_there(self._path):
            return frozenset()
        with writing(self._params.path):
            return marker_tables.incarnations(self._connection(), sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> ArrowWriter:
        """Raises FatalError SNK-120 where a newer runner has opened a writer for this sink."""
        with writing(self._params.path):
            connection = self._connection()
            with transaction(connection):
                marker_tables.create(connection)
                if marker_tables.newest(connection, epoch) != epoch.fence:
                    marker_tables.raise_fence(connection, epoch)
        path = self._staging.attempt_file(epoch)
        self._attempts.add(path.name)
        told = partial(self._context.reached, "sqlite.staged")
        return ArrowWriter(self._staging, path, schema, told, Storing(schema, self._context.allowance))

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Also raises DataError SNK-114 (an empty input would overwrite), SNK-175 (a constraint of the table), SNK-181
        (a key is null or comes twice).
        """
        parts = [StagedRows.of(item, epoch) for item in staged]
        with writing(self._params.path):
            connection = self._connection()
            with transaction(connection):
                receipt = self._commit(connection, epoch, parts=parts, size=sum(item.bytes for item in staged))
            self._context.reached("sqlite.committed")
        for part in parts:
            part.path.unlink(missing_ok=True)
        return receipt

    def _commit(
        self, connection: sqlite3.Connection, epoch: Epoch, *, parts: Sequence[StagedRows], size: int
    ) -> Receipt:
        marker_tables.create(connection)
        marker = marker_tables.read(connection, epoch.sink_id)
        if is_committed(marker, epoch, newest=marker_tables.newest(connection, epoch)) and marker and marker.receipt:
            return marker.receipt
        rows = sum(part.rows for part in parts)
        refuse_empty(self._params.mode, rows, allow_empty=self._params.allow_empty, sink=epoch.sink_id.sink)
        counts = self._write(connection, parts, rows)
        self._context.reached("sqlite.rows_written")
        version = marker_tables.next_version(connection, self._params.table)
        receipt = replace(counts, rows=rows, bytes=size, version=str(version))
        marker_tables.write(connection, epoch, receipt)
        self._context.reached("sqlite.marked")
        return receipt

    def _write(self, connection: sqlite3.Connection, parts: Sequence[StagedRows], rows: int) -> Receipt:
        table = self._params.table
        match self._params.mode:
            case WriteMode.APPEND:
                self._insert(connection, parts, table)
                return Receipt(rows, inserted=rows)
            case WriteMode.OVERWRITE:
                there = catalog.find(connection, table)
                deleted = run(connection, statements.delete_all(table)).rowcount if there else 0
                columns = self._prepared or next((part.schema for part in parts), None)
                if columns and self._change(self._describe(connection), columns).replaces:
                    rebuild(connection, table, columns)
                self._insert(connection, parts, table)
                return Receipt(rows, inserted=rows, deleted=deleted)
            case WriteMode.MERGE:
                return self._merge(connection, parts, rows)
            case WriteMode.OVERWRITE_PARTITIONS:
                raise InternalError("INT-900", "a sink of SQLite was made with overwrite_partitions, which it has not")
            case _:
                assert_never(self._params.mode)

    def _insert(
        self, connection: sqlite3.Connection, parts: Sequence[StagedRows], table: str, *, temporary: bool = False
    ) -> None:
        for part in parts:
            statement = statements.insert(table, part.schema.names, temporary=temporary)
            for columns in _values(part):
                connection.executemany(statement, zip(*columns, strict=True))

    def _merge(self, connection: sqlite3.Connection, parts: Sequence[StagedRows], rows: int) -> Receipt:
        if not rows:
            return Receipt(0, inserted=0)
        table, keys, order_by = self._params.table, self._params.keys, self._params.order_by
        schema = parts[0].schema
        values = [name for name in schema.names if name not in keys]
        connection.execute(statements.DROP_STAGE)
        run(connection, statements.create(statements.STAGE, schema, temporary=True))
        self._insert(connection, parts, statements.STAGE, temporary=True)
        merge = statements.merge_into(table, keys, values=values, order_by=order_by)
        self._check_keys(connection, merge)
        # The limit, of none, keeps SQLite from aggregating over the columns themselves, of which it takes 2,000 in all.
        matched, older, unchanged = run(connection, merge.count(merge.matches().limit(-1))).fetchone()
        if values:
            run(connection, merge.update())
        run(connection, merge.insert(schema.names))
        connection.execute(statements.DROP_STAGE)
        return Receipt(
            rows,
            inserted=rows - matched,
            updated=matched - older - unchanged,
            unchanged=unchanged,
            ignored_older=older,
        )

    def _check_keys(self, connection: sqlite3.Connection, merge: Merge) -> None:
        nulls, repeated = run(connection, merge.count_bad_keys()).fetchone()
        if nulls or repeated:
            raise DataError(
                "SNK-181",
                f'rows for "{self._params.table}" are not told apart by {", ".join(self._params.keys)}',
                detail=f"{nulls} have a null key, {repeated} repeat one",
            )

    # ------------------------------------------------------------ reading, and the connection

    def table(self) -> Source:
        from penstock.connectors.sqlite.source import SqliteTable

        return SqliteTable(self._path, self._params.table, self._params.lock_wait)

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = open_for_writing(self._path, wait_s=self._params.lock_wait.total_seconds())
        return self._open

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def _values(staged: StagedRows) -> Iterator[Sequence[Sequence[object]]]:
    """Columns of values for the driver, some rows at a time. Raises FatalError SNK-120 where the file is gone."""
    for batch in staged.stream() if staged.rows else ():
        for start in range(0, batch.num_rows, _BATCH_ROWS):
            part = batch.slice(start, _BATCH_ROWS)
            yield [values_of(column, kept.type) for column, kept in zip(part.columns, staged.schema, strict=True)]
