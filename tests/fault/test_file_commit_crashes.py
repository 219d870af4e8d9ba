"""A sink of files that dies at every boundary it passes: nothing is lost, nothing is there twice, nothing is early."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from crashes import Crash, Reaper, die, rows_of, run_epochs

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files.parquet_sink import SINK
from penstock.connectors.files.sink import CRASH_POINTS
from penstock.testing import native
from penstock.testing.sinks.deliveries import SINK_ID, read_table
from staged_files import left_by_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Sink
    from penstock.connectors.files.sink import FileSink

EPOCHS = 3
MODES = ("append", "overwrite", "overwrite_partitions", "one file")
# From here on the epoch is committed, and from "files.published" on all of it is where readers look.
COMMITTED = CRASH_POINTS.index("files.committed")
PUBLISHED = CRASH_POINTS.index("files.published")


@dataclass(frozen=True)
class Make:
    """Travels to child processes; snapshots come so often that each run passes several."""

    folder: Path
    mode: str

    def __call__(self, reached: Callable[[str], None]) -> FileSink:
        options = {"type": "parquet", "from": "rows", "path": "out", "mode": self.mode}
        if self.mode == "one file":
            options |= {"path": "out/rows.parquet", "mode": "overwrite"}
        if self.mode == "overwrite_partitions":
            options["partition_by"] = ["part"]
        context = Context("out", self.folder.joinpath, self.folder, SystemClock(), reached=reached)
        sink: FileSink = SINK.make(SINK.params.model_validate(options), context)
        sink._target.log._every = 2
        return sink


def visible(folder: Path) -> Counter[tuple[int, int]]:
    """(id, epoch) of every row that a reader finds by listing the folder, with how often."""
    with closing(native.connection()) as database:
        found: Counter[tuple[int, int]] = Counter()
        for path in sorted((folder / "out").rglob("*.parquet")):
            found.update(database.execute("SELECT id, epoch FROM read_parquet(?)", [str(path)]).fetchall())
    return found


def expected(mode: str, upto: int) -> Counter[tuple[int, int]]:
    rows = [row for number in range(1, upto + 1) for row in rows_of(number).to_pylist()]
    kept = []
    for row in rows:
        replaced = mode in ("overwrite", "one file") or (
            mode == "overwrite_partitions" and row["part"] in ("common", None)
        )
        if row["epoch"] == upto or not replaced:
            kept.append((row["id"], row["epoch"]))
    return Counter(kept)


@pytest.mark.parametrize("death", ["raise", "kill"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path, point: str, mode: str, death: str) -> None:
    make = Make(tmp_path, mode)
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    _assert_seen_after(point, mode, visible(tmp_path))
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", "raise"))
    assert visible(tmp_path) == expected(mode, EPOCHS)
    _assert_table(make, mode)
    assert not left_by_files(tmp_path)


@pytest.mark.parametrize("nth", [2, 3])
@pytest.mark.parametrize("death", ["raise", "kill"])
def test_a_crash_between_two_parts_is_finished_by_the_next_start(tmp_path: Path, death: str, nth: int) -> None:
    make = Make(tmp_path, "overwrite_partitions")
    assert die(make, EPOCHS, Reaper("files.part_placed", death, nth))
    make(lambda _: None).marker(SINK_ID)
    assert visible(tmp_path) == expected("overwrite_partitions", 2)


@pytest.mark.parametrize("point", CRASH_POINTS[COMMITTED:])
def test_a_crash_while_the_next_start_mends_is_mended_again(tmp_path: Path, point: str) -> None:
    make = Make(tmp_path, "overwrite_partitions")
    assert die(make, EPOCHS, Reaper("files.committed", "raise"))
    reaper = Reaper(point, "raise", armed=True)
    with suppress(Crash):
        make(reaper).marker(SINK_ID)
    run_epochs(make, EPOCHS, fence=3, reaper=Reaper("", "raise"))
    assert visible(tmp_path) == expected("overwrite_partitions", EPOCHS)


def _assert_seen_after(point: str, mode: str, found: Counter[tuple[int, int]]) -> None:
    place = CRASH_POINTS.index(point)
    before, after = expected(mode, 1), expected(mode, 2)
    if place < COMMITTED:
        assert found == before, "rows of an epoch were seen before its commit"
    elif place >= PUBLISHED:
        assert found == after
    else:
        assert not found or max(found.values()) == 1, "a row was seen twice"
        assert found <= before or found <= after, "old rows were seen beside those that replace them"
        if mode == "append":
            assert before <= found


def _assert_table(make: Make, mode: str) -> None:
    sink = make(lambda _: None)
    table = read_table(sink)
    assert Counter(zip(table["id"].to_pylist(), table["epoch"].to_pylist(), strict=True)) == expected(mode, EPOCHS)
    assert isinstance(table, pa.Table)
    sink.close()


def test_no_boundary_is_passed_that_the_list_lacks(tmp_path: Path) -> None:
    passed: set[str] = set()

    def make(_: Callable[[str], None]) -> Sink:
        return Make(tmp_path, "overwrite_partitions")(passed.add)

    run_epochs(make, EPOCHS, fence=1, reaper=Reaper("", "raise"))
    assert passed == set(CRASH_POINTS)
