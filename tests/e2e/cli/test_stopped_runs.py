"""A run that is asked to stop, by signals and from another process: it ends in a consistent state, and the next goes on.

Where the moment matters the run pauses itself at a crash point, and finds what was asked meanwhile when it goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from command_line import slow
from penstock.ledger.api import Health, Holding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.slow

ROWS, EACH = 800, 100
LONG = 20_000  # rows: seconds of epochs, where a run hears once a second that it should stop
SERIES = """\
pipeline: series
sources: {raw: {type: csv, path: rows.csv}}
sinks:
  out: {from: raw, type: sqlite, path: out/rows.db, table: rows, mode: append}
run: {threads: 1, memory: 256 MiB, epoch: {rows: 100}, grace: GRACE}
"""
ONE = """\
pipeline: NAME
sources: {raw: {type: csv, path: rows.csv}}
sinks: {out: {from: raw, type: csv, path: out/NAME.csv, mode: overwrite}}
run: {threads: 1, memory: 256 MiB}
"""
COMMAND = (sys.executable, "-m", "penstock")
MOST_S = 60


@dataclass(frozen=True)
class Room:
    """A folder with a project, and its command line."""

    folder: Path

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def paused(self, *arguments: str, at: str) -> subprocess.Popen[str]:
        """Started, and stopped by itself at that crash point."""
        child = self.start(*arguments, PENSTOCK_FAULTS=f"{at}=pause")
        _, status = os.waitpid(child.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        return child

    def said(self, *arguments: str) -> dict[str, Any]:
        child = self.start(*arguments, "--json")
        out, err = child.communicate(timeout=MOST_S)
        assert child.returncode == 0, err
        found = json.loads(out)
        assert isinstance(found, dict)
        return found

    def newest(self) -> dict[str, Any]:
        found = self.said("runs", "list", "--limit", "1")["runs"][0]
        assert isinstance(found, dict)
        return found

    def held(self) -> Holding:
        from penstock.ledger.sqlite import SqliteLedger

        with closing(SqliteLedger(self.folder / ".penstock" / "ledger.db")) as ledger:
            return ledger.holdings()[0]

    def rows(self) -> list[int]:
        with closing(sqlite3.connect(self.folder / "out" / "rows.db")) as connection:
            return [n for (n,) in connection.execute("select n from rows order by n")]


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return made(tmp_path)


def made(folder: Path, project: str = "project: small\n", grace: str = "60 s", rows: int = ROWS) -> Room:
    (folder / "penstock.yml").write_text(project, encoding="utf-8")
    (folder / "series.yml").write_text(SERIES.replace("GRACE", grace), encoding="utf-8")
    (folder / "rows.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(rows)), encoding="utf-8")
    return Room(folder)


def until(seen: Callable[[], bool]) -> None:
    for _ in range(MOST_S * 20):
        if seen():
            return
        time.sleep(0.05)
    pytest.fail("it did not come about")


def ended(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=MOST_S)
    assert "Traceback" not in err
    return child.returncode, out, err


# ---------------------------------------------------------------- signals


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGINT, signal.SIGHUP))]
)
def test_the_first_signal_lets_an_epoch_end_and_the_next_run_goes_on(room: Room, number: signal.Signals) -> None:
    child = room.paused("run", "series.yml", "--json", at="run.staged@2")
    child.send_signal(number)
    child.send_signal(signal.SIGCONT)
    code, out, err = ended(child)
    assert (code, json.loads(out)["status"]) == (130, "interrupted")
    assert json.loads(out)["stopped"].items() >= {"by": number.name, "epoch": "finished"}.items()
    assert "stopping: the epoch that is at work has 60 s to end" in err
    assert room.rows() == list(range(2 * EACH))
    assert room.newest()["stopped"]["by"] == number.name
    assert room.said("run", "series.yml")["stopped"] is None
    assert room.rows() == list(range(ROWS))


def test_a_second_signal_aborts_the_epoch_at_once(room: Room) -> None:
    child = room.paused("run", "series.yml", "--json", at="run.staged@2")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
        child.send_signal(number)
    code, out, _ = ended(child)
    assert (code, json.loads(out)["status"]) == (130, "interrupted")
    assert (json.loads(out)["stopped"]["epoch"], json.loads(out)["stopped"]["grace_s"]) == ("aborted", 0)
    assert room.rows() == list(range(EACH))
    room.said("run", "series.yml")
    assert room.rows() == list(range(ROWS))


def test_an_epoch_whose_time_is_over_is_aborted(tmp_path: Path) -> None:
    room = made(tmp_path, grace="0 s")
    child = room.paused("run", "series.yml", "--json", at="run.staged@2")
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGCONT)
    code, out, _ = ended(child)
    assert (code, json.loads(out)["stopped"]["epoch"]) == (130, "aborted")
    assert room.rows() == list(range(EACH))


def test_a_run_that_is_done_when_it_could_stop_is_done(room: Room) -> None:
    (room.folder / "one.yml").write_text(ONE.replace("NAME", "one"), encoding="utf-8")
    child = room.paused("run", "one.yml", "--json", at="run.staged")
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGCONT)
    code, out, _ = ended(child)
    assert (code, json.loads(out)["status"], json.loads(out)["stopped"]) == (0, "done", None)


def test_of_several_files_the_next_does_not_begin(room: Room) -> None:
    for name in ("one", "two"):
        (room.folder / f"{name}.yml").write_text(ONE.replace("NAME", name), encoding="utf-8")
    child = room.paused("run", "one.yml", "two.yml", at="run.staged")
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGCONT)
    code, _, err = ended(child)
    assert code == 130
    assert 'warning[CLI-105]: "two.yml" was not run' in err
    assert [path.name for path in (room.folder / "out").glob("*.csv")] == ["one.csv"]


# ---------------------------------------------------------------- from elsewhere


def test_a_series_is_stopped_from_another_process_between_two_epochs(tmp_path: Path) -> None:
    room = made(tmp_path, rows=LONG)
    child = room.paused("run", "series.yml", "--json", at="run.staged@2")
    stopper = room.start("runs", "stop", "series.yml")
    until(lambda: room.held().stop is not None)
    listed = room.newest()
    assert (listed["status"], listed["stopping"]["by"]) == ("running", room.held().stop.by)  # type: ignore[union-attr]
    child.send_signal(signal.SIGCONT)
    code, out, _ = ended(child)
    assert (code, json.loads(out)["status"]) == (4, "stopped")
    sealed = len(json.loads(out)["epochs"])
    assert 2 <= sealed < LONG // EACH
    assert room.rows() == list(range(sealed * EACH))
    code, told, _ = ended(stopper)
    assert (code, told) == (0, f"series: run {room.newest()['run_id']} stopped; the state is consistent\n")
    assert room.newest()["stopped"]["by"] == listed["stopping"]["by"]
    room.said("run", "series.yml")
    assert room.rows() == list(range(LONG))
    assert room.said("runs", "stop", "series") == {"pipeline": "series", "runs": []}


def test_an_epoch_that_would_take_hours_is_aborted_when_somebody_loses_patience(room: Room) -> None:
    slow(room.folder)
    child = room.start("run", "slow.yml", "--json", "--log-level", "info")
    assert child.stderr is not None
    while "pass_started" not in child.stderr.readline():
        pass
    patient = room.start("runs", "stop", "slow", "--grace", "10 min", "--json")
    until(lambda: (stop := room.held().stop) is not None and stop.heard)
    assert child.poll() is None
    assert [run["status"] for run in room.said("runs", "stop", "slow", "--now")["runs"]] == ["stopped"]
    code, out, err = ended(child)
    assert (code, json.loads(out)["status"], json.loads(out)["stopped"]["epoch"]) == (4, "stopped", "aborted")
    assert "the state is consistent" in err
    assert [run["status"] for run in json.loads(ended(patient)[1])["runs"]] == ["stopped"]


def test_a_killed_run_need_not_be_stopped(room: Room) -> None:
    child = room.paused("run", "series.yml", at="run.staged@2")
    assert room.held().health is Health.ALIVE
    child.kill()
    child.communicate()
    (run,) = room.said("runs", "stop", "series")["runs"]
    assert run["status"] == "dead"
    assert room.said("run", "series.yml")["status"] == "done"
    assert room.rows() == list(range(ROWS))


@pytest.mark.server
def test_a_run_on_another_machine_is_stopped_through_the_ledger_on_a_server(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """Two folders stand for two machines: they share the ledger's server and nothing else."""
    project = f'project: small\nledger: {{connection: "{postgres_server.url(postgres_database)}"}}\n'
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here, there = made(tmp_path / "here", project, rows=LONG), made(tmp_path / "there", project)
    child = here.paused("run", "series.yml", "--json", at="run.staged@2")
    stopper = there.start("runs", "stop", "series.yml", "--json")
    until(lambda: there.newest()["stopping"] is not None)
    child.send_signal(signal.SIGCONT)
    code, out, _ = ended(child)
    assert (code, json.loads(out)["status"]) == (4, "stopped")
    assert here.rows() == list(range(len(json.loads(out)["epochs"]) * EACH))
    assert [run["status"] for run in json.loads(ended(stopper)[1])["runs"]] == ["stopped"]
