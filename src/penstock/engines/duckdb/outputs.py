"""How a statement's rows leave DuckDB: files that it writes itself, CSV text through a pipe, or Arrow batches."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.connectors.api import (
    BatchWriter,
    CsvFormat,
    FileFormat,
    FileWriter,
    JsonFormat,
    ParquetFormat,
    PipeWriter,
)
from penstock.engines.duckdb.errors import translated
from penstock.engines.duckdb.pump import drain
from penstock.engines.duckdb.readers import reader
from penstock.engines.duckdb.wide_steps import may_have_wide_steps
from penstock.engines.duckdb.written import figures_of
from penstock.errors import FatalError, InternalError
from penstock.structs import replace
from penstock.trees import column, copy_option, field_ids, identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from penstock.connectors.api import ColumnFigures, FileTarget, Writer
    from penstock.engines.duckdb.session import Session
    from penstock.types import Schema

BATCH_ROWS: Final = 100_000
_ANY_SIZE: Final = 1 << 60


def deliver(
    session: Session, query: exp.Query, schema: Schema, writer: Writer, progress: Callable[[float], None] | None = None
) -> Mapping[str, ColumnFigures]:
    """Runs the query and hands every row to the writer; does not stage. The session's profile is that of the query. What is
    known of the columns that were written, where that costs nothing.

    Raises the five error classes; the caller aborts the writer.
    """
    match writer:
        case FileWriter():
            return _files(session, query, schema=schema, writer=writer, progress=progress)
        case PipeWriter():
            _pipe(session, query, writer=writer, progress=progress)
        case BatchWriter():
            _batches(session, query, schema=schema, writer=writer, progress=progress)
        case _:
            raise InternalError("INT-900", f"{type(writer).__name__} is no kind of writer")
    return {}


# ---------------------------------------------------------------- files


def _files(
    session: Session,
    query: exp.Query,
    *,
    schema: Schema,
    writer: FileWriter,
    progress: Callable[[float], None] | None,
) -> Mapping[str, ColumnFigures]:
    asked = writer.target()
    form = asked.format.settled(schema) if isinstance(asked.format, ParquetFormat) else asked.format
    target = replace(asked, format=form)
    statement = copy(_sorted(query, form), _place(target), _file_options(target))
    with translated("writing files"):
        found = session.do(lambda: session.connection.execute(statement.sql(dialect="duckdb")).fetchall(), progress)
        if isinstance(asked.format, ParquetFormat) and asked.format.version == "v2":
            older = replace(asked.format, version="v1").settled(schema)
            for path, _, _, _, statistics, *_ in found:
                if may_have_wide_steps(schema, statistics):
                    _write_again(session, Path(path), older)
    if isinstance(form, ParquetFormat):
        writer.counted({os.path.relpath(str(row[0]), target.folder): int(row[1]) for row in found})
        return figures_of(schema, (row[4] for row in found))
    if target.single:  # a folder's rows are told for all its files
        writer.counted({target.single: int(found[0][0])})
    return {}


def _write_again(session: Session, path: Path, form: ParquetFormat) -> None:
    """The same rows in this form, on a connection of its own: the session's profile is that of the query."""
    made = path.with_name(f"{path.name}.again")
    read = exp.select("*").from_(reader("read_parquet", (str(path),), []))
    statement = copy(_sorted(read, form), str(made), _format_options(form)).sql(dialect="duckdb")
    with closing(session.connection.cursor()) as beside:
        session.on_interrupt(beside.interrupt)
        try:
            session.do(lambda: beside.execute(statement))
        finally:
            session.forget(beside.interrupt)
    made.replace(path)


def _place(target: FileTarget) -> str:
    return str(target.folder / target.single) if target.single else str(target.folder)


def _sorted(query: exp.Query, form: FileFormat) -> exp.Query:
    names = form.sort_by if isinstance(form, ParquetFormat) else ()
    if not names:
        return query
    inner = exp.select("*").from_(query.subquery(identifier("__unsorted")))
    return inner.order_by(*[exp.Ordered(this=column(name), nulls_first=False) for name in names])


