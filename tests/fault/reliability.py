"""The long form: every sink through its ordeal and its negative controls, and the page that says what came of it."""

from __future__ import annotations

import os
import platform
import random
import re
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ordeal import CONTROLS, Control, Ordeal, Result
from rings import SERVED, local, of_database, of_store

from penstock.testing import servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import date

    from rings import Reading

ASKED = {"kills": 500, "zombies": 300, "answers": 100}  # of each sink, in the whole form
_CONTROLS_BELOW = "## Negative controls"
_SHOWN = {
    "files": "files in a folder",
    "one_file": "one file",
    "sqlite": "SQLite",
    "duckdb": "DuckDB",
    "postgres": "PostgreSQL",
    "mariadb": "MariaDB",
    "delta": "Delta Lake",
    "iceberg": "Iceberg",
    "s3": "files in an S3 bucket",
}


@dataclass(frozen=True)
class Row:
    """Of one sink; ``controls`` by what the writer lacked, None where it shows nothing in what overwrites."""

    sink: str
    result: Result
    controls: Mapping[Control, Result | None]

    @property
    def holds(self) -> bool:
        return self.result.holds and all(one is None or not one.holds for one in self.controls.values())


@dataclass(frozen=True)
class Asked:
    sinks: Sequence[str]
    kills: int
    zombies: int
    answers: int
    seed: int


def ordeals(asked: Asked, folder: Path) -> Iterator[Row]:
    """One sink after the other. Servers are started as they are needed."""
    for sink in asked.sinks:
        with ExitStack() as stack:
            ring = _rings(sink, folder, stack)
            ordeal = Ordeal(ring(), random.Random(f"{asked.seed} {sink}"))
            result = (
                ordeal.kills(asked.kills).then(ordeal.contest(asked.zombies)).then(ordeal.lost_answers(asked.answers))
            )
            yield Row(sink, result, {control: _control(control, ring()) for control in CONTROLS})


def told(row: Row, asked: Asked, day: date) -> tuple[str, str]:
    """Its lines of both tables."""
    return _line(row, asked, day), _controls(row)


def _control(control: Control, reading: Reading) -> Result | None:
    """What overwrites shows nothing of contents that come twice: the second time leaves what the first one left."""
    if reading.ring.overwrites and control != "fence off":
        return None
    return Ordeal(reading, random.Random(1)).control(control)


def _rings(sink: str, folder: Path, stack: ExitStack) -> Callable[[], Reading]:
    """Makes rings of that sink, each a fresh one."""
    numbers = iter(range(1, 100))
    if sink not in SERVED:
        return lambda: local(sink, folder / f"{sink}-{next(numbers)}")
    if sink == "s3":
        store = stack.enter_context(servers.objects(_found(servers.find_s3()), "s3"))

        def bucket() -> Reading:
            name = f"ring-{next(numbers)}"
            store.make_bucket(name)
            return of_store(folder / name, store, name)

        return bucket
    server: Any = stack.enter_context(
        servers.postgres(_found(servers.find_postgres()))
        if sink == "postgres"
        else servers.mariadb(_found(servers.find_mariadb()))
    )

    def database() -> Reading:
        name = f"ring_{next(numbers)}"
        server.sql(f"CREATE DATABASE {name}")
        return of_database(sink, folder / f"{sink}-{name}", server, name)

    return database


def _found(installation: Any) -> Any:
    if isinstance(installation, servers.Unavailable):
        raise SystemExit(installation.reason)
    return installation


# ---------------------------------------------------------------- the page


def page(rows: Sequence[Row], asked: Asked, every: Sequence[str], *, before: str, day: date) -> str:
    """``before``: the page as it was, whose lines of other sinks stay."""
    figures, _, controls = before.partition(_CONTROLS_BELOW)
    measured = {row.sink: _line(row, asked, day) for row in rows}
    found_out = {row.sink: _controls(row) for row in rows}
    lines = [
        "# Reliability",
        "",
        "<!-- written by `make torture` -->",
        "",
        "What sinks hold after their writers were killed, frozen and cut off. Per sink: a writer that commits epochs one after",
        "another is killed (SIGKILL) at random moments and started again; then three writers of one pipeline compete, of whom",
        "every blow kills one (70 %) or freezes it while the others go on and then wakes it (30 %, a *zombie*); then answers are",
        "lost at each crash point in turn. At the end the sink's own client reads every row: each epoch must be there, once.",
        "",
        f"A line was written by the latest run of its sink; the whole form asks for {_whole()}. The latest of all ran on",
        f"{_machine()}, Python {platform.python_version()}, {_versions()}.",
        "",
        "| sink | kills | zombies | lost answers | epochs | rows lost | rows doubled | seconds | measured |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
        *_lines(measured, every, figures),
        "",
        _CONTROLS_BELOW,
        "",
        "Writers that lack one thing, in the situation in which it would have kept them right. Each has to be found out, or the",
        "figures above say nothing. What overwrites one file shows no epoch that comes twice.",
        "",
        "| sink | " + " | ".join(CONTROLS) + " |",
        "|---|" + "---|" * len(CONTROLS),
        *_lines(found_out, every, controls),
        "",
        "- *marker off*: after a kill between commit and seal the next writer goes by what was noted, and not by the sink's marker.",
        "- *fence off*: a frozen writer wakes up after another one has done its epoch, and nobody refuses it.",
        "- *retry on*: the answer to a commit is lost, and the epoch is sent again without a look at the marker.",
        "",
        "A pipeline of one's own goes through the same with `penstock torture FILE`: [Operations](operations.md).",
    ]
    return "\n".join(lines) + "\n"


def _lines(new: Mapping[str, str], every: Sequence[str], old: str) -> Iterator[str]:
    """Of each sink its new line, else the one that it had."""
    for sink in every:
        had = (
            line for line in old.splitlines() if re.match(rf"\| {re.escape(_SHOWN[sink])}( \*\*broken\*\*)? \|", line)
        )
        yield from [new[sink]] if sink in new else list(had)


def _whole() -> str:
    *first, last = (f"{count} {name}" for name, count in ASKED.items())
    return f"{', '.join(first)} and {last} per sink"


def _line(row: Row, asked: Asked, day: date) -> str:
    one = row.result
    verdict = "" if one.holds else " **broken**"
    figures = (one.kills, one.zombies, one.answers, one.epochs, one.lost, one.doubled)
    return (
        f"| {_SHOWN[row.sink]}{verdict} | "
        + " | ".join(f"{figure:,}" for figure in figures)
        + f" | {one.seconds:.0f} | {day}, seed {asked.seed} |"
    )


def _controls(row: Row) -> str:
    return f"| {_SHOWN[row.sink]} | " + " | ".join(_control_told(one) for one in row.controls.values()) + " |"


def _control_told(result: Result | None) -> str:
    if result is None:
        return "shows nothing"
    if result.holds:
        return "**not found out**"
    return f"found out: {result.lost} rows lost, {result.doubled} doubled"


def _machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    busy = f", load {os.getloadavg()[0]:.0f}"
    return f"{len(os.sched_getaffinity(0))} cores ({', '.join([platform.machine(), *names[:1]])}){busy}"


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("duckdb", "deltalake", "pyiceberg", "psycopg", "pymysql"))
