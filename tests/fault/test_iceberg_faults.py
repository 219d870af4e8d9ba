"""The iceberg sink dies at every boundary, pauses, and competes with others of its name: every epoch is there once."""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crashes import LAKE_DEATHS, Death, Reaper, contest, die, rows_of, run_epochs
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError

from iceberg_tables import Lake
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.iceberg import catalog
from penstock.connectors.iceberg.params import IcebergSinkParams
from penstock.connectors.iceberg.sink import CRASH_POINTS, IcebergSink
from penstock.errors import PenstockError, TransientError
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

EPOCHS = 3
COMMITTED = CRASH_POINTS.index("iceberg.committed")


@dataclass(frozen=True)
class Make:
    """Travels to child processes."""

    folder: Path
    mode: str = "append"

    def __call__(self, reached: Callable[[str], None]) -> IcebergSink:
        options = {
            "type": "iceberg",
            "from": "rows",
            "connection": {"path": "catalog.db", "warehouse": "lake"},
            "table": "oil.prices",
            "mode": self.mode,
        }
        if self.mode == "overwrite_partitions":
            options["partition_by"] = ["part"]
        if self.mode == "merge":
            options["keys"] = ["id"]
        scratch = self.folder / f"scratch-{os.getpid()}"
        scratch.mkdir(exist_ok=True)
        context = Context("table", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        return IcebergSink(IcebergSinkParams.model_validate(options), context)


def paths(folder: Path) -> list[str]:
    """The data files that the current snapshot names."""
    try:
        table = Lake(folder).table()
    except NoSuchTableError:
        return []
    return [task.file.file_path.removeprefix("file://") for task in table.scan().plan_files()]


def visible(folder: Path) -> Counter[tuple[int, int]]:
    """(id, epoch) of every row of the current snapshot, with how often."""
    found: Counter[tuple[int, int]] = Counter()
    for path in paths(folder):
        table = pq.read_table(path, columns=["id", "epoch"])
        found.update(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return found


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
        older = older.cast(pa.schema([(field.name, field.type) for field in older.schema]))
        Lake(folder).create(older.schema)
        Lake(folder).add(older)
    return Make(folder, mode)


def never(point: str) -> None:
    """Nobody asks for faults."""


@pytest.mark.parametrize(("mode", "death"), LAKE_DEATHS)
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_at_any_boundary_loses_and_doubles_nothing(tmp_path: Path, point: str, mode: str, death: Death) -> None:
    make = begin(tmp_path, mode)
    assert die(make, EPOCHS, Reaper(point, death)), f"the run never passed {point}"
    assert visible(tmp_path) == expected(mode, 2 if CRASH_POINTS.index(point) >= COMMITTED else 1)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", death))
    assert visible(tmp_path) == expected(mode, EPOCHS)
    assert Lake(tmp_path).left() == []
    with closing(make(never)) as sink:
        marker = sink.marker(SINK_ID)
    assert marker is not None
    assert (marker.epoch, marker.fence) == (EPOCHS, 2)
    assert marker.receipt is not None
    assert marker.receipt.rows == rows_of(EPOCHS).num_rows


def test_every_crash_point_is_one_that_the_sink_passes(tmp_path: Path) -> None:
    passed: list[str] = []
    with closing(Make(tmp_path)(passed.append)) as sink:
        deliver(sink, epoch(1), rows_of(1))
    assert tuple(passed) == CRASH_POINTS


# ---------------------------------------------------------------- answers that are lost


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_is_settled_by_the_marker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    """The commit is done and nobody says so, or it is not done and nobody says that."""
    from pyiceberg.catalog.sql import SqlCatalog

    real = SqlCatalog.commit_table

    def lost(self: SqlCatalog, *args: object) -> object:
        monkeypatch.undo()
        if after:
            real(self, *args)
        raise ConnectionError("nobody answers")

    with closing(Make(tmp_path)(never)) as sink:
        deliver(sink, epoch(1), rows_of(1))
        monkeypatch.setattr(SqlCatalog, "commit_table", lost)
        if after:
            assert deliver(sink, epoch(2), rows_of(2)).rows == rows_of(2).num_rows
        else:
            with pytest.raises(TransientError) as caught:
                deliver(sink, epoch(2), rows_of(2))
            assert caught.value.code == "SNK-256"
    assert visible(tmp_path) == expected("append", 2 if after else 1)


@pytest.mark.parametrize("overtaken", [False, True])
def test_a_commit_that_comes_late_finds_its_files_or_comes_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overtaken: bool
) -> None:
    """The catalog did not answer, and takes what it was sent once everybody has given up."""
    from pyiceberg.catalog.sql import SqlCatalog

    real = SqlCatalog.commit_table
    sent: list[Callable[[], object]] = []

    def unanswered(self: SqlCatalog, *args: object) -> object:
        monkeypatch.undo()
        sent.append(partial(real, self, *args))
        raise ConnectionError("nobody answers")

    with closing(Make(tmp_path)(never)) as sink:
        deliver(sink, epoch(1), rows_of(1))
        monkeypatch.setattr(SqlCatalog, "commit_table", unanswered)
        with pytest.raises(TransientError):
            deliver(sink, epoch(2), rows_of(2))
        sink.marker(SINK_ID)
        if overtaken:
            deliver(sink, epoch(2, attempt="redone"), rows_of(2))
            with pytest.raises(CommitFailedException):
                sent[0]()
        else:
            sent[0]()
        assert deliver(sink, epoch(2, attempt="again"), rows_of(2)).rows == rows_of(2).num_rows
        deliver(sink, epoch(3), rows_of(3))
    assert visible(tmp_path) == expected("append", 3)
    assert Lake(tmp_path).left() == []


@pytest.mark.parametrize("undone", [0, 1])
def test_who_dies_while_tidying_up_leaves_the_files_that_are_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undone: int
) -> None:
    """The marks of an attempt are taken away one by one; the clean-up of the same run comes right behind."""
    real = Path.unlink
    gone: list[str] = []

    def unlink(self: Path, *, missing_ok: bool = False) -> None:
        if self.name in ("open", "committing"):
            if len(gone) == undone:
                raise OSError("the disk is gone")
            gone.append(self.name)
        real(self, missing_ok=missing_ok)

    with closing(Make(tmp_path)(never)) as sink:
        monkeypatch.setattr(Path, "unlink", unlink)
        deliver(sink, epoch(1), rows_of(1))
        monkeypatch.undo()
        assert len(gone) == undone
        assert visible(tmp_path) == expected("append", 1)
        sink.marker(SINK_ID)
    assert visible(tmp_path) == expected("append", 1)
    assert Lake(tmp_path).left() == []


