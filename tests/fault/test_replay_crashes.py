"""A replay that dies at any boundary: whoever comes next, a run or the same replay, leaves every row once in every sink."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from crashes import children
from epochs import Hasty, once
from systems import SQLITE

from penstock.document.assembly import Settings
from penstock.errors import PenstockError
from penstock.events import Events
from penstock.faults.children import KILLED
from penstock.faults.points import RUN_POINTS, Faults
from penstock.ledger.api import RunStatus
from penstock.ledger.sqlite import SqliteLedger
from penstock.service.rejected import rejects
from penstock.service.replaying import Asked, ReplayResult, replay
from penstock.service.request import Request

GROUP = "numbers/bad_value/v"
REPAIR = "v = replace(v, ',', '.')"
# Two sinks that get the rows, and a third that is made of the first one's table.
DOCUMENT = """
pipeline: crash
sources:
  numbers: {type: csv, path: in-*.csv, incremental: files, schema: {columns: {k: int64, part: string, v: "decimal(9,2)"}}}
transforms:
  even: {from: numbers, steps: [filter: k % 3 <> 0]}
  summary: {from: appended, steps: [aggregate: {by: [part], measures: {n: count(*), total: "sum(v)::decimal(18,2)"}}]}
sinks:
  appended: {from: even, type: sqlite, path: out.db, table: appended, mode: append}
  merged: {from: even, type: sqlite, path: out.db, table: merged, mode: merge, keys: [k], order_by: k}
  summed: {from: summary, type: sqlite, path: out.db, table: summed, mode: overwrite}
run: {memory: 256 MiB, threads: 1}
"""
ROWS = [(1, "a", "1.25"), (2, "b", "2,50"), (3, "c", "3,50"), (4, "a", "4,50"), (5, "b", "x")]
GOOD = [(1, "1.25"), (2, "2.50"), (4, "4.50")]  # the third one is filtered, the last one stays bad
LATER = [*GOOD, (7, "7.00")]


def ran(folder: Path) -> Path:
    """The project after a first run, which rejected four rows: a copy of one that was run once. Its name is the folder's."""
    made = _first(folder.name)
    shutil.copytree(made, folder)
    return folder / "crash.yml"


@functools.cache
def _first(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="penstock-replay-")) / name
    atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
    folder.mkdir()
    lines = [f'{k},{part},"{v}"' for k, part, v in ROWS]
    (folder / "in-1.csv").write_text("\n".join(["k,part,v", *lines]) + "\n", encoding="utf-8")
    file = folder / "crash.yml"
    file.write_text(DOCUMENT, encoding="utf-8")
    assert once(SQLITE, file, Faults()).rejected == 4
    return folder


def sent(file: Path, faults: Faults) -> ReplayResult:
    request = Request(file, Settings(dict(os.environ)), Hasty(), faults.reached)
    return replay(request, Asked(GROUP, (REPAIR,)), events=Events(level="error"), faults=faults)


def holds(file: Path, expected: list[tuple[int, str]], what: str) -> None:
    with closing(sqlite3.connect(file.parent / "out.db")) as connection:
        for table in ("appended", "merged"):
            assert connection.execute(f"select k, v from {table} order by k").fetchall() == expected, f"{what}: {table}"
        assert connection.execute("select sum(n) from summed").fetchall() == [(len(expected),)], what
    found = rejects(Settings(dict(os.environ), project_root=file.parent))
    assert [(one.name, one.rows) for one in found.groups()] == [("numbers/bad_value/v", 1)], what


def test_every_point_of_a_run_is_one_of_a_replay(tmp_path: Path) -> None:
    faults = Faults()
    done = sent(ran(tmp_path / "p"), faults)
    assert (done.rows, done.rejected) == (4, 1)
    assert {*RUN_POINTS} - {"run.kept"} <= faults.seen.keys()
    holds(tmp_path / "p" / "crash.yml", GOOD, "uninterrupted")


POINTS = [
    *((point, 1) for point in RUN_POINTS if point != "run.kept"),
    *((point, time) for point in ("run.before_commit", "run.committed") for time in (2, 3)),
    ("run.staged", 2),
    ("sqlite.staged", 1),
]


@pytest.mark.parametrize(("point", "time"), POINTS)
def test_the_run_after_a_replay_that_died_finishes_it(point: str, time: int, tmp_path: Path) -> None:
    """And loads what is new besides; a replay that no sink had is asked for once more."""
    file = ran(tmp_path / "p")
    died(file, point, time, "raise")
    (tmp_path / "p" / "in-2.csv").write_text("k,part,v\n7,a,7.00\n", encoding="utf-8")
    assert once(SQLITE, file, Faults()).status is RunStatus.DONE
    assert sent(file, Faults()).run.status is RunStatus.DONE
    holds(file, LATER, f"{point}@{time}")
    again = sent(file, Faults())
    assert (again.rows, again.rejected) == (1, 1), "what was rejected again, and nothing that any sink has"
    holds(file, LATER, f"{point}@{time}, sent once more")


