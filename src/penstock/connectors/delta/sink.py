"""Writing a Delta table: append, overwrite, overwrite_partitions, merge, each epoch exactly once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Epoch, EpochMarker, ParquetFormat, Preparation, Sink, WriteMode
from penstock.connectors.commits import clearing_up, compare, evolved, is_committed, policy_of, refuse_empty
from penstock.connectors.delta import layout
from penstock.connectors.delta.commit import admit_zoneless, evolve, fence_of, keep_log, marker_of, swap
from penstock.connectors.delta.driver import touching
from penstock.connectors.delta.features import check_writable
from penstock.connectors.delta.log import incarnations
from penstock.connectors.delta.params import DeltaSinkParams
from penstock.connectors.delta.placing import place_of
from penstock.connectors.delta.schema import has_zoneless, stored_schema
from penstock.connectors.delta.source import DeltaSource
from penstock.connectors.delta.staging import gone
from penstock.connectors.delta.table import newest
from penstock.errors import ConfigError, FatalError, InternalError, TransientError
from penstock.registry import Capability, Descriptor
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Context, Receipt, SinkId, Source, Staged, Writer
    from penstock.connectors.delta.staging import Attempt
    from penstock.connectors.delta.table import Snapshot
    from penstock.connectors.delta.writer import Part, Shape
    from penstock.types import Field

CRASH_POINTS: Final = (
    *("delta.staged", "delta.claimed", "delta.evolved", "delta.computed", "delta.placed", "delta.committed"),
    "delta.durable",
)
_TRIES: Final = 25
_PAUSE_S: Final = 0.02


class DeltaSink(Sink):
    """One table. Nothing is created or changed before ``commit``: ``prepare`` only remembers and refuses."""

    def __init__(self, params: DeltaSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._place = place_of(params, context)
        self._form = ParquetFormat(compression=params.compression, version="v1")
        self._prepared: Schema | None = None

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        table = None if self._context.refreshes else newest(self._place)
        return None if table is None else table.schema

    def preview(self, schema: Schema) -> Preparation:
        """Raises, beside the errors of the contract, ConfigError SNK-250, SNK-251, SRC-251, SRC-253, SRC-256."""
        return self._difference(newest(self._place), schema)

    def prepare(self, schema: Schema) -> None:
        """Checks; the table is created or changed by the commit. Errors as ``preview``, ConfigError SNK-260."""
        with touching(self._place.shown):
            self._place.check_writable()
        self._difference(newest(self._place), schema)
        self._prepared = schema

    def _difference(self, table: Snapshot | None, schema: Schema) -> Preparation:
        params = self._params
        partition_by = self._partition_by(table)
        if table is not None:
            check_writable(table, params.mode)
        rows = stored_schema(schema)
        order_by = (params.order_by,) if params.order_by else ()

        def objection(field: Field) -> str | None:
            if field.name in partition_by and not layout.can_partition(field.type):
                return "a Delta table cannot be divided by values of that type"
            return None

        change = compare(
            None if table is None else table.schema,
            rows,
            policy=policy_of(params, self._context),
            needed=(*params.keys, *order_by, *partition_by),
            objection=objection,
            sink=self._context.name,
        )
        if set(rows.names) <= set(partition_by):
            raise ConfigError("SNK-251", f'sink "{self._context.name}" would have no column beside its partitions')
        return change

    def _partition_by(self, table: Snapshot | None) -> tuple[str, ...]:
        """As the table is partitioned, or shall be. Raises ConfigError SNK-251."""
        wanted = tuple(self._params.partition_by)
        found = wanted if table is None else table.partition_by
        if wanted and wanted != found:
            shown = ", ".join(found) or "not at all"
            raise ConfigError(
                "SNK-251",
                f'the table of sink "{self._context.name}" is not partitioned by {", ".join(wanted)}',
                detail=f"it is partitioned by {shown}" if found else "it is not partitioned at all",
            )
        if self._params.mode is WriteMode.OVERWRITE_PARTITIONS and not found:
            raise ConfigError(
                "SNK-251",
                f'sink "{self._context.name}" overwrites partitions and has none',
                hint="state partition_by",
            )
        return found

    def _shape(self, table: Snapshot | None, schema: Schema) -> tuple[Shape, Preparation]:
        """``schema`` without the columns that the policy leaves out. Errors as ``preview``."""
        from penstock.connectors.delta.writer import Shape

        change = self._difference(table, schema)
        rows = schema.without(column.name for column in change.ignores)
        kept = evolved(None if table is None else table.schema, stored_schema(rows), change)
        if table is None or change.replaces:
            kept = kept.relaxed()
        return Shape(self._params.mode, rows, kept, self._partition_by(table), self._form.settled(rows)), change

    # ------------------------------------------------------------ epochs

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """Removes what attempts that ended left behind. Raises ConfigError SRC-251, SNK-260, TransientError
        SNK-257.
        """
        with touching(self._place.shown):
            self._place.clear(sink_id)
        return marker_of(newest(self._place), sink_id)

    def missing(self) -> str | None:
        """Raises DataError SRC-254."""
        table = newest(self._place)
        paths = () if table is None else table.paths
        gone = self._place.lacking(paths)
        return f'{gone} of {len(paths)} files of the Delta table "{self._place.name}"' if gone else None

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        with touching(self._place.shown):
            return incarnations(self._place, sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> Writer:
        """Errors as ``preview``, ConfigError SNK-260, TransientError SNK-257."""
        from penstock.connectors.delta.writer import DeltaWriter

        shape, _ = self._shape(newest(self._place), schema)
        self._prepared = schema
        with touching(self._place.shown):
            attempt = self._place.begin(epoch)
        return DeltaWriter(attempt, shape, allowance=self._context.allowance, reached=self._context.reached)

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Data, marker and fence in one entry of the log.

        Raises FatalError SNK-120, SNK-258, SNK-259, DataError SNK-114, SNK-253, SNK-254, TransientError SNK-255 to
        SNK-257, and as ``preview`` where the table has changed since.
        """
        from penstock.connectors.delta.writer import Part

        parts = [Part.from_payload(one.payload) for one in staged]
        done = self._receipt(newest(self._place), epoch)
        if done is not None:
            self._discard(epoch, parts)
            return done
        params = self._params
        refuse_empty(
            params.mode, sum(one.rows for one in staged), allow_empty=params.allow_empty, sink=self._context.name
        )
        with ExitStack() as held, touching(self._place.shown):
            attempts = [self._claim(held, epoch, part) for part in parts]
            self._context.reached("delta.claimed")
            return self._commit(epoch, list(zip(attempts, parts, strict=True)))

    def _commit(self, epoch: Epoch, staged: list[tuple[Attempt, Part]]) -> Receipt:
        """Try until nobody is in the way; all attempts are held."""
        for number in range(_TRIES):
            table = newest(self._place)
            overtaken = self._receipt(table, epoch)
            done = overtaken or self._once(table, epoch, staged, number)
            if done is not None:
                for attempt, _ in staged:
                    with clearing_up():
                        # What was placed before another was first is in no log.
                        attempt.remove() if overtaken else attempt.finish()
                with clearing_up():
                    self._place.tidy(epoch)
                return done
            self._context.clock.sleep(_PAUSE_S * min(number, 5))
        raise TransientError(
            "SNK-255",
            f'other writers were in the way of sink "{self._context.name}" {_TRIES} times',
            detail=f'they commit to the Delta table "{self._place.name}"',
        )

    def _once(
        self, table: Snapshot | None, epoch: Epoch, staged: list[tuple[Attempt, Part]], number: int
    ) -> Receipt | None:
        """One compare-and-swap; None where another writer was first, or columns or a feature were added before it."""
        from penstock.connectors.delta.changes import Try

        reached = self._context.reached
        schema = self._schema_of([part for _, part in staged])
        shape, preparation = self._shape(table, schema)
        if table is not None and preparation.adds:
            adds = Schema(tuple(preparation.adds)).relaxed()
            evolve(table, adds, f'columns could not be added to the Delta table "{self._place.name}"')
            reached("delta.evolved")
            return None
        if table is not None and preparation.replaces and has_zoneless(shape.target) and not table.takes_zoneless:
            admit_zoneless(table, f'the Delta table "{self._place.name}" could not be given the feature timestampNtz')
            reached("delta.evolved")
            return None
        this = Try(self._params, self._context, epoch, staged, table, shape, number)
        change, receipt = this.compute(widens=bool(preparation.widens))
        reached("delta.placed")
        done = swap(self._place, table, change, epoch=epoch, receipt=receipt, now=self._context.clock.now())
        if done is None:
            this.undo()
            return None
        reached("delta.committed")
        self._place.settle(int(done.version))
        reached("delta.durable")
        keep_log(self._place, int(done.version))
        return done

    def _schema_of(self, parts: Sequence[Part]) -> Schema:
        schemas = {part.schema for part in parts} or ({self._prepared} if self._prepared else set())
        if len(schemas) != 1:
            raise InternalError("INT-900", f"a commit has rows of {len(schemas)} schemas and takes those of one")
        return next(iter(schemas))

    def _receipt(self, table: Snapshot | None, epoch: Epoch) -> Receipt | None:
        """The receipt of the epoch if it is committed. Raises FatalError SNK-120, SNK-259."""
        marker = marker_of(table, epoch.sink_id, told=False)
        if not is_committed(marker, epoch, newest=fence_of(table, epoch.sink_id)):
            return None
        marker = marker_of(table, epoch.sink_id)
        if marker is None or marker.receipt is None:
            raise FatalError(
                "SNK-259",
                f'epoch {epoch.number} of sink "{epoch.sink_id.sink}" is committed, and its receipt is gone',
                detail=f'the log of the Delta table "{self._place.name}" does not go back that far any more',
            )
        return marker.receipt

    def _claim(self, held: ExitStack, epoch: Epoch, part: Part) -> Attempt:
        """Raises FatalError SNK-258."""
        attempt = self._place.claim(epoch.sink_id, part.folder)
        if attempt is None:
            raise gone(part.folder)
        held.callback(attempt.release)
        return attempt

    def _discard(self, epoch: Epoch, parts: Sequence[Part]) -> None:
        """Remove what was staged for an epoch that is committed already, as far as nobody holds it."""
        for part in parts:
            with clearing_up():
                attempt = self._place.claim(epoch.sink_id, part.folder)
                if attempt is not None:
                    attempt.remove()

    def table(self) -> Source:
        """The table as it stands; a recorded position is a version of it."""
        return DeltaSource(place_of(self._params, self._context, own="read"), allowance=self._context.allowance)

    def close(self) -> None:
        self._place.close()


