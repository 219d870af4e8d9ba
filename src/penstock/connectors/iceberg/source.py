"""Reading an Iceberg table: one snapshot, its files handed to the engine's own reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk, Files, ParquetFormat, Partition, Source
from penstock.connectors.iceberg.catalog import Catalog, brief
from penstock.connectors.iceberg.params import IcebergSourceParams
from penstock.connectors.iceberg.table import at_snapshot, at_time, newest
from penstock.connectors.lake.pieces import Pieces, counted, is_piece, of_series, reached
from penstock.errors import ConfigError
from penstock.registry import Capability, Descriptor
from penstock.types import List, Map, Struct
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlglot import exp

    from penstock.connectors.api import Context, Position, Rows, ScanRequest, Size
    from penstock.connectors.iceberg.table import Snapshot
    from penstock.connectors.lake.tables import DataFile
    from penstock.types import LogicalType, Schema

_FILE: Final = "file_index"  # DuckDB's virtual column, which a column of that name hides
_SNAPSHOT: Final = "snapshot"


class IcebergSource(Source):
    """A table at a snapshot, a time, or as it stands when ``latest`` is asked. Holds at most three opened snapshots.

    Position: that of ``lake.pieces``, its key ``snapshot``; null: of a table that never had rows.
    """

    def __init__(
        self,
        catalog: Catalog,
        table: str,
        context: Context,
        *,
        number: int | None = None,
        moment: datetime | None = None,
    ) -> None:
        """At most one of ``number``, of a snapshot, and ``moment``. ``catalog`` is closed with the source."""
        self._catalog = catalog
        self._table = table
        self._allowance = context.allowance
        self._number = number
        self._moment = moment
        self._open: Snapshot | None = None
        self._others: dict[int | None, Snapshot] = {}
        self._pieces = Pieces(_SNAPSHOT, self._at, _is_plain)

    def describe(self) -> Schema:
        """The columns of the snapshot that ``latest`` names. Raises ConfigError SRC-258 to SRC-265, TransientError
        SRC-263.
        """
        return self._reopen().schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        """The snapshot asked for, or the current one. Errors as ``describe``."""
        return {"v": 1, _SNAPSHOT: self._reopen().number}

    def cut(self, partition: Partition, after: Position | None, upto: Position, size: Size) -> Position:  # noqa: ARG002 -- as above
        """Behind some whole data files of the snapshot, with what deletes rows of them. Errors as ``scan``."""
        with of_series(is_piece(after)):
            snapshot = self._reached(upto)
            return self._pieces.cut(after, upto, size, lambda file: counted(snapshot, file))

    def undivided(self) -> None:
        """It is divided."""

    def takes(self, predicate: exp.Expr) -> bool:
        """A condition on columns by whose values the table is divided, made of comparisons and constants."""
        from penstock.connectors.lake import pruning

        snapshot = self._open or self._reopen()
        return pruning.decides(predicate, snapshot.partition_by) and not _scans(snapshot)

    def scan(self, request: ScanRequest) -> Rows:
        """The rows of snapshot ``upto``, or those that it has more than snapshot ``after``; of a piece those of its files.

        Files for the engine's reader; where names do not tell the columns, or files delete rows of others, batches of
        pyiceberg's own scan, which is slower. Raises ConfigError SRC-255, SRC-260, SRC-261, DataError SRC-110, SRC-254, SRC-266,
        SRC-370 (in the midst of a series).
        """
        with of_series(is_piece(request.after, request.upto)):
            snapshot = self._reached(request.upto)
            schema = snapshot.schema if request.columns is None else snapshot.schema.select(request.columns)
            chosen = self._pieces.chosen(request.after, request.upto)
            if _scans(snapshot):
                files = [file for file in snapshot.files if file.path in chosen]
                self._catalog.place.check(snapshot.root, snapshot.title, files)
                return _scanned(snapshot, schema, request.upto, chosen)
            return self._files(snapshot, schema, request.predicate, chosen)

    def _files(self, snapshot: Snapshot, schema: Schema, predicate: exp.Expr | None, chosen: frozenset[str]) -> Rows:
        from penstock.connectors.lake import pruning

        files = snapshot.files
        if predicate is not None:
            files = pruning.kept(snapshot, predicate, allowance=self._allowance)
        files = tuple(file for file in files if file.path in chosen)
        if not files:
            return Batches(schema, lambda: iter(()))
        paths = [str(path) for path in snapshot.local(files)]
        return Files(
            format=ParquetFormat(),
            paths=tuple(paths),
            schema=schema,
            union_by_name=True,
            field_ids={name: number for name, number in snapshot.field_ids.items() if name in schema},
            constants={path: _constants(file, schema) for path, file in zip(paths, files, strict=True)},
        )

    def close(self) -> None:
        self._open = None
        self._others.clear()
        self._catalog.close()

    def _reopen(self) -> Snapshot:
        """The snapshot of the document; without one the current one, looked up anew each time."""
        if self._number is not None:
            self._open = self._open or at_snapshot(self._catalog, self._table, self._number)
        elif self._moment is not None:
            self._open = self._open or at_time(self._catalog, self._table, self._moment)
        else:
            self._open = newest(self._catalog, self._table)
        if self._open is None:
            raise self._catalog.missing(self._table)
        return self._open

    def _reached(self, position: Position) -> Snapshot:
        """The snapshot of a position. Raises ConfigError SRC-255, SRC-260."""
        return self._at(reached(position, _SNAPSHOT).version)

    def _at(self, number: int | None) -> Snapshot:
        if self._open is not None and self._open.number == number:
            return self._open
        if number not in self._others:
            kept = list(self._others.items())[-1:]
            self._others = dict([*kept, (number, at_snapshot(self._catalog, self._table, number))])
        return self._others[number]


def _is_plain(snapshot: Snapshot) -> bool:
    return not _scans(snapshot)


def _scans(snapshot: Snapshot) -> bool:
    """Whether pyiceberg reads the table: the engine cannot, or would take a column for its own count of the files, by
    which it tells their partitions.
    """
    hidden = any(fold_case(name) == _FILE for name in snapshot.schema.names)
    return snapshot.needs_scan is not None or bool(hidden and snapshot.partition_by)


def _constants(file: DataFile, schema: Schema) -> Mapping[str, exp.Expr]:
    """The values of the partition columns that are read; the files need not hold them."""
    from penstock.connectors.lake.literals import value_of

    return {name: value_of(value, schema[name].type) for name, value in file.partition.items() if name in schema}


def _scanned(snapshot: Snapshot, schema: Schema, position: Position, paths: frozenset[str]) -> Batches:
    """What pyiceberg's own reader delivers of these files, one after another: it holds one in memory as a whole."""
    amiss = next((field.name for field in schema if _holds_structs_within(field.type)), None)
    if amiss is not None:
        raise ConfigError(
            "SRC-261",
            f'column "{amiss}" of {snapshot.title} cannot be read: the table has {snapshot.needs_scan}',
            detail="pyiceberg, which would read it, takes a list or map of structs that is null for an empty one",
            hint="leave the column out, or have the system that wrote the table compact it",
        )

    def batches() -> Iterator[Chunk]:
        from pyiceberg.expressions import AlwaysTrue
        from pyiceberg.io.pyarrow import ArrowScan

        from penstock.types.arrow import to_arrow

        handle, wanted = snapshot.handle, to_arrow(schema)
        chosen = snapshot.fields.select(*schema.names)
        scan = ArrowScan(handle.metadata, handle.io, chosen, AlwaysTrue())
        for task in snapshot.tasks_of(paths):
            try:
                for batch in scan.to_record_batches([task]):
                    yield Chunk(batch.select(wanted.names).cast(wanted), position)
            except (ValueError, NotImplementedError, OSError) as error:
                raise ConfigError("SRC-261", f"{snapshot.title} cannot be read", detail=brief(error)) from None

    return Batches(schema, batches)


