"""Running epochs against a sink as the run loop does, and dying at a named point: by an exception or by SIGKILL."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa
import pytest

from penstock.faults.children import KILLED, Children
from penstock.faults.points import act
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.faults.children import Child

Death = Literal["raise", "kill"]
LAKE_MODES = ("append", "overwrite", "overwrite_partitions", "merge")
# What a killed process leaves, one that fails leaves too: a mode meets one of both, in the long form the other as well.
LAKE_DEATHS = [
    pytest.param(mode, death, marks=[] if (death == "kill") == (mode in ("append", "merge")) else [pytest.mark.long])
    for mode in LAKE_MODES
    for death in get_args(Death)
]


class Crash(BaseException):
    """Nothing in the code under test may catch it."""


@dataclass
class Reaper:
    """Dies when ``point`` is passed for the ``nth`` time after it was armed; counts what was passed."""

    point: str
    death: Death
    nth: int = 1
    armed: bool = False
    passed: int = 0

    def __call__(self, reached: str) -> None:
        if not self.armed or reached != self.point:
            return
        self.passed += 1
        if self.passed == self.nth:
            if self.death == "kill":
                act("kill", reached)
            raise Crash(reached)


def rows_of(number: int) -> pa.Table:
    """The rows of an epoch: ids of its own, one part of its own and one that every epoch has."""
    ids = [number * 10 + place for place in range(4)]
    parts = [f"only/{number}", "common", None, "common"]
    schema = pa.schema(
        [pa.field("id", pa.int64(), nullable=False), pa.field("part", pa.string()), pa.field("epoch", pa.int64())]
    )
    return pa.table([pa.array(ids), pa.array(parts), pa.array([number] * 4)], schema=schema)


def run_epochs(
    make: Callable[[Callable[[str], None]], Sink], last: int, *, fence: int, reaper: Reaper, deadly: int = 2
) -> None:
    """What a run does after a start: read the marker, then every epoch up to ``last``; the reaper is armed for one."""
    sink = make(reaper)
    try:
        marker = sink.marker(SINK_ID)
        for number in range((marker.epoch if marker else 0) + 1, last + 1):
            reaper.armed = number == deadly
            deliver(sink, epoch(number, fence=fence, attempt=f"{fence}-{number}"), rows_of(number))
    finally:
        sink.close()


# What runs and sinks import, so that who is to be killed is under way at once.
IMPORTED = (
    *("crashes", "epochs", "duckdb", "psycopg", "xxhash"),
    *("pyarrow.parquet", "pyarrow.compute", "pyarrow.acero"),
    *("sqlglot.generators.duckdb", "sqlglot.parsers.duckdb", "sqlglot.generators.sqlite"),
    *("penstock.steps.filter", "penstock.steps.limit", "penstock.steps.aggregate", "penstock.errors.catalogue"),
    *("penstock.connectors.files.table", "penstock.connectors.files.counting", "penstock.types.conform"),
    *("penstock.testing.sinks", "penstock.testing.native", "penstock.engines.duckdb.engine"),
    *("penstock.service.documents", "penstock.ledger.sqlite", "penstock.connectors.files.csv_source"),
    "penstock.connectors.files.parquet_sink",
    *("penstock.connectors.sqlite.sink", "penstock.connectors.sqlite.source"),
    *("penstock.connectors.postgres.sink", "penstock.connectors.delta.sink", "penstock.connectors.mariadb.sink"),
    *("penstock.connectors.iceberg.sink", "penstock.connectors.iceberg.changes"),
    *("pyiceberg.catalog.sql", "pyiceberg.io.pyarrow", "pyiceberg.table.update.snapshot", "pyiceberg_core"),
)


def children() -> Children:
    return Children(IMPORTED)


def die(make: Any, last: int, reaper: Reaper) -> bool:
    """Run until the reaper strikes; whether it did."""
    if reaper.death == "raise":
        try:
            run_epochs(make, last, fence=1, reaper=reaper)
        except Crash:
            return True
        return False
    return children().start(run_epochs, make, last, fence=1, reaper=reaper).join(60) == KILLED


# ---------------------------------------------------------------- the zombie contest

CONTEST_S = 40


def contest(compete: Callable[..., None], folder: Path, *, fenced: bool) -> None:
    """Three competitors, of whom one is killed or put to sleep every moment, until all epochs are there. Those that are not
    ``fenced`` are put to sleep alone: on a slow machine they would get no two of them anywhere.

    ``compete(folder, name, fenced=...)`` runs in a process of its own and ends with it.
    """
    chance = random.Random(7)
    names = iter(range(10_000))

    def start() -> Child:
        return children().start(compete, folder, str(next(names)), fenced=fenced)

    competitors = [start() for _ in range(3)]
    until = time.monotonic() + CONTEST_S
    while time.monotonic() < until and any(child.is_alive for child in competitors):
        time.sleep(chance.uniform(0.05, 0.4))
        place = chance.randrange(3)
        struck = competitors[place]
        if not struck.is_alive:
            continue
        if fenced and chance.random() < 0.7:
            struck.kill()
            competitors[place] = start()
        else:
            struck.freeze()
            time.sleep(chance.uniform(0.05, 0.3))
            struck.wake()
    for child in competitors:
        child.kill()
