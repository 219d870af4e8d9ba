"""Reading a Delta table: one version, its files handed to the engine's own reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk, Files, ParquetFormat, Partition, Source, Undivided
from penstock.connectors.delta.driver import opening
from penstock.connectors.delta.params import DeltaSourceParams
from penstock.connectors.delta.placing import place_of
from penstock.connectors.delta.table import at_time, at_version, missing, newest
from penstock.connectors.lake.pieces import Pieces, counted, foreign, is_piece, of_series, reached
from penstock.registry import Capability, Descriptor
from penstock.types.logical import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from sqlglot import exp

    from penstock.connectors.api import Allowance, Context, Position, Rows, ScanRequest, Size
    from penstock.connectors.delta.places import Place
    from penstock.connectors.delta.table import Snapshot
    from penstock.connectors.lake.tables import DataFile
    from penstock.types import Schema

_FILE: Final = "file_index"  # DuckDB's virtual column, which a column of that name hides
_VERSION: Final = "version"
_REWRITE: Final = "have the system that wrote the table rewrite it without them"


class DeltaSource(Source):
    """A table at a version, a time, or as it stands when ``latest`` is asked. Holds at most three opened versions.

    Position: that of ``lake.pieces``, its key ``version``.
    """

    def __init__(
        self, place: Place, *, allowance: Allowance, version: int | None = None, moment: datetime | None = None
    ) -> None:
        """``place`` is closed with the source; at most one of ``version`` and ``moment``."""
        self._place = place
        self._allowance = allowance
        self._version = version
        self._moment = moment
        self._open: Snapshot | None = None
        self._others: dict[int, Snapshot] = {}
        self._pieces = Pieces(_VERSION, self._at, _is_plain)

    def describe(self) -> Schema:
        """The columns of the version that ``latest`` names. Raises ConfigError SRC-250 to SRC-253, SRC-256."""
        return self._reopen().schema

    def latest(self, partition: Partition) -> Position:  # noqa: ARG002 -- a table has one
        """The version asked for, or the newest. Errors as ``describe``."""
        return {"v": 1, _VERSION: self._reopen().version}

    def cut(self, partition: Partition, after: Position | None, upto: Position, size: Size) -> Position:  # noqa: ARG002 -- as above
        """Behind some whole files of the version; nothing of one that deltalake reads is cut. Errors as ``scan``."""
        with of_series(is_piece(after)):
            snapshot = self._reached(upto)
            if after is None and _scans(snapshot):
                return upto
            return self._pieces.cut(after, upto, size, lambda file: counted(snapshot, file))

    def undivided(self) -> Undivided | None:
        """Where deltalake reads the table. Errors as ``describe``."""
        if not _scans(self._open or self._reopen()):
            return None
        return Undivided("the Delta library reads it, for its deletion vectors or mapped columns, in one go", _REWRITE)

    def takes(self, predicate: exp.Expr) -> bool:
        """A condition on partition columns alone, made of comparisons and constants; none where deltalake scans."""
        from penstock.connectors.lake import pruning

        snapshot = self._open or self._reopen()
        return pruning.decides(predicate, snapshot.partition_by) and not _scans(snapshot)

    def scan(self, request: ScanRequest) -> Rows:
        """The rows of version ``upto``, or those that it has more than version ``after``; of a piece those of its files.

        Files for the engine's reader; where the table uses deletion vectors or column mapping, batches of deltalake's
        own scan, which is slower. Raises ConfigError SRC-252, SRC-253, SRC-255, SRC-361 and DataError SRC-110, SRC-254, SRC-266,
        SRC-370 (in the midst of a series).
        """
        with of_series(is_piece(request.after, request.upto)):
            snapshot = self._reached(request.upto)
            schema = snapshot.schema if request.columns is None else snapshot.schema.select(request.columns)
            if request.after is None and _scans(snapshot):
                if is_piece(request.upto):
                    raise foreign(_VERSION)
                self._place.check_scanned(snapshot.title)
                snapshot.local(snapshot.files)
                return _scanned(snapshot, schema, request.upto)
            return self._files(snapshot, schema, request)

    def _files(self, snapshot: Snapshot, schema: Schema, request: ScanRequest) -> Rows:
        from penstock.connectors.lake import pruning

        files = (
            snapshot.files
            if request.predicate is None
            else pruning.kept(snapshot, request.predicate, allowance=self._allowance)
        )
        chosen = self._pieces.chosen(request.after, request.upto)
        files = tuple(file for file in files if file.path in chosen)
        if not files:
            return Batches(schema, lambda: iter(()))
        paths = [str(path) for path in snapshot.local(files)]
        return Files(
            format=ParquetFormat(),
            paths=tuple(paths),
            schema=schema,
            union_by_name=True,
            constants={path: _constants(file, schema) for path, file in zip(paths, files, strict=True)},
        )

    def close(self) -> None:
        self._open = None
        self._others.clear()
        self._place.close()

    def _reopen(self) -> Snapshot:
        """The version of the document; without one the newest, looked up anew each time."""
        if self._version is not None:
            self._open = self._open or at_version(self._place, self._version)
        elif self._moment is not None:
            self._open = self._open or at_time(self._place, self._moment)
        else:
            self._open = newest(self._place)
        if self._open is None:
            raise missing(self._place)
        return self._open

    def _reached(self, position: Position) -> Snapshot:
        """The version of a position. Raises ConfigError SRC-252, SRC-255."""
        return self._at(reached(position, _VERSION).version)

    def _at(self, version: int | None) -> Snapshot:
        if version is None:
            raise foreign(_VERSION)
        if self._open is not None and self._open.version == version:
            return self._open
        if version not in self._others:
            kept = list(self._others.items())[-1:]
            self._others = dict([*kept, (version, at_version(self._place, version))])
        return self._others[version]


def _is_plain(snapshot: Snapshot) -> bool:
    return not _scans(snapshot)


def _scans(snapshot: Snapshot) -> bool:
    """Whether deltalake reads the table: the engine cannot, or would take a column for its own count of the files, by
    which it tells their partitions.
    """
    hidden = any(fold_case(name) == _FILE for name in snapshot.schema.names)
    return snapshot.needs_scan or bool(hidden and snapshot.partition_by)


def _constants(file: DataFile, schema: Schema) -> Mapping[str, exp.Expr]:
    """The values of the partition columns that are read; the files do not hold them."""
    from penstock.connectors.lake.literals import value_of

    return {name: value_of(value, schema[name].type) for name, value in file.partition.items() if name in schema}


def _scanned(snapshot: Snapshot, schema: Schema, position: Position) -> Batches:
    """What deltalake's own reader delivers, which knows deletion vectors and column mapping."""

    def batches() -> Iterator[Chunk]:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow

        wanted = to_arrow(schema)
        with opening(snapshot.place.name):
            for batch in pa.RecordBatchReader.from_stream(snapshot.handle.scan(columns=list(schema.names))):
                yield Chunk(batch.select(wanted.names).cast(wanted), position)

    return Batches(schema, batches)


def make_source(params: DeltaSourceParams, context: Context) -> DeltaSource:
    """The source that a document describes."""
    return DeltaSource(
        place_of(params, context), allowance=context.allowance, version=params.version, moment=params.timestamp
    )


SOURCE: Final = Descriptor(
    name="delta",
    group="sources",
    summary="A Delta Lake table, on a local file system or in an object store, as it stands or as it once stood.",
    params=DeltaSourceParams,
    make=make_source,
    example="type: delta\npath: lake/prices\n",
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
    extra="delta",
    notes=(
        "Conditions on partition columns alone decide which files are read.",
        "A table that uses deletion vectors or column mapping is read by deltalake instead of the engine, slower; in an object store not at all.",
        "In a series of epochs the version of its first epoch is read to the end; a data file is its smallest piece, and a table that deltalake reads comes whole.",
        "An old version can be read until its files are vacuumed or its log entries are cleaned up.",
        "In an object store the log is read from its last checkpoint on, and files are copied within the connection's `cache`.",
        "Tested on an S3 server and Azurite; Google Cloud Storage against no server.",
    ),
)
