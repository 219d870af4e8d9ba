"""Ctrl-C, or another thread's word, stops whatever the engine waits for within a second, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest
from passes import MemoryRejects, MemoryWriter, compiled

from penstock.connectors.api import (
    Batches,
    Chunk,
    CsvFormat,
    Files,
    FileTarget,
    FileWriter,
    ParquetFormat,
    Pipe,
    PipeWriter,
    Staged,
)
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from penstock.connectors.api import Rows, Writer

AB: Final = Schema.of({"a": "int64?", "b": "int64?"})
WITHIN_S: Final = 1.0
AFTER_S: Final = 0.4
DOCUMENT: Final = """
pipeline: test
sources:
  s: {type: memory, schema: {columns: {a: int64?, b: int64?}}}
transforms:
  x: {sql: "QUERY"}
sinks:
  one: {from: x, type: memory}
"""
ROWS: Final = pa.record_batch({"a": pa.array(range(4000), pa.int64()), "b": pa.array(range(4000), pa.int64())})


def stream(*, then: Callable[[], object] = lambda: None) -> Batches:
    def chunks() -> Iterator[Chunk]:
        yield Chunk(ROWS, {"v": 1})
        then()

    return Batches(AB, chunks)


@dataclass
class Folder(FileWriter):
    """Files of an attempt; an abort leaves nothing."""

    folder: Path
    aborted: bool = False

    def target(self) -> FileTarget:
        self.folder.mkdir()
        return FileTarget(self.folder, ParquetFormat())

    def stage(self) -> Staged:
        return Staged(0, 0)

    def abort(self) -> None:
        self.aborted = True
        for path in self.folder.iterdir():
            path.unlink()


@dataclass
class DeafPipe(PipeWriter):
    """A consumer that reads nothing."""

    format: CsvFormat = field(default_factory=CsvFormat)
    read_end: int = -1
    aborted: bool = False

    def open(self) -> int:
        self.read_end, write_end = os.pipe()
        return write_end

    def stage(self) -> Staged:
        raise AssertionError

    def abort(self) -> None:
        if not self.aborted:
            os.close(self.read_end)
        self.aborted = True


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    (tmp_path / "engine").mkdir()
    made = DuckDBEngine(Limits(memory_bytes=256 << 20, threads=2), tmp_path / "engine", (tmp_path, Path("/dev/fd")))
    yield made
    made.close()
    assert list((tmp_path / "engine").iterdir()) == []


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def stopped(
    engine: DuckDBEngine, query: str, inputs: Mapping[str, Rows], writer: Writer, stop: str = "signal"
) -> float:
    """Runs until it is told to stop; seconds from that word to the KeyboardInterrupt."""
    graph = compiled(DOCUMENT.replace("QUERY", query), engine)
    told: list[float] = []

    def tell() -> None:
        told.append(time.monotonic())
        if stop == "signal":
            signal.raise_signal(signal.SIGINT)
        else:
            engine.interrupt()

    timer = threading.Timer(AFTER_S, tell)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run(
                Pass(graph),
                inputs={name: [rows] for name, rows in inputs.items()},
                outputs={"one": lambda: writer},
                rejects=MemoryRejects(),
            )
    finally:
        timer.join()
    return time.monotonic() - told[0]


HEAVY: Final = {
    "a product": "select sum(x.a * y.b + z.a) as n from s x, s y, s z",
    "a sort": "select x.a, y.b from s x, s y order by md5(x.a::text || y.b::text)",
    "a window": "select row_number() over (partition by x.a order by hash(y.b, x.a)) as n from s x, s y",
    "an aggregate": "select hash(x.a, y.b) as h, count(*) as n from s x, s y group by 1",
}


@pytest.mark.parametrize("query", HEAVY.values(), ids=HEAVY)
@pytest.mark.parametrize("stop", ["signal", "thread"])
def test_a_heavy_statement_stops(query: str, stop: str, engine: DuckDBEngine, tmp_path: Path) -> None:
    writer = MemoryWriter()
    assert stopped(engine, query, {"s": stream()}, writer, stop) < WITHIN_S
    assert writer.aborted
    assert not writer.staged
    assert sorted(path.name for path in (tmp_path / "engine").iterdir()) in ([], ["spill"])


@pytest.mark.parametrize("stop", ["signal", "thread"])
def test_files_half_written_are_undone(stop: str, engine: DuckDBEngine, tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out")
    assert stopped(engine, "select x.a, y.b, z.a as c from s x, s y, s z", {"s": stream()}, writer, stop) < WITHIN_S
    assert writer.aborted
    assert list((tmp_path / "out").iterdir()) == []


def test_a_big_file_stops(engine: DuckDBEngine, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    block = b"".join(b"%d,%d\n" % (i, i) for i in range(100_000))
    with path.open("wb") as file:
        file.write(b"a,b\n")
        for _ in range(250):
            file.write(block)
    files = Files(CsvFormat(delimiter=",", header=True, quote='"', escape='"'), (str(path),), AB)
    query = "select max(md5(a::text)) as m from s"
    assert stopped(engine, query, {"s": files}, MemoryWriter()) < WITHIN_S
    path.unlink()


@pytest.mark.parametrize("stop", ["signal", "thread"])
def test_a_source_that_does_not_answer_holds_nothing_up(stop: str, engine: DuckDBEngine) -> None:
    never = threading.Event()
    writer = MemoryWriter()
    took = stopped(engine, "select a from s", {"s": stream(then=never.wait)}, writer, stop)
    never.set()
    assert took < WITHIN_S
    assert writer.aborted


def pipe(started: list[tuple[int, int]], finished: list[bool]) -> Pipe:
    """A producer that sends a row and then hangs, its end open."""

    def start() -> list[int]:
        ends = os.pipe()
        os.write(ends[1], b"1,2\n")
        started.append(ends)
        return [ends[0]]

    return Pipe(CsvFormat(delimiter=",", header=False, quoted_nulls=False), AB, start, lambda: finished.append(True))


@pytest.mark.parametrize("stop", ["signal", "thread"])
def test_a_producer_that_hangs_holds_nothing_up_and_finds_its_pipe_closed(stop: str, engine: DuckDBEngine) -> None:
    started: list[tuple[int, int]] = []
    finished: list[bool] = []
    before = descriptors()
    assert stopped(engine, "select a from s", {"s": pipe(started, finished)}, MemoryWriter(), stop) < WITHIN_S
    assert finished
    with pytest.raises(BrokenPipeError):
        os.write(started[0][1], b"3,4\n")
    os.close(started[0][1])
    engine.close()
    assert descriptors() <= before


@pytest.mark.parametrize("stop", ["signal", "thread"])
def test_a_consumer_that_reads_nothing_holds_nothing_up(stop: str, engine: DuckDBEngine) -> None:
    writer = DeafPipe()
    assert stopped(engine, "select x.a, y.b from s x, s y", {"s": stream()}, writer, stop) < WITHIN_S
    assert writer.aborted


def test_after_an_interrupt_the_engine_runs_anew(engine: DuckDBEngine) -> None:
    stopped(engine, HEAVY["a product"], {"s": stream()}, MemoryWriter(), "thread")
    graph = compiled(DOCUMENT.replace("QUERY", "select a from s"), engine)
    writer = MemoryWriter()
    outcome = engine.run(
        Pass(graph), inputs={"s": [stream()]}, outputs={"one": lambda: writer}, rejects=MemoryRejects()
    )
    assert outcome.counts["one"].out == len(writer.rows) == ROWS.num_rows
