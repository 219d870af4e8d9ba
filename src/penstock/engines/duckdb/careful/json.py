"""JSON with bad records: blocks of lines are validated and taken apart by DuckDB, several at a time."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias

from sqlglot import exp

from penstock.engines.duckdb.careful import json_checks as checks
from penstock.engines.duckdb.careful import reject_rows, values
from penstock.engines.duckdb.careful.json_blocks import Block, Unread, lines_of, values_of
from penstock.engines.duckdb.readers import selected
from penstock.faithful import Spelling, fast, textual
from penstock.structs import Frozen
from penstock.trees import column, identifier
from penstock.types import JSON, STRING
from penstock.types.logical import Decimal, Primitive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Files, JsonFormat
    from penstock.engines.duckdb.careful.workspace import Workspace
    from penstock.faithful import Reading
    from penstock.types import Schema

_MUCH: Final = 0.2  # of a block's lines
_RECORD: Final = "__record"
_SPELLING: Final = Spelling(is_json=True)

Parts: TypeAlias = "Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]"


def read_lines(files: Files, form: JsonFormat, *, path: str, workspace: Workspace) -> Parts:
    """One object per line; blank lines are no records."""
    return _parsed(_Task(files, path, offsets=True), lines_of(form, path, Unread(files.origin(path))), workspace)


def read_values(files: Files, form: JsonFormat, *, path: str, workspace: Workspace) -> Parts:
    """Objects in an array or one after another; records are numbered as they come, without offsets.

    Raises DataError ENG-332 where the document is broken: what follows cannot be told apart.
    """
    blocks = values_of(form, path, files.origin(path).name, workspace)
    return _parsed(_Task(files, path, offsets=False), blocks, workspace)


class _Task(Frozen, dict=True):
    """One file, and the statements that take its records apart. ``offsets``: the lines have bytes."""

    files: Files
    path: str
    offsets: bool

    @property
    def _held(self) -> Schema:
        constants = self.files.constants.get(self.path, {})
        return self.files.schema.without(constants.keys() & set(self.files.schema.names))

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        return {item.name: textual(item.type, _SPELLING) for item in self._held}

    @cached_property
    def _tests(self) -> dict[str, exp.Expr]:
        return checks.tests_of(self._readings)

    @property
    def suspects(self) -> tuple[int, ...] | None:
        """The places of the columns in which a null may be a bad value; None where one may hide deeper in a value than that, or where
        bad values are nulls.
        """
        names = self.files.schema.names
        kinds = {names.index(item.name): item.type for item in self._held if item.type not in (STRING, JSON)}
        is_flat = all(isinstance(kind, Primitive | Decimal) for kind in kinds.values())
        return tuple(kinds) if is_flat and self.files.bad_values != "null" else None

    def likely_rows(self) -> str:
        """As ``rows``, of the lines that look like objects and whose values are certainly what the line says; a null may
        stand for a bad value. Fails where one is no JSON.
        """
        readings = {item.name: fast(item.type, _SPELLING) for item in self._held}
        doubts = [
            test
            for place, reading in enumerate(readings.values())
            if (test := reading.differs(column(f"t{place}"), values.value_of(place))) is not None
        ]
        query = self._columns(readings, {}).from_(checks.likely_lines(readings))
        return query.where(exp.not_(values.any_of(doubts))).sql(dialect="duckdb")

    def rows(self) -> str:
        """One row per good line: the columns, and ``__record``."""
        nulled = self._tests if self.files.bad_values == "null" else {}
        query = self._columns(self._readings, nulled).from_(checks.parsed_lines(self._readings))
        return query.where(self._good()).sql(dialect="duckdb")

    def _columns(self, readings: Mapping[str, Reading], nulled: Mapping[str, exp.Expr]) -> exp.Select:
        """``p0, p1, …`` in the order of the schema, and ``__record``."""
        held: dict[str, exp.Expr] = {}
        for place, name in enumerate(readings):
            value: exp.Expr = values.value_of(place)
            held[name] = exp.Case().when(nulled[name].copy(), exp.null()).else_(value) if name in nulled else value
        found = selected(self.files, (self.path,), held)
        columns = [exp.alias_(item.this, f"p{place}") for place, item in enumerate(found)]
        return exp.select(*columns, exp.alias_(column("record"), identifier(_RECORD)))

    def _good(self) -> exp.Expr:
        """A CASE, not an OR: what looks into JSON fails where there is none. And only as conditions of a CASE are these
        tests evaluated for the rows alone that the ones before left undecided (a tenth of the time).
        """
        tests = [] if self.files.bad_values == "null" else list(self._tests.values())
        tested = exp.not_(values.any_of(tests))
        return (
            exp.Case()
            .when(checks.plain_object(), tested)
            .when(checks.blank(), exp.false())
            .when(checks.malformed(), exp.false())
            .else_(tested.copy())
        )

    def rejected(self) -> exp.Select:
        """Over lines that are bad or blank."""
        tests = {} if self.files.bad_values == "null" else self._tests
        place = reject_rows.position(
            self.files.origin(self.path), column("record"), column("byte") if self.offsets else None
        )
        query = reject_rows.reject_query(place, column("line"), checks.causes(self._readings, tests))
        return query.from_(checks.parsed_lines(self._readings)).where(exp.not_(checks.blank()))


def _parsed(task: _Task, blocks: Iterator[Block], workspace: Workspace) -> Parts:
    """In the order of the blocks; as many at a time as there are threads, each in a database of its own. Bad lines are
    gathered, so that naming them costs one statement for many.
    """
    schema, bad = task.files.schema.relaxed(), _BadLines(task, workspace)
    parser = _Parser(task)
    databases: deque[duckdb.DuckDBPyConnection] = deque(workspace.connect(1) for _ in range(workspace.threads))
    waiting: deque[Future[tuple[pa.Table, pa.Table]]] = deque()

    def work(block: Block) -> tuple[pa.Table, pa.Table]:
        database = databases.pop()
        try:
            return parser.taken_apart(block.lines, database)
        finally:
            databases.append(database)

    def finished() -> Parts:
        good, lines = waiting.popleft().result()
        for batch in good.rename_columns(schema.names).to_batches():
            yield conform(batch, schema), None
        for rejects in bad.add(lines):
            yield reject_rows.no_rows(schema), rejects

    from penstock.types.conform import conform

    with ThreadPoolExecutor(workspace.threads, thread_name_prefix="json") as pool:
        try:
            for block in blocks:
                if block.rejects is not None:
                    yield reject_rows.no_rows(schema), block.rejects
                waiting.append(pool.submit(work, block))
                if len(waiting) > workspace.threads:
                    yield from finished()
            while waiting:
                yield from finished()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for database in databases:
                database.close()
    for rejects in bad.flush():
        yield reject_rows.no_rows(schema), rejects


class _BadLines:
    """Lines that are rejects, kept until there are enough of them to be named together."""

    def __init__(self, task: _Task, workspace: Workspace) -> None:
        self._query = task.rejected()
        self._database = workspace.database
        self._kept: list[pa.Table] = []
        self._count = 0

    def add(self, lines: pa.Table) -> list[pa.RecordBatch]:
        if lines.num_rows:
            self._kept.append(lines)
            self._count += lines.num_rows
        return self.flush() if self._count >= reject_rows.BATCH_ROWS else []

    def flush(self) -> list[pa.RecordBatch]:
        import pyarrow as pa

        if not self._kept:
            return []
        self._database.register(checks.LINES, pa.concat_tables(self._kept))
        self._kept, self._count = [], 0
        try:
            return reject_rows.collect(self._database, self._query)
        finally:
            self._database.unregister(checks.LINES)


class _Parser:
    """Takes blocks apart, on several threads. What looks like an object is parsed once, without a question asked; what is
    no JSON, or has a null that may be a bad value, is looked at again. Where that is much, nothing is tried before.
    """

    def __init__(self, task: _Task) -> None:
        self._suspects = task.suspects
        self._is_hopeful = self._suspects is not None
        self._likely_rows = task.likely_rows()
        self._rows = task.rows()

    def taken_apart(self, lines: pa.Table, database: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
        """The rows of the good lines, in order, and all other lines."""
        import pyarrow as pa

        found = self._likely(lines, database) if self._is_hopeful else None
        if found is None:
            found, left = _asked(self._rows, lines, database)
        else:
            left = _others(lines, found)
            if left.num_rows > lines.num_rows * _MUCH:
                self._is_hopeful = False
            if left.num_rows and _queried(checks.VALID_LINES, left, database).num_rows:
                more, left = _asked(self._rows, left, database)
                found = pa.concat_tables([found, more]).sort_by(_RECORD) if more.num_rows else found
        return found.drop_columns([_RECORD]), left

    def _likely(self, lines: pa.Table, database: duckdb.DuckDBPyConnection) -> pa.Table | None:
        """The rows that are certainly good; None where a line is no JSON."""
        import duckdb
        import pyarrow.compute as pc

        try:
            found = _queried(self._likely_rows, lines, database)
        except duckdb.InvalidInputException:
            self._is_hopeful = False
            return None
        for place in self._suspects or ():
            column = found.column(place)
            if column.null_count:
                found = found.filter(pc.is_valid(column))
        return found


def _asked(rows: str, lines: pa.Table, database: duckdb.DuckDBPyConnection) -> tuple[pa.Table, pa.Table]:
    found = _queried(rows, lines, database)
    return found, _others(lines, found)


def _queried(rows: str, lines: pa.Table, database: duckdb.DuckDBPyConnection) -> pa.Table:
    database.register(checks.LINES, lines)
    try:
        return database.sql(rows).to_arrow_table()
    finally:
        database.unregister(checks.LINES)


def _others(lines: pa.Table, found: pa.Table) -> pa.Table:
    import pyarrow.compute as pc

    if found.num_rows == lines.num_rows:
        return lines.slice(0, 0)
    return lines.filter(pc.invert(pc.is_in(lines.column("record"), found.column(_RECORD))))
