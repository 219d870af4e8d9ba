"""A ledger kept in tables, in whatever database: what each question reads and each deed writes. A database's own module
says how statements are run, what a transaction is there, and whose clock its leases go by.
"""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, ParamSpec, TypeVar

from penstock.errors import FatalError
from penstock.ledger import records, tables
from penstock.ledger.api import Account, EpochRecord, EpochStatus, Health, Lease, PipelineKey
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock.connectors.api import Position, Receipt
    from penstock.ledger.api import (
        Holding,
        NodeBalance,
        RejectEntry,
        RejectFile,
        RejectOutcome,
        RunRecord,
        Seal,
        StopRequest,
    )
    from penstock.ledger.records import Row
    from penstock.types import Schema

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Store = TypeVar("Store", bound="TabularLedger")


def transaction(
    method: Callable[Concatenate[Store, Given], Answer],
) -> Callable[Concatenate[Store, Given], Answer]:
    """The method as one transaction of its ledger: durable when it returns, and without a trace where it raises."""

    @wraps(method)
    def whole(ledger: Store, /, *args: Given.args, **named: Given.kwargs) -> Answer:
        return ledger._transact(lambda: method(ledger, *args, **named))  # noqa: SLF001 -- a method of this class

    return whole


class TabularLedger(ABC):
    """Implements ``ledger.api.Ledger`` but for ``close``."""

    TYPES: ClassVar[Mapping[str, str]]  # what the database calls the types that stand in braces in a step
    WEEKDAY: ClassVar[str]  # an expression: the day (UTC) that an epoch was planned on, 0 is Sunday
    LOCK: ClassVar[str] = ""  # behind a SELECT: its row is the transaction's alone

    # ------------------------------------------------------------ the database

    @property
    @abstractmethod
    def _name(self) -> str:
        """What messages call the ledger."""

    @abstractmethod
    def _transact(self, work: Callable[[], Answer]) -> Answer:
        """``work()`` as one transaction. It may be called several times, after failures that left no trace."""

    @abstractmethod
    def _write(self, statement: str, row: Mapping[str, Any]) -> None:
        """Runs a statement of ``tables`` with the values that it names. Inside a transaction only, as what follows."""

    @abstractmethod
    def _rows(self, statement: str, **values: object) -> list[Row]: ...

    def _first(self, statement: str, **values: object) -> Row | None:
        return next(iter(self._rows(statement, **values)), None)

    @abstractmethod
    def _now(self) -> datetime:
        """By the clock that all who use this ledger share."""

    def _is_free(self, pipeline: Row) -> bool:
        """Whether anybody may take the pipeline, whose row this is."""
        return pipeline["holder"] is None or bool(pipeline["expires_at"] <= self._now())

    def _health(self, pipeline: Row) -> Health:
        """Of the holder of the pipeline, whose row this is."""
        return Health.SILENT if pipeline["expires_at"] <= self._now() else Health.ALIVE

    # ------------------------------------------------------------ versions

    @abstractmethod
    def _version(self) -> int:
        """0 where there are no tables yet."""

    @abstractmethod
    def _become(self, version: int) -> None:
        """Records that the tables are those of that version."""

    def _migrate(self) -> None:
        """Inside a transaction beside which nobody else migrates. Raises FatalError LED-102."""
        version = self._version()
        self._check_version(version)
        for step in tables.STEPS[version:]:
            for statement in step.format_map(self.TYPES).split(";\n"):
                self._write(statement, {})
        if version < tables.VERSION:
            self._become(tables.VERSION)

    def _check_version(self, version: int) -> None:
        if version > tables.VERSION:
            raise FatalError(
                "LED-102",
                f'the ledger "{self._name}" was written by a newer Penstock',
                detail=f"its version is {version}, this Penstock knows {tables.VERSION}.",
                hint="run it with the newer Penstock",
            )

    # ------------------------------------------------------------ leases

    @transaction
    def take(self, key: PipelineKey, holder: str, *, duration: timedelta) -> Lease:
        fresh = {**records.of_key(key), "incarnation": uuid.uuid4().hex, "expires_at": self._now()}
        self._write(tables.ENSURE_PIPELINE, fresh)
        row = self._rows(tables.PIPELINE + self.LOCK, **records.of_key(key))[0]
        if not self._is_free(row) and row["holder"] != holder:
            raise FatalError(
                "LED-110",
                f'the pipeline "{key}" is being run by {row["holder"]}',
                detail=f"its lease ends at {row['expires_at']:%Y-%m-%d %H:%M:%S} UTC unless it is renewed.",
                hint=f"wait until that run ends, or stop it with `penstock runs stop {key.pipeline}`",
            )
        now = self._now()
        # By the clock, so that it is above what sinks have seen of a ledger that was lost or set back.
        fence = max(row["fence"] + 1, int(now.timestamp()))
        lease = Lease(key, holder, fence, row["incarnation"], now + duration)
        self._write(tables.HOLD, records.of_lease(lease))
        return lease

    @transaction
    def renew(self, lease: Lease, *, duration: timedelta) -> Lease:
        self._held(lease.key, lease.fence)
        renewed = replace(lease, expires_at=self._now() + duration)
        self._write(tables.HOLD, records.of_lease(renewed))
        return renewed

    @transaction
    def release(self, lease: Lease) -> None:
        self._write(tables.RELEASE, {**records.of_key(lease.key), "fence": lease.fence})

    @transaction
    def holdings(self) -> Sequence[Holding]:
        return [records.to_holding(row, self._health(row)) for row in self._rows(tables.HELD)]

    @transaction
    def ask_stop(self, lease: Lease, request: StopRequest) -> None:
        self._held(lease.key, lease.fence)
        self._write(tables.PUT_STOP, records.of_stop(lease, request))

    @transaction
    def heed_stop(self, lease: Lease) -> StopRequest | None:
        row = self._first(tables.STOP, **records.of_key(lease.key), fence=lease.fence)
        if row is None:
            return None
        request = replace(records.to_stop(row), heard=True)
        if not row["heard"]:
            self._write(tables.PUT_STOP, records.of_stop(lease, request))
        return request

    @transaction
    def new_incarnation(self, lease: Lease) -> str:
        incarnation = uuid.uuid4().hex
        self._held(lease.key, lease.fence)
        self._write(tables.REINCARNATE, {**records.of_key(lease.key), "incarnation": incarnation})
        return incarnation

    @transaction
    def replacing(self, key: PipelineKey) -> bool:
        row = self._first(tables.PIPELINE, **records.of_key(key))
        return row is not None and bool(row["replacing"])

    def _held(self, key: PipelineKey, fence: int) -> None:
        row = self._first(tables.PIPELINE + self.LOCK, **records.of_key(key))
        if row is None or row["fence"] != fence:
            raise FatalError(
                "LED-111",
                f'another run has taken over the pipeline "{key}"',
                detail=f"this run holds fence {fence}, the newest is {row['fence'] if row else 'none'}.",
                hint="`penstock runs list` shows the one that goes on; run again when it has ended",
            )

    # ------------------------------------------------------------ runs

    @transaction
    def begin_run(self, run: RunRecord) -> None:
        self._write(tables.PUT_RUN, records.of_run(run))

    def end_run(self, run: RunRecord) -> None:
        self.begin_run(run)

    @transaction
    def close_runs(self, lease: Lease, run_id: str, *, at: datetime) -> None:
        self._held(lease.key, lease.fence)
        self._write(tables.CLOSE_RUNS, {**records.of_key(lease.key), "run_id": run_id, "ended_at": at})

    @transaction
    def pipelines(self) -> Sequence[PipelineKey]:
        return sorted(records.to_key(row) for row in self._rows(tables.PIPELINES))

    @transaction
    def runs(self, *, key: PipelineKey | None = None, limit: int = 50) -> Sequence[RunRecord]:
        rows = (
            self._rows(tables.RUNS, limit=limit)
            if key is None
            else self._rows(tables.RUNS_OF, limit=limit, **records.of_key(key))
        )
        return [records.to_run(row) for row in rows]

    @transaction
    def runs_beginning(self, beginning: str, *, limit: int) -> Sequence[RunRecord]:
        rows = self._rows(tables.RUNS_BEGINNING, beginning=beginning, limit=limit)
        return [records.to_run(row) for row in rows]

    # ------------------------------------------------------------ epochs

    @transaction
    def last_epoch(self, key: PipelineKey, incarnation: str) -> EpochRecord | None:
        row = self._first(tables.LAST_EPOCH, **records.of_key(key), incarnation=incarnation)
        return records.to_epoch(row) if row is not None else None

    def _newest(self, epoch: EpochRecord) -> records.Newest | None:
        """Of the epoch's history, without what it read: ranges may be long."""
        row = self._first(tables.LAST_ATTEMPT, **records.of_key(epoch.key), incarnation=epoch.incarnation)
        return records.to_newest(row) if row is not None else None

    @transaction
    def last_sealed(self, key: PipelineKey) -> EpochRecord | None:
        row = self._first(tables.LAST_SEALED, **records.of_key(key))
        return records.to_epoch(row) if row is not None else None

    @transaction
    def sealed(self, key: PipelineKey, incarnation: str, *, since: int) -> Sequence[EpochRecord]:
        rows = self._rows(tables.SEALED_SINCE, **records.of_key(key), incarnation=incarnation, since=since)
        return [records.to_epoch(row) for row in rows]

    @transaction
    def epochs(self, run_id: str) -> Sequence[EpochRecord]:
        return [records.to_epoch(row) for row in self._rows(tables.EPOCHS_OF_RUN, run_id=run_id)]

    def plan_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=False)

    def retry_epoch(self, epoch: EpochRecord) -> None:
        self._write_epoch(epoch, redo=True)

    @transaction
    def _write_epoch(self, epoch: EpochRecord, *, redo: bool) -> None:
        self._held(epoch.key, epoch.fence)
        last = self._newest(epoch)
        _check_number(epoch, last, redo=redo)
        if last is not None and last.status is EpochStatus.PLANNED:
            given_up = {"number": last.number, "attempt": last.attempt, "status": EpochStatus.ABANDONED.value}
            self._write(tables.SET_STATUS, {**records.of_attempt(epoch), **given_up})
        self._write(tables.PUT_EPOCH, records.of_epoch(epoch))

    @transaction
    def prepare(self, epoch: EpochRecord, account: Account) -> None:
        self._held(epoch.key, epoch.fence)
        self._write(tables.PREPARE_EPOCH, {**records.of_attempt(epoch), "prepared": records.of_account(account)})

    @transaction
    def prepared(self, epoch: EpochRecord) -> Account:
        row = self._first(tables.PREPARED, **records.of_attempt(epoch))
        return records.to_account(row["prepared"] if row is not None else None)

    @transaction
    def seal(self, seal: Seal) -> None:
        epoch = seal.epoch
        stored = self._newest(epoch)
        if stored is not None and stored.number == epoch.number and stored.status is EpochStatus.SEALED:
            return
        self._held(epoch.key, epoch.fence)
        if stored is None or (stored.number, stored.attempt) != (epoch.number, epoch.attempt):
            raise _wrong_number(epoch, stored)
        self._write(tables.SEAL_EPOCH, records.of_seal(seal))
        if epoch.sinks:  # else it is in the midst of a series, at whose end they get their rows
            self._write(tables.REPLACED, records.of_key(epoch.key))
        for item in (item for item in epoch.ranges if not item.aside):
            self._write(tables.PUT_POSITION, records.of_position(epoch, item))
        for sink in epoch.sinks:
            self._write(tables.PUT_SINK, records.of_sink(epoch, sink))
        for source, schema in seal.schemas.items():
            self._write(tables.PUT_SCHEMA, records.of_schema(epoch.key, source, schema))
        for statement in tables.SUPERSEDE_OTHERS:
            self._write(statement, records.of_attempt(epoch))
        for node in seal.superseded:
            self._write(tables.SUPERSEDE_NODE, {**records.of_attempt(epoch), "node": node})
        self._add_outcomes(epoch.key, seal.outcomes)
        self._add_rejects(epoch, seal.rejects, status="kept", at=seal.sealed_at)

    def _add_outcomes(self, key: PipelineKey, outcomes: Sequence[RejectOutcome]) -> None:
        for done in outcomes:
            row = records.of_outcome(key, done)
            self._write(tables.ADD_OUTCOME, row)
            self._write(tables.LEFT_REJECTS, row)

    @transaction
    def settle(self, lease: Lease, outcomes: Sequence[RejectOutcome]) -> None:
        self._held(lease.key, lease.fence)
        self._add_outcomes(lease.key, outcomes)

    @transaction
    def outcomes(self, key: PipelineKey) -> Sequence[RejectOutcome]:
        return [records.to_outcome(row) for row in self._rows(tables.OUTCOMES, **records.of_key(key))]

    @transaction
    def abort(self, epoch: EpochRecord, rejects: Sequence[RejectFile], at: datetime) -> None:
        self._add_rejects(epoch, rejects, status="aborted", at=at)

    def _add_rejects(self, epoch: EpochRecord, files: Sequence[RejectFile], *, status: str, at: datetime) -> None:
        for file in files:
            self._write(tables.ADD_REJECT, records.of_reject(epoch, file, status=status, at=at))

    # ------------------------------------------------------------ what is known

    @transaction
    def positions(self, key: PipelineKey, incarnation: str) -> Mapping[tuple[str, str], Position]:
        rows = self._rows(tables.POSITIONS, **records.of_key(key), incarnation=incarnation)
        return {(row["source"], row["partition"]): row["position"] for row in rows}

    @transaction
    def committed(self, key: PipelineKey, incarnation: str) -> Mapping[str, int]:
        rows = self._rows(tables.SINKS, **records.of_key(key), incarnation=incarnation)
        return {row["sink"]: row["number"] for row in rows}

    @transaction
    def schemas(self, key: PipelineKey) -> Mapping[str, Schema]:
        return {row["source"]: records.to_schema(row) for row in self._rows(tables.SCHEMAS, **records.of_key(key))}

    @transaction
    def accept(self, lease: Lease, schemas: Mapping[str, Schema]) -> None:
        self._held(lease.key, lease.fence)
        for source, schema in schemas.items():
            self._write(tables.PUT_SCHEMA, records.of_schema(lease.key, source, schema))

    @transaction
    def history(
        self, key: PipelineKey, *, limit: int, weekday: int | None = None
    ) -> Sequence[tuple[EpochRecord, Sequence[NodeBalance]]]:
        if weekday is None:
            rows = self._rows(tables.HISTORY, **records.of_key(key), limit=limit)
        else:
            asked = tables.HISTORY_OF_WEEKDAY.format(weekday=self.WEEKDAY)
            rows = self._rows(asked, **records.of_key(key), limit=limit, weekday=weekday % 7)
        return [(records.to_epoch(row), records.to_balance(row["balance"])) for row in rows]

    def balance(self, run_id: str) -> Mapping[int, Sequence[NodeBalance]]:
        return {number: records.to_balance(row["balance"]) for number, row in self._sealed(run_id).items()}

    def receipts(self, run_id: str) -> Mapping[int, Mapping[str, Receipt]]:
        return {number: records.to_receipts(row["receipts"]) for number, row in self._sealed(run_id).items()}

    @transaction
    def _sealed(self, run_id: str) -> dict[int, Row]:
        rows = self._rows(tables.EPOCHS_OF_RUN, run_id=run_id)
        return {row["number"]: row for row in rows if row["status"] == EpochStatus.SEALED.value}

    @transaction
    def rejects(self, key: PipelineKey | None = None, *, run_id: str | None = None) -> Sequence[RejectEntry]:
        if run_id is not None:
            rows = self._rows(tables.REJECTS_OF_RUN, run_id=run_id)
        elif key is not None:
            rows = self._rows(tables.REJECTS_OF, **records.of_key(key))
        else:
            rows = self._rows(tables.REJECTS)
        found = [records.to_reject(row) for row in rows]
        return [entry for entry, row in zip(found, rows, strict=True) if key is None or records.to_key(row) == key]

    @transaction
    def nodes_of_open_rejects(self, key: PipelineKey, incarnation: str) -> frozenset[str]:
        rows = self._rows(tables.NODES_OF_OPEN_REJECTS, **records.of_key(key), incarnation=incarnation)
        return frozenset(row["node"] for row in rows)

    @transaction
    def newest_rejects(self, key: PipelineKey) -> Mapping[str, int]:
        return {row["node"]: row["epoch"] for row in self._rows(tables.NEWEST_REJECTS, **records.of_key(key))}

    @transaction
    def runs_of_rejects(self, key: PipelineKey, paths: Sequence[str]) -> Mapping[str, str]:
        found = {path: self._first(tables.RUN_OF_REJECTS, **records.of_key(key), path=path) for path in paths}
        return {path: row["run_id"] for path, row in found.items() if row is not None}


# ---------------------------------------------------------------- numbers


def _check_number(epoch: EpochRecord, last: records.Newest | None, *, redo: bool) -> None:
    if redo:
        right = last is not None and last.status is EpochStatus.PLANNED and last.number == epoch.number
    elif last is None:
        right = epoch.number == 1
    else:
        right = epoch.number == last.number + (1 if last.status is EpochStatus.SEALED else 0)
    if not right:
        raise _wrong_number(epoch, last)


def _wrong_number(epoch: EpochRecord, last: records.Newest | None) -> FatalError:
    known = f"{last.number}, {last.status}" if last is not None else "none"
    return FatalError(
        "LED-112",
        f'epoch {epoch.number} of "{epoch.key}" does not follow what the ledger has',
        detail=f"the last one there is {known}.",
    )
