"""A small driver that does for the suites what an engine does in a run: hands rows to writers, pulls rows of sources.

It knows the three kinds of writers and the three kinds of rows, so that one suite serves every connector.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, assert_never

import pyarrow as pa

from penstock.connectors.api import Batches, BatchWriter, Files, FileWriter, Pipe, PipeWriter, Rows, Writer
from penstock.errors import DataError
from penstock.testing import native
from penstock.types.arrow import to_arrow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.api import FileTarget

BATCH_ROWS = 7


def batches_of(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The table in small batches, an empty one among them, as engines may deliver."""
    yield pa.RecordBatch.from_arrays([pa.array([], field.type) for field in table.schema], schema=table.schema)
    yield from table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)


def fill(writer: Writer, table: pa.Table) -> None:
    """Hand all rows of the table to the writer, by whichever way it takes them."""
    match writer:
        case BatchWriter():
            for batch in batches_of(table):
                writer.write(batch)
        case FileWriter():
            counts = _copy(table, writer.target())
            if counts is not None:
                writer.counted(counts)
        case PipeWriter():
            write_end = writer.open()
            try:
                native.copy(table, f"/dev/fd/{write_end}", writer.format)
            finally:
                os.close(write_end)
        case _:
            raise AssertionError(f"{type(writer).__name__} is none of BatchWriter, FileWriter, PipeWriter")


def _copy(table: pa.Table, target: FileTarget) -> dict[str, int] | None:
    if target.partition_by:
        options = native.Layout(target.partition_by, target.extension, in_files=target.partition_columns_in_files)
        counts = native.copy(table, str(target.folder), target.format, options)
    else:
        counts = native.copy(table, str(target.folder / (target.single or f"part-0.{target.extension}")), target.format)
    return counts and {os.path.relpath(path, target.folder): rows for path, rows in counts.items()}


def pull(rows: Rows, *, changes: bool = False) -> tuple[pa.Table, int]:
    """All rows of a scan as one table, and how many records it rejected. ``changes``: others write to the system
    meanwhile, so that a second read of it tells nothing of the first.
    """
    match rows:
        case Batches():
            return _drain(rows)
        case Files():
            return _read_files(rows)
        case Pipe():
            return _read_pipe(rows, changes=changes), 0
    assert_never(rows)


def _read_files(rows: Files) -> tuple[pa.Table, int]:
    """As the embedded engine does: fast, and carefully where that fails at a record."""
    from penstock.engines.duckdb.careful import Workspace, careful_files
    from penstock.engines.duckdb.errors import translated
    from penstock.engines.duckdb.readers import files_query

    with closing(native.connection()) as database, suppress(DataError), translated("reading"):
        return database.sql(files_query(rows).sql(dialect="duckdb")).to_arrow_table(), 0
    with TemporaryDirectory() as scratch:
        return _drain(careful_files(rows, Workspace(Path(scratch))))


def _drain(rows: Batches) -> tuple[pa.Table, int]:
    schema = to_arrow(rows.schema)
    chunks = list(rows.open())
    for chunk in chunks:
        found = chunk.batch.schema
        assert (found.names, found.types) == (schema.names, schema.types), f"a batch has {found}, not {schema}"
    rejected = sum(chunk.rejects.num_rows for chunk in chunks if chunk.rejects is not None)
    return pa.Table.from_batches([chunk.batch.cast(schema) for chunk in chunks], schema=schema), rejected


def _read_pipe(rows: Pipe, *, changes: bool) -> pa.Table:
    """The checked text; where there is an unchecked one, which a reader takes, it says the same."""
    ends = rows.open()
    try:
        files = Files(rows.format, tuple(f"/dev/fd/{end}" for end in ends), rows.schema)
        table = native.read(files, seekable=False)
    finally:
        for end in ends:
            os.close(end)
    rows.finish()
    unchecked = None if changes else _read_unchecked(rows)
    assert unchecked is None or _contents(unchecked) == _contents(table), "the unchecked text says something else"
    return table


def _read_unchecked(rows: Pipe) -> pa.Table | None:
    from penstock.engines.duckdb.errors import translated
    from penstock.engines.duckdb.readers import pipe_query

    if rows.open_unchecked is None:
        return None
    ends = rows.open_unchecked()
    try:
        with closing(native.connection()) as database, translated("reading"):
            return database.sql(pipe_query(rows, ends, unchecked=True).sql(dialect="duckdb")).to_arrow_table()
    except DataError:
        return None
    finally:
        for end in ends:
            os.close(end)
        rows.finish()


def _contents(table: pa.Table) -> Counter[str]:
    """Moments as numbers: Python has none as far away as a database."""
    moments = {pa.date32(): pa.int32(), pa.timestamp("us"): pa.int64(), pa.timestamp("us", "UTC"): pa.int64()}
    columns = [column.cast(moments.get(column.type, column.type)) for column in table.columns]
    return Counter(map(repr, zip(*(column.to_pylist() for column in columns), strict=True)))
