"""Records of files that an earlier epoch has rejected. With a cursor a file is read whole by every epoch, and its bad records, of
which no cursor says where they belong, would be rejected again in each; and whoever has sent them again would do so twice.

A record that stands in the same place of the same file, with the same text, is the same record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from penstock.connectors.api import Batches, BatchWriter, Chunk, Staged
from penstock.engines.api import Pass, Unkept
from penstock.errors import DataError
from penstock.graph import Graph
from penstock.graph.nodes import Column, Filter, Join, Read, Write
from penstock.ledger.rejects import KEPT, read, remove
from penstock.structs import Frozen, replace
from penstock.trees import call, column, is_null

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from penstock.engines.api import Engine
    from penstock.ledger.api import EpochRecord, NodeBalance, RejectEntry, RejectFile
    from penstock.ledger.rejects import RejectFiles

_NOW, _BEFORE, _FOUND = "now", "before", "found"


def before(entries: Sequence[RejectEntry], reads: Sequence[Read], record: EpochRecord) -> dict[str, list[RejectFile]]:
    """By the reads that may find records again, what earlier epochs of this history have rejected there."""
    names = {node.id for node in reads if node.cursor is not None}
    found: dict[str, list[RejectFile]] = {}
    for entry in entries:
        if entry.file.node in names and entry.status == "kept" and entry.epoch < record.number:
            found.setdefault(entry.file.node, []).append(entry.file)
    return found


class Once(Frozen):
    """``earlier``: by read, the files of ``before``; ``state`` is the folder that they lie in."""

    engine: Engine
    state: Path
    earlier: dict[str, list[RejectFile]]

    def told(
        self, entries: Sequence[NodeBalance], files: Sequence[RejectFile], anew: RejectFiles
    ) -> tuple[tuple[NodeBalance, ...], tuple[RejectFile, ...]]:
        """The account of a pass and its rejects without the records that were rejected before, which count as filtered. What is
        left of a file is written to ``anew``; the file goes. Errors as ``Engine.run``, and FatalError LED-103.
        """
        again = [file for file in files if file.node in self.earlier]
        try:
            for file in again:
                self._write_new(file, anew)
            written = anew.finish()
        except BaseException:
            anew.discard()
            raise
        left = {file.node: file.rows for file in written}
        passed = {file.node: file.rows - left.get(file.node, 0) for file in again}
        remove(self.state, again)
        return tuple(_without(entry, passed.get(entry.node, 0)) for entry in entries), (
            *(file for file in files if file not in again),
            *written,
        )

    def _write_new(self, file: RejectFile, anew: RejectFiles) -> None:
        now, before = (Read(name, source=name, schema=KEPT) for name in (_NOW, _BEFORE))
        known = Filter(f"{_BEFORE}.placed", input=before.id, condition=_is_placed(), schema=KEPT)
        join = Join(
            _FOUND,
            left=now.id,
            right=known.id,
            how="anti",
            on=_same_record(),
            columns=tuple(Column(name, column(name, "this")) for name in KEPT.names),
            schema=KEPT,
        )
        write = Write(f"{_FOUND}.write", input=join.id, sink=_FOUND, schema=KEPT)
        self.engine.run(
            Pass(Graph((now, before, known, join, write)), own=True),
            inputs={now.id: [self._rows([file])], before.id: [self._rows(self.earlier[file.node], may_lack=True)]},
            outputs={_FOUND: lambda: _Rejected(anew, file.node)},
            rejects=Unkept(),
        )

    def _rows(self, files: Sequence[RejectFile], *, may_lack: bool = False) -> Batches:
        """``may_lack``: a file that is gone, or lies on another machine, says nothing."""
        return Batches(KEPT, lambda: self._chunks(files, may_lack=may_lack))

    def _chunks(self, files: Sequence[RejectFile], *, may_lack: bool) -> Iterator[Chunk]:
        for place, file in enumerate(files):
            try:
                for batch in read(self.state, file):
                    yield Chunk(batch.select(list(KEPT.names)), {"v": 1, "file": place})
            except DataError:
                if not may_lack:
                    raise


def _is_placed() -> exp.Expr:
    """Whether a position names a record, and not a file or a source alone."""
    place = call("json_extract_string", column("position"), exp.Literal.string("$.record"))
    return exp.Not(this=is_null(place))


def _same_record() -> exp.Expr:
    sides = (
        exp.EQ(
            this=call("coalesce", column(name, "this"), exp.Literal.string("")),
            expression=call("coalesce", column(name, "that"), exp.Literal.string("")),
        )
        for name in ("position", "raw")
    )
    return exp.and_(*sides)


def _without(entry: NodeBalance, rows: int) -> NodeBalance:
    if not rows:
        return entry
    return replace(entry, rejected=entry.rejected - rows, filtered=entry.filtered + rows)


class _Rejected(BatchWriter):
    """What the join leaves, as rejects of a node."""

    def __init__(self, files: RejectFiles, node: str) -> None:
        self.files = files
        self.node = node
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self.files.write(self.node, batch)
        self.rows += batch.num_rows

    def stage(self) -> Staged:
        return Staged(self.rows, 0)

    def abort(self) -> None:
        self.files.clear(self.node)


__all__ = ["Once", "before"]
