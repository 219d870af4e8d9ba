"""How rows enter DuckDB: its own readers over files, Arrow batches that it pulls, CSV text from pipes.

Each input is a query that gives exactly the columns of its node. Streams are read once, so an input is opened anew for
every statement; a record that never became a row goes to the reject store in the first statement only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from sqlglot import exp

from penstock.connectors.api import Batches, CsvFormat, Files, JsonFormat, ParquetFormat, Pipe
from penstock.engines.duckdb.careful import careful_files, careful_pipe
from penstock.engines.duckdb.inspection import Inspection, needs_inspection
from penstock.engines.duckdb.long_ends import has_long_end
from penstock.engines.duckdb.lowered import Leaf, form_of, named_by
from penstock.engines.duckdb.pump import Pump
from penstock.engines.duckdb.read_ahead import ReadAhead
from penstock.engines.duckdb.readers import files_query, located, pipe_query
from penstock.structs import Mutable, field
from penstock.trees import call, column, identifier, relation, text_of, union_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Chunk, Rows
    from penstock.engines.duckdb.session import Session
    from penstock.graph.nodes import Read, Table


class Input(Mutable):
    """One Read or Table node of a pass: one ``Rows`` per partition.

    Files are read fast; ``by_text`` where a value could not be told so (a pipe is then one whose values were checked);
    ``careful``, at a price, such that malformed records become rejects instead of errors; so are files read that the fast
    way would lose a record of.
    """

    node: Read | Table
    parts: Sequence[Rows]
    careful: bool = False
    by_text: bool = False
    settled: bool = False  # its rejects were taken by an earlier statement
    _inspected: bool = False
    _open: list[_Opened] = field(default_factory=list)

    def reads_of(self, text: str) -> bool:
        """Whether the text names a file that is read."""
        return any(path in text for part in self.parts if isinstance(part, Files) for path in part.paths)

    @property
    def can_be_eased(self) -> bool:
        """Whether a careful read may take what a fast one refused."""
        return not self.careful and any(isinstance(part, Files | Pipe) for part in self.parts)

    def ease(self, *, by_text: bool) -> None:
        """From now on read by text, else (or where it was already) with care. Nothing that came unchecked was bad yet."""
        checked = self.by_text or not any(isinstance(part, Pipe) and part.open_unchecked for part in self.parts)
        self.careful = checked and (not by_text or self.by_text)
        self.by_text = True
        self.settled = False

    @property
    def at_end(self) -> bool:
        """Whether every stream was read to its end, and with it every rejected record taken; ask before ``close``."""
        return all(part.at_end for part in self._open)

    @property
    def rows(self) -> int | None:
        """How many rows came so far in the running statement; None where DuckDB reads them itself and does not say."""
        streams = [part.rows for part in self._open if isinstance(part, _OpenStream)]
        return sum(streams) if streams else None

    @property
    def delivered(self) -> int | None:
        """How many rows the source handed over, counted where they came from and not by the statement that read them;
        None where only DuckDB's reader knows, or where it stopped before the end. Ask before ``close``.
        """
        counted = [part.delivered for part in self._open]
        known = [rows for rows in counted if rows is not None]
        return sum(known) if len(known) == len(counted) else None

    def open(self, session: Session, keep: Callable[[pa.RecordBatch], int], *, position: str | None = None) -> Leaf:
        """All parts as one; ``keep`` takes rejected records and says how many they were. ``position``: a column more,
        which says where each row comes from, as far as that is known (``readers.located``).
        """
        self._open = []
        for place, part in enumerate(self.parts):
            known = located(part, position) if position is not None and isinstance(part, Files) else part
            self._open.append(self._opened(session, place, part=known, keep=keep))
        forms = tuple(opened.leaf.form for opened in self._open)
        return Leaf((position, forms), lambda: self._query(position))

    def _query(self, position: str | None) -> exp.Query:
        queries = [
            self._columns(opened.leaf.query(), position, known=isinstance(part, Files))
            for part, opened in zip(self.parts, self._open, strict=True)
        ]
        return union_all(queries)

    def _opened(self, session: Session, place: int, *, part: Rows, keep: Callable[[pa.RecordBatch], int]) -> _Opened:
        name = f"{self.node.id}#{place}"
        match self._read_as(part, session):
            case Files() as files:
                listed = named_by(name, session.connection, files)
                leaf = Leaf(
                    form_of(files, name, session.threads, self.by_text),
                    lambda: files_query(files, threads=session.threads, by_text=self.by_text, listed=listed),
                )
                inspection = None
                if needs_inspection(files) and not self._inspected:
                    inspection = Inspection(files, session.threads)
                return _OpenFiles(session, files, leaf, inspection)
            case Batches() as batches:
                return _OpenStream(session, name, batches, keep)
            case Pipe() as pipe:
                return _OpenPipe(session, pipe, unchecked=not self.by_text)
            case other:
                assert_never(other)

    def _read_as(self, part: Rows, session: Session) -> Rows:
        if not self.careful and not (isinstance(part, Files) and has_long_end(part)):
            return part
        match part:
            case Files(format=CsvFormat() | JsonFormat()):
                labelled = frozenset(column.name for column in self.node.schema or () if column.labels)
                return careful_files(part, session.workspace(), labelled)
            case Pipe():
                return careful_pipe(part, session.workspace())
            case _:
                return part

    def inspect(self) -> None:
        """Waits until it is sure that DuckDB's readers had all of the files, once; ask before ``close``. Raises FatalError
        ENG-304 where a file is cut off or broken, DataError ENG-312 where only a careful read takes its last record.
        """
        for part in self._open:
            part.inspect()
        self._inspected = True

    def _columns(self, query: exp.Query, position: str | None, *, known: bool) -> exp.Query:
        """Only the node's columns, in its order, and the position where it is asked for."""
        columns: list[exp.Expr] = [column(name) for name in self.node.columns or ()]
        if position is not None:
            columns = columns or [exp.Star()]
            if not known:
                columns.append(exp.alias_(text_of(exp.null()), identifier(position)))
            elif self.node.columns is not None:
                columns.append(column(position))
        if not columns:
            return query
        return exp.select(*columns).from_(query.subquery("part", copy=False))

    def close(self) -> int:
        """Ends what the statement left open and takes its rejects; the number of records that never became rows.

        Raises what went wrong on a producer's side, which is the cause of anything the engine saw.
        """
        rejected = 0
        opened, self._open = self._open, []
        for part in opened:
            rejected += part.close()
        return rejected

    def abandon(self) -> None:
        """As ``close`` after a failure: nothing is taken; a producer's error is still raised."""
        opened, self._open = self._open, []
        for part in opened:
            part.abandon()


