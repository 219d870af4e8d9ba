"""One document on both engines, and all that they tell of it compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from passes import MemoryRejects, MemoryWriter, Ran, batches, compiled
from passes import run as run_on_duckdb

from penstock.engines.api import Limits, Pass
from penstock.engines.duckdb.engine import DuckDBEngine
from penstock.engines.spark.engine import SparkEngine
from penstock.engines.spark.session import SparkSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penstock.engines.api import NodeCounts

    Data = Mapping[str, list[dict[str, Any]]]


def run_on_spark(text: str, data: Data, folder: Path) -> Ran:
    """In the session that tests share."""
    local = DuckDBEngine(Limits(memory_bytes=1 << 30, threads=2), folder)
    engine = SparkEngine(local, SparkSettings(), folder)
    try:
        graph = compiled(text, local)
        inputs = {node.id: [batches(data[node.source], node.schema)] for node in graph.reads if node.schema is not None}
        found = {write.sink: MemoryWriter() for write in graph.writes}
        rejects = MemoryRejects()
        outcome = engine.run(
            Pass(graph),
            inputs=inputs,
            outputs={name: (lambda name=name: found[name]) for name in found},
            rejects=rejects,
        )
        assert all(writer.staged for writer in found.values())
        return Ran({name: found[name].rows for name in outcome.staged}, outcome.counts, rejects.records, graph)
    finally:
        engine.close()


def on_both(text: str, folder: Path, data: Data, *, ordered: bool = False) -> Ran:
    """What Spark gives, which is what DuckDB gives: rows (in their order where that is asked), rejects, and counts, unless
    DuckDB found that it needs not read everything.
    """
    for name in ("d", "s"):
        (folder / name).mkdir(parents=True)
    right, found = run_on_duckdb(text, data, folder / "d"), run_on_spark(text, data, folder / "s")
    for sink, rows in right.rows.items():
        assert found.rows[sink] == rows if ordered else bag(found.rows[sink]) == bag(rows)
    if all(
        right.counts[read.id].out == len(data[read.source]) for read in right.graph.reads if read.id in right.counts
    ):
        figures = [{name: _figures(one) for name, one in each.counts.items()} for each in (right, found)]
        assert figures[1] == figures[0]
    assert _causes(found) == _causes(right)
    return found


def bag(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(map(repr, rows))


def _figures(counts: NodeCounts) -> tuple[object, ...]:
    unmatched = {name: rows for name, rows in counts.unmatched.items() if rows}
    noted = {name: rows for name, rows in counts.noted.items() if rows}
    return dict(counts.into), counts.out, unmatched, counts.empty, counts.rejected, noted, dict(counts.refused)


def _causes(found: Ran) -> dict[str, list[str]]:
    return {
        node: bag([{"row": one["row"], "causes": one["causes"]} for one in rows])
        for node, rows in found.rejects.items()
    }
