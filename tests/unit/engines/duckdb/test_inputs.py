"""Files, streams and pipes as inputs of a pass: bad records are rejects, counted once, and an attempt that fails is undone."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from passes import MemoryRejects, MemoryWriter, compiled

from penstock.connectors.api import Batches, Chunk, CsvFormat, Files, JsonFormat, ParquetFormat, Pipe, Rows
from penstock.engines.api import Limits, Outcome, Pass
from penstock.engines.duckdb import inputs, inspection
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.errors import DataError, FatalError, TransientError
from penstock.structs import replace
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

ABC: Final = Schema.of({"a": "int64?", "b": "string?"})
HEAD: Final = """
pipeline: test
sources:
  s: {type: memory, schema: {columns: {a: int64?, b: string?}}}
transforms:
"""
ONE: Final = "  x: {from: s, steps: [{filter: a > 1}]}\nsinks:\n  one: {from: x, type: memory}\n"
TWO: Final = (
    "  x: {from: s, steps: [{filter: a > 1}]}\n  y: {from: x, steps: [{cast: {b: int64}}]}\n"
    "sinks:\n  one: {from: x, type: memory}\n  two: {from: y, type: memory}\n"
)
CSV: Final = CsvFormat(delimiter=",", header=True, quote='"', escape='"')


@dataclass
class Opened:
    """Every writer that a pass opened, by sink."""

    writers: dict[str, list[MemoryWriter]] = field(default_factory=dict)

    def opener(self, sink: str) -> Callable[[], MemoryWriter]:
        def made() -> MemoryWriter:
            writer = MemoryWriter()
            self.writers.setdefault(sink, []).append(writer)
            return writer

        return made

    def rows(self, sink: str) -> list[tuple[object, ...]]:
        *undone, last = self.writers[sink]
        assert all(writer.aborted and not writer.staged and not writer.batches for writer in undone)
        assert last.staged
        assert not last.aborted
        return sorted((tuple(row.values()) for row in last.rows), key=str)


@dataclass
class Ran:
    outcome: Outcome
    opened: Opened
    rejects: MemoryRejects


def ran(
    text: str,
    rows: Rows | list[Rows],
    folder: Path,
    *,
    tables: frozenset[str] = frozenset(),
    careful: frozenset[str] = frozenset(),
) -> Ran:
    (folder / "engine").mkdir(exist_ok=True)
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder / "engine", (folder, Path("/dev/fd")))
    opened, rejects = Opened(), MemoryRejects()
    try:
        graph = compiled(HEAD + text, engine)
        outcome = engine.run(
            Pass(graph, tables, careful),
            inputs={"s": rows if isinstance(rows, list) else [rows]},
            outputs={write.sink: opened.opener(write.sink) for write in graph.writes},
            rejects=rejects,
        )
        return Ran(outcome, opened, rejects)
    finally:
        engine.close()
        assert list((folder / "engine").iterdir()) == []


def csv(folder: Path, content: bytes, name: str = "x.csv") -> Files:
    (folder / name).write_bytes(content)
    return Files(CSV, (str(folder / name),), ABC)


def lines(folder: Path, content: bytes) -> Files:
    (folder / "x.ndjson").write_bytes(content)
    return Files(JsonFormat(), (str(folder / "x.ndjson"),), ABC)


def piped(*parts: bytes, finish: Callable[[], None] = lambda: None) -> Pipe:
    def start() -> list[int]:
        ends = []
        for part in parts:
            read, write = os.pipe()
            os.write(write, part)
            os.close(write)
            ends.append(read)
        return ends

    return Pipe(CsvFormat(header=False, quoted_nulls=False), ABC, start, finish)


GOOD: Final = b"a,b\n1,5\n2,6\n3,x\n"
BAD: Final = b"a,b\n1,5\n2,6\nq,7\n3,x\n4\n"
FORMS: Final[dict[str, Callable[[Path], Rows]]] = {
    "csv": lambda folder: csv(folder, BAD),
    "lines": lambda folder: lines(folder, b'{"a":1,"b":"5"}\n{"a":2,"b":"6"}\n{"a":"q"}\n{"a":3,"b":"x"}\n{"a":4'),
    "pipe": lambda _: piped(b"1,5\n2,6\n", b"q,7\n3,x\n4\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("careful", [frozenset(), frozenset({"s"})], ids=["surprised", "careful"])
def test_bad_records_are_rejects_and_the_attempt_that_met_them_is_undone(
    form: str, careful: frozenset[str], tmp_path: Path
) -> None:
    found = ran(ONE, FORMS[form](tmp_path), tmp_path, careful=careful)
    assert found.opened.rows("one") == [(2, "6"), (3, "x")]
    assert len(found.opened.writers["one"]) == (1 if careful else 2)
    counts = found.outcome.counts
    assert (counts["s"].into, counts["s"].out, counts["s"].rejected) == ({"s": 5}, 3, 2)
    assert (counts["x.filter"].into, counts["x.filter"].out, counts["one"].out) == ({"s": 3}, 2, 2)
    assert len(found.rejects.records["s"]) == 2


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tables", [(), ("s",), ("x.filter",)])
def test_two_sinks_over_a_source_with_bad_records_reject_each_once(
    form: str, tables: tuple[str, ...], tmp_path: Path
) -> None:
    found = ran(TWO, FORMS[form](tmp_path), tmp_path, tables=frozenset(tables))
    assert found.opened.rows("one") == [(2, "6"), (3, "x")]
    assert found.opened.rows("two") == [(2, 6)]
    counts = found.outcome.counts
    assert (counts["s"].into, counts["s"].out, counts["s"].rejected) == ({"s": 5}, 3, 2)
    (check,) = (name for name in found.rejects.records if name != "s")
    assert counts[check].into[next(iter(counts[check].into))] - counts[check].out == 1
    assert [len(records) for records in found.rejects.records.values()] == [2, 1]


@pytest.mark.parametrize("late", ["csv", "ndjson"])
def test_a_bad_record_far_behind_rows_that_were_handed_on_is_a_reject(late: str, tmp_path: Path) -> None:
    """The driver tells of it in the midst of a stream, in other words than before the first row."""
    good = 300_000
    path = tmp_path / f"x.{late}"
    with path.open("w", encoding="utf-8") as file:
        if late == "csv":
            file.write("a,b\n" + "".join(f"{n},x\n" for n in range(good)) + "bad,x\n" + f"{good},x\n")
        else:
            file.write("".join(f'{{"a":{n},"b":"x"}}\n' for n in range(good)) + '{"a":\n' + f'{{"a":{good}}}\n')
    form = CSV if late == "csv" else JsonFormat("lines")
    found = ran(ONE, Files(form, (str(path),), ABC), tmp_path)
    assert found.outcome.counts["s"].out == good + 1
    assert found.outcome.counts["s"].rejected == 1
    assert len(found.opened.rows("one")) == good - 1
    assert len(found.rejects.records["s"]) == 1


@pytest.mark.parametrize("is_last", [True, False])
def test_a_csv_record_that_is_longer_than_the_engines_buffer_is_a_reject_wherever_it_stands(
    *, is_last: bool, tmp_path: Path
) -> None:
    """Where it is the last one, DuckDB says nothing of it; where it is not, that it cannot read the file."""
    long = b"9," + b"y" * 33_000_000 + b"\n"
    content = b"a,b\n1,5\n2,6\n" + (b"3,x\n" + long if is_last else long + b"3,x\n")
    found = ran(ONE, csv(tmp_path, content), tmp_path)
    assert found.opened.rows("one") == [(2, "6"), (3, "x")]
    assert (found.outcome.counts["s"].out, found.outcome.counts["s"].rejected) == (3, 1)
    (record,) = found.rejects.records["s"]
    assert [cause["code"] for cause in record["causes"]] == ["record_too_long"]
    place = json.loads(record["position"])
    assert (place["record"], place["byte"]) == ((5, 16) if is_last else (4, 12))


def zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


PACKERS: Final[dict[str, Callable[[bytes], bytes]]] = {"gzip": lambda content: gzip.compress(content, 1), "zstd": zstd}


def packed(compression: str, folder: Path, *contents: bytes, form: CsvFormat | JsonFormat = CSV) -> Files:
    """Compressed files, which go by numbers."""
    paths = [folder / f"{place}.packed" for place in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return Files(replace(form, compression=compression), tuple(map(str, paths)), ABC)


@pytest.mark.parametrize("compression", PACKERS)
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["open", "ended"])
@pytest.mark.parametrize("members", [1, 3])
def test_a_long_record_at_the_end_of_a_compressed_csv_file_is_a_reject(
    compression: str, end: bytes, members: int, tmp_path: Path
) -> None:
    """DuckDB says nothing of it. A file may be made of several compressed ones; here the record begins in the first of them."""
    content = b"a,b\n1,5\n2,6\n3,x\n9," + b"y" * 33_000_000 + end
    size = len(content) // members + 1
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    long = b"".join(map(PACKERS[compression], pieces))
    short = PACKERS[compression](b"a,b\n4,x\n")
    found = ran(ONE, packed(compression, tmp_path, short, long, short), tmp_path)
    assert found.opened.rows("one") == [(2, "6"), (3, "x"), (4, "x"), (4, "x")]
    counts = found.outcome.counts["s"]
    assert (counts.into, counts.out, counts.rejected) == ({"s": 6}, 5, 1)
    (record,) = found.rejects.records["s"]
    assert [cause["code"] for cause in record["causes"]] == ["record_too_long"]
    place = json.loads(record["position"])
    assert (Path(place["file"]).name, place["record"], place["byte"]) == ("1.packed", 5, 16)


@pytest.mark.parametrize("compression", PACKERS)
def test_compressed_files_without_a_fault_are_read_once_by_the_engine(compression: str, tmp_path: Path) -> None:
    """Without a row, without a byte, with records nearly too long, of several compressed ones."""
    pack = PACKERS[compression]
    quoted = b'a,b\n2,"' + b"y" * 1_500_000 + b'"\n3,' + b"z" * 1_500_000
    contents = [b"a,b\n", b"", b"a,b\n1,5", quoted]
    found = ran(ONE, packed(compression, tmp_path, *map(pack, contents), pack(GOOD) + pack(b"7,q\n")), tmp_path)
    assert found.outcome.counts["s"].out == 7
    assert found.outcome.counts["s"].rejected == 0
    assert len(found.opened.writers["one"]) == 1


def test_a_compressed_file_is_inspected_once_however_often_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Files] = []

    class Counted(inspection.Inspection):
        def __init__(self, files: Files, threads: int) -> None:
            made.append(files)
            super().__init__(files, threads)

    monkeypatch.setattr(inputs, "Inspection", Counted)
    files = packed("zstd", tmp_path, zstd(GOOD))
    found = ran(TWO, files, tmp_path)
    assert found.opened.rows("two") == [(2, 6)]
    assert made == [files]


def cut_off(compression: str, content: bytes) -> bytes:
    """The last record, a part of its own, is incomplete: DuckDB takes such a zstd file for one that ends before it."""
    *before, last = content.splitlines(keepends=True)
    pack = PACKERS[compression]
    return pack(b"".join(before)) + pack(last)[:-3]


def altered(compression: str, content: bytes) -> bytes:
    """DuckDB does not ask whether a gzip file is what it was when its check sum was made."""
    found = PACKERS[compression](content)
    return found[:-8] + bytes(4) + found[-4:]


BROKEN: Final[dict[str, tuple[str, Callable[[str, bytes], bytes]]]] = {
    "gzip that is cut off": ("gzip", cut_off),
    "gzip that is altered": ("gzip", altered),
    "zstd that is cut off": ("zstd", cut_off),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("careful", [frozenset(), frozenset({"s"})], ids=["fast", "careful"])
@pytest.mark.parametrize("form", ["csv", "lines"])
def test_a_compressed_file_that_is_broken_fails_by_name_and_leaves_nothing(
    form: str, careful: frozenset[str], broken: str, tmp_path: Path
) -> None:
    compression, made = BROKEN[broken]
    content = GOOD if form == "csv" else b'{"a":1,"b":"5"}\n{"a":2,"b":"6"}\n{"a":3}\n'
    kind = CSV if form == "csv" else JsonFormat("lines")
    files = packed(compression, tmp_path, PACKERS[compression](content), made(compression, content), form=kind)
    with pytest.raises(FatalError) as caught:
        ran(ONE, files, tmp_path, careful=careful)
    (problem,) = caught.value.problems
    assert problem.code == "ENG-304"
    assert files.paths[1] in (problem.detail or "")


def test_what_waits_for_the_end_of_a_compressed_file_can_be_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = packed("gzip", tmp_path, PACKERS["gzip"](GOOD))
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), tmp_path / "engine", (tmp_path,))
    (tmp_path / "engine").mkdir()
    writer, is_awaited = MemoryWriter(), threading.Event()

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if is_awaited.is_set():
                engine.interrupt()
            return bytes(size or 0)

    class Awaited(inspection.Inspection):
        def check(self) -> None:
            is_awaited.set()
            super().check()

    monkeypatch.setattr(inspection, "stream", lambda *_: Endless())
    monkeypatch.setattr(inputs, "Inspection", Awaited)
    graph = compiled(HEAD + ONE, engine)
    with pytest.raises(KeyboardInterrupt):
        engine.run(Pass(graph), inputs={"s": [files]}, outputs={"one": lambda: writer}, rejects=MemoryRejects())
    engine.close()
    assert writer.aborted


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select a from this where 1 = 0", []),
        ("select 1 as a", [(1,)]),
        ("with x as (select * from this) select * from (values (1), (2)) t(a)", [(1,), (2,)]),
    ],
)
def test_what_a_query_leaves_out_is_read_and_counted_all_the_same(
    query: str, rows: list[tuple[int]], form: str, tmp_path: Path
) -> None:
    text = (
        f"  x: {{from: s, steps: [{{filter: a > 1}}, {{sql: '{query}'}}]}}\nsinks:\n  one: {{from: x, type: memory}}\n"
    )
    found = ran(text, FORMS[form](tmp_path), tmp_path)
    assert found.opened.rows("one") == rows
    counts = found.outcome.counts
    assert (counts["s"].into, counts["s"].out, counts["s"].rejected) == ({"s": 5}, 3, 2)
    assert (counts["x.filter"].into, counts["x.filter"].out) == ({"s": 3}, 2)
    assert (counts["x.sql"].into, counts["x.sql"].out) == ({"x.filter": 2}, len(rows))
    assert len(found.rejects.records["s"]) == 2


def test_bad_records_of_one_partition_leave_the_others_whole(tmp_path: Path) -> None:
    table = pa.table({"a": pa.array([7, 8], pa.int64()), "b": ["p", "q"]})
    pq.write_table(table, tmp_path / "x.parquet")

    def chunks() -> Iterator[Chunk]:
        yield Chunk(table.to_batches()[0], {"v": 1})

    parts: list[Rows] = [
        csv(tmp_path, BAD),
        csv(tmp_path, GOOD, "y.csv"),
        Files(ParquetFormat(), (str(tmp_path / "x.parquet"),), ABC),
        Batches(ABC, chunks),
        piped(b"9,z\n"),
    ]
    found = ran(ONE, parts, tmp_path)
    assert found.outcome.counts["s"].into == {"s": 13}
    assert (found.outcome.counts["s"].out, found.outcome.counts["s"].rejected) == (11, 2)
    assert len(found.opened.rows("one")) == 9
    assert len(found.rejects.records["s"]) == 2


def test_rejects_of_a_stream_are_kept_once_though_it_is_read_twice(tmp_path: Path) -> None:
    record = {"position": '{"v":1}', "row": None, "raw": "bad", "causes": []}
    reads: list[int] = []

    def chunks() -> Iterator[Chunk]:
        reads.append(1)
        batch = pa.record_batch({"a": pa.array([1, 2], pa.int64()), "b": ["5", "x"]})
        yield Chunk(batch, {"v": 1}, rejects=pa.RecordBatch.from_pylist([record]))

    found = ran(TWO, Batches(ABC, chunks), tmp_path)
    assert len(reads) > 1
    counts = found.outcome.counts["s"]
    assert (counts.into, counts.out, counts.rejected) == ({"s": 3}, 2, 1)
    assert len(found.rejects.records["s"]) == 1


def test_a_parquet_file_that_is_cut_off_fails_by_name_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": pa.array(range(1000), pa.int64()), "b": ["x"] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises((DataError, FatalError)) as caught:
        ran(ONE, Files(ParquetFormat(), (str(path),), ABC), tmp_path)
    assert caught.value.code in {"ENG-304", "ENG-312"}


@pytest.mark.parametrize(
    "error", [TransientError("NET-140", "gone"), DataError("SRC-110", "a file changed"), ValueError()]
)
def test_an_error_of_the_source_is_raised_in_place_of_the_engines(error: Exception, tmp_path: Path) -> None:
    def chunks() -> Iterator[Chunk]:
        yield Chunk(pa.record_batch({"a": pa.array([1], pa.int64()), "b": ["5"]}), {"v": 1})
        raise error

    with pytest.raises(type(error)) as caught:
        ran(ONE, Batches(ABC, chunks), tmp_path)
    assert caught.value is error


def test_an_error_of_a_producer_is_raised_though_its_text_was_whole(tmp_path: Path) -> None:
    def finish() -> None:
        raise TransientError("NET-140", "the server went away")

    with pytest.raises(TransientError):
        ran(ONE, piped(b"1,5\n", finish=finish), tmp_path)


def test_a_limit_ends_a_source_that_would_go_on(tmp_path: Path) -> None:
    ended: list[bool] = []

    def chunks() -> Iterator[Chunk]:
        try:
            while True:
                yield Chunk(pa.record_batch({"a": pa.array([2] * 5000, pa.int64()), "b": ["5"] * 5000}), {"v": 1})
        finally:
            ended.append(True)

    text = ONE.replace("filter: a > 1", "limit: 7")
    found = ran(text, Batches(ABC, chunks), tmp_path)
    assert len(found.opened.rows("one")) == 7
    assert ended == [True]


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\n\n"])
def test_files_without_records_are_no_rows(content: bytes, tmp_path: Path) -> None:
    found = ran(ONE, csv(tmp_path, content), tmp_path)
    assert found.opened.rows("one") == []
    assert (found.outcome.counts["s"].out, found.outcome.counts["s"].rejected) == (0, 0)


def test_no_file_is_no_row(tmp_path: Path) -> None:
    found = ran(ONE, Files(CSV, (), ABC), tmp_path)
    assert (found.opened.rows("one"), found.outcome.counts["one"].out) == ([], 0)


# ---------------------------------------------------------------- statements that stop early, and what is left to chance


def many(bad: Callable[[int], bool], rows: int = 20_000) -> bytes:
    return b"a,b\n" + b"".join(b"%d,%s\n" % (i, b"x" if bad(i) else b"%d" % i) for i in range(rows))


def balanced(found: Ran) -> None:
    for name, counts in found.outcome.counts.items():
        lost = sum(counts.into.values()) - counts.out if name.endswith("check") else counts.rejected
        assert (name, lost) == (name, len(found.rejects.records.get(name, [])))


def test_a_check_below_a_limit_counts_every_row_it_keeps_in_the_rejects(tmp_path: Path) -> None:
    text = ONE.replace("[{filter: a > 1}]", "[{cast: {b: int64}}, {limit: 5}]")
    found = ran(text, csv(tmp_path, many(lambda i: i % 100 == 0)), tmp_path)
    assert len(found.rejects.records["x.cast.check"]) == 200
    assert len(found.opened.rows("one")) == 5
    balanced(found)


def test_a_bad_record_behind_a_limit_is_met_when_the_rejects_are_read(tmp_path: Path) -> None:
    text = ONE.replace("[{filter: a > 1}]", "[{cast: {b: int64}}, {limit: 5}]")
    content = many(lambda i: i == 3, 200_000) + b"9\n"
    found = ran(text, csv(tmp_path, content), tmp_path)
    assert len(found.rejects.records["s"]) == 1
    balanced(found)


@pytest.mark.parametrize("order", ["limit first", "limit last"])
def test_a_stream_that_one_sink_reads_in_part_and_another_as_a_whole_rejects_each_record_once(
    order: str, tmp_path: Path
) -> None:
    record = {"position": None, "row": None, "raw": "bad", "causes": []}

    def chunks() -> Iterator[Chunk]:
        for at in range(50):
            batch = pa.record_batch({"a": pa.array(range(5000), pa.int64()), "b": ["5"] * 5000})
            yield Chunk(batch, {"v": 1, "at": at}, rejects=pa.RecordBatch.from_pylist([record]))

    parts = ["  y: {from: s, steps: [{limit: 5}]}\n", "  z: {from: s, steps: [{filter: a >= 0}]}\n"]
    sinks = ["  one: {from: y, type: memory}\n", "  two: {from: z, type: memory}\n"]
    if order == "limit last":
        sinks.reverse()
    found = ran("".join([*parts, "sinks:\n", *sinks]), Batches(ABC, chunks), tmp_path)
    counts = found.outcome.counts["s"]
    assert (counts.out, counts.rejected) == (250_000, 50)
    assert len(found.rejects.records["s"]) == 50


@pytest.mark.parametrize(
    "steps",
    [
        "{limit: 900}, {cast: {b: int64}}",
        "{deduplicate: {keys: [k], order_by: ['a % 1']}}, {cast: {b: int64}}",
        '{sql: "select * from this using sample 900"}, {cast: {b: int64}}',
    ],
)
def test_rows_left_to_chance_are_drawn_once_for_the_sink_and_for_the_rejects(steps: str, tmp_path: Path) -> None:
    text = ONE.replace("[{filter: a > 1}]", f"[{{derive: {{k: a % 1000}}}}, {steps}]")
    found = ran(text, csv(tmp_path, many(lambda i: i % 3 == 0)), tmp_path)
    written = {row[0] for row in found.opened.rows("one")}
    refused = {json.loads(record["row"])["a"] for record in found.rejects.records["x.cast.check"]}
    assert not written & refused
    counts = found.outcome.counts["x.cast.check"]
    assert len(written) + len(refused) == sum(counts.into.values())
    balanced(found)


def test_two_sinks_get_the_same_rows_of_what_is_left_to_chance(tmp_path: Path) -> None:
    text = (
        "  x: {from: s, steps: [{limit: 700}]}\n  y: {from: x, steps: [{filter: a >= 0}]}\n"
        "sinks:\n  one: {from: x, type: memory}\n  two: {from: y, type: memory}\n"
    )
    found = ran(text, csv(tmp_path, many(lambda _: False)), tmp_path)
    assert found.opened.rows("one") == found.opened.rows("two")
