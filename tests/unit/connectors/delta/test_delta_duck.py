"""Our own DuckDB: interrupts act at once, its errors are ours, times need no further package."""

from __future__ import annotations

import os
import signal
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlglot import parse_one

from penstock.connectors.api import Allowance
from penstock.connectors.lake.duck import duck
from penstock.errors import InternalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType


@pytest.fixture
def strike() -> Iterator[threading.Timer]:
    """When started, SIGUSR1 comes after a moment and acts as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    yield timer
    timer.join()
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.timeout(60)  # the statement itself would take years
def test_an_interrupt_ends_a_statement_at_once(tmp_path: Path, strike: threading.Timer) -> None:
    endless = parse_one("SELECT count(*) FROM range(1000000) a, range(1000000) b, range(1000) c", dialect="duckdb")
    with duck(tmp_path, Allowance()) as own:
        strike.start()
        with pytest.raises(KeyboardInterrupt):
            own.rows(endless)
        assert own.rows(parse_one("SELECT 1")) == [(1,)]


def test_times_with_zones_come_in_utc(tmp_path: Path) -> None:
    query = parse_one("SELECT TIMESTAMPTZ '2024-01-01 01:00:00+01:00' AS at", dialect="duckdb")
    with duck(tmp_path, Allowance()) as own:
        ((at,),) = own.rows(query)
    assert at == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_disk_that_refuses_is_a_transient_error(tmp_path: Path) -> None:
    copy = parse_one(f"COPY (SELECT 1) TO '{tmp_path}/no/such/folder/x.parquet' (FORMAT parquet)", dialect="duckdb")
    with duck(tmp_path, Allowance()) as own, pytest.raises(TransientError) as caught:
        own.run(copy)
    assert caught.value.code == "SNK-257"


def test_a_statement_that_cannot_be_bound_is_our_own_bug(tmp_path: Path) -> None:
    with duck(tmp_path, Allowance()) as own, pytest.raises(InternalError) as caught:
        own.rows(parse_one("SELECT nothing", dialect="duckdb"))
    assert caught.value.code == "INT-900"
