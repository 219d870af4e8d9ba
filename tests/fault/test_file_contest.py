"""Writers of one pipeline that are killed, frozen and woken at random moments, on one folder or bucket."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatch
from io import BytesIO
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq
import pytest
from crashes import Reaper, children, rows_of, run_epochs

from object_stores import content_of, keys_in, left_in, store_of
from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.files.commit.bucket_log import BucketLog
from penstock.connectors.files.commit.log import Log
from penstock.connectors.files.commit.records import Manifest, decode
from penstock.connectors.files.parquet_sink import SINK
from penstock.errors import FatalError
from penstock.testing.sinks import deliver, epoch
from penstock.testing.sinks.deliveries import SINK_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.files.sink import FileSink
    from penstock.faults.children import Child
    from penstock.testing.servers import ObjectServer

ROWS = rows_of(1).num_rows


@dataclass(frozen=True)
class Make:
    """``connection`` None: a folder of this machine."""

    folder: Path
    careless: bool = False
    connection: dict[str, Any] | None = None

    def __call__(self, reached: Callable[[str], None]) -> FileSink:
        stated = {"type": "parquet", "from": "rows", "path": "out", "partition_by": ["part"]}
        params = SINK.params.model_validate({**stated, "connection": self.connection})
        sink: FileSink = SINK.make(
            params, Context("out", self.folder.joinpath, self.folder, SystemClock(), reached=reached)
        )
        sink._target.log._every = 5
        if self.careless and self.connection is None:
            sink._target.log = Careless(sink._target.log.home)
        elif self.careless:
            sink._target.log = CarelessInBucket(sink._target.log.bucket, sink._target.log.home)
        return sink

    def seen(self) -> Counter[int]:
        """The ids a reader finds now; files may come while it looks."""
        found: Counter[int] = Counter()
        for file in self._files():
            found.update(pq.ParquetFile(file).read(columns=["id"])["id"].to_pylist())
        return found

    def _files(self) -> Iterator[Path | BytesIO]:
        if self.connection is None:
            yield from (self.folder / "out").glob("part=*/*.parquet")
            return
        store = store_of(self.connection)
        for key in keys_in(store):
            if fnmatch(key, "*out/part=*.parquet"):
                yield BytesIO(content_of(store, key))


class Careless(Log):
    """The negative control: no fence, and the next free version instead of the one that was checked."""

    def raise_fence(self, epoch: Epoch) -> None:
        pass

    def check_fence(self, epoch: Epoch) -> None:
        pass

    def clean(self, sink_id: SinkId, *, keep: Collection[str] = ()) -> None:
        pass

    def append(self, attempt: Path, version: int) -> bool:
        while not super().append(attempt, version):
            version += 1
            manifest = decode((attempt / "manifest").read_bytes(), Manifest, attempt)
            self.write_manifest(attempt, manifest.model_copy(update={"version": version}))
        return True


class CarelessInBucket(BucketLog):
    """As ``Careless``."""

    def take_over(self, epoch: Epoch) -> bool:
        return not epoch

    def void(self, sink_id: SinkId, attempts: Sequence[str]) -> None:
        pass

    def append(self, manifest: Manifest) -> bool:
        while not super().append(manifest):
            manifest = manifest.model_copy(update={"version": manifest.version + 1})
        return True


def write_on(make: Make, fence: int) -> None:
    """A runner: goes on from the marker until it is killed or refused, one epoch after the other."""
    sink = make(lambda _: None)
    try:
        marker = sink.marker(SINK_ID)
        number = (marker.epoch if marker else 0) + 1
        while True:
            deliver(sink, epoch(number, fence=fence, attempt=f"runner-{fence}-{number}"), rows_of(number))
            number += 1
    except (FatalError, duckdb.Error):
        os._exit(0)  # refused, or its folder was thrown away while the engine wrote to it


class Arena:
    def __init__(self, make: Make, seed: int) -> None:
        self.make = make
        self.chance = random.Random(seed)
        self.fence = 0
        self.runners: list[Child] = []
        self.frozen: dict[Child, float] = {}

    def fill(self, count: int) -> None:
        self.runners = [runner for runner in self.runners if runner.is_alive]
        while len(self.runners) < count:
            self.fence += 1
            self.runners.append(children().start(write_on, self.make, self.fence))

    def strike(self) -> None:
        runner = self.chance.choice(self.runners)
        if self.chance.random() < 0.7:
            runner.kill()
        else:
            runner.freeze()
            self.frozen[runner] = time.monotonic() + self.chance.uniform(0.05, 0.3)

    def wake(self, *, everyone: bool = False) -> None:
        for runner, until in list(self.frozen.items()):
            if everyone or time.monotonic() >= until:
                del self.frozen[runner]
                runner.wake()

    def end(self) -> None:
        self.wake(everyone=True)
        for runner in self.runners:
            runner.kill()


def contest(make: Make, *, runners: int, seconds: float, seed: int) -> int:
    """Epochs committed in that time; asserts on the way that nobody sees a row twice."""
    arena = Arena(make, seed)
    until, latest = time.monotonic() + seconds, time.monotonic() + 90
    found: Counter[int] = Counter()
    try:
        # On a busy machine few runners live long enough to commit: then the contest goes on for a while.
        while time.monotonic() < until or (len(found) < 4 * ROWS and time.monotonic() < latest):
            arena.fill(runners)
            time.sleep(arena.chance.uniform(0.01, 0.6))
            arena.strike()
            arena.wake()
            found = make.seen()
            assert not found or max(found.values()) == 1, "a row was seen twice"
    finally:
        arena.end()
    sink = make(lambda _: None)
    marker = sink.marker(SINK_ID)
    last = (marker.epoch if marker else 0) + 1
    run_epochs(make, last, fence=arena.fence + 1, reaper=Reaper("", "raise"))
    return last


@pytest.mark.parametrize(("runners", "seconds"), [(1, 6.0), (3, 6.0)])
def test_killed_and_frozen_writers_lose_and_double_nothing(tmp_path: Path, runners: int, seconds: float) -> None:
    _holds(Make(tmp_path), runners=runners, seconds=seconds)


@pytest.mark.server
@pytest.mark.parametrize(("runners", "seconds"), [(1, 6.0), (3, 12.0)])
def test_killed_and_frozen_writers_to_a_bucket_lose_and_double_nothing(
    tmp_path: Path, s3_server: ObjectServer, s3_bucket: str, runners: int, seconds: float
) -> None:
    make = Make(tmp_path, connection=s3_server.connection(s3_bucket))
    _holds(make, runners=runners, seconds=seconds)
    assert left_in(store_of(s3_server.connection(s3_bucket))) == []


def _holds(make: Make, *, runners: int, seconds: float) -> None:
    last = contest(make, runners=runners, seconds=seconds, seed=20_261_121)
    assert last > 3, "no epoch was committed in between: the test showed nothing"
    assert make.seen() == Counter(row for n in range(1, last + 1) for row in rows_of(n)["id"].to_pylist())


def test_the_contest_finds_a_writer_that_takes_any_free_version(tmp_path: Path) -> None:
    """Without the check that commit and version are one act, frozen writers double rows: the test has teeth."""
    for seed in range(10):
        if _found_out(Make(tmp_path / str(seed), careless=True), seed):
            return
    pytest.fail("a careless writer was not found out")


@pytest.mark.server
def test_the_contest_finds_such_a_writer_to_a_bucket(tmp_path: Path, s3_server: ObjectServer, s3_bucket: str) -> None:
    for seed in range(10):
        connection = s3_server.connection(s3_bucket, prefix=str(seed))
        if _found_out(Make(tmp_path / str(seed), careless=True, connection=connection), seed):
            return
    pytest.fail("a careless writer was not found out")


def _found_out(make: Make, seed: int) -> bool:
    make.folder.mkdir()
    try:
        contest(make, runners=3, seconds=4.0, seed=seed)
    except (AssertionError, FatalError):
        return True
    return False
