"""Writing an Iceberg table: append, overwrite, overwrite_partitions, merge, each epoch exactly once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Epoch, EpochMarker, ParquetFormat, Preparation, Sink, WriteMode
from penstock.connectors.commits import clearing_up, compare, evolved, is_committed, policy_of, refuse_empty
from penstock.connectors.iceberg.catalog import Catalog
from penstock.connectors.iceberg.layout import fence_in, incarnations_in, keys_of, mark_of
from penstock.connectors.iceberg.params import IcebergSinkParams
from penstock.connectors.iceberg.schema import field_ids, stored_schema, to_iceberg
from penstock.connectors.iceberg.scratch import SCRATCH
from penstock.connectors.iceberg.source import IcebergSource
from penstock.connectors.iceberg.staging import gone
from penstock.connectors.iceberg.table import newest
from penstock.connectors.lake.touching import touching
from penstock.errors import ConfigError, InternalError, TransientError
from penstock.registry import Capability, Descriptor
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema as IcebergSchema
    from pyiceberg.table import Table, Transaction

    from penstock.connectors.api import Context, Receipt, SinkId, Source, Staged, Writer
    from penstock.connectors.iceberg.changes import Try
    from penstock.connectors.iceberg.partitions import Division
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.connectors.iceberg.table import Snapshot
    from penstock.connectors.iceberg.writer import Part
    from penstock.types import Field, Schema

CRASH_POINTS: Final = (
    "iceberg.staged",
    "iceberg.claimed",
    "iceberg.computed",
    "iceberg.committing",
    "iceberg.committed",
)
_TRIES: Final = 25
_PAUSE_S: Final = 0.02
_ABOUT: Final = ("table",)


class IcebergSink(Sink):
    """One table. Nothing is created or changed in it before ``commit``: ``prepare`` only remembers and refuses."""

    def __init__(self, params: IcebergSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._catalog = Catalog.of(params.connection, context)
        self._form = ParquetFormat(compression=params.compression, version="v1")
        self._prepared: Schema | None = None

    def close(self) -> None:
        self._catalog.close()

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        table = None if self._context.refreshes else self._newest()
        return None if table is None else table.schema

    def preview(self, schema: Schema) -> Preparation:
        """Raises, beside the errors of the contract, ConfigError SNK-250, SNK-251, and as ``Catalog.find``."""
        return self._difference(self._newest(), schema)

    def prepare(self, schema: Schema) -> None:
        """Checks; the table is created or changed by the commit. Errors as ``preview``."""
        self._difference(self._newest(), schema)
        self._prepared = schema

    def _newest(self) -> Snapshot | None:
        return newest(self._catalog, self._params.table)

    def _touching(self) -> AbstractContextManager[None]:
        return touching(f'the Iceberg table "{self._params.table}"', _ABOUT)

    def _difference(self, table: Snapshot | None, schema: Schema) -> Preparation:
        from penstock.connectors.iceberg.features import check_writable

        params = self._params
        rows = stored_schema(schema)
        divisions = self._divisions(table)
        order_by = (params.order_by,) if params.order_by else ()
        by_column = {division.column: division for division in divisions}

        def objection(field: Field) -> str | None:
            division = by_column.get(field.name)
            if division is not None and not division.takes(field.type):
                return f"an Iceberg table cannot be divided by {division} of that type"
            return None

        change = compare(
            None if table is None else table.schema,
            rows,
            policy=policy_of(params, self._context),
            needed=(*params.keys, *order_by, *by_column),
            objection=objection,
            sink=self._context.name,
        )
        if table is not None:
            check_writable(table, params.mode, change, rows)
        return change

    def _divisions(self, table: Snapshot | None) -> tuple[Division, ...]:
        """As the table is divided, or shall be. Raises ConfigError SNK-250, SNK-251."""
        wanted = tuple(self._params.partition_by)
        found = wanted if table is None else table.divisions
        if wanted and wanted != found:
            raise ConfigError(
                "SNK-251",
                f'the table of sink "{self._context.name}" is not partitioned by {_shown(wanted)}',
                detail=f"it is partitioned by {_shown(found)}" if found else "it is not partitioned at all",
            )
        if self._params.mode is WriteMode.OVERWRITE_PARTITIONS and not found:
            raise ConfigError(
                "SNK-251",
                f'sink "{self._context.name}" overwrites partitions and has none',
                hint="state partition_by",
            )
        return found

    def _target(self, table: Snapshot | None, schema: Schema) -> tuple[Schema, Schema, Preparation]:
        """The columns of ``schema`` that are written, those of the table after the commit, and the change."""
        change = self._difference(table, schema)
        rows = schema.without(column.name for column in change.ignores)
        kept = evolved(None if table is None else table.schema, stored_schema(rows), change)
        if table is None or change.replaces:
            kept = kept.relaxed()
        return rows, kept, change

    # ------------------------------------------------------------ epochs

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """Removes what attempts that ended left behind. Raises as ``Catalog.find``, ConfigError SNK-260,
        TransientError SNK-257.
        """
        table = self._newest()
        if table is None:
            return None
        with self._touching():
            self._clear(sink_id)
        mark = mark_of(table.handle.metadata.properties, sink_id)
        return None if mark is None else mark.marker

    def _clear(self, sink_id: SinkId, upto: Epoch | None = None) -> None:
        """Remove what attempts left that no process holds and that cannot be committed any more."""
        table = self._newest()
        for attempt in self._catalog.place.left(table.root, sink_id, upto) if table is not None else ():
            attempt.remove(self._find)

    def _find(self) -> Table | None:
        return self._catalog.find(self._params.table)

    def missing(self) -> str | None:
        """Raises DataError SRC-254."""
        table = self._newest()
        if table is None:
            return None
        paths = list(table.entries)
        lost = self._catalog.place.lacking(table.root, paths)
        return f'{lost} of {len(paths)} files of the Iceberg table "{self._params.table}"' if lost else None

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        table = self._newest()
        return frozenset() if table is None else incarnations_in(table.handle.metadata.properties, sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> Writer:
        """Errors as ``preview``, ConfigError SNK-260, TransientError SNK-257."""
        from penstock.connectors.iceberg.writer import IcebergWriter

        table = self._newest()
        rows, target, _ = self._target(table, schema)
        self._prepared = schema
        form = ParquetFormat(compression="lz4", version="v1", bloom_filter=False)
        if self._params.mode is not WriteMode.MERGE and not self._divisions(table) and _fits(rows, target):
            form = replace(self._form.settled(rows), field_ids=field_ids(self._fields(table, target), rows.names))
        with self._touching():
            attempt = self._catalog.place.begin(self._home(table, target), epoch)
        return IcebergWriter(
            attempt,
            epoch,
            schema,
            form=form,
            touching=self._touching,
            find=self._find,
            reached=self._context.reached,
        )

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Data, marker and fence in one transaction.

        Raises FatalError SNK-120, SNK-258, DataError SNK-114, SNK-252 to SNK-254, TransientError SNK-255 to SNK-257,
        and as ``preview`` where the table has changed since.
        """
        from penstock.connectors.iceberg.writer import Part

        parts = [Part.from_payload(one.payload) for one in staged]
        table = self._newest()
        done = self._receipt(table, epoch)
        if done is not None:
            self._discard(table, epoch, parts)
            return done
        params = self._params
        refuse_empty(
            params.mode, sum(one.rows for one in staged), allow_empty=params.allow_empty, sink=self._context.name
        )
        with ExitStack() as held, self._touching():
            home = self._home(table, self._target(table, self._schema_of(parts))[1])
            attempts = [self._claim(held, home, epoch, part) for part in parts]
            self._context.reached("iceberg.claimed")
            return self._commit(epoch, list(zip(attempts, parts, strict=True)))

    def _commit(self, epoch: Epoch, staged: list[tuple[Attempt, Part]]) -> Receipt:
        """Try until nobody is in the way; all attempts are held."""
        for number in range(_TRIES):
            table = self._newest()
            overtaken = self._receipt(table, epoch)
            if overtaken is not None:
                for attempt, _ in staged:
                    with clearing_up():
                        attempt.remove(self._find)
                return overtaken
            done = self._once(table, epoch, staged, number)
            if done is not None:
                return done
            self._context.clock.sleep(_PAUSE_S * min(number, 5))
        raise TransientError(
            "SNK-255",
            f'other writers were in the way of sink "{self._context.name}" {_TRIES} times',
            detail=f'they commit to the Iceberg table "{self._params.table}"',
        )

    def _once(
        self, table: Snapshot | None, epoch: Epoch, staged: list[tuple[Attempt, Part]], number: int
    ) -> Receipt | None:
        """One compare-and-swap; None where another writer was first."""
        from penstock.connectors.iceberg.commit import swap

        transaction, this = self._try(table, staged, number)
        change = this.compute()
        for attempt, _ in staged:
            attempt.commits(None if table is None else table.number)
        self._context.reached("iceberg.committing")
        done = swap(self._catalog, self._params.table, transaction, change, epoch=epoch, mode=self._params.mode)
        if done is None:
            return None
        self._context.reached("iceberg.committed")
        for attempt, _ in staged:
            with clearing_up():
                attempt.keep(change.kept)
        with clearing_up():
            self._clear(epoch.sink_id, epoch)
        return done

    def _try(self, table: Snapshot | None, staged: list[tuple[Attempt, Part]], number: int) -> tuple[Transaction, Try]:
        from penstock.connectors.iceberg.changes import Try
        from penstock.connectors.iceberg.evolving import redefine
        from penstock.connectors.iceberg.features import needs_rewriting
        from penstock.connectors.iceberg.files import Layout

        rows, target, preparation = self._target(table, self._schema_of([part for _, part in staged]))
        if table is None:
            fields = to_iceberg(target)
            home = self._catalog.home(self._params.table, fields, self._spec(None, fields))
            transaction: Transaction = self._catalog.begin(self._params.table, fields, self._spec(None, fields), home)
        else:
            transaction = table.handle.transaction()
            if preparation.adds or preparation.widens or preparation.replaces:
                redefine(transaction, target)
        metadata = transaction.table_metadata
        fields = metadata.schema()
        layout = Layout(target, fields, metadata.spec(), self._divisions(table), self._form.settled(rows))
        rewrites = table is not None and needs_rewriting(table, preparation)
        return transaction, Try(self._params, self._context, staged, table, rows, layout, number, rewrites=rewrites)

    def _fields(self, table: Snapshot | None, target: Schema) -> IcebergSchema:
        """The columns with their ids, as far as they can be known before the commit."""
        return to_iceberg(target) if table is None else table.fields

    def _spec(self, table: Snapshot | None, fields: IcebergSchema) -> PartitionSpec:
        from penstock.connectors.iceberg.features import spec_of

        return spec_of(self._divisions(table), fields)

    def _home(self, table: Snapshot | None, target: Schema) -> Path:
        """The table's folder, as it is or will be."""
        if table is not None:
            return table.root
        fields = to_iceberg(target)
        return self._catalog.folder_of(self._catalog.home(self._params.table, fields, self._spec(None, fields)))

    def _schema_of(self, parts: Sequence[Part]) -> Schema:
        schemas = {part.schema for part in parts} or ({self._prepared} if self._prepared else set())
        if len(schemas) != 1:
            raise InternalError("INT-900", f"a commit has rows of {len(schemas)} schemas and takes those of one")
        return next(iter(schemas))

    def _receipt(self, table: Snapshot | None, epoch: Epoch) -> Receipt | None:
        """The receipt of the epoch if it is committed. Raises FatalError SNK-120."""
        properties = {} if table is None else table.handle.metadata.properties
        mark = mark_of(properties, epoch.sink_id)
        newest = fence_in(properties, keys_of(epoch.sink_id))
        done = is_committed(None if mark is None else mark.marker, epoch, newest=newest)
        return mark.receipt if done and mark is not None else None

    def _claim(self, held: ExitStack, home: Path, epoch: Epoch, part: Part) -> Attempt:
        """Raises FatalError SNK-258."""
        attempt = self._catalog.place.claim(home, epoch.sink_id, part.folder)
        if attempt is None:
            raise gone(part.folder)
        held.callback(attempt.release)
        return attempt

    def _discard(self, table: Snapshot | None, epoch: Epoch, parts: Sequence[Part]) -> None:
        """Remove what was staged for an epoch that is committed already, as far as nobody holds it."""
        if table is None:
            return
        for part in parts:
            with clearing_up():
                attempt = self._catalog.place.claim(table.root, epoch.sink_id, part.folder)
                if attempt is not None:
                    attempt.remove(self._find)

    def table(self) -> Source:
        """The table as it stands; a recorded position is a snapshot of it."""
        catalog = Catalog.of(self._params.connection, self._context, own="read")
        return IcebergSource(catalog, self._params.table, self._context)