def _holds_structs_within(logical: LogicalType, *, listed: bool = False) -> bool:
    """Whether a list or map of structs is somewhere in a type."""
    match logical:
        case List():
            return _holds_structs_within(logical.element, listed=True)
        case Map():
            return _holds_structs_within(logical.value, listed=True)
        case Struct():
            return listed or any(_holds_structs_within(part.type) for part in logical.fields)
        case _:
            return False


def make_source(params: IcebergSourceParams, context: Context) -> IcebergSource:
    """The source that a document describes."""
    catalog = Catalog.of(params.connection, context)
    return IcebergSource(catalog, params.table, context, number=params.snapshot, moment=params.as_of)


SOURCE: Final = Descriptor(
    name="iceberg",
    group="sources",
    summary="An Iceberg table of a SQL or REST catalog, on this machine or in an object store, as it stands or once stood.",
    params=IcebergSourceParams,
    make=make_source,
    example="type: iceberg\nconnection: {path: lake/catalog.db}\ntable: oil.prices\n",
    capabilities=frozenset(
        {
            Capability.REPLAYABLE,
            Capability.PROJECTION,
            Capability.FILTER,
            Capability.COLUMNAR,
            Capability.NATIVE,
            Capability.LOCAL,
            Capability.SNAPSHOT,
            Capability.TIME_TRAVEL,
            Capability.VERSIONS,
            Capability.DIVISIBLE,
        }
    ),
    extra="iceberg",
    notes=(
        "Conditions on columns by whose values the table is divided decide which files are read.",
        "A table with delete files, renamed columns or other files than Parquet is read by pyiceberg instead of the engine, slower.",
        "In a series of epochs the snapshot of its first epoch is read to the end; a data file is its smallest piece.",
        "An old snapshot can be read until it is expired.",
        "REST catalogs are tested against a small server of our own that speaks the protocol.",
        "Over Nessie only a table's newest snapshot can be read: it tells of no older one.",
        "Equality deletes are refused.",
        "A table in an object store is read by the credentials of `store`, not by those that a REST catalog hands out; its files are copied within `cache`.",
        "Tested on an S3 server and Azurite; Google Cloud Storage against no server.",
    ),
)
