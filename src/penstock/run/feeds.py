"""What goes into an epoch: the ranges of its sources, spooled where they could not be read again, as rows for an engine."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import ScanRequest, Since, Spooling
from penstock.disk import sync_folder
from penstock.engines.api import Pass
from penstock.errors import PenstockError
from penstock.events import SourceSpooled, SpoolMoved, SpoolStarted
from penstock.graph import Graph
from penstock.graph.moment import at_moment
from penstock.graph.nodes import Filter, Read, Write
from penstock.graph.span import Interval, Mark, Ties, bounds, by_number, condition, least, within, without_value
from penstock.ledger.api import KeptRows, Range, RejectFile
from penstock.ledger.state import writing_state
from penstock.run import balance, series
from penstock.run.cursors import (
    both_nulls,
    came_at,
    mark_of,
    newest,
    nulls_of,
    numbered,
    position_of,
    without_a_value,
)
from penstock.run.kept import KeptWriter, kept_rows, nothing_of, rejects_of, rows_of
from penstock.structs import Frozen, replace
from penstock.trees import call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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


class Feeds(Frozen):
    """``folder`` is this pipeline's own place for spooled files, inside the state folder."""

    plan: Plan
    sources: Mapping[str, Source]
    sinks: Mapping[str, Sink]
    engine: Engine
    folder: Path
    events: Events

    # ------------------------------------------------------------ ranges

    def ranges(
        self,
        number: int,
        attempt: str,
        moment: datetime,
        sealed: Mapping[tuple[str, str], Position],
        *,
        interval: Interval | None = None,
    ) -> tuple[Range, ...]:
        """Everything that the sources have now, or what they have beyond their ``sealed`` positions, by (source,
        partition), and of a long load the next piece; ``number`` and ``attempt`` name the folder of spooled files,
        ``moment`` is the epoch's. With an ``interval`` it is that of the cursors, and nothing is new; ``sealed`` are then the
        positions in the midst of its own series.
        """
        reads = {read.source: read for read in at_moment(self.plan.graph, moment).reads}
        folder, begun = self.folder / f"{number}-{attempt}", series.since(sealed.values())
        if interval is not None:
            return tuple(
                item
                for name, read in reads.items()
                for item in self._between(read, folder / name, interval, sealed, begun=begun or number)
            )
        return tuple(
            Range(name, part.id, after, upto)
            for name, read in reads.items()
            for part, after, upto in self._ranges(read, folder / name, sealed, number=number, begun=begun)
        )

    def _ranges(
        self,
        read: Read,
        folder: Path,
        sealed: Mapping[tuple[str, str], Position],
        *,
        number: int,
        begun: int | None,
    ) -> Iterator[tuple[Partition, Position | None, Position]]:
        """``begun``: the first epoch of the series that is under way. A source that has come to its end waits for the others."""
        cut = self._is_cut(read)
        with _placed(read):
            for part in self.sources[read.source].partitions():
                last = sealed.get((read.source, part.id))
                if cut and begun is not None and series.since([last]) is None and last is not None:
                    yield part, last, last
                    continue
                after = last if read.incremental or series.since([last]) is not None else None
                yield part, after, self._upto(read, part, after, folder, begun=begun or number, cut=cut)

    def _between(
        self,
        read: Read,
        folder: Path,
        interval: Interval,
        passed: Mapping[tuple[str, str], Position],
        *,
        begun: int,
    ) -> Iterator[Range]:
        """Of a source with a cursor the interval, or the next piece of it; of another one that is incremental nothing, of any
        other all. ``passed``: where the epochs before have come to in this interval, or else in all.
        """
        under_way = begun if series.since(passed.values()) is not None else None
        with _placed(read):
            for part in self.sources[read.source].partitions():
                last = passed.get((read.source, part.id))
                if read.cursor is not None and (last is None or under_way is None):
                    yield self._piece_of(interval, read, part, None, folder, begun=begun)
                elif read.cursor is not None and series.since([last]) is not None:
                    yield self._piece_of(interval, read, part, last, folder, begun=begun)
                elif last is not None and under_way is not None and (read.cursor is not None or self._is_cut(read)):
                    yield Range(
                        read.source, part.id, last, last, aside=True
                    )  # it has come to its end before the others
                elif read.incremental:
                    last = last or self.sources[read.source].latest(part)
                    yield Range(read.source, part.id, last, last, aside=True)
                else:
                    yield Range(
                        read.source, part.id, None, self._end(read, part, None, folder), aside=self._is_cut(read)
                    )

    def _piece_of(
        self, interval: Interval, read: Read, part: Partition, last: Position | None, folder: Path, *, begun: int
    ) -> Range:
        begin, end = (Mark(text, cut=True) if text else None for text in (interval.begin, interval.end))
        mark = mark_of(read, last) if last is not None else begin
        rest = series.rest_of(last)
        if rest is None and last is None and self._is_cut(read):
            rest = list(self._cuts(read, part, mark, end).values)
        upto = Mark(rest[0], cut=True) if rest else end
        beyond = bounds(read, mark, upto)
        own = self._end(read, part, None, folder, beyond, mark=mark)
        after = last or (position_of(read, begin, own) if begin is not None else None)
        if rest:
            place = series.with_rest(position_of(read, upto, own), rest[1:], begun, interval)
            return Range(read.source, part.id, after, place, aside=True)
        if upto is None:
            rows = self._rows_of(read, Range(read.source, part.id, None, own), beyond)
            found = newest(self.engine, read, rows, mark, stands=self._stands(read))
            return Range(
                read.source, part.id, after, position_of(read, found.mark, own, numbered=found.numbered), aside=True
            )
        return Range(read.source, part.id, after, position_of(read, upto, own), aside=True)

    def _stands(self, read: Read) -> bool:
        """Whether a range of the source has the same rows whenever it is read."""
        return read.source in self.plan.replayable or read.source in self.plan.spools

    def _is_cut(self, read: Read) -> bool:
        return self.plan.series is not None and read.source in self.plan.series.sources

    def _upto(
        self, read: Read, part: Partition, after: Position | None, folder: Path, *, begun: int, cut: bool
    ) -> Position:
        if read.cursor is not None:
            return self._up_to_mark(read, part, after, folder, begun=begun, cut=cut)
        own = series.own_of(after) if after is not None else None
        end = series.end_of(after) or self._end(read, part, own, folder)
        if not cut or self.plan.series is None:
            return end
        return series.up_to(self.sources[read.source].cut(part, own, end, self.plan.series.size), end, begun)

    def _up_to_mark(
        self, read: Read, part: Partition, after: Position | None, folder: Path, *, begun: int, cut: bool
    ) -> Position:
        mark, rest, begins = mark_of(read, after), series.rest_of(after), series.Cuts()
        nulls: Ties | None
        if rest is None and cut:
            begins = self._cuts(read, part, mark)
            rest = list(begins.values)
        upto = Mark(rest[0], cut=True) if rest else None
        beyond = bounds(read, mark, upto)
        own = self._end(read, part, None, folder, beyond, mark=mark)
        known = nulls_of(read, after)
        now = Range(read.source, part.id, None, own)
        if rest:
            nulls, again = known or Ties(), False
            if begins.nulls:
                found = without_a_value(self.engine, read, self._rows_of(read, now, beyond), known)
                nulls, again = both_nulls(known, found.nulls), found.numbered
            more, late = came_at(self.engine, read, self._rows_of(read, now, beyond), mark)
            place = position_of(read, upto, own, nulls, numbered=more or again, behind=late)
            return series.with_rest(place, rest[1:], begun)
        rows = self._rows_of(read, now, beyond)
        end = newest(self.engine, read, rows, mark, known, stands=self._stands(read))
        nulls = both_nulls(known, end.nulls)
        return position_of(read, end.mark, own, nulls, end.bad, numbered=end.numbered, behind=end.behind)

    def _cuts(self, read: Read, part: Partition, mark: Mark | None, end: Mark | None = None) -> series.Cuts:
        """None of a source whose answers are kept as they came: they come all at once."""
        source = self.sources[read.source]
        if self.plan.series is None or read.cursor is None or read.schema is None or isinstance(source, Spooling):
            return series.Cuts()
        size = self.plan.series.size
        if size.bytes is None:
            needed = {read.cursor.by, *_told_apart(read, mark)}
            columns = tuple(name for name in read.schema.names if name in needed)
            read = replace(read, columns=columns, schema=read.schema.select(columns))
        now = Range(read.source, part.id, None, source.latest(part))
        rows = self._rows_of(read, now, bounds(read, mark, end))
        return series.cuts(self.engine, read, rows, size, after=mark, upto=end)

    def _end(
        self,
        read: Read,
        part: Partition,
        after: Position | None,
        folder: Path,
        beyond: exp.Expr | None = None,
        *,
        mark: Mark | None = None,
    ) -> Position:
        """Where the source itself stands; what cannot be read twice alike is written down on the way. ``mark``: how far a
        cursor had come.
        """
        name, source = read.source, self.sources[read.source]
        if name not in self.plan.spools:
            return source.beyond(part, after)
        with writing_state(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.events.emit(SpoolStarted(name))
        if isinstance(source, Spooling):
            position = source.spool(
                part,
                folder,
                lambda records, of: self.events.emit(SpoolMoved(name, records, records / of if of else None)),
                _since(read, mark),
            )
        else:
            position = self._copied(read, part, folder, beyond)
        with writing_state(folder):
            sync_folder(folder)
        self.events.emit(SourceSpooled(name, sum(item.stat().st_size for item in folder.iterdir())))
        return position

    def _copied(self, read: Read, part: Partition, folder: Path, beyond: exp.Expr | None) -> Position:
        """The range as kept rows, by way of the engine: the columns and rows that the plan reads of it.

        Raises FatalError RUN-120 where a row got lost on the way.
        """
        from penstock.types.arrow import to_arrow

        name, source = read.source, self.sources[read.source]
        assert read.schema is not None
        columns = to_arrow(read.schema)
        upto = source.latest(part)
        new = Filter(f"{name}.new", input=read.id, condition=beyond or exp.true(), schema=read.schema)
        copy = Write(f"{name}.spool", input=new.id, sink=name, schema=read.schema)
        rows = [source.scan(ScanRequest(part, None, upto, read.columns, self._asked(read, beyond)))]
        rejects = _SpooledRejects(folder / _REJECTS)
        work = Pass(Graph((read, new, copy)), own=True)
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

    def forget(self, held: Iterable[KeptRows] = ()) -> None:
        """Removes the files of all epochs, spooled or kept, but those that have some of ``held``."""
        keep = {Path(item.path).parts[0] for item in held}
        if self.folder.is_dir():
            for item in self.folder.iterdir():
                if item.name not in keep:
                    shutil.rmtree(item, ignore_errors=True)

    # ------------------------------------------------------------ rows

    def of_read(self, node: Read, ranges: Sequence[Range]) -> list[Rows]:
        """One ``Rows`` per range of the node's source, of a copy two; with a cursor some rows more than are in it."""
        found: list[Rows] = []
        for item in _that_have_rows(node, ranges):
            found += self._rows_of(node, _own(item), self._bounds(node, item))
        return found or [nothing_of(node)]

    def _rows_of(self, node: Read, item: Range, beyond: exp.Expr | None) -> list[Rows]:
        if self._is_copy(node, item):
            return list(self._spooled(node, item))
        with _placed(node):
            return [self.sources[node.source].scan(self._request(node, item, beyond))]

    def conditions(self, ranges: Sequence[Range]) -> Mapping[str, exp.Expr]:
        """What the rows of an epoch's ranges fulfil, by the node that leaves out the others."""
        reads = {read.source: read for read in self.plan.graph.reads if read.cursor is not None}
        return {
            reads[item.source].range: _condition(reads[item.source], item) for item in ranges if item.source in reads
        }

    def numbers(self, ranges: Sequence[Range]) -> Mapping[str, exp.Expr]:
        """Of equal rows those that are in an epoch's ranges, by the node that leaves out the others."""
        reads = {read.source: read for read in self.plan.graph.reads if read.cursor is not None}
        return {
            reads[item.source].range: _by_number(reads[item.source], item)
            for item in ranges
            if item.source in reads and numbered(item.upto)
        }

    def recheck(self, node: Read, ranges: Sequence[Range]) -> None:
        """After the rows of ``of_read`` have been read. Raises DataError SRC-110 where a range changed meanwhile."""
        with _placed(node):
            for item in _that_have_rows(node, ranges):
                if not self._is_copy(node, _own(item)):
                    request = self._request(node, _own(item), self._bounds(node, item))
                    self.sources[node.source].recheck(request)

    def _request(self, node: Read, item: Range, beyond: exp.Expr | None) -> ScanRequest:
        """What the node's source itself is asked for."""
        (part,) = (part for part in self.sources[node.source].partitions() if part.id == item.partition)
        return ScanRequest(part, item.after, item.upto, node.columns, self._asked(node, beyond))

    def _bounds(self, node: Read, item: Range) -> exp.Expr | None:
        if node.cursor is None:
            return None
        return bounds(node, mark_of(node, item.after), mark_of(node, item.upto))

    def _asked(self, node: Read, beyond: exp.Expr | None) -> exp.Expr | None:
        """The condition that the source applies, which it took when the run was planned, and the bounds of the range, by which
        it may leave out rows.
        """
        if beyond is None:
            return node.predicate
        return exp.and_(node.predicate, beyond) if node.predicate is not None else beyond

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
    graph: Graph,
    sources: Mapping[str, Source],
    *,
    sinks: Mapping[str, Sink],
    scratch: Path,
    sealed: Mapping[tuple[str, str], Position] | None = None,
) -> Mapping[str, Sequence[Rows]]:
    """By node id, what the sources and the sinks' tables hold now: for reads outside of a run, which no epoch records and
    nothing reads again. What has to be fetched first is fetched into ``scratch``.

    ``sealed``: positions by (source, partition), to which files and tables with versions are read that are incremental; one
    with a cursor is read whole, since its range is a condition on its rows (``graph.span``).
    """
    found: dict[str, Sequence[Rows]] = {node.id: _table_rows(node, sinks[node.sink]) for node in graph.tables}
    for node in graph.reads:
        source = sources[node.source]
        ends = {
            part: _sealed_end(sealed, node, part)
            if sealed is not None and node.incremental and node.cursor is None
            else _end(source, part, scratch)
            for part in source.partitions()
        }
        rows = [
            source.scan(ScanRequest(part, None, end, node.columns, node.predicate))
            for part, end in ends.items()
            if end is not None
        ]
        found[node.id] = rows or [nothing_of(node)]
    return found