def _fits(rows: Schema, target: Schema) -> bool:
    """Whether the engine's files can be the table's."""
    return all(field.type == target[field.name].type for field in rows)


def _shown(divisions: Sequence[Division]) -> str:
    return ", ".join(map(str, divisions))


SINK: Final = Descriptor(
    name="iceberg",
    group="sinks",
    summary="An Iceberg table of a SQL or REST catalog, on this machine or in an object store, created where it is not there.",
    params=IcebergSinkParams,
    make=IcebergSink,
    example=(
        "type: iceberg\nfrom: prices\nconnection: {path: lake/catalog.db, warehouse: lake}\ntable: oil.prices\n"
        "mode: merge\nkeys: [crude, price_date]\npartition_by: [crude, {month: price_date}]\n"
    ),
    scratch=SCRATCH,
    capabilities=frozenset(
        {Capability.NATIVE, Capability.LOCAL, Capability.ATOMIC_COMMIT, Capability.READ_BACK, Capability.PARALLEL}
    ),
    modes=("append", "overwrite", "overwrite_partitions", "merge"),
    extra="iceberg",
    notes=(
        "Small and unsigned integers are kept as int, long or decimal(20,0), json as string; columns of type interval are refused.",
        "Partition transforms: a column as it is, year, month, day, hour, bucket, truncate; a table that is there keeps its own.",
        "Rows of a divided table are written a second time, one folder per partition, when they are committed.",
        "Every epoch makes a snapshot; old snapshots are for the table's maintenance to expire.",
        "Not written: tables of format version 3; by merge, tables with delete files or with files of several partitionings.",
        "REST catalogs are tested against a small server of our own that speaks the protocol.",
        "Over Nessie 0.99 a table has to exist: it creates none for pyiceberg 0.12.",
        "Iceberg names its files by absolute paths: a project with tables in it is not moved to another folder.",
        "A table in an object store is written by the credentials of `store`; files in Azure are named as abfss://.",
        "Tested on an S3 server and Azurite; Google Cloud Storage against no server.",
    ),
)
