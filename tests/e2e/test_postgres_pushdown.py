"""Conditions and columns in a real server's read: what the plan says is asked, and no rejected row is missed for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from penstock.clock import SystemClock
from penstock.document.assembly import Settings
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.graph.nodes import Read
from penstock.ledger.api import RunStatus
from penstock.service.opening import opened
from penstock.service.request import Request
from penstock.service.running import run

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

_DOCUMENT = """
pipeline: pushed
sources:
  orders:
    type: postgres
    connection: "%s"
    table: orders
    schema: {columns: {id: int64, city: string?, amount: int64}}
transforms:
  large:
    from: orders
    steps:
      - rename: {price: amount}
      - filter: price > 10 and upper(city) = 'X'
      - select: [id]
sinks:
%s
"""
_ONE = "  out: {from: large, type: parquet, path: out.parquet, mode: overwrite}\n"
_TWO = _ONE + "  more: {from: large, type: parquet, path: more.parquet, mode: overwrite}\n"


@pytest.fixture
def url(postgres_server: PostgresServer, postgres_database: str) -> str:
    postgres_server.sql(
        "CREATE TABLE orders (id bigint, city text, amount bigint, note text); "
        "INSERT INTO orders SELECT i, CASE WHEN i % 2 = 0 THEN 'x' ELSE 'y' END, i, 'n' FROM generate_series(1, 40) i; "
        "INSERT INTO orders VALUES (NULL, 'x', 1, 'bad'), (99, 'x', NULL, 'bad'), (50, NULL, 50, 'fine')",
        database=postgres_database,
    )
    return postgres_server.url(postgres_database)


@pytest.mark.parametrize("sinks", [_ONE, _TWO], ids=["streamed", "spooled"])
def test_a_server_leaves_out_what_nobody_wants_but_never_what_is_rejected(url: str, sinks: str, tmp_path: Path) -> None:
    (tmp_path / "pushed.yml").write_text(_DOCUMENT % (url, sinks), encoding="utf-8")
    request = Request(tmp_path / "pushed.yml", Settings(dict(os.environ)), SystemClock(), Faults().reached)
    with opened(request) as found:
        found.connect()
        _, plan = found.plan()
    read = plan.graph["orders"]
    assert isinstance(read, Read)
    assert read.predicate is not None
    assert read.predicate.sql(dialect="duckdb") == '"amount" > 10 OR "id" IS NULL OR "amount" IS NULL'
    assert read.columns == ("id", "city", "amount")
    assert bool(plan.spools) == (sinks == _TWO)
    done = run(request, Events(level="error"), Faults())
    assert done.status is RunStatus.DONE, done.problems
    balance = done.to_json()["balance"]
    assert balance["orders"]["out"] == 33  # 30 of more than 10, one without a city, two to reject
    assert done.rejected == 2
    for name in ("out", "more")[: len(sinks.splitlines())]:
        ids = sorted(pq.read_table(tmp_path / f"{name}.parquet")["id"].to_pylist())
        assert ids == list(range(12, 41, 2))