def _sealed_end(sealed: Mapping[tuple[str, str], Position], node: Read, part: Partition) -> Position | None:
    position = sealed.get((node.source, part.id))
    return series.own_of(position) if position is not None else None


def beyond_sealed(graph: Graph, sealed: Mapping[tuple[str, str], Position]) -> Mapping[str, exp.Expr]:
    """By the node of a range, the condition of the rows that no epoch has taken yet."""
    found: dict[str, exp.Expr] = {}
    for node, taken in _taken(graph, sealed):
        every = condition(node, None, None)
        found[node.range] = exp.and_(every, exp.Not(this=call("coalesce", taken, exp.false())))
    return found


def up_to_sealed(graph: Graph, sealed: Mapping[tuple[str, str], Position]) -> Mapping[str, exp.Expr]:
    """By the node of a range, the condition of the rows that epochs have taken."""
    return {node.range: taken for node, taken in _taken(graph, sealed)}


def _taken(graph: Graph, sealed: Mapping[tuple[str, str], Position]) -> Iterator[tuple[Read, exp.Expr]]:
    for node in graph.reads:
        if node.cursor is not None:
            marks = [mark_of(node, position) for (name, _), position in sealed.items() if name == node.source]
            parts = [within(node, None, mark) for mark in marks]
            yield node, exp.or_(*parts) if parts else exp.false()


