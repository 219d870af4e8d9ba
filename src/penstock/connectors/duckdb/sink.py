"""Writing a table of a DuckDB file: rows, marker and the table's version in one transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors import marker_tables
from penstock.connectors.api import Preparation, Receipt, Sink, WriteMode
from penstock.connectors.arrow_staging import ArrowWriter, AsItComes, StagedRows, StagingFolder
from penstock.connectors.commits import compare, is_committed, policy_of, refuse_empty
from penstock.connectors.duckdb import catalog, statements
from penstock.connectors.duckdb.driver import is_there, make_file, opened, transaction, writing
from penstock.connectors.duckdb.rebuilding import rebuild
from penstock.errors import ConfigError, DataError
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlglot import exp

    from penstock.connectors.api import Context, Epoch, EpochMarker, SinkId, Source, Staged
    from penstock.connectors.duckdb.driver import Opened
    from penstock.connectors.duckdb.params import DuckdbSinkParams
    from penstock.types import Schema

# The boundaries that the sink passes, in order; Context.reached is told each.
CRASH_POINTS: Final = ("duckdb.staged", "duckdb.rows_written", "duckdb.marked", "duckdb.committed")


class DuckdbSink(Sink):
    """One table of one file; several sinks may share the file, each with transactions of its own."""

    def __init__(self, params: DuckdbSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._path: Path = context.resolve(params.path)
        self._staging = StagingFolder(context.scratch, "duckdb", full="SNK-323", failed="SNK-324")
        self._attempts: set[str] = set()
        self._prepared: Schema | None = None

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        """Raises ConfigError SNK-328 where the table is a view."""
        return None if self._context.refreshes else self._standing()

    def _standing(self) -> Schema | None:
        if not is_there(self._path):
            return None
        with writing(self._params.path), self._opened(only_reads=True) as connection:
            return self._describe(connection)

    def _describe(self, connection: Opened) -> Schema | None:
        found = catalog.find(connection, self._params.table)
        if found is None:
            return None
        if found.is_view:
            raise ConfigError(
                "SNK-328", f'"{self._params.table}" of "{self._params.path}" is a view, not a table', about=("table",)
            )
        return catalog.schema_of(catalog.types(connection, found.name))

    def preview(self, schema: Schema) -> Preparation:
        return self._change(self._standing(), schema)

    def _change(self, target: Schema | None, schema: Schema) -> Preparation:
        order_by = self._params.order_by
        return compare(
            target,
            schema,
            policy=policy_of(self._params, self._context),
            needed=(*self._params.keys, *self._params.partition_by, *((order_by,) if order_by else ())),
            sink=self._context.name,
        )

    def prepare(self, schema: Schema) -> None:
        with writing(self._params.path):
            make_file(self._path)
            with self._opened() as connection, transaction(connection):
                change = self._change(self._describe(connection), schema)
                marker_tables.create(connection)
                if change.creates:
                    connection.run(statements.create(self._params.table, schema))
                for column in change.adds:
                    connection.run(statements.add_column(self._params.table, column))
                for _, column in change.widens:
                    connection.run(statements.widen_column(self._params.table, column))
        self._prepared = schema

    # ------------------------------------------------------------ writing

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        for path in self._staging.staged_of(sink_id):
            if path.name not in self._attempts:
                path.unlink(missing_ok=True)
        if not is_there(self._path):
            return None
        with writing(self._params.path), self._opened() as connection:
            return marker_tables.read(connection, sink_id)

    def missing(self) -> str | None:
        with writing(self._params.path):
            if is_there(self._path):
                with self._opened(only_reads=True) as connection:
                    if catalog.find(connection, self._params.table):
                        return None
        return f'the table "{self._params.table}" of "{self._params.path}"'

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        if not is_there(self._path):
            return frozenset()
        with writing(self._params.path), self._opened(only_reads=True) as connection:
            return marker_tables.incarnations(connection, sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> ArrowWriter:
        """Raises FatalError SNK-120 where a newer runner has opened a writer for this sink."""
        with writing(self._params.path):
            make_file(self._path)
            with self._opened() as connection, transaction(connection):
                marker_tables.create(connection)
                if marker_tables.newest(connection, epoch) != epoch.fence:
                    marker_tables.raise_fence(connection, epoch)
        path = self._staging.attempt_file(epoch)
        self._attempts.add(path.name)
        return ArrowWriter(self._staging, path, schema, partial(self._context.reached, "duckdb.staged"), AsItComes())

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Also raises DataError SNK-114 (an empty input would overwrite), SNK-325 (a constraint of the table), SNK-329 (a
        key is null or comes twice), SNK-330 (several rows of the table have a key).
        """
        parts = [StagedRows.of(item, epoch) for item in staged]
        with writing(self._params.path), self._opened() as connection:
            with transaction(connection):
                receipt = self._commit(connection, epoch, parts=parts, size=sum(item.bytes for item in staged))
            self._context.reached("duckdb.committed")
        for part in parts:
            part.path.unlink(missing_ok=True)
        return receipt

    def _commit(self, connection: Opened, epoch: Epoch, *, parts: Sequence[StagedRows], size: int) -> Receipt:
        marker_tables.create(connection)
        marker = marker_tables.read(connection, epoch.sink_id)
        if is_committed(marker, epoch, newest=marker_tables.newest(connection, epoch)) and marker and marker.receipt:
            return marker.receipt
        rows = sum(part.rows for part in parts)
        refuse_empty(self._params.mode, rows, allow_empty=self._params.allow_empty, sink=epoch.sink_id.sink)
        counts = self._write(connection, parts, rows)
        self._context.reached("duckdb.rows_written")
        version = marker_tables.next_version(connection, self._params.table)
        receipt = replace(counts, rows=rows, bytes=size, version=str(version))
        marker_tables.write(connection, epoch, receipt)
        self._context.reached("duckdb.marked")
        return receipt

    def _write(self, connection: Opened, parts: Sequence[StagedRows], rows: int) -> Receipt:
        table = self._params.table
        match self._params.mode:
            case WriteMode.APPEND:
                _insert(connection, parts, table)
                return Receipt(rows, inserted=rows)
            case WriteMode.OVERWRITE:
                there = catalog.find(connection, table)
                (deleted,) = connection.row(statements.delete_all(table)) if there else (0,)
                columns = self._prepared or next((part.schema for part in parts), None)
                if columns and self._change(self._describe(connection), columns).replaces:
                    rebuild(connection, table, columns)
                _insert(connection, parts, table)
                return Receipt(rows, inserted=rows, deleted=deleted)
            case WriteMode.OVERWRITE_PARTITIONS:
                return self._replace_partitions(connection, parts, rows)
            case WriteMode.MERGE:
                return self._merge(connection, parts, rows)
            case _:
                assert_never(self._params.mode)

    def _replace_partitions(self, connection: Opened, parts: Sequence[StagedRows], rows: int) -> Receipt:
        if not rows:
            return Receipt(0, inserted=0)
        table = self._params.table
        _stage(connection, parts)
        (deleted,) = connection.row(statements.delete_partitions(table, self._params.partition_by))
        connection.run(statements.insert(table, parts[0].schema.names, statements.STAGE))
        return Receipt(rows, inserted=rows, deleted=deleted)

    def _merge(self, connection: Opened, parts: Sequence[StagedRows], rows: int) -> Receipt:
        if not rows:
            return Receipt(0, inserted=0)
        table, keys, order_by = self._params.table, self._params.keys, self._params.order_by
        names = parts[0].schema.names
        merge = statements.merge_into(
            table, keys, values=[name for name in names if name not in keys], order_by=order_by
        )
        _stage(connection, parts)
        self._check_keys(connection, merge.count_bad_keys())
        matched, older, unchanged = connection.row(merge.count(merge.matches()))
        if merge.values:
            connection.run(merge.update())
        connection.run(merge.insert(names))
        return Receipt(
            rows,
            inserted=rows - matched,
            updated=matched - older - unchanged,
            unchanged=unchanged,
            ignored_older=older,
        )

    def _check_keys(self, connection: Opened, bad_keys: exp.Select) -> None:
        table, named = self._params.table, ", ".join(self._params.keys)
        nulls, repeated = connection.row(bad_keys)
        if nulls or repeated:
            raise DataError(
                "SNK-329",
                f'rows for "{table}" are not told apart by {named}',
                detail=f"{nulls} have a null key, {repeated} repeat one",
            )
        (several,) = connection.row(statements.count_repeated_keys(table, self._params.keys))
        if several:
            raise DataError(
                "SNK-330",
                f'rows that are in "{table}" are not told apart by {named}',
                detail=f"{several} of the keys that came stand in several of them",
            )

    # ------------------------------------------------------------ reading, and the connection

    def table(self) -> Source:
        from penstock.connectors.duckdb.source import DuckdbTable

        return DuckdbTable(self._path, self._params.table, self._params.lock_wait, self._context)

    def _opened(self, *, only_reads: bool = False) -> AbstractContextManager[Opened]:
        return opened(self._path, self._context, self._params.lock_wait, only_reads=only_reads)


def _stage(connection: Opened, parts: Sequence[StagedRows]) -> None:
    """All rows in a table of the connection's own; there must be some."""
    connection.run(statements.create_stage(parts[0].schema))
    _insert(connection, parts, statements.STAGE)


def _insert(connection: Opened, parts: Sequence[StagedRows], table: str) -> None:
    for part in parts:
        if part.rows:
            with connection.arriving(statements.ARRIVING, part.stream()):
                connection.run(statements.insert(table, part.schema.names, statements.ARRIVING))