def copy(query: exp.Query, place: str, options: Sequence[exp.CopyParameter]) -> exp.Copy:
    """``COPY (query) TO 'place' (options)``."""
    return exp.Copy(
        this=query.subquery(copy=False), kind=False, files=[exp.Literal.string(place)], params=list(options)
    )


def _names(names: Sequence[str]) -> exp.Tuple:
    return exp.Tuple(expressions=[column(name) for name in names])


def _file_options(target: FileTarget) -> list[exp.CopyParameter]:
    options = _format_options(target.format)
    if isinstance(target.format, ParquetFormat):
        options.append(copy_option("return_stats", True))
    if target.single:
        return options
    options.append(copy_option("file_extension", target.extension))
    options.append(copy_option("overwrite_or_ignore", True))
    if target.partition_by:
        options.append(copy_option("partition_by", _names(target.partition_by)))
        options.append(copy_option("write_partition_columns", target.partition_columns_in_files))
    else:  # not a file per thread: DuckDB 2.0 crashes, or hangs, where such a statement is interrupted
        options.append(copy_option("file_size_bytes", target.max_file_bytes or _ANY_SIZE))
    return options


def _format_options(form: FileFormat) -> list[exp.CopyParameter]:
    match form:
        case ParquetFormat():
            return _parquet_options(form)
        case JsonFormat():
            options = [copy_option("format", "json"), copy_option("compression", form.compression or "none")]
            return [*options, copy_option("array", True)] if form.layout == "array" else options
        case CsvFormat():
            return _csv_options(form)
    assert_never(form)


def _parquet_options(form: ParquetFormat) -> list[exp.CopyParameter]:
    codec = "uncompressed" if form.compression == "none" else form.compression
    options = [
        copy_option("format", "parquet"),
        copy_option("compression", codec),
        copy_option("parquet_version", exp.var(form.version.upper())),
    ]
    if codec == "zstd" and form.compression_level is not None:
        options.append(copy_option("compression_level", form.compression_level))
    if form.row_group_rows is not None:
        options.append(copy_option("row_group_size", form.row_group_rows))
    if not form.bloom_filter:
        options.append(copy_option("write_bloom_filter", False))
    if form.field_ids:
        options.append(copy_option("field_ids", field_ids(form.field_ids)))
    return options


def _csv_options(form: CsvFormat) -> list[exp.CopyParameter]:
    quote = form.quote or '"'
    options = [
        copy_option("format", "csv"),
        copy_option("header", form.header is not False),
        copy_option("delimiter", form.delimiter or ","),
        copy_option("quote", quote),
        copy_option("escape", form.escape or quote),
        copy_option("nullstr", form.null_values[0] if form.null_values else ""),
        copy_option("compression", form.compression or "none"),
    ]
    if form.date_format:
        options.append(copy_option("dateformat", form.date_format))
    if form.timestamp_format:
        options.append(copy_option("timestampformat", form.timestamp_format))
    return options


# ---------------------------------------------------------------- pipes and batches


def _pipe(session: Session, query: exp.Query, *, writer: PipeWriter, progress: Callable[[float], None] | None) -> None:
    write_end = writer.open()
    held = os.dup(write_end)  # its own number, so that no other file can take it while it may be drained
    free = partial(drain, held)
    session.on_interrupt(free)
    statement = copy(query, f"/dev/fd/{write_end}", _csv_options(writer.format))

    def write() -> None:
        try:
            session.connection.execute(statement.sql(dialect="duckdb"))
        finally:
            os.close(write_end)

    try:
        with translated("writing to a pipe"):
            session.do(write, progress)
    except FatalError:
        os.close(held)
        held = -1
        writer.stage()  # a consumer that is gone knows why: that is raised in place of the broken pipe
        raise
    finally:
        session.forget(free)
        if held >= 0:
            os.close(held)


def _batches(
    session: Session,
    query: exp.Query,
    *,
    schema: Schema,
    writer: BatchWriter,
    progress: Callable[[float], None] | None,
) -> None:
    from penstock.types.conform import conform

    def write() -> None:
        for batch in session.rows(query, BATCH_ROWS):
            writer.write(conform(batch, schema))

    with translated("delivering rows"):
        session.do(write, progress)