# ---------------------------------------------------------------- two of the same name

RETRIES = {"commit.retry.num-retries": "4"}  # the library's default: the mutant


def _overtaken(folder: Path) -> int:
    """How many rows epoch 2 has, where another of the same name commits it while the first one is about to."""

    def overtake(point: str) -> None:
        if point == "iceberg.committing" and not done:
            done.append(True)
            with closing(Make(folder)(never)) as other:
                deliver(other, epoch(2, fence=1, attempt="other"), rows_of(2))

    done: list[bool] = [True]
    with closing(Make(folder)(overtake)) as slow:
        deliver(slow, epoch(1, attempt="one"), rows_of(1))
        done.clear()
        deliver(slow, epoch(2, attempt="slow"), rows_of(2))
    return sum(count for (_, number), count in visible(folder).items() if number == 2)


def test_who_was_overtaken_writes_nothing(tmp_path: Path) -> None:
    assert _overtaken(tmp_path) == rows_of(2).num_rows
    assert Lake(tmp_path).left() == []


def test_control_the_librarys_own_retries_double_the_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "NO_RETRIES", RETRIES)
    assert _overtaken(tmp_path) == 2 * rows_of(2).num_rows


CONTEST_EPOCHS = 20
MUTANT_EPOCHS = 8  # of writers so slow that each of these is surely met by two of them


def compete(folder: Path, name: str, *, fenced: bool) -> None:
    """Commit whatever epoch comes next, as often as it goes; pauses where a zombie would wake up."""
    last, pause_s = (CONTEST_EPOCHS, 0.05) if fenced else (MUTANT_EPOCHS, 0.2)
    if not fenced:
        catalog.NO_RETRIES = RETRIES  # type: ignore[misc]  # the mutant, in this process only

    def dawdle(point: str) -> None:
        if point == "iceberg.committing":
            time.sleep(pause_s)

    made = Make(folder)(dawdle)
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
    with closing(Make(tmp_path)(never)) as sink:
        marker = sink.marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == last
    assert Lake(tmp_path).left() == []


def test_control_competitors_with_the_librarys_retries_double_epochs(tmp_path: Path) -> None:
    contest(compete, tmp_path, fenced=False)
    assert max(visible(tmp_path).values()) > 1, "the contest has no teeth"


# ---------------------------------------------------------------- a power cut


def test_all_that_a_commit_names_is_durable_before_the_catalog_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyiceberg.catalog.sql import SqlCatalog

    synced: set[str] = set()
    real_sync, real_commit = os.fsync, SqlCatalog.commit_table
    before: list[set[str]] = []

    def fsync(descriptor: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real_sync(descriptor)

    def watched(self: SqlCatalog, *args: object) -> object:
        before.append(set(synced))
        answer = real_commit(self, *args)
        after: Table = Lake(tmp_path).table()
        assert after.metadata_location.removeprefix("file://") in synced
        return answer

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(SqlCatalog, "commit_table", watched)
    with closing(Make(tmp_path)(never)) as sink:
        deliver(sink, epoch(1), rows_of(1))
    table = Lake(tmp_path).table()
    (snapshot,) = table.metadata.snapshots
    (manifest,) = snapshot.manifests(table.io)
    named = {snapshot.manifest_list, manifest.manifest_path, *(f"file://{path}" for path in paths(tmp_path))}
    files = {name.removeprefix("file://") for name in named}
    assert files <= before[0]
    assert {str(Path(name).parent) for name in files} <= before[0]