class _Opened:
    """A part of an input while a statement reads it."""

    leaf: Leaf
    at_end = True  # nothing but a stream has rejects

    @property
    def delivered(self) -> int | None:
        return None

    def inspect(self) -> None: ...

    def close(self) -> int:
        return 0

    def abandon(self) -> None: ...


class _OpenFiles(_Opened):
    def __init__(self, session: Session, files: Files, leaf: Leaf, inspection: Inspection | None) -> None:
        self._session, self._files, self._inspection = session, files, inspection
        self.leaf = leaf
        if inspection is not None:
            session.on_interrupt(inspection.stop)

    @property
    def delivered(self) -> int | None:
        """What the footers of Parquet files say; text has no such figure."""
        if not isinstance(self._files.format, ParquetFormat) or not self._files.paths:
            return None
        paths = exp.Array(expressions=[exp.Literal.string(path) for path in self._files.paths])
        footers = exp.Table(this=call("parquet_file_metadata", paths))
        text = exp.select(exp.Sum(this=column("num_rows"))).from_(footers).sql(dialect="duckdb")
        (rows,) = self._session.do(lambda: self._session.connection.execute(text).fetchall())[0]
        return int(rows)

    def inspect(self) -> None:
        if self._inspection is not None:
            self._session.do(self._inspection.check)

    def close(self) -> int:
        self.abandon()
        return 0

    def abandon(self) -> None:
        if self._inspection is not None:
            self._session.forget(self._inspection.stop)
            self._inspection.close()


class _OpenStream(_Opened):
    """Arrow batches, pulled by the engine's thread; an error of the source is kept and raised in its place."""

    def __init__(self, session: Session, name: str, part: Batches, keep: Callable[[pa.RecordBatch], int]) -> None:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow

        self._session, self._name, self._keep = session, name, keep
        self._rejected = self.rows = 0
        self.at_end = False
        self._error: BaseException | None = None
        self._chunks = ReadAhead(part.open, name)
        session.on_interrupt(self._chunks.stop)
        schema = to_arrow(part.schema)
        session.connection.register(name, pa.RecordBatchReader.from_batches(schema, self._pull(schema)))
        self.leaf = Leaf((name, schema), lambda: exp.select("*").from_(relation(name)))

    @property
    def delivered(self) -> int | None:
        return self.rows if self.at_end else None

    def _pull(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        try:
            for chunk in self._chunks:
                self._take_rejects(chunk)
                self.rows += chunk.batch.num_rows
                if chunk.batch.num_rows:
                    yield chunk.batch if chunk.batch.schema == schema else chunk.batch.cast(schema)
            self.at_end = True
        except GeneratorExit:  # the statement needs no more
            raise
        except BaseException as error:
            self._error = error
            raise

    def _take_rejects(self, chunk: Chunk) -> None:
        if chunk.rejects is not None and chunk.rejects.num_rows:
            self._rejected += self._keep(chunk.rejects)

    def close(self) -> int:
        self.abandon()
        return self._rejected

    def abandon(self) -> None:
        self._session.forget(self._chunks.stop)
        self._session.connection.unregister(self._name)
        self._chunks.close()
        if self._error is not None:
            raise self._error


class _OpenPipe(_Opened):
    def __init__(self, session: Session, part: Pipe, *, unchecked: bool) -> None:
        self._session, self._part = session, part
        producers = part.open_unchecked if unchecked else None
        self._pumps = tuple(Pump(descriptor) for descriptor in (producers or part.open)())
        for pump in self._pumps:
            session.on_interrupt(pump.stop)
        ends = [pump.read_end for pump in self._pumps]
        query = pipe_query(part, ends, unchecked=producers is not None)
        self.leaf = Leaf(object(), lambda: query)  # its descriptors are no other pipe's

    @property
    def delivered(self) -> int | None:
        return self._part.copied() if self._part.copied is not None else None

    def close(self) -> int:
        self.abandon()
        return 0

    def abandon(self) -> None:
        for pump in self._pumps:
            self._session.forget(pump.stop)
            pump.close()
        self._part.finish()
