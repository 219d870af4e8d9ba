"""From pages to typed rows: one query per group of pages, and a second one only where something may not have fitted."""

from __future__ import annotations

from itertools import pairwise
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from penstock.connectors.rest.database import PAGES, Database, pages_view
from penstock.connectors.rest.faults import SPELLING, Faults, with_long_numbers
from penstock.connectors.rest.nested import is_finite, parts_of
from penstock.connectors.rest.pages import strict_objection
from penstock.connectors.rest.shape import identifier, records_of, structure_of
from penstock.errors import DataError
from penstock.faithful import fast, textual
from penstock.trees import is_not_null, is_null
from penstock.types import JSON, STRING, Schema
from penstock.types.conform import conform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.connectors.api import Allowance
    from penstock.connectors.rest.path import Path
    from penstock.connectors.rest.shape import Shape
    from penstock.connectors.rest.spool import Group
    from penstock.faithful import Reading, Spelling
    from penstock.types.logical import LogicalType

Policy = Literal["reject", "null", "fail"]
_MOST_READERS: Final = 4
_NOT_FINITE: Final = (b"NaN", b"Infinity")


class RecordReader:
    """Turns groups of pages into rows of ``schema`` (all columns nullable) and rejects.

    ``checked`` are the columns that are read and looked at whatever is asked for, so that rejects do not depend on what a
    later step needs; ``policy`` says what a value does that does not fit.
    """

    def __init__(self, database: Database, place: Path, schema: Schema, *, checked: Schema, policy: Policy) -> None:
        self._database = database
        self._place = place
        self._schema = schema
        self._read = schema.with_fields(column for column in checked if column.name not in schema) or checked
        self._queries: dict[tuple[Shape, object], str] = {}
        self._has_json = any(column.type == JSON for column in self._read)
        self._faults = Faults(place, self._read, policy)

    def read(self, group: Group) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
        """The rows in order, and what is rejected. Raises DataError SRC-277 where the policy is fail, SRC-271 where a
        column of json would hold what JSON does not know.
        """
        if self._has_json:
            _check_finite(group)
        pages = pages_view(group.content, group.ends, group.entries[0].number)
        table = self._database.table(self._typed(group.shape, fast), {PAGES: pages})
        *_, doubts = table.columns
        is_doubtful = bool(pc.any(doubts).as_py())
        table = self._named(table)
        rejects = None
        if is_doubtful or self._is_suspicious(table):
            if is_doubtful:
                table = self._exact(group, table)
            found = self._faults.find(self._database, group)
            table = found.applied_to(table)
            rejects = found.rejects if found.rejects.num_rows else None
        return self._conformed(table), rejects

    def _exact(self, group: Group, table: pa.Table) -> pa.Table:
        """The same rows by their texts; columns of json as they are, since long numbers are text there."""
        query = self._typed(group.shape, textual)
        exact = self._named(with_long_numbers(group, lambda pages: self._database.table(query, {PAGES: pages})))
        for at, column in enumerate(self._read):
            if column.type == JSON:
                exact = exact.set_column(at, column.name, table.column(at))
        return exact

    def _named(self, table: pa.Table) -> pa.Table:
        return table.select(range(len(self._read))).rename_columns(list(self._read.names))

    def _typed(self, shape: Shape, reading: Callable[[LogicalType, Spelling], Reading]) -> str:
        """Columns c0, c1, … in the order of the schema, and whether one of them may be another than the page says."""
        if (shape, reading) not in self._queries:
            readings = [(column.name, reading(column.type, SPELLING)) for column in self._read]
            self._queries[shape, reading] = self._query(shape, readings).sql(dialect="duckdb")
        return self._queries[shape, reading]

    def _query(self, shape: Shape, readings: Sequence[tuple[str, Reading]]) -> exp.Select:
        listed = records_of(self._place, shape, structure_of(readings))
        records = exp.select(exp.alias_(exp.func("unnest", listed), "r")).from_(PAGES).subquery("records")
        texts, values, doubts = [], [], []
        for at, (name, reading) in enumerate(readings):
            text, value = exp.column(f"t{at}"), exp.column(f"c{at}")
            texts.append(
                exp.alias_(reading.text(exp.Dot(this=exp.column("r"), expression=identifier(name))), text.name)
            )
            values.append(exp.alias_(reading.value(text, tried=True), value.name))
            doubts += [
                test
                for test in (reading.differs(text, value), exp.and_(is_null(value), is_not_null(text)))
                if test is not None
            ]
        inner = exp.select(*texts).from_(records).subquery("read")
        looked = exp.select("*", *values).from_(inner).subquery("looked")
        doubt = exp.func("coalesce", exp.or_(*doubts), exp.false()) if doubts else exp.false()
        chosen = [exp.column(f"c{at}") for at in range(len(readings))]
        return exp.select(*chosen, exp.alias_(doubt, "doubt")).from_(looked)

    def _is_suspicious(self, table: pa.Table) -> bool:
        """Whether a value may be missing because it did not fit, or a record because it was none."""
        if table.num_rows == 0:
            return False
        columns = [(table.column(at), column.type) for at, column in enumerate(self._read)]
        if any(may_hide(values, kind) for values, kind in columns):
            return True
        return _all_null_rows(table)

    def _conformed(self, table: pa.Table) -> pa.RecordBatch:
        wanted = table.select(list(self._schema.names)) if len(self._schema) else table
        batches = wanted.combine_chunks().to_batches()
        empty = pa.RecordBatch.from_pylist([], schema=wanted.schema)
        return conform(pa.concat_batches(batches) if batches else empty, self._schema)