AT_DEATH = [
    ("run.planned", 1),
    ("run.staged", 1),
    *(("run.committed", time) for time in (1, 2, 3)),
    ("run.before_seal", 1),
    ("run.sealed", 1),
]


@pytest.mark.parametrize(("point", "time"), AT_DEATH)
def test_the_replay_after_one_that_was_killed_finishes_it(point: str, time: int, tmp_path: Path) -> None:
    file = ran(tmp_path / "p")
    died(file, point, time, "kill")
    assert sent(file, Faults()).run.status is RunStatus.DONE
    holds(file, GOOD, f"{point}@{time}")


@pytest.mark.parametrize("point", ["run.planned", "run.before_commit", "run.committed", "run.before_seal"])
def test_a_replay_with_a_fault_that_passes_comes_to_its_end(point: str, tmp_path: Path) -> None:
    file = ran(tmp_path / "p")
    done = sent(file, Faults({(point, 1): "lost"}))
    assert (done.run.status, done.rows, done.rejected) == (RunStatus.DONE, 4, 1)
    holds(file, GOOD, point)


def test_a_half_committed_replay_is_not_finished_by_another_document(tmp_path: Path) -> None:
    file = ran(tmp_path / "p")
    died(file, "run.committed", 1, "raise")
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("k % 3 <> 0", "k % 3 <> 1"), encoding="utf-8")
    result = once(SQLITE, file, Faults())
    assert [problem.code for problem in result.problems] == ["RUN-111"]
    file.write_text(text, encoding="utf-8")
    assert once(SQLITE, file, Faults()).status is RunStatus.DONE
    holds(file, GOOD, "with the document that it was begun with")


def test_rows_of_a_replay_that_is_not_finished_cannot_be_discarded(tmp_path: Path) -> None:
    from penstock.service.replaying import discard

    file = ran(tmp_path / "p")
    died(file, "run.committed", 1, "raise")
    with pytest.raises(PenstockError) as caught:
        discard(Settings(dict(os.environ), project_root=file.parent), GROUP, "never mind")
    assert caught.value.code == "LED-142"
    assert once(SQLITE, file, Faults()).status is RunStatus.DONE
    holds(file, GOOD, "finished")


def test_a_replay_waits_for_the_end_of_a_series(tmp_path: Path) -> None:
    text = DOCUMENT.replace("threads: 1}", "threads: 1, epoch: {rows: 2}}")
    (tmp_path / "p").mkdir()
    file = tmp_path / "p" / "crash.yml"
    file.write_text(text, encoding="utf-8")
    for number, (k, part, v) in enumerate(ROWS):
        (tmp_path / "p" / f"in-{number}.csv").write_text(f'k,part,v\n{k},{part},"{v}"\n', encoding="utf-8")
    assert once(SQLITE, file, Faults({("run.sealed", 2): "raise"})).status is RunStatus.FAILED
    with closing(SqliteLedger(tmp_path / "p" / ".penstock" / "ledger.db")) as ledger:
        assert ledger.rejects()
    assert [problem.code for problem in sent(file, Faults()).run.problems] == ["RUN-141"]
    assert once(SQLITE, file, Faults()).status is RunStatus.DONE
    assert sent(file, Faults()).rows == 4
    holds(file, GOOD, "after the series")


def died(file: Path, point: str, time: int, act: Literal["raise", "kill"]) -> None:
    faults = Faults({(point, time): act})
    if act == "kill":
        code = children().start(sent, file, faults).join(120)
        assert code == KILLED, f"{point}@{time}: exit code {code}"
        return
    try:
        assert sent(file, faults).run.status is RunStatus.FAILED
    except PenstockError as error:
        assert error.code.startswith("FLT-")  # noqa: PT017 -- it may as well be told in the result


def test_a_half_committed_replay_is_not_finished_with_another_place_for_rejects(tmp_path: Path) -> None:
    file = ran(tmp_path / "p")
    text = file.read_text(encoding="utf-8")
    file.write_text(text + "rejects: {type: sqlite, path: bad.db, table: one}\n", encoding="utf-8")
    died(file, "run.committed", 1, "raise")
    file.write_text(text + "rejects: {type: sqlite, path: bad.db, table: other}\n", encoding="utf-8")
    result = once(SQLITE, file, Faults())
    assert [problem.code for problem in result.problems] == ["RUN-111"]
