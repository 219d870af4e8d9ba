"""The ledger in one SQLite file, through the standard library's driver: every run opens it, and every import counts.

Every method is one transaction that is durable when it returns.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
import uuid
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from penstock.errors import FatalError, InternalError, TransientError
from penstock.ledger import records, tables
from penstock.ledger.api import Account, EpochRecord, EpochStatus, Lease, PipelineKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from penstock.connectors.api import Position, Receipt
    from penstock.ledger.api import NodeBalance, RejectEntry, RejectFile, RunRecord, Seal
    from penstock.ledger.records import Row
    from penstock.types import Schema

VERSION: Final = 1
_BUSY_S: Final = 30


class SqliteLedger:
    """Implements ``ledger.api.Ledger``. The file is made readable for its owner only."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks: dict[PipelineKey, int] = {}
        self._alone = threading.RLock()  # one connection serves all threads, one at a time
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._connection = _connect(path)
        except OSError as error:
            raise _refused(error, path) from None
        except sqlite3.Error as error:
            raise _classified(error, path) from None
        try:
            with self._transaction():
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """The write lock is taken at once: no reader's lock has to be raised half-way."""
        with self._alone:
            try:
                self._connection.execute("begin immediate")
                try:
                    yield
                except BaseException:
                    self._connection.execute("rollback")
                    raise
                self._connection.execute("commit")
            except sqlite3.Error as error:
                raise _classified(error, self._path) from None

    def _prepare(self) -> None:
        (version,) = self._connection.execute("pragma user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise FatalError(
                "LED-102",
                f'the ledger "{self._path.name}" was written by a newer Penstock',
                detail=f"its version is {version}, this Penstock knows {VERSION}.",
                hint="run it with the newer Penstock",
            )
        for statement in tables.CREATE.split(";\n"):
            self._connection.execute(statement)
        self._connection.execute("pragma user_version = 1")

    def close(self) -> None:
        for key in list(self._locks):
            self._unlock(key)
        with self._alone:
            self._connection.close()

    def _write(self, statement: str, row: Mapping[str, Any]) -> None:
        self._connection.execute(statement, _bound(row))

    def _rows(self, statement: str, **values: object) -> list[Row]:
        return [_read(row) for row in self._connection.execute(statement, _bound(values))]

    def _first(self, statement: str, **values: object) -> Row | None:
        return next(iter(self._rows(statement, **values)), None)

    # ------------------------------------------------------------ leases

    def take(self, key: PipelineKey, holder: str, *, now: datetime, duration: timedelta) -> Lease:
        with self._transaction():
            row = self._first(tables.PIPELINE, **records.of_key(key))
            alone = self._lock(key)
            held = row is not None and row["holder"] not in {None, holder} and row["expires_at"] > now
            if row is not None and held and not alone:
                raise FatalError(
                    "LED-110",
                    f'the pipeline "{key}" is being run by {row["holder"]}',
                    detail=f"its lease ends at {row['expires_at']:%Y-%m-%d %H:%M:%S} UTC unless it is renewed.",
                    hint="wait until that run ends, or stop it",
                )
            lease = Lease(
                key,
                holder,
                fence=1 if row is None else row["fence"] + 1,
                incarnation=uuid.uuid4().hex if row is None else row["incarnation"],
                expires_at=now + duration,
            )
            self._write(tables.PUT_PIPELINE, records.of_lease(lease))
        return lease

    def _lock(self, key: PipelineKey) -> bool:
        """Whether no living process on this machine runs the pipeline: a lease of a killed one need not expire."""
        if key in self._locks:
            return True
        name = hashlib.sha256(str(key).encode()).hexdigest()[:16]
        try:
            handle = os.open(self._path.with_name(f"{self._path.name}.{name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:  # such as of a state folder that is gone
            raise _refused(error, self._path) from None
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

    def renew(self, lease: Lease, *, now: datetime, duration: timedelta) -> Lease:
        renewed = replace(lease, expires_at=now + duration)
        with self._transaction():
            self._held(lease.key, lease.fence)
            self._write(tables.PUT_PIPELINE, records.of_lease(renewed))
        return renewed

    def release(self, lease: Lease) -> None:
        with self._transaction():
            self._write(tables.RELEASE, {**records.of_key(lease.key), "fence": lease.fence})
        self._unlock(lease.key)

    def new_incarnation(self, lease: Lease) -> str:
        incarnation = uuid.uuid4().hex
        with self._transaction():
            self._held(lease.key, lease.fence)
            self._write(tables.REINCARNATE, {**records.of_key(lease.key), "incarnation": incarnation})
        return incarnation

    def replacing(self, key: PipelineKey) -> bool:
        with self._transaction():
            row = self._first(tables.PIPELINE, **records.of_key(key))
        return row is not None and bool(row["replacing"])

    def _held(self, key: PipelineKey, fence: int) -> None:
        row = self._first(tables.PIPELINE, **records.of_key(key))
        if row is None or row["fence"] != fence:
            raise FatalError(
                "LED-111",
                f'another run has taken over the pipeline "{key}"',
                detail=f"this run holds fence {fence}, the newest is {row['fence'] if row else 'none'}.",
                hint="`penstock runs list` shows the one that goes on; run again when it has ended",
            )

    # ------------------------------------------------------------ runs

    def begin_run(self, run: RunRecord) -> None:
        with self._transaction():
            self._write(tables.PUT_RUN, records.of_run(run))

    def end_run(self, run: RunRecord) -> None:
        self.begin_run(run)

    def close_runs(self, lease: Lease, run_id: str, *, at: datetime) -> None:
        with self._transaction():
            self._held(lease.key, lease.fence)
            self._write(tables.CLOSE_RUNS, {**records.of_key(lease.key), "run_id": run_id, "ended_at": at})

    def runs(self, *, key: PipelineKey | None = None, limit: int = 50) -> Sequence[RunRecord]:
        with self._transaction():
            rows = (
                self._rows(tables.RUNS, limit=limit)
                if key is None
                else self._rows(tables.RUNS_OF, limit=limit, **records.of_key(key))
            )
        return [records.to_run(row) for row in rows]

    def runs_beginning(self, beginning: str, *, limit: int) -> Sequence[RunRecord]:
        with self._transaction():
            rows = self._rows(tables.RUNS_BEGINNING, beginning=beginning, limit=limit)
        return [records.to_run(row) for row in rows]

    # ------------------------------------------------------------ epochs

    def last_epoch(self, key: PipelineKey, incarnation: str) -> EpochRecord | None:
        with self._transaction():
            return self._last(key, incarnation)

    def _last(self, key: PipelineKey, incarnation: str) -> EpochRecord | None:
        row = self._first(tables.LAST_EPOCH, **records.of_key(key), incarnation=incarnation)
        return records.to_epoch(row) if row is not None else None

    def last_sealed(self, key: PipelineKey) -> EpochRecord | None:
        with self._transaction():
            row = self._first(tables.LAST_SEALED, **records.of_key(key))
        return records.to_epoch(row) if row is not None else None

    def epochs(self, run_id: str) -> Sequence[EpochRecord]:
        with self._transaction():
            return [records.to_epoch(row) for row in self._rows(tables.EPOCHS_OF_RUN, run_id=run_id)]

    def plan_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=False)

    def retry_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=True)

    def _write_epoch(self, epoch: EpochRecord, *, redo: bool) -> None:
        with self._transaction():
            self._held(epoch.key, epoch.fence)
            last = self._last(epoch.key, epoch.incarnation)
            _check_number(epoch, last, redo=redo)
            if last is not None and last.status is EpochStatus.PLANNED:
                self._write(tables.SET_STATUS, {**records.of_attempt(last), "status": EpochStatus.ABANDONED.value})
            self._write(tables.PUT_EPOCH, records.of_epoch(epoch))

    def prepare(self, epoch: EpochRecord, account: Account) -> None:
        with self._transaction():
            self._held(epoch.key, epoch.fence)
            self._write(tables.PREPARE_EPOCH, {**records.of_attempt(epoch), "prepared": records.of_account(account)})

    def prepared(self, epoch: EpochRecord) -> Account:
        with self._transaction():
            row = self._first(tables.PREPARED, **records.of_attempt(epoch))
        return records.to_account(row["prepared"] if row is not None else None)

    def seal(self, seal: Seal) -> None:
        epoch = seal.epoch
        with self._transaction():
            stored = self._last(epoch.key, epoch.incarnation)
            if stored is not None and stored.number == epoch.number and stored.status is EpochStatus.SEALED:
                return
            self._held(epoch.key, epoch.fence)
            if stored is None or (stored.number, stored.attempt) != (epoch.number, epoch.attempt):
                raise _wrong_number(epoch, stored)
            self._write(tables.SEAL_EPOCH, records.of_seal(seal))
            self._write(tables.REPLACED, records.of_key(epoch.key))
            for item in epoch.ranges:
                self._write(tables.PUT_POSITION, records.of_position(epoch, item))
            for sink in epoch.sinks:
                self._write(tables.PUT_SINK, records.of_sink(epoch, sink))
            for source, schema in seal.schemas.items():
                self._write(tables.PUT_SCHEMA, records.of_schema(epoch.key, source, schema))
            self._add_rejects(epoch, seal.rejects, status="kept", at=seal.sealed_at)

    def abort(self, epoch: EpochRecord, rejects: Sequence[RejectFile], at: datetime) -> None:
        with self._transaction():
            self._add_rejects(epoch, rejects, status="aborted", at=at)

    def _add_rejects(self, epoch: EpochRecord, files: Sequence[RejectFile], *, status: str, at: datetime) -> None:
        for file in files:
            self._write(tables.ADD_REJECT, records.of_reject(epoch, file, status=status, at=at))

    # ------------------------------------------------------------ what is known

    def positions(self, key: PipelineKey, incarnation: str) -> Mapping[tuple[str, str], Position]:
        with self._transaction():
            rows = self._rows(tables.POSITIONS, **records.of_key(key), incarnation=incarnation)
        return {(row["source"], row["partition"]): row["position"] for row in rows}

    def committed(self, key: PipelineKey, incarnation: str) -> Mapping[str, int]:
        with self._transaction():
            rows = self._rows(tables.SINKS, **records.of_key(key), incarnation=incarnation)
        return {row["sink"]: row["number"] for row in rows}

    def schemas(self, key: PipelineKey) -> Mapping[str, Schema]:
        with self._transaction():
            return {row["source"]: records.to_schema(row) for row in self._rows(tables.SCHEMAS, **records.of_key(key))}

    def accept(self, lease: Lease, schemas: Mapping[str, Schema]) -> None:
        with self._transaction():
            self._held(lease.key, lease.fence)
            for source, schema in schemas.items():
                self._write(tables.PUT_SCHEMA, records.of_schema(lease.key, source, schema))

    def balance(self, run_id: str) -> Mapping[int, Sequence[NodeBalance]]:
        return {number: records.to_balance(row["balance"]) for number, row in self._sealed(run_id).items()}

    def receipts(self, run_id: str) -> Mapping[int, Mapping[str, Receipt]]:
        return {number: records.to_receipts(row["receipts"]) for number, row in self._sealed(run_id).items()}

    def _sealed(self, run_id: str) -> dict[int, Row]:
        with self._transaction():
            rows = self._rows(tables.EPOCHS_OF_RUN, run_id=run_id)
        return {row["number"]: row for row in rows if row["status"] == EpochStatus.SEALED.value}

    def rejects(self, key: PipelineKey | None = None, *, run_id: str | None = None) -> Sequence[RejectEntry]:
        with self._transaction():
            if run_id is not None:
                rows = self._rows(tables.REJECTS_OF_RUN, run_id=run_id)
            elif key is not None:
                rows = self._rows(tables.REJECTS_OF, **records.of_key(key))
            else:
                rows = self._rows(tables.REJECTS)
        found = [records.to_reject(row) for row in rows]
        return [entry for entry, row in zip(found, rows, strict=True) if key is None or records.to_key(row) == key]