class RecordReaders:
    """A reader for each of a few threads, at most one per group. A single query over pages runs on one thread, since it
    keeps their order.
    """

    def __init__(
        self, place: Path, schema: Schema, *, checked: Schema, policy: Policy, groups: int, allowance: Allowance
    ) -> None:
        self.count = max(1, min(groups, _MOST_READERS, allowance.threads))
        first = Database(allowance, threads=1)
        self._databases = [first, *(first.another() for _ in range(1, self.count))]
        self._idle: SimpleQueue[RecordReader] = SimpleQueue()
        for database in self._databases:
            self._idle.put(RecordReader(database, place, schema, checked=checked, policy=policy))

    def read(self, group: Group) -> tuple[pa.RecordBatch, pa.RecordBatch | None]:
        """From any thread. As ``RecordReader.read``."""
        reader = self._idle.get()
        try:
            return reader.read(group)
        finally:
            self._idle.put(reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for database in reversed(self._databases):
            database.close()


def _check_finite(group: Group) -> None:
    """The engine's JSON reader takes NaN and Infinity; typed columns find them (``may_hide``), json would keep them."""
    if not any(literal in group.content for literal in _NOT_FINITE):
        return
    for entry, (start, end) in zip(group.entries, pairwise(group.ends), strict=True):
        reason = strict_objection(group.content[start:end])
        if reason is not None:
            raise DataError("SRC-271", f"page {entry.number} {reason}")


def may_hide(values: pa.ChunkedArray, kind: LogicalType) -> bool:
    """Whether nulls, or numbers that JSON cannot say, stand anywhere in a column whose type does not take everything."""
    if kind in {STRING, JSON}:
        return False
    return any(part.null_count or not is_finite(part) for chunk in values.chunks for part in parts_of(chunk))


def _all_null_rows(table: pa.Table) -> bool:
    """A record that is no object has no column."""
    if any(column.null_count == 0 for column in table.columns):
        return False
    empty = table.column(0).is_null()
    for column in table.columns[1:]:
        empty = pc.and_(empty, column.is_null())
    return bool(pc.any(empty).as_py())


__all__ = ["Policy", "RecordReader", "RecordReaders"]
