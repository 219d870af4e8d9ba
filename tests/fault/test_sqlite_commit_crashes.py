"""A SQLite sink that dies at every boundary it passes: the table is that of whole epochs, each once."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from crashes import Reaper, die, rows_of, run_epochs

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.sqlite.descriptors import SINK
from penstock.connectors.sqlite.sink import CRASH_POINTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.connectors.sqlite.sink import SqliteSink

EPOCHS = 3
COMMITTED = CRASH_POINTS.index("sqlite.committed")


@dataclass(frozen=True)
class Make:
    folder: Path
    mode: str
    table: str = "rows"

    def __call__(self, reached: Callable[[str], None]) -> SqliteSink:
        keys = ["id"] if self.mode == "merge" else []
        params = {
            "type": "sqlite",
            "from": "rows",
            "path": "x.db",
            "table": self.table,
            "mode": self.mode,
            "keys": keys,
        }
        (self.folder / "scratch").mkdir(exist_ok=True)
        context = Context("out", self.folder.joinpath, self.folder / "scratch", SystemClock(), reached=reached)
        return SINK.make(SINK.params.model_validate(params), context)


def visible(folder: Path) -> Counter[tuple[int, int]]:
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        return Counter(connection.execute("SELECT id, epoch FROM rows").fetchall())


def expected(mode: str, upto: int) -> Counter[tuple[int, int]]:
    first = upto if mode == "overwrite" else 1
    return Counter((row["id"], row["epoch"]) for n in range(first, upto + 1) for row in rows_of(n).to_pylist())


@pytest.mark.parametrize("death", ["raise", "kill"])
@pytest.mark.parametrize("mode", ["append", "overwrite", "merge"])
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path, point: str, mode: str, death: str) -> None:
    make = Make(tmp_path, mode)
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    done = 2 if CRASH_POINTS.index(point) >= COMMITTED else 1
    assert visible(tmp_path) == expected(mode, done)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", "raise"))
    assert visible(tmp_path) == expected(mode, EPOCHS)
    assert not list((tmp_path / "scratch").iterdir())


def test_no_boundary_is_passed_that_the_list_lacks(tmp_path: Path) -> None:
    passed: set[str] = set()

    def make(_: Callable[[str], None]) -> Sink:
        return Make(tmp_path, "merge")(passed.add)

    run_epochs(make, EPOCHS, fence=1, reaper=Reaper("", "raise"))
    assert passed == set(CRASH_POINTS)
