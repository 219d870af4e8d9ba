"""A look at the rows of a source before an epoch is planned: a few measures over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.connectors.api import BatchWriter, Staged
from penstock.engines.api import Pass
from penstock.graph import Graph
from penstock.graph.nodes import Aggregate, Write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.connectors.api import Rows
    from penstock.engines.api import Engine
    from penstock.graph.nodes import Column, Filter, Read
    from penstock.types import Schema


def look(
    engine: Engine, read: Read, rows: Sequence[Rows], *, beyond: Filter, measures: tuple[Column, ...], found: Schema
) -> tuple[dict[str, Any], int]:
    """The measures over the rows of a source that ``beyond`` lets pass, by name; and how many records of it became no row."""
    measured = Aggregate("look", input=beyond.id, by=(), measures=measures, schema=found)
    collected = Collected()
    write = Write("mark", input=measured.id, sink="mark", schema=found)
    outcome = engine.run(
        Pass(Graph((read, beyond, measured, write)), own=True),
        inputs={read.id: rows},
        outputs={"mark": lambda: collected},
        rejects=_Unheard(),
    )
    (row,) = (item for batch in collected.batches for item in batch.to_pylist())
    return dict(row), outcome.counts[read.id].rejected


class Collected(BatchWriter):
    """Keeps the few rows that it gets."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self.batches.append(batch)

    def stage(self) -> Staged:
        return Staged(sum(batch.num_rows for batch in self.batches), 0)

    def abort(self) -> None:
        self.batches.clear()


class _Unheard:
    """Bad records are told when the range itself is read."""

    def write(self, node: str, batch: pa.RecordBatch) -> None: ...

    def clear(self, node: str) -> None: ...
