"""What a run may use of the machine is kept; what does not fit into memory goes to a private folder that is removed."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pytest
from passes import MemoryRejects, MemoryWriter, compiled

from penstock.connectors.api import Batches, Chunk
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.errors import FatalError
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.engines.api import Outcome

AB: Final = Schema.of({"a": "int64?", "b": "string?"})
HEAD: Final = """
pipeline: test
sources:
  s: {type: memory, schema: {columns: {a: int64?, b: string?}}}
transforms:
  x:
    from: s
    steps: [!]
sinks:
  one: {from: x, type: memory}
"""
MIB: Final = 1 << 20
SORT: Final = "sort: [b, a]"
GROUP: Final = "aggregate: {by: [a, b], measures: {c: count(*)}}"
WIDE: Final = "aggregate: {by: {g: a % 1}, measures: {whole: 'max(repeat(b, 3000000))'}}"


class Watching(MemoryWriter):
    """Counts rows only, and looks at the folder for spilled rows while they come."""

    def __init__(self, spill: Path) -> None:
        super().__init__()
        self.spill, self.seen, self.modes, self.sent = spill, set[str](), set[int](), 0

    def write(self, batch: pa.RecordBatch) -> None:
        self.sent += batch.num_rows
        self.modes.add(stat.S_IMODE(self.spill.stat().st_mode))
        self.seen |= {path.name for path in self.spill.iterdir()}


def source(blocks: int) -> Batches:
    """10,000 rows a block, all different and in no order."""

    def chunks() -> Iterator[Chunk]:
        for block in range(blocks):
            numbers = [(i * 7919 + block * 10_007) % 1_000_003 for i in range(10_000)]
            texts = [f"{number:032x}" for number in numbers]
            yield Chunk(pa.record_batch({"a": pa.array(numbers, pa.int64()), "b": texts}), {"v": 1})

    return Batches(AB, chunks)


def ran(step: str, blocks: int, limits: Limits, folder: Path) -> tuple[Outcome, Watching]:
    scratch = folder / "engine"
    scratch.mkdir()
    engine = DuckDBEngine(limits, scratch)
    writer = Watching(scratch / "spill")
    try:
        graph = compiled(HEAD.replace("!", f"{{{step}}}"), engine)
        outcome = engine.run(
            Pass(graph), inputs={"s": [source(blocks)]}, outputs={"one": lambda: writer}, rejects=MemoryRejects()
        )
        return outcome, writer
    finally:
        engine.close()
        assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("step", [SORT, GROUP])
def test_what_is_larger_than_memory_is_spilled_and_completes(step: str, tmp_path: Path) -> None:
    outcome, writer = ran(step, 80, Limits(memory_bytes=40 * MIB, threads=2), tmp_path)
    assert outcome.counts["s"].out == 800_000
    assert writer.sent == outcome.counts["one"].out
    assert any(name.startswith("duckdb_temp") for name in writer.seen)
    assert writer.modes == {0o700}


def test_what_cannot_fit_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(FatalError) as caught:
        ran(WIDE, 40, Limits(memory_bytes=30 * MIB, threads=1), tmp_path)
    assert caught.value.code == "ENG-302"


def test_more_temporary_space_than_is_allowed_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(FatalError) as caught:
        ran(SORT, 80, Limits(memory_bytes=40 * MIB, threads=2, temp_bytes=2 * MIB), tmp_path)
    assert caught.value.code == "ENG-301"


@pytest.mark.parametrize("threads", [1, 3])
def test_the_engine_takes_the_threads_it_may(threads: int, tmp_path: Path) -> None:
    from penstock.engines.duckdb.session import Session

    session = Session(Limits(memory_bytes=64 * MIB, threads=threads), tmp_path, [], ordered=False)
    try:
        assert session.connection.execute("select current_setting('threads')").fetchall() == [(threads,)]
    finally:
        session.close()


def test_no_connection_of_ours_spills_into_the_current_folder() -> None:
    """DuckDB's own default is a folder `.tmp` where the process stands: every ``connect`` names another one, or none."""
    import penstock

    root = Path(penstock.__file__).parent
    found = [path for path in root.rglob("*.py") if "duckdb.connect(" in path.read_text(encoding="utf-8")]
    assert found
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert text.count("duckdb.connect(") <= text.count("temp_directory"), path.relative_to(root)


def test_a_pass_leaves_nothing_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    ran(SORT, 30, Limits(memory_bytes=30 * MIB, threads=2), tmp_path)
    assert list(here.iterdir()) == []
