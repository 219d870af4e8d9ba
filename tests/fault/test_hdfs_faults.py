"""A sink of files on HDFS dies at every boundary it passes, and competes with others of its name: nothing is lost, nothing
is there twice, nothing is early.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from crashes import Reaper, children, die, rows_of, run_epochs
from test_store_lakes import compete, expected, never

from hdfs_files import HdfsFolder
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files.parquet_sink import SINK
from penstock.connectors.files.sink import CRASH_POINTS
from penstock.testing.sinks.deliveries import SINK_ID
from webhdfs import webhdfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penstock.connectors.api import Sink
    from penstock.testing.java_servers import HdfsServer

EPOCHS = 3
CONTEST_S = 150
COMMITTED = CRASH_POINTS.index("files.committed")
PUBLISHED = CRASH_POINTS.index("files.published")


@dataclass(frozen=True)
class Make:
    """Travels to child processes. Every sink has a private folder of its own, as those of several machines have; snapshots
    come with every commit.
    """

    folder: Path
    connection: dict[str, Any]
    mode: str = "append"

    def __call__(self, reached: Callable[[str], None]) -> Sink:
        told = {"type": "parquet", "from": "rows", "path": "out", "connection": self.connection, "mode": self.mode}
        scratch = Path(mkdtemp(prefix="scratch-", dir=self.folder))
        context = Context("out", self.folder.joinpath, scratch, SystemClock(), reached=reached)
        sink = SINK.make(SINK.params.model_validate(told), context)
        sink._target.log._every = 1
        return sink

    @property
    def hdfs(self) -> HdfsFolder:
        return HdfsFolder(self.connection)

    def visible(self) -> Counter[tuple[int, int]]:
        """(id, epoch) of every row that a reader finds by listing the folder, with how often."""
        found: Counter[tuple[int, int]] = Counter()
        for key in self.hdfs.keys():  # noqa: SIM118 -- no dictionary
            if key.endswith(".parquet"):
                table = pq.read_table(BytesIO(self.hdfs.content(key)), columns=["id", "epoch"])
                found.update(zip(table["id"].to_pylist(), table["epoch"].to_pylist(), strict=True))
        return found


def walk(make: Make, point: str) -> None:
    assert die(make, EPOCHS, Reaper(point, "raise")), f"the run never passed {point}"
    place = CRASH_POINTS.index(point)
    if place < COMMITTED or place >= PUBLISHED:
        assert make.visible() == expected(2 if place >= COMMITTED else 1, make.mode)
    run_epochs(make, EPOCHS, fence=2, reaper=Reaper("", "raise"))
    assert make.visible() == expected(EPOCHS, make.mode)
    assert make.hdfs.left() == []


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Make]:
    with webhdfs() as cluster:
        yield Make(tmp_path, cluster.connection("lake"))


@pytest.mark.slow
@pytest.mark.parametrize("point", ["files.staged", "files.committed", "files.part_placed", "files.snapshot_written"])
def test_a_crash_at_a_boundary_loses_and_doubles_nothing(quick: Make, point: str) -> None:
    walk(quick, point)


@pytest.fixture
def on_cluster(hdfs_server: HdfsServer, hdfs_folder: str, tmp_path: Path) -> Make:
    return Make(tmp_path, hdfs_server.connection(f"{hdfs_folder}/lake"))


@pytest.mark.server
@pytest.mark.long
@pytest.mark.parametrize("mode", ["append", "overwrite"])
@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_crash_on_a_cluster_loses_and_doubles_nothing(on_cluster: Make, point: str, mode: str) -> None:
    walk(Make(on_cluster.folder, on_cluster.connection, mode), point)


@pytest.mark.server
@pytest.mark.long
def test_three_competitors_commit_every_epoch_once(on_cluster: Make) -> None:
    """They are in each other's way alone, and are killed once some epochs are there."""
    competitors = [children().start(compete, on_cluster, str(number), fenced=True) for number in range(3)]
    until = time.monotonic() + CONTEST_S
    while sum(on_cluster.visible().values()) < EPOCHS * rows_of(1).num_rows and time.monotonic() < until:
        time.sleep(0.5)
    for competitor in competitors:
        competitor.kill()
    marker = on_cluster(never).marker(SINK_ID)
    last = (marker.epoch if marker else 0) + 1
    assert last > 2, "nobody got anywhere"
    run_epochs(on_cluster, last, fence=2, reaper=Reaper("", "raise"))
    assert on_cluster.visible() == expected(last)
