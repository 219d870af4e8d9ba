"""Writing a table: staged beside it, then put into it together with the marker in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Receipt, Sink, WriteMode
from penstock.connectors.commits import is_committed, refuse_empty
from penstock.connectors.postgres.catalogue import find_relation
from penstock.connectors.postgres.columns import definitions, held, objection, type_of
from penstock.connectors.postgres.driver import Fault, fault_of, translated
from penstock.connectors.postgres.marker import Markers
from penstock.connectors.postgres.merge import Load, takes_straight
from penstock.connectors.postgres.names import OWN_PREFIX, TableName, parse_name
from penstock.connectors.postgres.params import PostgresSinkParams
from penstock.connectors.postgres.pool import Connections
from penstock.connectors.postgres.rebuilding import check_free, lasting, primary_key, rebuild, refreshed
from penstock.connectors.postgres.scratch import SCRATCH
from penstock.connectors.postgres.staging import BEGIN, Stage, StageWriter, drop, end_open, leftovers
from penstock.connectors.postgres.table import PostgresTable
from penstock.connectors.server_tables import check_brought, compared
from penstock.errors import ConfigError, TransientError
from penstock.registry import Capability, Descriptor
from penstock.structs import replace
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from penstock.connectors.api import Context, Epoch, EpochMarker, Preparation, SinkId, Source, Staged
    from penstock.connectors.postgres.catalogue import Relation

_WRITABLE: Final = ("r", "p")
_MOST_COLUMNS: Final = 1_600  # MaxHeapAttributeNumber


# The boundaries that the sink passes, in order: the marker is held, rows are in, all but COMMIT; Context.reached is told.
CRASH_POINTS: Final = (
    *("postgres.prepared", "postgres.staged", "postgres.locked", "postgres.written", "postgres.marked"),
    "postgres.committed",
)


class PostgresSink(Sink):
    """One table."""

    def __init__(self, params: PostgresSinkParams, context: Context) -> None:
        self._params = params
        self._context = context
        self._name = parse_name(params.table, "SNK")
        if self._name.name.startswith(OWN_PREFIX):
            raise ConfigError("SNK-203", f'tables named "{OWN_PREFIX}..." are Penstock\'s own')
        self._connections = Connections(params.connection, "SNK", context.clock, context.wards)
        self._schema: str | None = self._name.schema
        self._writers: list[StageWriter] = []
        self._prepared: Schema | None = None  # who prepares commits; other processes only write

    # ------------------------------------------------------------ the target

    def describe(self) -> Schema | None:
        with self._connections.connection("describing the target") as connection:
            relation = self._find(connection)
        if relation is None:
            return None
        return lasting(relation) if self._context.refreshes else held(relation.columns)

    def preview(self, schema: Schema) -> Preparation:
        """Raises ConfigError SNK-110 to SNK-113, SNK-115, SNK-203, SNK-214, SNK-215."""
        with self._connections.connection("describing the target") as connection:
            return self._compared(connection, self._find(connection), schema)

    def prepare(self, schema: Schema) -> None:
        """Creates or changes table and marker table in one transaction."""
        from psycopg import sql

        with self._connections.transaction("preparing the target") as connection:
            relation = self._find(connection)
            change = self._compared(connection, relation, schema)
            name = self._target(connection).identifier()
            if change.creates:
                self._create(connection, schema)
            for field in change.adds:
                connection.execute(
                    sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
                        name, sql.Identifier(field.name), type_of(field.type)
                    )
                )
            for _, field in change.widens:
                connection.execute(
                    sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
                        name, sql.Identifier(field.name), type_of(field.type)
                    )
                )
            self._markers(connection).create(connection)
        self._prepared = schema
        self._context.reached("postgres.prepared")

    def _create(self, connection: psycopg.Connection, schema: Schema) -> None:
        """With a primary key where rows are told apart by keys."""
        from psycopg import sql

        columns = [definitions(schema)]
        if self._params.keys:
            columns.append(primary_key(self._params.keys))
        connection.execute(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} ({})").format(
                self._target(connection).identifier(), sql.SQL(", ").join(columns)
            )
        )

    def _compared(self, connection: psycopg.Connection, relation: Relation | None, rows: Schema) -> Preparation:
        standing = None
        if relation is not None:
            refreshes = self._context.refreshes
            standing = refreshed(relation, rows).standing if refreshes else held(relation.columns, rows)
        change = compared(
            standing,
            rows,
            params=self._params,
            context=self._context,
            generated={column.name for column in relation.columns if column.generated} if relation else set(),
            objection=objection,
            most=_MOST_COLUMNS,
        )
        if relation is not None and change.replaces:
            check_free(connection, relation, rows, sink=self._context.name)
        elif relation is not None:
            fills_itself = {
                item.name for item in relation.columns if item.nullable or item.has_default or item.generated
            }
            needed = (item.name for item in relation.columns if item.name not in fills_itself)
            check_brought(needed, rows, code="SNK-214", sink=self._context.name)
        return change

    def _find(self, connection: psycopg.Connection) -> Relation | None:
        relation = find_relation(connection, self._name)
        if relation is not None and relation.kind not in _WRITABLE:
            raise ConfigError("SNK-203", f'"{self._name}" is no table that rows can be put into')
        return relation

    def _target(self, connection: psycopg.Connection) -> TableName:
        """With the schema: the one named, else where the table is, else the first of the search path."""
        if self._schema is None:
            relation = find_relation(connection, self._name)
            row = connection.execute("SELECT current_schema()").fetchone()
            self._schema = relation.schema if relation else (row[0] if row else None)
        if self._schema is None:
            raise ConfigError(
                "SNK-203", f'no schema is named for the table "{self._name}" and the server has no default'
            )
        return TableName(self._schema, self._name.name)

    def _markers(self, connection: psycopg.Connection) -> Markers:
        target = self._target(connection)
        return Markers(target.schema or "", str(target))

    # ------------------------------------------------------------ epochs

    def marker(self, sink_id: SinkId) -> EpochMarker | None:
        """Removes the staging tables that earlier attempts of this sink left, and ends their transactions."""
        with self._connections.transaction("reading the marker") as connection:
            markers = self._markers(connection)
            end_open(connection, sink_id)
            drop(connection, markers.schema, leftovers(connection, markers.schema, sink_id))
            return markers.read(connection, sink_id) if markers.exists(connection) else None

    def missing(self) -> str | None:
        with self._connections.connection("finding the target") as connection:
            return None if self._find(connection) else f'the table "{self._target(connection)}"'

    def incarnations(self, sink_id: SinkId) -> frozenset[str]:
        with self._connections.connection("reading the markers") as connection:
            return self._markers(connection).incarnations(connection, sink_id)

    def writer(self, epoch: Epoch, schema: Schema) -> StageWriter:
        """Rows go into the target, in a transaction that waits for its commit, where this process commits, nothing speaks
        against it and no other writer's do; else to an unlogged table of their own.
        """
        with self._connections.connection("finding the target") as connection:
            target, relation = self._target(connection), self._find(connection)
            waiting = [writer for writer in self._writers if not writer.ended]
            alone = self._prepared is not None and not waiting
            straight = (
                alone
                and self._params.mode is WriteMode.APPEND
                and relation is not None
                and takes_straight(connection, relation, schema)
            )
        keys = tuple(self._params.keys) if self._params.mode is WriteMode.MERGE else ()
        place = target.identifier() if straight else None
        stage = Stage(target.schema or "", epoch.sink_id, schema, keys, place)
        made = StageWriter(self._connections, stage, self._context.reached)
        self._writers = [*waiting, made]
        return made

    def commit(self, epoch: Epoch, staged: Sequence[Staged]) -> Receipt:
        """Rows, marker and the end of the staging tables in one transaction.

        Raises FatalError SNK-120, DataError SNK-114 and SNK-206 to SNK-213, TransientError SNK-208 (whether it was
        committed is unclear) and SNK-212.
        """
        inside = self._inside(staged)
        connection = inside or self._connections.take()
        try:
            with translated(self._connections.place, "committing an epoch"):
                if inside is None:
                    connection.execute(BEGIN)
                receipt = self._commit(connection, epoch, staged, is_inside=inside is not None)
            self._context.reached("postgres.marked")
            self._settle(connection)
        except BaseException:
            self._connections.discard(connection)
            raise
        self._connections.give_back(connection)
        self._context.reached("postgres.committed")
        return receipt

    def _inside(self, staged: Sequence[Staged]) -> psycopg.Connection | None:
        """The connection whose open transaction put rows into the target, if it still stands: who takes the sink over ends
        it. One at most, since a sink opens no second.
        """
        import psycopg

        taken = [writer.take_over(transaction) for transaction in _open(staged) for writer in self._writers]
        for connection in [one for one in taken if one is not None]:
            try:
                connection.execute("SELECT 1")
            except psycopg.Error:
                self._connections.discard(connection)
            else:
                return connection
        return None

    def _commit(
        self, connection: psycopg.Connection, epoch: Epoch, staged: Sequence[Staged], *, is_inside: bool
    ) -> Receipt:
        markers = self._markers(connection)
        markers.create(connection)
        before = markers.lock(connection, epoch)
        self._context.reached("postgres.locked")
        tables = [str(one.payload["table"]) for one in staged if one.payload.get("table")]
        newest = markers.newest(connection, epoch.sink_id)
        if is_committed(before, epoch, newest=newest) and before is not None and before.receipt is not None:
            connection.execute("ROLLBACK")
            connection.execute(BEGIN)
            drop(connection, markers.schema, tables)
            return before.receipt
        if _open(staged) and not is_inside:
            raise _removed()
        rows = sum(one.rows for one in staged)
        refuse_empty(self._params.mode, rows, allow_empty=self._params.allow_empty, sink=self._context.name)
        receipt = self._loaded(connection, staged, tables, rows)
        self._context.reached("postgres.written")
        drop(connection, markers.schema, tables)
        markers.advance(connection, epoch, before, receipt)
        return receipt

    def _loaded(
        self, connection: psycopg.Connection, staged: Sequence[Staged], tables: Sequence[str], rows: int
    ) -> Receipt:
        target = self._relation(connection)
        _hold(connection, target.schema, tables)
        sent = _columns(staged)
        load = Load(
            connection,
            target,
            tuple(tables),
            sent,
            rows,
            sum(one.bytes for one in staged),
            inside=sum(one.rows for one in staged if one.payload.get("open")),
        )
        match self._params.mode:
            case WriteMode.APPEND:
                return load.append()
            case WriteMode.OVERWRITE:
                deleted = load.clear()
                columns = self._prepared or sent  # of an empty input nothing is staged
                if self._compared(connection, target, columns).replaces:
                    rebuild(connection, target, columns, self._params.keys)
                    load = replace(load, target=self._relation(connection))
                return replace(load.append(), deleted=deleted)
            case _:
                return load.merge(self._params.keys, self._params.order_by)

    def _relation(self, connection: psycopg.Connection) -> Relation:
        relation = self._find(connection)
        if relation is None:
            raise ConfigError("SNK-203", f'there is no table "{self._name}" any more')
        return relation

    def _settle(self, connection: psycopg.Connection) -> None:
        import psycopg

        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            fault = fault_of(error.sqlstate) if error.sqlstate else Fault.UNREACHABLE
            if fault is not Fault.UNREACHABLE:
                with translated(self._connections.place, "committing an epoch"):
                    raise
            raise TransientError(
                "SNK-208",
                f'the connection to "{self._connections.place.name}" was lost while an epoch was committed',
                hint="the marker tells whether it was; the next attempt reads it",
            ) from None

    def table(self) -> Source:
        """The table as it is after the last commit; see :class:`PostgresTable`."""
        with self._connections.connection("finding the target") as connection:
            markers, target = self._markers(connection), self._target(connection)
        return PostgresTable(self._params.connection, target, markers, self._context)

    def close(self) -> None:
        """Also ends writers that were neither staged nor aborted. Idempotent."""
        while self._writers:
            self._writers.pop().leave()
        self._connections.close()


def _hold(connection: psycopg.Connection, schema: str, tables: Sequence[str]) -> None:
    """Nobody drops the staging tables from here on; who took the sink over may have done so before."""
    from psycopg import errors, sql

    for table in tables:
        try:
            connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(sql.Identifier(schema, table)))
        except errors.UndefinedTable:
            raise _removed() from None


def _removed() -> TransientError:
    return TransientError("SNK-212", "the staged rows were removed, as by another run of the pipeline")


def _open(staged: Sequence[Staged]) -> list[str]:
    """The transactions whose rows are in the target already: one at most, since a sink opens no second."""
    return [str(one.payload["open"]) for one in staged if one.payload.get("open")]


def _columns(staged: Sequence[Staged]) -> Schema:
    return next((Schema.from_json(one.payload["columns"]) for one in staged if one.payload.get("table")), Schema())


SINK: Final = Descriptor(
    name="postgres",
    group="sinks",
    summary="A PostgreSQL table: data and epoch marker in one transaction.",
    params=PostgresSinkParams,
    make=PostgresSink,
    example=(
        "type: postgres\nfrom: prices\nconnection: postgresql://writer@localhost:5432/shop\ntable: sales.prices\n"
        "mode: merge\nkeys: [crude, day]\n"
    ),
    scratch=SCRATCH,
    capabilities=frozenset({Capability.ATOMIC_COMMIT, Capability.READ_BACK, Capability.PARALLEL}),
    modes=("append", "overwrite", "merge"),
    extra="postgres",
    notes=(
        "Needs PostgreSQL 13 or newer, and the right to create tables in the target's schema.",
        "Staged rows (_penstock_stage_...) and markers (_penstock_commits) lie beside the target.",
        "append sends rows straight into the target, in a transaction that ends with the commit, where every column has the type that is sent and the table has no trigger, rule, row security, child table or foreign key.",
        "overwrite truncates: a transaction that began before it and reads the table after it sees no rows.",
        "merge keeps other writers, not readers, off the table while an epoch is committed.",
        "A table that merge creates has its keys as primary key; other tables keep the keys they have.",
        "Text with NUL characters, and dates before 4714 BC, are refused.",
    ),
)
