"""The ledger in one SQLite file. Every method is one transaction that is durable when it returns."""

from __future__ import annotations

import fcntl
import hashlib
import os
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, Connection, Engine, create_engine, event, exc, select
from sqlalchemy.dialects.sqlite import insert

from penstock.errors import FatalError, InternalError, TransientError
from penstock.ledger import records, tables
from penstock.ledger.api import EpochStatus, Lease, PipelineKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from sqlalchemy import Table
    from sqlalchemy.engine import RowMapping

    from penstock.connectors.api import Position, Receipt
    from penstock.ledger.api import Account, EpochRecord, NodeBalance, RejectEntry, RejectFile, RunRecord, Seal
    from penstock.types import Schema

VERSION: Final = 1
_BUSY_S: Final = 30


class SqliteLedger:
    """Implements ``ledger.api.Ledger``. The file is made readable for its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks: dict[PipelineKey, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._engine = _engine(path)
        with self._transaction() as connection:
            _prepare(connection, path)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except exc.DBAPIError as error:
            raise _classified(error, self._path) from None

    def close(self) -> None:
        for key in list(self._locks):
            self._unlock(key)
        self._engine.dispose()

    # ------------------------------------------------------------ leases

    def take(self, key: PipelineKey, holder: str, now: datetime, duration: timedelta) -> Lease:
        with self._transaction() as connection:
            row = _first(connection, tables.pipelines, key)
            alone = self._lock(key)
            held = row is not None and row["holder"] not in {None, holder} and row["expires_at"] > now
            if row is not None and held and not alone:
                raise FatalError(
                    "LED-110",
                    f'the pipeline "{key}" is being run by {row["holder"]}',
                    detail=f"its lease ends at {row['expires_at']:%Y-%m-%d %H:%M:%S} UTC unless it is renewed.",
                    hint="wait for that run, or stop it with `penstock runs stop`",
                )
            lease = Lease(
                key,
                holder,
                fence=1 if row is None else row["fence"] + 1,
                incarnation=uuid.uuid4().hex if row is None else row["incarnation"],
                expires_at=now + duration,
            )
            _put(connection, tables.pipelines, records.of_lease(lease))
        return lease

    def _lock(self, key: PipelineKey) -> bool:
        """Whether no living process on this machine runs the pipeline: a lease of a killed one need not expire."""
        if key in self._locks:
            return True
        name = hashlib.sha256(str(key).encode()).hexdigest()[:16]
        handle = os.open(self._path.with_name(f"{self._path.name}.{name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._locks[key] = handle
        return True

    def _unlock(self, key: PipelineKey) -> None:
        handle = self._locks.pop(key, None)
        if handle is not None:
            os.close(handle)

    def renew(self, lease: Lease, now: datetime, duration: timedelta) -> Lease:
        with self._transaction() as connection:
            self._held(connection, lease.key, lease.fence)
            renewed = Lease(lease.key, lease.holder, lease.fence, lease.incarnation, now + duration)
            _put(connection, tables.pipelines, records.of_lease(renewed))
        return renewed

    def release(self, lease: Lease) -> None:
        with self._transaction() as connection:
            row = _first(connection, tables.pipelines, lease.key)
            if row is not None and row["fence"] == lease.fence:
                connection.execute(
                    tables.pipelines.update().where(*_of(tables.pipelines, lease.key)).values(holder=None)
                )
        self._unlock(lease.key)

    def new_incarnation(self, lease: Lease) -> str:
        incarnation = uuid.uuid4().hex
        with self._transaction() as connection:
            self._held(connection, lease.key, lease.fence)
            connection.execute(
                tables.pipelines.update()
                .where(*_of(tables.pipelines, lease.key))
                .values(incarnation=incarnation, replacing=True)
            )
        return incarnation

    def replacing(self, key: PipelineKey) -> bool:
        with self._transaction() as connection:
            row = _first(connection, tables.pipelines, key)
        return row is not None and bool(row["replacing"])

    def _held(self, connection: Connection, key: PipelineKey, fence: int) -> None:
        row = _first(connection, tables.pipelines, key)
        if row is None or row["fence"] != fence:
            raise FatalError(
                "LED-111",
                f'another run has taken over the pipeline "{key}"',
                detail=f"this run holds fence {fence}, the newest is {row['fence'] if row else 'none'}.",
            )

    # ------------------------------------------------------------ runs

    def begin_run(self, run: RunRecord) -> None:
        with self._transaction() as connection:
            _put(connection, tables.runs, records.of_run(run))

    def end_run(self, run: RunRecord) -> None:
        self.begin_run(run)

    def runs(self, *, key: PipelineKey | None = None, limit: int = 50) -> Sequence[RunRecord]:
        query = select(tables.runs).order_by(tables.runs.c.started_at.desc(), tables.runs.c.run_id.desc()).limit(limit)
        if key is not None:
            query = query.where(*_of(tables.runs, key))
        with self._transaction() as connection:
            return [records.to_run(row) for row in connection.execute(query).mappings()]

    def run(self, run_id: str) -> RunRecord | None:
        query = select(tables.runs).where(tables.runs.c.run_id.startswith(run_id, autoescape=True)).limit(2)
        with self._transaction() as connection:
            found = [records.to_run(row) for row in connection.execute(query).mappings()]
        return found[0] if len(found) == 1 else None

    # ------------------------------------------------------------ epochs

    def last_epoch(self, key: PipelineKey, incarnation: str) -> EpochRecord | None:
        with self._transaction() as connection:
            return _last(connection, key, incarnation)

    def epochs(self, run_id: str) -> Sequence[EpochRecord]:
        query = select(tables.epochs).where(tables.epochs.c.run_id == run_id).order_by(tables.epochs.c.number)
        with self._transaction() as connection:
            return [records.to_epoch(row) for row in connection.execute(query).mappings()]

    def plan_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=False)

    def retry_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=True)

    def _write_epoch(self, epoch: EpochRecord, *, redo: bool) -> None:
        with self._transaction() as connection:
            self._held(connection, epoch.key, epoch.fence)
            last = _last(connection, epoch.key, epoch.incarnation)
            _check_number(epoch, last, redo=redo)
            if last is not None and last.status is EpochStatus.PLANNED:
                _set_status(connection, last, EpochStatus.ABANDONED)
            _put(connection, tables.epochs, records.of_epoch(epoch))

    def prepare(self, epoch: EpochRecord, account: Account) -> None:
        table = tables.epochs
        with self._transaction() as connection:
            self._held(connection, epoch.key, epoch.fence)
            connection.execute(table.update().where(*_attempt(epoch)).values(prepared=records.of_account(account)))

    def prepared(self, epoch: EpochRecord) -> Account:
        query = select(tables.epochs.c.prepared).where(*_attempt(epoch))
        with self._transaction() as connection:
            return records.to_account(connection.execute(query).scalar_one_or_none())

    def seal(self, seal: Seal) -> None:
        epoch = seal.epoch
        with self._transaction() as connection:
            stored = _last(connection, epoch.key, epoch.incarnation)
            if stored is not None and stored.number == epoch.number and stored.status is EpochStatus.SEALED:
                return
            self._held(connection, epoch.key, epoch.fence)
            if stored is None or (stored.number, stored.attempt) != (epoch.number, epoch.attempt):
                raise _wrong_number(epoch, stored)
            _put(connection, tables.epochs, records.of_seal(seal))
            connection.execute(
                tables.pipelines.update().where(*_of(tables.pipelines, epoch.key)).values(replacing=False)
            )
            for item in epoch.ranges:
                _put(connection, tables.positions, records.of_position(epoch, item))
            for sink in epoch.sinks:
                _put(connection, tables.sinks, records.of_sink(epoch, sink))
            for source, schema in seal.schemas.items():
                _put(connection, tables.schemas, records.of_schema(epoch.key, source, schema))
            for file in seal.rejects:
                connection.execute(
                    tables.rejects.insert().values(records.of_reject(epoch, file, "kept", seal.sealed_at))
                )

    def abort(self, epoch: EpochRecord, rejects: Sequence[RejectFile], at: datetime) -> None:
        with self._transaction() as connection:
            for file in rejects:
                connection.execute(tables.rejects.insert().values(records.of_reject(epoch, file, "aborted", at)))

    # ------------------------------------------------------------ what is known

    def positions(self, key: PipelineKey, incarnation: str) -> Mapping[tuple[str, str], Position]:
        table = tables.positions
        query = select(table).where(*_of(table, key), table.c.incarnation == incarnation)
        with self._transaction() as connection:
            rows = connection.execute(query).mappings()
            return {(row["source"], row["partition"]): row["position"] for row in rows}

    def committed(self, key: PipelineKey, incarnation: str) -> Mapping[str, int]:
        table = tables.sinks
        query = select(table).where(*_of(table, key), table.c.incarnation == incarnation)
        with self._transaction() as connection:
            return {row["sink"]: row["number"] for row in connection.execute(query).mappings()}

    def schemas(self, key: PipelineKey) -> Mapping[str, Schema]:
        query = select(tables.schemas).where(*_of(tables.schemas, key))
        with self._transaction() as connection:
            return {row["source"]: records.to_schema(row) for row in connection.execute(query).mappings()}

    def balance(self, run_id: str) -> Mapping[int, Sequence[NodeBalance]]:
        return {number: records.to_balance(row["balance"]) for number, row in self._sealed(run_id).items()}

    def receipts(self, run_id: str) -> Mapping[int, Mapping[str, Receipt]]:
        return {number: records.to_receipts(row["receipts"]) for number, row in self._sealed(run_id).items()}

    def _sealed(self, run_id: str) -> dict[int, RowMapping]:
        table = tables.epochs
        query = select(table).where(table.c.run_id == run_id, table.c.status == EpochStatus.SEALED.value)
        with self._transaction() as connection:
            return {row["number"]: row for row in connection.execute(query.order_by(table.c.number)).mappings()}

    def rejects(self, key: PipelineKey | None = None, *, run_id: str | None = None) -> Sequence[RejectEntry]:
        query = select(tables.rejects).order_by(tables.rejects.c.at.desc(), tables.rejects.c.id.desc())
        if key is not None:
            query = query.where(*_of(tables.rejects, key))
        if run_id is not None:
            query = query.where(tables.rejects.c.run_id == run_id)
        with self._transaction() as connection:
            return [records.to_reject(row) for row in connection.execute(query).mappings()]


# ---------------------------------------------------------------- connection


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: object, _: object) -> None:
        # Transactions are ours (below); WAL with full syncs is durable and lets readers read.
        connection.isolation_level = None  # type: ignore[attr-defined]
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # the write lock at once: no upgrade can fail half-way

    return engine


def _prepare(connection: Connection, path: Path) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version == VERSION:
        return
    if version > VERSION:
        raise FatalError(
            "LED-102",
            f'the ledger "{path.name}" was written by a newer Penstock',
            detail=f"its version is {version}, this Penstock knows {VERSION}.",
            hint="run it with the newer Penstock",
        )
    tables.metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")  # a pragma takes no parameters; the value is ours


def _classified(error: exc.DBAPIError, path: Path) -> FatalError | TransientError | InternalError:
    words = str(error.orig)
    match words:
        case _ if "locked" in words or "busy" in words:
            return TransientError("LED-150", f'the ledger "{path.name}" is busy', detail=words)
        case _ if "not a database" in words or "malformed" in words or "file is encrypted" in words:
            return FatalError(
                "LED-101",
                f'the ledger "{path.name}" is damaged',
                detail=words,
                hint="restore it from a copy; the sinks' own markers tell what was committed",
            )
        case _ if "full" in words or "readonly" in words or "unable to open" in words or "I/O" in words:
            return FatalError("LED-103", f'the ledger "{path.name}" cannot be written', detail=words)
        case _:
            return InternalError("INT-900", "the ledger refused a statement", detail=words)


# ---------------------------------------------------------------- rows


def _of(table: Table, key: PipelineKey) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.project == key.project,
        table.c.environment == key.environment,
        table.c.pipeline == key.pipeline,
    )


def _first(connection: Connection, table: Table, key: PipelineKey) -> RowMapping | None:
    return connection.execute(select(table).where(*_of(table, key))).mappings().first()


def _put(connection: Connection, table: Table, row: Mapping[str, object]) -> None:
    """Insert, or replace the row of the same primary key."""
    names = [column.name for column in table.primary_key]
    statement = insert(table).values(row)
    changed = {name: statement.excluded[name] for name in row if name not in names}
    connection.execute(statement.on_conflict_do_update(index_elements=names, set_=changed))


def _last(connection: Connection, key: PipelineKey, incarnation: str) -> EpochRecord | None:
    table = tables.epochs
    query = (
        select(table)
        .where(*_of(table, key), table.c.incarnation == incarnation, table.c.status != EpochStatus.ABANDONED.value)
        .order_by(table.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return records.to_epoch(row) if row is not None else None


def _set_status(connection: Connection, epoch: EpochRecord, status: EpochStatus) -> None:
    connection.execute(tables.epochs.update().where(*_attempt(epoch)).values(status=status.value))


def _attempt(epoch: EpochRecord) -> tuple[ColumnElement[bool], ...]:
    table = tables.epochs
    return (
        *_of(table, epoch.key),
        table.c.incarnation == epoch.incarnation,
        table.c.number == epoch.number,
        table.c.attempt == epoch.attempt,
    )


def _check_number(epoch: EpochRecord, last: EpochRecord | None, *, redo: bool) -> None:
    if redo:
        right = last is not None and last.status is EpochStatus.PLANNED and last.number == epoch.number
    elif last is None:
        right = epoch.number == 1
    else:
        right = epoch.number == last.number + (1 if last.status is EpochStatus.SEALED else 0)
    if not right:
        raise _wrong_number(epoch, last)


def _wrong_number(epoch: EpochRecord, last: EpochRecord | None) -> FatalError:
    known = f"{last.number}, {last.status}" if last is not None else "none"
    return FatalError(
        "LED-112",
        f'epoch {epoch.number} of "{epoch.key}" does not follow what the ledger has',
        detail=f"the last one there is {known}.",
    )
