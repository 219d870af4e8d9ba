"""Answers of the service as JSON has them; no table is made, and nothing is imported for one."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from penstock.service.inspecting import Sampled
    from penstock.service.remembering import RunDetails, RunRecord, StopRequest


def run_json(run: RunRecord, stop: StopRequest | None = None) -> dict[str, Any]:
    """``stop``: what is asked of it while it goes on."""
    return {
        "run_id": run.run_id,
        "project": run.key.project,
        "environment": run.key.environment,
        "pipeline": run.key.pipeline,
        "kind": "replay" if run.is_replay else "load",
        "status": run.status.value,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "engine": run.engine,
        "guarantee": run.guarantee,
        "plan_hash": run.plan_hash,
        "stopping": {"by": stop.by, "at": stop.at.isoformat()} if stop is not None else None,
        "stopped": run.summary.get("stopped"),
    }


def details_json(details: RunDetails) -> dict[str, Any]:
    return run_json(details.run, details.stop) | {"summary": details.summary()}


def rows_json(found: Sampled) -> list[dict[str, Any]]:
    """Every row as a map."""
    names = found.schema.names
    return [dict(zip(names, map(plain, row), strict=True)) for row in rows_of(found.rows)]


def columns_json(found: Sampled) -> list[dict[str, Any]]:
    return [{"name": item.name, "type": str(item.type), "nullable": item.nullable} for item in found.schema]


def rows_of(rows: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Of at most as many rows as ``preview`` is asked for; maps as lists of pairs, since their keys may be anything."""
    return zip(*(column.to_pylist() for column in rows.columns), strict=True)


def plain(value: Any) -> Any:
    """A value as JSON has it: exact numbers and times as text, bytes as base64."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124 -- NaN
        case decimal.Decimal() | uuid.UUID() | dt.timedelta():
            return str(value)
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)
