"""The delta sink dies at every boundary, pauses, and competes with others of its name: every epoch is there once."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from crashes import LAKE_DEATHS, Crash, Death, Reaper, children, contest, die, rows_of, run_epochs

from penstock.clock import SystemClock
from penstock.connectors.api import Context, WriteMode
from penstock.connectors.delta import commit, sink
from penstock.connectors.delta.params import DeltaSinkParams
from penstock.connectors.delta.places import FolderPlace
from penstock.connectors.delta.sink import CRASH_POINTS, DeltaSink
from penstock.connectors.delta.table import newest
from penstock.errors import PenstockError
from penstock.faults.children import KILLED
from penstock.testing import native
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID
from staged_files import left_by_delta

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EPOCHS = 3
POINTS = tuple(point for point in CRASH_POINTS if point != "delta.evolved")
COMMITTED = POINTS.index("delta.committed")


@dataclass(frozen=True)
class Make:
    """Travels to child processes."""

    folder: Path
    mode: str

    def __call__(self, reached: Callable[[str], None]) -> DeltaSink:
        options = {"type": "delta", "from": "rows", "path": "table", "mode": self.mode, "on_schema_change": "evolve"}
        if self.mode == "overwrite_partitions":
            options["partition_by"] = ["part"]
        if self.mode == "merge":
            options["keys"] = ["id"]
        scratch = self.folder / f"scratch-{os.getpid()}"
        scratch.mkdir(exist_ok=True)
        context = Context("table", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        return DeltaSink(DeltaSinkParams.model_validate(options), context)


def visible(folder: Path) -> Counter[tuple[int, int]]:
    """(id, epoch) of every row of the newest version, with how often; every file read whole by DuckDB."""
    table = newest(FolderPlace(folder / "table"))
    found: Counter[tuple[int, int]] = Counter()
    if table is None:
        return found
    with native.connection() as database:
        for path in table.paths:
            found.update(database.execute("SELECT id, epoch FROM read_parquet(?)", [str(table.root / path)]).fetchall())
    return found


def missing(folder: Path) -> list[str]:
    """Data files that the newest version names and that are not there."""
    table = newest(FolderPlace(folder / "table"))
    return [] if table is None else [path for path in table.paths if not (table.root / path).exists()]


def expected(mode: str, upto: int) -> Counter[tuple[int, int]]:
    rows = [row for number in range(1, upto + 1) for row in rows_of(number).to_pylist()]
    if mode == "overwrite":
        rows = [row for row in rows if row["epoch"] == upto]
    if mode == "overwrite_partitions":
        rows = [row for row in rows if row["epoch"] == upto or row["part"] not in ("common", None)]
    found = Counter((row["id"], row["epoch"]) for row in rows)
    if mode == "merge" and upto < 2:
        found.update((number, 0) for number in rows_of(2).column("id").to_pylist())
    return found


def begin(folder: Path, mode: str) -> Make:
    """In a merge the table holds older rows of the keys that epoch 2 brings."""
    if mode == "merge":
        table = rows_of(2)
        older = table.set_column(2, "epoch", pa.array([0] * table.num_rows, pa.int64()))
        write_foreign(folder, older)
    return Make(folder, mode)


def write_foreign(folder: Path, table: pa.Table) -> None:
    from deltalake import write_deltalake

    columns = pa.schema([(field.name, field.type) for field in table.schema])
    write_deltalake(folder / "table", table.cast(columns), mode="append")


def never(point: str) -> None:
    """Nobody asks for faults."""


@pytest.mark.parametrize(("mode", "death"), LAKE_DEATHS)
@pytest.mark.parametrize("point", POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path, point: str, mode: str, death: Death) -> None:
    make = begin(tmp_path, mode)
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    assert visible(tmp_path) == expected(mode, 2 if POINTS.index(point) >= COMMITTED else 1)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", death))
    assert visible(tmp_path) == expected(mode, EPOCHS)
    assert left_by_delta(tmp_path / "table") == []
    marker = make(never).marker(SINK_ID)
    assert marker is not None
    assert (marker.epoch, marker.fence) == (EPOCHS, 2)
    assert marker.receipt is not None
    assert marker.receipt.rows == rows_of(EPOCHS).num_rows


@pytest.mark.parametrize("death", ["raise", "kill"])
def test_a_crash_between_a_new_column_and_the_data_is_made_good(tmp_path: Path, death: Death) -> None:
    write_foreign(tmp_path, rows_of(9).drop_columns("part"))
    reaper = Reaper("delta.evolved", death)
    make = Make(tmp_path, "append")
    if death == "kill":
        assert children().start(_evolve, make, reaper).join(60) == KILLED
    else:
        with pytest.raises(Crash):
            _evolve(make, reaper)
    before = visible(tmp_path)
    assert set(before) == {(row["id"], 9) for row in rows_of(9).to_pylist()}
    run_epochs(make, 1, fence=2, reaper=Reaper("", death))
    assert visible(tmp_path) == before + expected("append", 1)
    assert left_by_delta(tmp_path / "table") == []


def _evolve(make: Make, reaper: Reaper) -> None:
    run_epochs(make, 1, fence=1, reaper=reaper, deadly=1)


# ---------------------------------------------------------------- two of the same name


def through_another_handle(place: FolderPlace, table: object, change: object, **told: object) -> object:
    """The mutant: writes through a handle that was not the one checked, as one who writes by path does."""
    return commit.swap(place, newest(place), change, **told)


def _overtaken(folder: Path) -> int:
    """How many rows epoch 2 has, where another of the same name commits it while the first one is about to."""

    def overtake(point: str) -> None:
        if point == "delta.placed" and not done:
            done.append(True)
            deliver(Make(folder, "append")(never), epoch(2, fence=1, attempt="other"), rows_of(2))

    done: list[bool] = [True]
    slow = Make(folder, "append")(overtake)
    deliver(slow, epoch(1, attempt="one"), rows_of(1))
    done.clear()
    deliver(slow, epoch(2, attempt="slow"), rows_of(2))
    return sum(count for (_, number), count in visible(folder).items() if number == 2)


def test_who_was_overtaken_writes_nothing(tmp_path: Path) -> None:
    assert _overtaken(tmp_path) == rows_of(2).num_rows
    assert left_by_delta(tmp_path / "table") == []


def test_control_a_commit_through_another_handle_doubles_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "swap", through_another_handle)
    assert _overtaken(tmp_path) == 2 * rows_of(2).num_rows


# ---------------------------------------------------------------- the zombie contest

CONTEST_EPOCHS = 25
MUTANT_EPOCHS = 8  # of writers so slow that each of these is surely met by two of them


def compete(folder: Path, name: str, *, fenced: bool) -> None:
    """Commit whatever epoch comes next, as often as it goes; pauses where a zombie would wake up."""
    last, pause_s = (CONTEST_EPOCHS, 0.01) if fenced else (MUTANT_EPOCHS, 0.2)
    if not fenced:
        sink.swap = through_another_handle  # type: ignore[assignment]  # the mutant, in this process only

    def dawdle(point: str) -> None:
        if point == "delta.placed":
            time.sleep(pause_s)

    made = Make(folder, "append")(dawdle)
    for attempt in range(10_000):
        try:
            marker = made.marker(SINK_ID)
            number = (marker.epoch if marker else 0) + 1
            if number > last:
                break
            deliver(made, epoch(number, attempt=f"{name}-{attempt}"), rows_of(number))
        except PenstockError:
            continue
    os._exit(0)


def test_three_competitors_commit_every_epoch_once(tmp_path: Path) -> None:
    contest(compete, tmp_path, fenced=True)
    found = visible(tmp_path)
    last = max(number for _, number in found)
    assert last > 3, "nobody got anywhere"
    assert found == expected("append", last)
    made = Make(tmp_path, "append")(never)
    marker = made.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == last
    assert left_by_delta(tmp_path / "table") == []


def test_control_competitors_who_write_past_the_checked_handle_double_or_lose_epochs(tmp_path: Path) -> None:
    contest(compete, tmp_path, fenced=False)
    lost = missing(tmp_path)  # who commits next removes the files of whom it takes for dead
    assert lost or max(visible(tmp_path).values()) > 1, "the contest has no teeth"


def test_every_crash_point_is_one_that_the_sink_passes(tmp_path: Path) -> None:
    write_foreign(tmp_path, rows_of(9).drop_columns("part"))
    passed: list[str] = []
    made = Make(tmp_path, WriteMode.APPEND.value)(passed.append)
    deliver(made, epoch(1), rows_of(1))
    assert set(passed) == set(CRASH_POINTS)