SINK: Final = Descriptor(
    name="delta",
    group="sinks",
    summary="A Delta Lake table, on a local file system or in an object store, created where it is not there yet.",
    params=DeltaSinkParams,
    make=DeltaSink,
    example=(
        "type: delta\nfrom: prices\npath: lake/prices\nmode: merge\nkeys: [series, day]\norder_by: revised_at\n"
        "partition_by: [region]\n"
    ),
    capabilities=frozenset(
        {Capability.NATIVE, Capability.LOCAL, Capability.ATOMIC_COMMIT, Capability.READ_BACK, Capability.PARALLEL}
    ),
    modes=("append", "overwrite", "overwrite_partitions", "merge"),
    extra="delta",
    notes=(
        "Unsigned integers are kept in the next larger signed type (uint64 as decimal(20,0)), uuid and json as string.",
        "Columns of type time and interval are refused: Delta has no such types.",
        "A partition column is never the empty text, which Delta reads as null; floats, binary and nested types do not partition.",
        "Adding columns (on_schema_change: evolve) is a log entry of its own before the data's; widening a type rewrites the table.",
        "Tables with constraints, generated columns, a change data feed or deletion vectors are not written.",
        "In an object store a log entry is made if it is not there yet: the store must honour If-None-Match, and so must other writers of the table.",
        "In an object store old entries of the log are not removed: that is left to the table's maintenance.",
        "Tested on an S3 server and Azurite; Google Cloud Storage against no server.",
    ),
)
