"""Between the ledger's values and its rows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import ColumnFigures, Receipt
from penstock.ledger.api import (
    Account,
    EpochRecord,
    EpochStatus,
    Holding,
    KeptRows,
    Lease,
    NodeBalance,
    PipelineKey,
    Range,
    RejectEntry,
    RejectFile,
    RejectOutcome,
    RuleResult,
    RunRecord,
    RunStatus,
    StopRequest,
)
from penstock.structs import Frozen, asdict
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penstock.ledger.api import Health, Seal

Row = dict[str, Any]
_MILLISECOND: Final = timedelta(milliseconds=1)
_BALANCE: Final = NodeBalance.__struct_fields__


def of_key(key: PipelineKey) -> Row:
    return {"project": key.project, "environment": key.environment, "pipeline": key.pipeline}


def to_key(row: Row) -> PipelineKey:
    return PipelineKey(row["project"], row["environment"], row["pipeline"])


def of_lease(lease: Lease) -> Row:
    return {
        **of_key(lease.key),
        "incarnation": lease.incarnation,
        "fence": lease.fence,
        "holder": lease.holder,
        "expires_at": lease.expires_at,
    }


def of_stop(lease: Lease, request: StopRequest) -> Row:
    return {
        **of_key(lease.key),
        "fence": lease.fence,
        "asked_by": request.by,
        "asked_at": request.at,
        "grace_ms": None if request.grace is None else round(request.grace / _MILLISECOND),
        "heard": int(request.heard),
    }


def to_stop(row: Row) -> StopRequest:
    grace = None if row["grace_ms"] is None else row["grace_ms"] * _MILLISECOND
    return StopRequest(row["asked_by"], row["asked_at"], grace, bool(row["heard"]))


def to_holding(row: Row, health: Health) -> Holding:
    """Of a pipeline that is held."""
    lease = Lease(to_key(row), row["holder"], row["fence"], row["incarnation"], row["expires_at"])
    return Holding(lease, health, to_stop(row) if row["asked_by"] is not None else None)


def of_run(run: RunRecord) -> Row:
    return {
        "run_id": run.run_id,
        **of_key(run.key),
        "status": run.status.value,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "engine": run.engine,
        "guarantee": run.guarantee,
        "plan_hash": run.plan_hash,
        "summary": run.summary,
    }


def to_run(row: Row) -> RunRecord:
    return RunRecord(
        row["run_id"],
        to_key(row),
        RunStatus(row["status"]),
        row["started_at"],
        row["ended_at"],
        row["engine"],
        row["guarantee"],
        row["plan_hash"],
        row["summary"],
    )


def of_epoch(epoch: EpochRecord) -> Row:
    return {
        **of_key(epoch.key),
        "incarnation": epoch.incarnation,
        "number": epoch.number,
        "attempt": epoch.attempt,
        "fence": epoch.fence,
        "run_id": epoch.run_id,
        "plan_hash": epoch.plan_hash,
        "ranges": [_of_range(item) for item in epoch.ranges],
        "planned_at": epoch.planned_at,
        "sinks": dict(epoch.sinks),
        "status": epoch.status.value,
        "sealed_at": epoch.sealed_at,
    }


def _of_range(item: Range) -> Row:
    return {
        "source": item.source,
        "partition": item.partition,
        "after": item.after,
        "upto": item.upto,
        "aside": item.aside,
    }


def to_epoch(row: Row) -> EpochRecord:
    return EpochRecord(
        to_key(row),
        row["incarnation"],
        row["number"],
        row["attempt"],
        row["fence"],
        row["run_id"],
        row["plan_hash"],
        tuple(Range(**item) for item in row["ranges"]),
        row["planned_at"],
        row["sinks"],
        EpochStatus(row["status"]),
        row["sealed_at"],
    )


def of_attempt(epoch: EpochRecord) -> Row:
    """What tells an attempt from all others."""
    return {
        **of_key(epoch.key),
        "incarnation": epoch.incarnation,
        "number": epoch.number,
        "attempt": epoch.attempt,
    }


class Newest(Frozen):
    """How far the epochs of a history have come."""

    number: int
    attempt: str
    status: EpochStatus


def to_newest(row: Row) -> Newest:
    return Newest(row["number"], row["attempt"], EpochStatus(row["status"]))


def of_seal(seal: Seal) -> Row:
    return {
        **of_attempt(seal.epoch),
        "status": EpochStatus.SEALED.value,
        "sealed_at": seal.sealed_at,
        "receipts": {name: asdict(receipt) for name, receipt in seal.receipts.items()},
        "balance": [_of_balance(item) for item in seal.balance],
    }


def of_position(epoch: EpochRecord, item: Range) -> Row:
    return {
        **of_key(epoch.key),
        "incarnation": epoch.incarnation,
        "source": item.source,
        "partition": item.partition,
        "position": item.upto,
    }


def of_sink(epoch: EpochRecord, sink: str) -> Row:
    return {**of_key(epoch.key), "incarnation": epoch.incarnation, "sink": sink, "number": epoch.sinks[sink]}


def of_account(account: Account) -> Row:
    return {
        "balance": [_of_balance(item) for item in account.balance],
        "rejects": [_of_file(file) for file in account.rejects],
        "kept": {node: [rows.path, rows.checksum] for node, rows in account.kept.items()},
    }


def to_account(stored: Mapping[str, Any] | None) -> Account:
    if stored is None:
        return Account()
    return Account(
        tuple(to_balance(stored["balance"])),
        tuple(_to_file(item) for item in stored["rejects"]),
        {node: KeptRows(path, checksum) for node, (path, checksum) in stored.get("kept", {}).items()},
    )


def of_schema(key: PipelineKey, source: str, schema: Schema) -> Row:
    return {**of_key(key), "source": source, "columns": schema.to_json()}


def to_schema(row: Row) -> Schema:
    return Schema.from_json(row["columns"])


def _of_balance(item: NodeBalance) -> Row:
    return {
        **{name: getattr(item, name) for name in _BALANCE},
        "rules": [asdict(rule) for rule in item.rules],
        "columns": {name: asdict(found) for name, found in item.columns.items()},
    }


def to_balance(stored: Sequence[Mapping[str, Any]]) -> list[NodeBalance]:
    return [
        NodeBalance(
            **{
                **item,
                "rules": tuple(map(_to_result, item.get("rules", ()))),
                "columns": {name: ColumnFigures(**found) for name, found in item.get("columns", {}).items()},
            }
        )
        for item in stored
    ]


def _to_result(stored: Mapping[str, Any]) -> RuleResult:
    return RuleResult(**{**stored, "samples": tuple(stored.get("samples", ()))})


def to_receipts(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, Receipt]:
    return {name: Receipt(**item) for name, item in stored.items()}


def of_reject(epoch: EpochRecord, file: RejectFile, *, status: str, at: datetime) -> Row:
    return {
        **of_key(epoch.key),
        "incarnation": epoch.incarnation,
        "run_id": epoch.run_id,
        "epoch": epoch.number,
        "attempt": epoch.attempt,
        "status": status,
        **_of_file(file),
        "at": at,
    }


def to_reject(row: Row) -> RejectEntry:
    file = _to_file(row)
    is_whole = row["left_rows"] is None
    left_rows, left = (file.rows, file.groups) if is_whole else (row["left_rows"], _to_groups(row["left_groups"]))
    return RejectEntry(
        to_key(row), row["run_id"], row["epoch"], row["attempt"], row["status"], file, row["at"], left_rows, left
    )


def of_outcome(key: PipelineKey, done: RejectOutcome) -> Row:
    return {
        **of_key(key),
        "path": done.path,
        "code": done.code,
        "named": done.column,
        "outcome": done.outcome,
        "rows": done.rows,
        "left_rows": done.left_rows,
        "left_groups": _of_groups(done.left),
        "done_by": done.by,
        "epoch": done.epoch,
        "reason": done.reason,
        "at": done.at,
    }


def to_outcome(row: Row) -> RejectOutcome:
    return RejectOutcome(
        row["path"],
        row["code"],
        row["named"],
        row["outcome"],
        row["rows"],
        row["left_rows"],
        _to_groups(row["left_groups"]),
        row["done_by"],
        row["at"],
        row["epoch"],
        row["reason"],
    )


def _of_file(file: RejectFile) -> Row:
    return {
        "node": file.node,
        "path": file.path,
        "rows": file.rows,
        "checksum": file.checksum,
        "groups": _of_groups(file.groups),
        "labels": {column: sorted(labels) for column, labels in sorted(file.labels.items())},
        "places": dict(file.places),
    }


def _to_file(row: Mapping[str, Any]) -> RejectFile:
    groups = _to_groups(row["groups"])
    labels = {column: frozenset(found) for column, found in row["labels"].items()}
    places = row.get("places") or {}  # version 1 knew none
    return RejectFile(row["node"], row["path"], row["rows"], row["checksum"], groups, labels, places)


def _of_groups(groups: Mapping[tuple[str, str | None], int]) -> list[Any]:
    return [[code, column, rows] for (code, column), rows in sorted(groups.items(), key=str)]


def _to_groups(stored: Sequence[Any]) -> dict[tuple[str, str | None], int]:
    return {(code, column): rows for code, column, rows in stored}
