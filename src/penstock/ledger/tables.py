"""The tables of the ledger. Times are UTC without a zone in the file; structured values are JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import JSON, Boolean, Column, DateTime, Integer, MetaData, String, Table
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class Instant(TypeDecorator[datetime]):
    """A time in UTC, with its zone in Python."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- its signature
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- its signature
        return value.replace(tzinfo=UTC) if value is not None else None


metadata = MetaData()


def _key(*, primary: bool = True) -> tuple[Column[str], ...]:
    return tuple(
        Column(name, String, primary_key=primary, nullable=False) for name in ("project", "environment", "pipeline")
    )


pipelines = Table(
    "pipelines",
    metadata,
    *_key(),
    Column("incarnation", String, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("holder", String),
    Column("expires_at", Instant, nullable=False),
    Column("replacing", Boolean, nullable=False, default=False),  # until the incarnation's first seal
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String, primary_key=True),
    *_key(primary=False),
    Column("status", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("engine", String, nullable=False),
    Column("guarantee", String, nullable=False),
    Column("plan_hash", String, nullable=False),
    Column("summary", JSON, nullable=False),
)

# One row per attempt; receipts and balance are there once it is sealed.
epochs = Table(
    "epochs",
    metadata,
    *_key(),
    Column("incarnation", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("attempt", String, primary_key=True),
    Column("fence", Integer, nullable=False),
    Column("run_id", String, nullable=False, index=True),
    Column("plan_hash", String, nullable=False),
    Column("ranges", JSON, nullable=False),
    Column("planned_at", Instant, nullable=False),
    Column("status", String, nullable=False),
    Column("sealed_at", Instant),
    Column("sinks", JSON, nullable=False),
    Column("prepared", JSON),
    Column("receipts", JSON),
    Column("balance", JSON),
)

positions = Table(
    "positions",
    metadata,
    *_key(),
    Column("incarnation", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("partition", String, primary_key=True),
    Column("position", JSON, nullable=False),
)

sinks = Table(
    "sinks",
    metadata,
    *_key(),
    Column("incarnation", String, primary_key=True),
    Column("sink", String, primary_key=True),
    Column("number", Integer, nullable=False),
)

schemas = Table(
    "schemas",
    metadata,
    *_key(),
    Column("source", String, primary_key=True),
    Column("columns", JSON, nullable=False),
)

rejects = Table(
    "rejects",
    metadata,
    Column("id", Integer, primary_key=True),
    *_key(primary=False),
    Column("incarnation", String, nullable=False),
    Column("run_id", String, nullable=False, index=True),
    Column("epoch", Integer, nullable=False),
    Column("attempt", String, nullable=False),
    Column("status", String, nullable=False),
    Column("node", String, nullable=False),
    Column("path", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("checksum", String, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("at", Instant, nullable=False),
)
