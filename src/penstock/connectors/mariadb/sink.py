"""Writing a table: staged beside it, then put into it together with the marker in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from penstock.connectors.api import Receipt, Sink, WriteMode
from penstock.connectors.commits import fingerprint, is_committed, refuse_empty
from penstock.connectors.mariadb.catalogue import current_database, find_relation, has_unique_key, indexes
from penstock.connectors.mariadb.columns import Dialect, held, primary_key, standing
from penstock.connectors.mariadb.driver import Fault, fault_of, rows_of, run, translated
from penstock.connectors.mariadb.encoding import Encoder
from penstock.connectors.mariadb.locks import end_holder, lock, unlock
from penstock.connectors.mariadb.marker import Markers
from penstock.connectors.mariadb.merge import OWN_KEY, VERDICT_COLUMN, Loading
from penstock.connectors.mariadb.names import OWN_PREFIX, TableName, parse_name
from penstock.connectors.mariadb.params import MariadbSinkParams
from penstock.connectors.mariadb.pool import Connections, begin
from penstock.connectors.mariadb.rebuilding import (
    Successor,
    alteration,
    check_free,
    columns_as_changed,
    lasting,
    refreshed,
)
from penstock.connectors.mariadb.scratch import SCRATCH
from penstock.connectors.mariadb.source import MariadbTable
from penstock.connectors.mariadb.sql import joined, sql
from penstock.connectors.mariadb.staging import Stage, StageWriter, drop, leftovers, new_name
from penstock.connectors.server_tables import check_brought, compared
from penstock.errors import ConfigError, InternalError, TransientError
from penstock.registry import Capability, Descriptor
from penstock.structs import replace
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymysql.connections import Connection

    from penstock.connectors.api import Context, Epoch, EpochMarker, Preparation, SinkId, Source, Staged
    from penstock.connectors.mariadb.catalogue import Relation
    from penstock.connectors.server_tables import Refreshed

_ENGINE: Final = "InnoDB"
_MOST_COLUMNS: Final = 1_017

# The boundaries that the sink passes, in order: the marker is held, rows are in, all but COMMIT; Context.reached is told.
CRASH_POINTS: Final = (
    *("mariadb.prepared", "mariadb.staged", "mariadb.locked", "mariadb.written", "mariadb.marked"),
    "mariadb.committed",
)
# Those between "locked" and "written" where a full refresh replaces the table: the new one is filled, has its name.
REBUILD_POINTS: Final = ("mariadb.built", "mariadb.swapped")


class MariadbSink(Sink):
    """One table."""

    def __init__(self, params: MariadbSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._name = parse_name(params.table, "SNK")
        if self._name.name.startswith(OWN_PREFIX):
            raise ConfigError("SNK-233", f'tables named "{OWN_PREFIX}..." are Penstock\'s own')
        self._connections = Connections(params.connection, "SNK", context.clock, context.wards)
        self._prepared: Schema | None = None  # who prepares commits; other processes only write

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        with self._connections.connection("describing the target") as connection:
            relation = self._find(connection)
        if relation is None:
            return None
        return lasting(relation) if self._context.refreshes else held(relation.columns)

    def preview(self, schema: Schema) -> Preparation:
        """Raises ConfigError SNK-110 to SNK-113, SNK-115, SNK-233, SNK-245 to SNK-248, SNK-340, SNK-341."""
        with self._connections.connection("describing the target") as connection:
            self._check_takes_rows(connection)
            return self._compared(connection, self._find(connection), schema)

    def prepare(self, schema: Schema) -> None:
        """Creates or changes table and marker table. Each statement commits by itself, and may be repeated."""
        with self._connections.connection("preparing the target") as connection:
            change = self._compared(connection, self._find(connection), schema)
            dialect = Dialect.of(connection)
            table = self._target(connection).identifier()
            if change.creates:
                columns = dialect.definitions(schema, self._params.keys)
                run(connection, sql("CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = InnoDB", table, columns))
            steps = [sql("ADD COLUMN {}", dialect.definition(field, ())) for field in change.adds]
            for old, new in change.widens:
                keys = () if old.nullable else (new,)
                steps.append(sql("MODIFY COLUMN {}", dialect.definition(new, keys)))
            if steps:
                run(connection, sql("ALTER TABLE {} {}", table, joined(", ", steps)))
            self._markers(connection).create(connection)
        self._prepared = schema
        self._context.reached("mariadb.prepared")

    def _check_takes_rows(self, connection: Connection[Any]) -> None:
        if not rows_of(connection, sql("SELECT @@GLOBAL.local_infile"))[0][0]:
            raise self._connections.place.error(Fault.LOCAL, "describing the target", "its local_infile is OFF")

    def _compared(self, connection: Connection[Any], relation: Relation | None, rows: Schema) -> Preparation:
        dialect = Dialect.of(connection)
        standing = None
        if relation is not None:
            standing = refreshed(relation, rows).standing if self._context.refreshes else held(relation.columns, rows)
        change = compared(
            standing,
            rows,
            params=self._params,
            context=self._context,
            generated={column.name for column in relation.columns if column.generated} if relation else set(),
            objection=dialect.objection,
            most=_MOST_COLUMNS,
        )
        if relation is not None and change.replaces:
            check_free(connection, relation, refreshed(relation, rows), sink=self._context.name)
        elif relation is not None:
            self._check_kept(relation, rows, change)
        return change

    def _check_kept(self, relation: Relation, rows: Schema, change: Preparation) -> None:
        lost = [old.name for old, _ in change.widens if relation.column(old.name).fills_itself]
        if lost:
            raise ConfigError(
                "SNK-248",
                f'column "{lost[0]}" of sink "{self._context.name}" has a default, which widening it would lose',
                hint="widen it in the database",
            )
        needed = (column.name for column in relation.columns if not column.nullable and not column.fills_itself)
        check_brought(needed, rows, code="SNK-245", sink=self._context.name)

    def _find(self, connection: Connection[Any]) -> Relation | None:
        relation = find_relation(connection, self._target(connection))
        if relation is not None and relation.engine is None:
            raise ConfigError("SNK-233", f'"{self._name}" is a view, no table that rows can be put into')
        if relation is not None and relation.engine != _ENGINE:
            raise ConfigError(
                "SNK-247",
                f'the table "{self._name}" is kept by {relation.engine}, which knows no transactions',
                hint="convert it: ALTER TABLE ... ENGINE = InnoDB",
            )
        return relation

    def _target(self, connection: Connection[Any]) -> TableName:
        database = self._name.database or current_database(connection)
        if not database:
            raise ConfigError(
                "SNK-238",
                f'no database is named for the table "{self._name}"',
                hint="state database in the connection, or write database.table",
            )
        return TableName(database, self._name.name)

    def _markers(self, connection: Connection[Any]) -> Markers:
        target = self._target(connection)
        return Markers(target.database or "", str(target))

    # ------------------------------------------------------------ epochs

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """Ends writers and commits that earlier attempts of this sink left, and removes their staging tables."""
        with self._connections.connection("reading the marker") as connection:
            markers = self._markers(connection)
            turn = _turn(sink_id, markers)
            end_holder(connection, turn)
            self._take(connection, turn)  # once it is free nothing of them is under way
            unlock(connection, turn)
            left = leftovers(connection, markers.database, sink_id)
            for table in left:
                end_holder(connection, table)
            drop(connection, markers.database, left)
            return markers.read(connection, sink_id) if markers.exists(connection) else None

    def missing(self) -> str | None:
        with self._connections.connection("finding the target") as connection:
            return None if self._find(connection) else f'the table "{self._target(connection)}"'

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        with self._connections.connection("reading the markers") as connection:
            return self._markers(connection).incarnations(connection, sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> StageWriter:
        """Rows go to a table of their own, whose columns are the target's: what these do not take is refused at once."""
        with self._connections.connection("finding the target") as connection:
            relation = self._find(connection)
            if relation is None:
                raise ConfigError("SNK-233", f'there is no table "{self._name}" any more')
            stage = self._stage(connection, relation, epoch, schema)
        encoder = Encoder(schema, self._context.allowance)
        return StageWriter(self._connections, stage, encoder=encoder, reached=self._context.reached)

    def _stage(self, connection: Connection[Any], relation: Relation, epoch: Epoch, schema: Schema) -> Stage:
        keys = tuple(self._params.keys) if self._params.mode is WriteMode.MERGE else ()
        if self._context.refreshes:
            change = refreshed(relation, schema)
            definitions, kinds = columns_as_changed(relation, change, Dialect.of(connection))
        else:
            columns = [relation.column(name) for name in schema.names]
            definitions = [standing(column, key=column.name in keys) for column in columns]
            kinds = {column.name: column.kind for column in columns}
        if keys:
            definitions.append(VERDICT_COLUMN)
        is_told_apart = keys and has_unique_key(connection, relation.table, keys)
        definitions.append(primary_key(keys) if is_told_apart else OWN_KEY)
        database = relation.table.database or ""
        return Stage(database, epoch.sink_id, schema, keys, joined(", ", definitions), kinds)

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Rows and marker in one transaction; the staging tables go afterwards.

        Raises FatalError SNK-120, DataError SNK-114, SNK-236, SNK-242 and SNK-243, TransientError SNK-240 (whether it
        was committed is unclear) and SNK-244.
        """
        tables = [str(one.payload["table"]) for one in staged if one.payload.get("table")]
        connection = self._connections.take()
        try:
            with translated(self._connections.place, "committing an epoch"):
                markers = self._markers(connection)
                markers.ready(connection, epoch.sink_id)
                turn = _turn(epoch.sink_id, markers)
                self._take(connection, turn)
                begin(connection)
                receipt = self._commit(connection, markers, epoch, staged)
            self._context.reached("mariadb.marked")
            self._settle(connection)
            self._context.reached("mariadb.committed")
            with translated(self._connections.place, "removing staged rows"):
                unlock(connection, turn)
                drop(connection, markers.database, tables)
        except BaseException:
            self._connections.discard(connection)
            raise
        self._connections.give_back(connection)
        return receipt

    def _take(self, connection: Connection[Any], turn: str) -> None:
        """The turn to commit, held until the session lets go or ends: what replaces a table ends every transaction, so
        that the marker's row alone would hold nobody off.
        """
        wait_s = max(1, round(self._params.connection.lock_timeout.total_seconds()))
        if not lock(connection, turn, wait_s):
            raise self._connections.place.error(Fault.BUSY, "waiting for another commit of the sink", None)

    def _commit(self, connection: Connection[Any], markers: Markers, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        newest = markers.lock(connection, epoch.sink_id)
        before = markers.read(connection, epoch.sink_id, lock=True)
        self._context.reached("mariadb.locked")
        if is_committed(before, epoch, newest=newest) and before is not None and before.receipt is not None:
            return before.receipt
        rows = sum(one.rows for one in staged)
        refuse_empty(self._params.mode, rows, allow_empty=self._params.allow_empty, sink=self._context.name)
        loading = self._loading(connection, staged, rows)
        columns = self._prepared or loading.sent  # of an empty input nothing is staged
        if self._context.refreshes and self._compared(connection, loading.target, columns).replaces:
            change = refreshed(loading.target, columns)
            receipt = self._replaced(
                loading, change, lambda: markers.announce(connection, epoch, before), epoch.sink_id
            )
        else:
            receipt = self._loaded(loading)
        self._context.reached("mariadb.written")
        markers.advance(connection, epoch, before, receipt)
        return receipt

    def _loading(self, connection: Connection[Any], staged: Sequence[Staged], rows: int) -> Loading:
        tables = tuple(str(one.payload["table"]) for one in staged if one.payload.get("table"))
        target = self._find(connection)
        if target is None:
            raise ConfigError("SNK-233", f'there is no table "{self._name}" any more')
        return Loading(connection, target, tables, _columns(staged), rows, sum(one.bytes for one in staged))

    def _replaced(self, loading: Loading, change: Refreshed, announce: Callable[[], None], sink_id: SinkId) -> Receipt:
        """The table is another one then, whatever becomes of the marker, for which a transaction is begun."""
        connection, target = loading.connection, loading.target
        steps = alteration(indexes(connection, target.table), change, self._params.keys, Dialect.of(connection))
        new = Successor.make(connection, target, new_name(sink_id), steps)
        begin(connection)
        announce()
        _hold(loading)
        deleted = loading.count()
        added = replace(loading, target=replace(target, table=new.name)).append()
        run(connection, sql("COMMIT"))
        self._context.reached("mariadb.built")
        old = new_name(sink_id)
        new.take_place(old)
        self._context.reached("mariadb.swapped")
        new.drop(old, sink=self._context.name)
        begin(connection)
        return replace(added, deleted=deleted)

    def _loaded(self, loading: Loading) -> Receipt:
        _hold(loading)
        match self._params.mode:
            case WriteMode.APPEND:
                return loading.append()
            case WriteMode.OVERWRITE:
                deleted = loading.clear()
                added = loading.append()
                return Receipt(added.rows, added.inserted, deleted=deleted, bytes=added.bytes)
            case WriteMode.MERGE:
                return loading.merge(self._params.keys, self._params.order_by)
            case WriteMode.OVERWRITE_PARTITIONS:
                raise InternalError("INT-900", "a sink of MariaDB was made with overwrite_partitions, which it has not")
            case _:
                assert_never(self._params.mode)

    def _settle(self, connection: Connection[Any]) -> None:
        import pymysql

        try:
            run(connection, sql("COMMIT"))
        except (pymysql.Error, OSError) as error:
            if isinstance(error, pymysql.Error) and fault_of(error) is not Fault.UNREACHABLE:
                with translated(self._connections.place, "committing an epoch"):
                    raise
            raise TransientError(
                "SNK-240",
                f'the connection to "{self._connections.place.name}" was lost while an epoch was committed',
                hint="the marker tells whether it was; the next attempt reads it",
            ) from None

    def table(self) -> Source:
        """The table as it is after the last commit; see :class:`MariadbTable`."""
        with self._connections.connection("finding the target") as connection:
            markers, target = self._markers(connection), self._target(connection)
        return MariadbTable(self._params.connection, target, markers, self._context)

    def close(self) -> None:
        self._connections.close()


def _turn(sink_id: SinkId, markers: Markers) -> str:
    """The name of a lock that one commit of the sink to this target holds at a time."""
    return f"{OWN_PREFIX}commit_{fingerprint(*sink_id.lasting, markers.target)}"


def _hold(loading: Loading) -> None:
    """Nobody drops the staging tables from here on; who took the sink over may have done so before."""
    import pymysql

    for table in loading.stages:
        try:
            place = TableName(loading.target.table.database, table).identifier()
            rows_of(loading.connection, sql("SELECT 1 FROM {} LIMIT 0", place))
        except pymysql.err.ProgrammingError:
            raise TransientError("SNK-244", "the staged rows were removed, as by another run of the pipeline") from None


def _columns(staged: Sequence[Staged]) -> Schema:
    return next((Schema.from_json(one.payload["columns"]) for one in staged if one.payload.get("table")), Schema())


SINK: Final = Descriptor(
    name="mariadb",
    group="sinks",
    summary="A MariaDB or MySQL table: data and epoch marker in one transaction.",
    params=MariadbSinkParams,
    make=MariadbSink,
    example=(
        "type: mariadb\nfrom: prices\nconnection: mariadb://writer@localhost:3306/shop\ntable: prices\n"
        "mode: merge\nkeys: [crude, day]\n"
    ),
    scratch=SCRATCH,
    capabilities=frozenset({Capability.ATOMIC_COMMIT, Capability.READ_BACK, Capability.PARALLEL}),
    modes=("append", "overwrite", "merge"),
    extra="mariadb",
    notes=(
        "Needs the rights to create, alter and drop tables in the target's database, and local_infile on the server (MySQL has it off: SNK-246): rows go by LOAD DATA LOCAL.",
        "The table must be kept by InnoDB. Staged rows (_penstock_stage_...) and markers (_penstock_commits) lie beside it.",
        "overwrite deletes the rows and inserts the new ones in one transaction: readers see the old table until the commit, and a large one takes its time.",
        "Creating the table and adding or widening columns commits by itself, before the rows.",
        "A full refresh with other columns fills a new table made after the old one and exchanges their names in one act, once nobody reads the old one (lock_timeout): rights, defaults, checks and indexes stay, AUTO_INCREMENT begins anew. Triggers, foreign keys, a history, and views and indexes of columns that go or change are refused (SNK-340); on MySQL the user needs TRIGGER, not by a role (SNK-341).",
        "One commit of a sink at a time by GET_LOCK, which one server knows: not for groups of servers that are all written to, nor through a proxy that shares sessions.",
        "merge holds the rows of the same keys against other writers, not against readers, while an epoch is committed.",
        "A table that merge creates has its keys as primary key, text in it as varchar of at most 255 characters. Before MySQL 8.0.17, to which trailing blanks do not count, keys of text are a mere index, and merge looks for repeated ones itself.",
        "MySQL's json keeps values, not their text: keys in another order, whole numbers beyond 64 bits and long decimals as doubles.",
        "NaN, infinities, days outside the years 1 to 9999 and column names with characters above U+FFFF are refused; on MariaDB -0.0 becomes 0.0.",
        "timestamptz is kept as datetime(6) in UTC, and the column's comment says so: the server's own timestamp ends in 2038.",
        "A server that takes no table without a primary key (sql_require_primary_key) needs keys, or a table that is there (SNK-342).",
        "Tested on MariaDB 10.11 and MySQL 8.0.15 with GTIDs enforced; later MySQL, group replication and Galera were not to be had.",
    ),
)
