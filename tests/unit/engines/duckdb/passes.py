"""Runs whole documents on the engine in tests: rows from memory in, rows to memory out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from penstock import registry
from penstock.compile.build import build
from penstock.compile.facts import Facts
from penstock.compile.pipeline import compile_pipeline
from penstock.connectors.api import Batches, BatchWriter, Chunk, Rows, Staged
from penstock.connectors.params import SinkParams, SourceParams
from penstock.document.read import Catalogue
from penstock.engines.api import Limits, NodeCounts, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.registry import Descriptor
from penstock.structs import replace
from penstock.types.arrow import to_arrow
from pipelines import pipeline_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock.graph import Graph
    from penstock.types import Schema

SOURCE = Descriptor(
    name="memory", group="sources", summary="Rows.", params=SourceParams, make=lambda *_: None, example="type: memory"
)
SINK = Descriptor(
    name="memory",
    group="sinks",
    summary="Rows.",
    params=SinkParams,
    make=lambda *_: None,
    example="type: memory",
    modes=("append", "merge"),
)


def catalogue() -> Catalogue:
    ends = {"sources": SOURCE, "sinks": SINK}

    def find(group: registry.Group, name: str) -> Descriptor | None:
        return ends[group] if group in ends and name == "memory" else registry.find(group, name)

    return Catalogue(find, lambda group: ("memory",) if group in ends else registry.names(group))


@dataclass
class MemoryWriter(BatchWriter):
    batches: list[pa.RecordBatch] = field(default_factory=list)
    staged: bool = False
    aborted: bool = False

    def write(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def stage(self) -> Staged:
        self.staged = True
        return Staged(rows=sum(batch.num_rows for batch in self.batches), bytes=0)

    def abort(self) -> None:
        self.aborted = True
        self.batches.clear()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for batch in self.batches for row in batch.to_pylist()]


@dataclass
class MemoryRejects:
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, node: str, batch: pa.RecordBatch) -> None:
        self.records.setdefault(node, []).extend(batch.to_pylist())

    def clear(self, node: str) -> None:
        self.records.pop(node, None)


@dataclass(frozen=True)
class Ran:
    rows: Mapping[str, list[dict[str, Any]]]
    counts: Mapping[str, NodeCounts]
    rejects: Mapping[str, list[dict[str, Any]]]
    graph: Graph

    def __getitem__(self, node: str) -> NodeCounts:
        return self.counts[node]


def compiled(text: str, engine: DuckDBEngine, *, optimise: bool = False) -> Graph:
    pipeline = pipeline_of(text, catalogue=catalogue())
    sources = {name: use.contract for name, use in pipeline.sources.items() if use.contract is not None}
    if optimise:
        return compile_pipeline(pipeline, Facts(sources=sources), engine).graph
    return build(pipeline, Facts(sources=sources), engine).graph


def batches(rows: list[dict[str, Any]], schema: Schema, size: int = 3) -> Batches:
    table = pa.Table.from_pylist(rows, schema=to_arrow(schema.relaxed()))

    def chunks() -> Iterator[Chunk]:
        for number, batch in enumerate(table.to_batches(max_chunksize=size)):
            yield Chunk(batch, {"v": 1, "rows": number})

    return Batches(schema.relaxed(), chunks)


def run(
    text: str,
    data: Mapping[str, list[dict[str, Any]] | Rows],
    folder: Path,
    *,
    materialize: frozenset[str] = frozenset(),
    readable: tuple[Path, ...] = (),
    writers: Mapping[str, MemoryWriter] | None = None,
    project: Path | None = None,
    optimise: bool = False,
) -> Ran:
    """Compiles and runs the document; rows by sink."""
    engine = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder, readable, project=project)
    try:
        graph = compiled(text, engine, optimise=optimise)
        inputs = {node.id: [_rows(data[node.source], node.schema)] for node in graph.reads}
        found = dict(writers or {write.sink: MemoryWriter() for write in graph.writes})
        rejects = MemoryRejects()
        outcome = engine.run(
            Pass(graph, materialize),
            inputs=inputs,
            outputs={name: (lambda name=name: found[name]) for name in found},
            rejects=rejects,
        )
        return Ran({name: found[name].rows for name in outcome.staged}, outcome.counts, rejects.records, graph)
    finally:
        engine.close()


def _rows(data: list[dict[str, Any]] | Rows, schema: Schema | None) -> Rows:
    assert schema is not None
    return batches(data, schema) if isinstance(data, list) else replace(data)