# ---------------------------------------------------------------- connection


def _connect(path: Path) -> sqlite3.Connection:
    """WAL with full syncs is durable and lets readers read; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return connection


def _bound(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values as SQLite keeps them."""
    return {name: _kept(name, value) for name, value in row.items()}


def _kept(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in tables.TIMES:
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps(value, ensure_ascii=False) if name in tables.STRUCTURES else value


def _read(row: sqlite3.Row) -> Row:
    return {name: _restored(name, row[name]) for name in row.keys()}  # noqa: SIM118 -- iterating a Row gives its values


def _restored(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in tables.TIMES:
        return datetime.fromisoformat(value)
    return json.loads(value) if name in tables.STRUCTURES else value


def _refused(error: OSError, path: Path) -> FatalError:
    detail = f"{error.strerror} ({error.filename})."
    return FatalError("LED-103", f'the ledger "{path.name}" cannot be written', detail=detail)


def _classified(error: sqlite3.Error, path: Path) -> FatalError | TransientError | InternalError:
    words = str(error)
    match words:
        case _ if "locked" in words or "busy" in words:
            return TransientError("LED-150", f'the ledger "{path.name}" is busy', detail=words)
        case _ if "not a database" in words or "malformed" in words or "file is encrypted" in words:
            return FatalError(
                "LED-101",
                f'the ledger "{path.name}" is damaged',
                detail=words,
                hint=f"restore it from a copy; or remove it ({path}*), and run each pipeline of the project with "
                "--full-refresh, which replaces the sinks' contents",
            )
        case _ if "full" in words or "readonly" in words or "unable to open" in words or "I/O" in words:
            return FatalError("LED-103", f'the ledger "{path.name}" cannot be written', detail=f"{words} ({path})")
        case _:
            return InternalError("INT-900", "the ledger refused a statement", detail=words)


# ---------------------------------------------------------------- numbers


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