@contextmanager
def _placed(node: Read) -> Iterator[None]:
    """Errors of the node's source name its place in the document."""
    try:
        yield
    except PenstockError as error:
        raise error.placed(node.at, node.places) from None


def _condition(read: Read, item: Range) -> exp.Expr:
    """What the rows of a range fulfil, without those that have no value and that an earlier epoch has rejected."""
    told = numbered(item.upto)
    rows = within(read, mark_of(read, item.after), mark_of(read, item.upto), numbered=told)
    nulls = nulls_of(read, item.upto)
    if nulls is None:
        return rows
    return exp.and_(rows, without_value(read, nulls_of(read, item.after) or Ties(), nulls, numbered=told))


def _told_apart(read: Read, mark: Mark | None) -> Sequence[str]:
    """The columns by which a range that begins at the mark leaves out rows of its value."""
    assert read.cursor is not None
    if mark is None or not (mark.seen.counts or mark.key):
        return ()
    # A row that lacks one of those that the document names is known by all.
    return (*read.cursor.named, *mark.seen.columns, *(read.cursor.row if mark.seen.counts else ()))


def _by_number(read: Read, item: Range) -> exp.Expr:
    known, now = nulls_of(read, item.after) or Ties(), nulls_of(read, item.upto) or Ties()
    return by_number(read, mark_of(read, item.after), mark_of(read, item.upto), known, now)


def _that_have_rows(node: Read, ranges: Sequence[Range]) -> Iterator[Range]:
    """Of the node's source, without those that wait for others in a series; what lies within a lag is read again though no
    row is newer.
    """
    lags = node.cursor is not None and node.cursor.lag is not None
    return (item for item in ranges if item.source == node.source and (lags or item.after != item.upto))


def _own(item: Range) -> Range:
    """The range as the source itself knows it: cursors and series are none of its affairs."""
    after = None if "cursor" in item.upto or item.after is None else series.own_of(item.after)
    return Range(item.source, item.partition, after, series.own_of(item.upto))


def _since(read: Read, mark: Mark | None) -> Since | None:
    """Where the rows of a source with a cursor begin."""
    if read.cursor is None or read.schema is None:
        return None
    value = least(read, mark)
    return Since(value, read.schema[read.cursor.by].type) if value is not None else None


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
