"""What was lowered for one epoch serves the next, and never another than it was made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from passes import MemoryRejects, MemoryWriter, batches, compiled
from sqlglot import parse_one

from penstock.connectors.api import CsvFormat, Files
from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.duckdb.statement import Composer
from penstock.graph.nodes import Filter
from penstock.structs import replace
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import Rows
    from penstock.graph import Graph

CSV: Final = CsvFormat(delimiter=",", header=True, quote='"', escape='"')
TEXT: Final = """
pipeline: test
sources:
  s: {type: memory, schema: {columns: {a: int64?, b: string?}}}
transforms:
  x: {from: s, steps: [{filter: a > 1}]}
sinks:
  one: {from: x, type: memory}
"""


class Epochs:
    """Passes of one engine, how many statements were composed for them, and what the last one found."""

    def __init__(self, engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = engine
        self.graph = compiled(TEXT, engine)
        self.composed = 0
        self.rejected = 0
        compose = Composer.statement

        def counted(*args: object) -> object:
            self.composed += 1
            return compose(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(Composer, "statement", counted)

    def run(self, rows: Rows, graph: Graph | None = None, *, once: frozenset[str] = frozenset()) -> list[object]:
        writer, rejects, graph = MemoryWriter(), MemoryRejects(), graph or self.graph
        done = self.engine.run(
            Pass(graph, once), inputs={"s": [rows]}, outputs={"one": lambda: writer}, rejects=rejects
        )
        self.rejected = len(rejects.records)
        self.measured = next((count.measured for count in done.counts.values() if count.measured), None)
        return list(writer.rows)


@pytest.fixture
def epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Epochs]:
    (tmp_path / "engine").mkdir()
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), tmp_path / "engine", (tmp_path,))
    yield Epochs(engine, monkeypatch)
    engine.close()


def files(folder: Path, *contents: str) -> Files:
    taken = len(list(folder.glob("*.csv")))
    paths = [folder / f"{number}.csv" for number, _ in enumerate(contents, start=taken)]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    schema = Schema.of({"a": "int64?", "b": "string?"})
    layouts = {
        str(path): tuple(content.split("\n", 1)[0].split(",")) for path, content in zip(paths, contents, strict=True)
    }
    return Files(CSV, tuple(map(str, paths)), schema, layouts=layouts)


def test_an_epoch_over_other_files_needs_no_new_statement(epochs: Epochs, tmp_path: Path) -> None:
    assert epochs.run(files(tmp_path, "a,b\n1,x\n2,y\n")) == [{"a": 2, "b": "y"}]
    assert epochs.run(files(tmp_path, "a,b\n7,z\n8,w\n")) == [{"a": 7, "b": "z"}, {"a": 8, "b": "w"}]
    assert epochs.composed == 1


def test_a_file_with_other_columns_gets_a_statement_of_its_own(epochs: Epochs, tmp_path: Path) -> None:
    assert epochs.run(files(tmp_path, "a,b\n2,y\n")) == [{"a": 2, "b": "y"}]
    assert epochs.run(files(tmp_path, "b,a\nz,3\n")) == [{"a": 3, "b": "z"}]
    assert epochs.composed == 2


def test_each_of_several_readers_gets_its_own_files(epochs: Epochs, tmp_path: Path) -> None:
    first = files(tmp_path, "a,b\n2,p\n", "b,a\nq,3\n", "b,a\nr,4\n", "a,b\n5,s\n")
    second = files(tmp_path, "a,b\n6,p\n", "b,a\nq,7\n", "b,a\nr,8\n", "a,b\n9,s\n")
    assert sorted(row["a"] for row in epochs.run(first)) == [2, 3, 4, 5]
    assert sorted(row["a"] for row in epochs.run(second)) == [6, 7, 8, 9]
    assert epochs.composed == 1


def test_a_stream_is_read_by_the_statement_of_the_one_before(epochs: Epochs) -> None:
    schema = Schema.of({"a": "int64?", "b": "string?"})
    assert epochs.run(batches([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], schema)) == [{"a": 2, "b": "y"}]
    assert epochs.run(batches([{"a": 3, "b": "z"}], schema)) == [{"a": 3, "b": "z"}]
    assert epochs.composed == 1


def test_a_bad_record_is_read_with_care_and_the_next_file_fast_again(epochs: Epochs, tmp_path: Path) -> None:
    epochs.run(files(tmp_path, "a,b\n2,y\n"))
    assert epochs.run(files(tmp_path, "a,b\n2,y\nq,z\n3,w\n")) == [{"a": 2, "b": "y"}, {"a": 3, "b": "w"}]
    assert epochs.rejected == 1
    before = epochs.composed
    assert epochs.run(files(tmp_path, "a,b\n4,v\n")) == [{"a": 4, "b": "v"}]
    assert epochs.composed == before


def test_what_rules_measure_is_of_the_epoch_alone(epochs: Epochs, tmp_path: Path) -> None:
    rules = "rules: [{row_count: {min: 1}}, {distinct_count: {column: a, max: 100}}]"
    graph = compiled(TEXT.replace("steps: [{filter: a > 1}]", rules), epochs.engine)
    for rows in (1, 3, 2):
        epochs.run(files(tmp_path, "a,b\n" + "".join(f"{number},x\n" for number in range(rows))), graph)
        assert epochs.measured == {"row_count": {"rows": rows}, "distinct_count": {"distinct": rows}}
    assert epochs.composed == 1


def test_a_node_that_an_epoch_alters_is_lowered_anew(epochs: Epochs, tmp_path: Path) -> None:
    def stricter(graph: Graph) -> Graph:
        return graph.map(
            lambda node: (
                replace(node, condition=parse_one("a > 5", dialect="duckdb")) if isinstance(node, Filter) else node
            )
        )

    content = "a,b\n2,y\n7,z\n"
    assert len(epochs.run(files(tmp_path, content))) == 2
    assert epochs.run(files(tmp_path, content), stricter(epochs.graph)) == [{"a": 7, "b": "z"}]
    assert epochs.composed == 2


def test_a_node_that_is_computed_into_a_table_is_so_in_each_epoch(epochs: Epochs, tmp_path: Path) -> None:
    (node,) = (node.id for node in epochs.graph.nodes if isinstance(node, Filter))
    for number in (2, 3, 4):
        rows = epochs.run(files(tmp_path, f"a,b\n{number},y\n"), once=frozenset({node}))
        assert rows == [{"a": number, "b": "y"}]
    assert epochs.composed == 2  # of the node, and of the sink
