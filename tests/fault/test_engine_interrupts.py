"""Ctrl-C, or another thread's word, stops whatever the engine waits for, and nothing is left behind.

No statement here would end within the time that a test has: that it comes back says that it was stopped.
"""

from __future__ import annotations

import gc
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
    from collections.abc import Callable, Iterator

    from penstock.connectors.api import Rows, Writer

AB: Final = Schema.of({"a": "int64?", "b": "int64?"})
AFTER_S: Final = 0.4  # from the first row on; by then the statement is at work
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


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    """An interrupt that comes while garbage is collected would be lost: Hypothesis has a callback there."""
    gc.disable()
    yield
    gc.enable()


def stream(begun: threading.Event, *, then: Callable[[], object] = lambda: None) -> Batches:
    def chunks() -> Iterator[Chunk]:
        yield Chunk(ROWS, {"v": 1})
        begun.set()
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


def stop(
    engine: DuckDBEngine, query: str, source: Callable[[threading.Event], Rows], writer: Writer, *, by: str = "signal"
) -> None:
    """Runs until it is told to stop, a moment after its source has given its first rows."""
    graph = compiled(DOCUMENT.replace("QUERY", query), engine)
    begun = threading.Event()
    rows = source(begun)

    def tell() -> None:
        begun.wait()
        time.sleep(AFTER_S)
        if by == "signal":
            signal.raise_signal(signal.SIGINT)
        else:
            engine.interrupt()

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            engine.run(
                Pass(graph),
                inputs={"s": [rows]},
                outputs={"one": lambda: writer},
                rejects=MemoryRejects(),
            )
    finally:
        teller.join()


HEAVY: Final = {
    "a product": "select sum(x.a * y.b + z.a * w.b) as n from s x, s y, s z, s w",
    "a sort": "select x.a, y.b from s x, s y, s z order by md5(x.a::text || y.b::text)",
    "a window": "select row_number() over (partition by x.a order by hash(y.b, z.a)) as n from s x, s y, s z",
    "an aggregate": "select hash(x.a, y.b, z.a) as h, count(*) as n from s x, s y, s z group by 1",
}


@pytest.mark.parametrize("query", HEAVY.values(), ids=HEAVY)
@pytest.mark.parametrize("by", ["signal", "thread"])
def test_a_heavy_statement_stops(query: str, by: str, engine: DuckDBEngine, tmp_path: Path) -> None:
    writer = MemoryWriter()
    stop(engine, query, stream, writer, by=by)
    assert writer.aborted
    assert not writer.staged
    assert sorted(path.name for path in (tmp_path / "engine").iterdir()) in ([], ["spill"])


@pytest.mark.parametrize("by", ["signal", "thread"])
def test_files_half_written_are_undone(by: str, engine: DuckDBEngine, tmp_path: Path) -> None:
    writer = Folder(tmp_path / "out")
    stop(engine, "select x.a, y.b, z.a as c from s x, s y, s z", stream, writer, by=by)
    assert writer.aborted
    assert list((tmp_path / "out").iterdir()) == []


# A signal between the opening of a file and its `with` leaves it to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_big_files_stop(engine: DuckDBEngine, tmp_path: Path) -> None:
    block = b"".join(b"%d,%d\n" % (i, i) for i in range(100_000))
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + block * 20)
    names = [str(tmp_path / f"{number}.csv") for number in range(2_000)]
    for name in names:
        os.link(tmp_path / "x.csv", name)
    files = Files(CsvFormat(delimiter=",", header=True, quote='"', escape='"'), tuple(names), AB)

    def read(begun: threading.Event) -> Files:
        begun.set()
        return files

    stop(engine, "select max(md5(a::text)) as m from s", read, MemoryWriter())


@pytest.mark.parametrize("by", ["signal", "thread"])
def test_a_source_that_does_not_answer_holds_nothing_up(by: str, engine: DuckDBEngine) -> None:
    never = threading.Event()
    writer = MemoryWriter()
    stop(engine, "select a from s", lambda begun: stream(begun, then=never.wait), writer, by=by)
    never.set()
    assert writer.aborted


def pipe(started: list[tuple[int, int]], finished: list[bool], *, begun: threading.Event) -> Pipe:
    """A producer that sends a row and then hangs, its end open."""

    def start() -> list[int]:
        ends = os.pipe()
        os.write(ends[1], b"1,2\n")
        started.append(ends)
        begun.set()
        return [ends[0]]

    return Pipe(CsvFormat(delimiter=",", header=False, quoted_nulls=False), AB, start, lambda: finished.append(True))


@pytest.mark.parametrize("by", ["signal", "thread"])
def test_a_producer_that_hangs_holds_nothing_up_and_finds_its_pipe_closed(by: str, engine: DuckDBEngine) -> None:
    started: list[tuple[int, int]] = []
    finished: list[bool] = []
    before = descriptors()
    stop(engine, "select a from s", lambda begun: pipe(started, finished, begun=begun), MemoryWriter(), by=by)
    assert finished
    with pytest.raises(BrokenPipeError):
        os.write(started[0][1], b"3,4\n")
    os.close(started[0][1])
    engine.close()
    assert descriptors() <= before


@pytest.mark.parametrize("by", ["signal", "thread"])
def test_a_consumer_that_reads_nothing_holds_nothing_up(by: str, engine: DuckDBEngine) -> None:
    writer = DeafPipe()
    stop(engine, "select x.a, y.b from s x, s y", stream, writer, by=by)
    assert writer.aborted


def test_after_an_interrupt_the_engine_runs_anew(engine: DuckDBEngine) -> None:
    stop(engine, HEAVY["a product"], stream, MemoryWriter(), by="thread")
    graph = compiled(DOCUMENT.replace("QUERY", "select a from s"), engine)
    writer = MemoryWriter()
    outcome = engine.run(
        Pass(graph), inputs={"s": [stream(threading.Event())]}, outputs={"one": lambda: writer}, rejects=MemoryRejects()
    )
    assert outcome.counts["one"].out == len(writer.rows) == ROWS.num_rows
