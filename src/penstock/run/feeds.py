"""What goes into an epoch: the ranges of its sources, spooled where they could not be read again, as rows for an engine."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import ScanRequest, Spooling
from penstock.disk import sync_folder
from penstock.engines.api import Pass
from penstock.errors import PenstockError
from penstock.events import SourceSpooled, SpoolMoved, SpoolStarted
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Read, Write
from penstock.ledger.api import KeptRows, Range, RejectFile
from penstock.ledger.state import writing_state
from penstock.run import balance
from penstock.run.kept import KeptWriter, kept_rows, rejects_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from penstock.connectors.api import Partition, Position, Rows, Sink, Source
    from penstock.engines.api import Engine
    from penstock.events import Events
    from penstock.graph.nodes import Table
    from penstock.plan.stages import Plan

FOLDER: Final = "spool"
_VERSION: Final = 1
_ROWS: Final = "rows.arrow"
_REJECTS: Final = "rejects.arrow"


@dataclass(frozen=True, slots=True)
class Feeds:
    """``folder`` is this pipeline's own place for spooled files, inside the state folder."""

    plan: Plan
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    engine: Engine
    folder: Path
    events: Events

    # ------------------------------------------------------------ ranges

    def ranges(self, name: str, moment: datetime) -> tuple[Range, ...]:
        """Everything that the sources have now; ``name`` (epoch and attempt) names the folder of spooled files,
        ``moment`` is the epoch's.
        """
        reads = {read.source: read for read in self.plan.graph.reads}
        return tuple(item for read in reads.values() for item in self._ranges(read, name, moment))

    def _ranges(self, read: Read, name: str, moment: datetime) -> Sequence[Range]:
        source, folder = read.source, self.folder / name / read.source
        with _placed(read):
            return [
                Range(source, part.id, None, self._upto(source, part, folder=folder, moment=moment))
                for part in self.sources[source].partitions()
            ]

    def _upto(self, name: str, part: Partition, *, folder: Path, moment: datetime) -> Position:
        source = self.sources[name]
        if name not in self.plan.spools:
            return source.latest(part)
        with writing_state(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.events.emit(SpoolStarted(name))
        if isinstance(source, Spooling):
            position = source.spool(
                part,
                folder,
                lambda records, of: self.events.emit(SpoolMoved(name, records, records / of if of else None)),
            )
        else:
            position = self._copied(name, part, folder=folder, moment=moment)
        with writing_state(folder):
            sync_folder(folder)
        self.events.emit(SourceSpooled(name, sum(item.stat().st_size for item in folder.iterdir())))
        return position

    def _copied(self, name: str, part: Partition, *, folder: Path, moment: datetime) -> Position:
        """The range as kept rows, by way of the engine: the columns and rows that the plan reads of it.

        Raises FatalError RUN-120 where a row got lost on the way.
        """
        from penstock.types.arrow import to_arrow

        source = self.sources[name]
        (read,) = (node for node in at_moment(self.plan.graph, moment).reads if node.source == name)
        assert read.schema is not None
        columns = to_arrow(read.schema)
        upto = source.latest(part)
        copy = Write(f"{name}.spool", input=read.id, sink=name, schema=read.schema)
        rows = [source.scan(ScanRequest(part, None, upto, read.columns, read.predicate))]
        rejects = _SpooledRejects(folder / _REJECTS)
        work = Pass(Graph((read, copy)))
        outcome = self.engine.run(
            work,
            inputs={read.id: rows},
            outputs={name: lambda: KeptWriter(folder / _ROWS, columns)},
            rejects=rejects,
            progress=lambda fraction, records: self.events.emit(SpoolMoved(name, records, fraction)),
        )
        rejects.finish()
        lost = RejectFile(read.id, _REJECTS, rejects.rows, "", {})
        balance.check(work.graph, balance.account(work.graph, outcome.counts), [lost], outcome.staged)
        files = [kept_rows(self.folder, path) for path in sorted(folder.iterdir())]
        return {"v": _VERSION, "spool": [[file.path, file.checksum] for file in files], "upto": upto}

    def forget(self, keep: str | None) -> None:
        """Removes the files of all epochs but one, spooled or kept."""
        if self.folder.is_dir():
            for item in self.folder.iterdir():
                if item.name != keep:
                    shutil.rmtree(item, ignore_errors=True)

    # ------------------------------------------------------------ rows

    def of_read(self, node: Read, ranges: Sequence[Range]) -> list[Rows]:
        """One ``Rows`` per range of the node's source."""
        source = self.sources[node.source]
        found: list[Rows] = [rows for item in ranges if self._is_copy(node, item) for rows in self._spooled(node, item)]
        with _placed(node):
            return found + [source.scan(request) for request in self._requests(node, ranges)]

    def recheck(self, node: Read, ranges: Sequence[Range]) -> None:
        """After the rows of ``of_read`` have been read. Raises DataError SRC-110 where a range changed meanwhile."""
        with _placed(node):
            for request in self._requests(node, ranges):
                self.sources[node.source].recheck(request)

    def _requests(self, node: Read, ranges: Sequence[Range]) -> Iterator[ScanRequest]:
        """What the node's source itself is asked for: ranges that were copied are not."""
        parts = {part.id: part for part in self.sources[node.source].partitions()}
        for item in ranges:
            if item.source == node.source and not self._is_copy(node, item):
                yield ScanRequest(parts[item.partition], item.after, item.upto, node.columns, node.predicate)

    def _is_copy(self, node: Read, item: Range) -> bool:
        source = self.sources[node.source]
        return item.source == node.source and "spool" in item.upto and not isinstance(source, Spooling)

    def _spooled(self, node: Read, item: Range) -> Iterator[Rows]:
        """The rows, and the records that became none."""
        for kept in _kept(item.upto):
            opened = rejects_of if Path(kept.path).name == _REJECTS else rows_of
            yield opened(self.folder, node, kept)

    def of_table(self, node: Table) -> list[Rows]:
        """The sink's table as it stands now: this epoch's commit, for the plan orders the passes so."""
        return _table_rows(node, self.sinks[node.sink])


def as_they_stand(
    graph: Graph, sources: Mapping[str, Source], *, sinks: Mapping[str, Sink], scratch: Path
) -> Mapping[str, Sequence[Rows]]:
    """By node id, what the sources and the sinks' tables hold now: for reads outside of a run, which no epoch records and
    nothing reads again. What has to be fetched first is fetched into ``scratch``.
    """
    found: dict[str, Sequence[Rows]] = {node.id: _table_rows(node, sinks[node.sink]) for node in graph.tables}
    for node in graph.reads:
        source = sources[node.source]
        found[node.id] = [
            source.scan(ScanRequest(part, None, _end(source, part, scratch), node.columns, node.predicate))
            for part in source.partitions()
        ]
    return found


@contextmanager
def _placed(node: Read) -> Iterator[None]:
    """Errors of the node's source name its place in the document."""
    try:
        yield
    except PenstockError as error:
        raise error.placed(node.at, node.places) from None


def _end(source: Source, part: Partition, scratch: Path) -> Position:
    if isinstance(source, Spooling):
        return source.spool(part, Path(tempfile.mkdtemp(dir=scratch)))
    return source.latest(part)


def _table_rows(node: Table, sink: Sink) -> list[Rows]:
    table = sink.table()
    try:
        return [
            table.scan(ScanRequest(part, None, table.latest(part), node.columns, node.predicate))
            for part in table.partitions()
        ]
    finally:
        table.close()


class _SpooledRejects:
    """Records that became no rows while a source was copied: they are told when the copy is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: KeptWriter | None = None
        self.rows = 0

    def write(self, node: str, batch: pa.RecordBatch) -> None:  # noqa: ARG002 -- there is one node
        self._writer = self._writer or KeptWriter(self._path, batch.schema)
        self._writer.write(batch)
        self.rows += batch.num_rows

    def clear(self, node: str) -> None:  # noqa: ARG002 -- there is one node
        if self._writer is not None:
            self._writer.abort()
            self._writer = None
        self.rows = 0

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.stage()


def _kept(position: Position) -> Iterator[KeptRows]:
    files = position["spool"]
    assert isinstance(files, list | tuple)
    for pair in files:
        assert isinstance(pair, list | tuple)
        yield KeptRows(str(pair[0]), str(pair[1]))
