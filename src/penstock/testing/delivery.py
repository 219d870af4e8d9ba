"""A small driver that does for the suites what an engine does in a run: hands rows to writers, pulls rows of sources.

It knows the three kinds of writers and the three kinds of rows, so that one suite serves every connector.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any, assert_never

import duckdb
import pyarrow as pa
from sqlglot import exp

from penstock.connectors.api import (
    Batches,
    BatchWriter,
    CsvFormat,
    Files,
    FileWriter,
    JsonFormat,
    ParquetFormat,
    Pipe,
    PipeWriter,
    Rows,
    Writer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.connectors.api import FileFormat, FileTarget

BATCH_ROWS = 7


def batches_of(table: pa.Table) -> Iterator[pa.RecordBatch]:
    """The table in small batches, an empty one among them, as engines may deliver."""
    yield pa.RecordBatch.from_pylist([], schema=table.schema)
    yield from table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS)


def fill(writer: Writer, table: pa.Table) -> None:
    """Hand all rows of the table to the writer, by whichever way it takes them."""
    match writer:
        case BatchWriter():
            for batch in batches_of(table):
                writer.write(batch)
        case FileWriter():
            _copy(table, writer.target())
        case PipeWriter():
            _pour(table, writer)
        case _:
            raise AssertionError(f"{type(writer).__name__} is none of BatchWriter, FileWriter, PipeWriter")


def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": "1", "TimeZone": "UTC"})


def _option(name: str, value: exp.Expr | str | float | None = None) -> exp.CopyParameter:
    tree = value if isinstance(value, exp.Expr) or value is None else exp.convert(value)
    return exp.CopyParameter(this=exp.var(name), expression=tree)


def _names(names: tuple[str, ...]) -> exp.Tuple:
    return exp.Tuple(expressions=[exp.column(exp.to_identifier(name, quoted=True)) for name in names])


def _options(form: FileFormat, table: pa.Table) -> list[exp.CopyParameter]:
    match form:
        case ParquetFormat():
            codec = "zstd" if form.compression == "auto" else form.compression
            kind = [_option("format", exp.var("parquet")), _option("parquet_version", exp.var(form.version.upper()))]
            return [*kind, _option("compression", exp.var("uncompressed" if codec == "none" else codec))]
        case JsonFormat():
            return [_option("format", exp.var("json")), _option("compression", exp.var(form.compression or "none"))]
        case CsvFormat():
            texts = tuple(f.name for f in table.schema if pa.types.is_string(f.type) or isinstance(f.type, pa.JsonType))
            made = [_option("format", exp.var("csv")), _option("header", exp.convert(form.header is not False))]
            made += [_option("delimiter", form.delimiter or ","), _option("quote", form.quote or '"')]
            made += [
                _option("nullstr", form.null_values[0]),
                _option("compression", exp.var(form.compression or "none")),
            ]
            return [*made, _option("force_quote", _names(texts))] if texts else made
    assert_never(form)


def _run_copy(table: pa.Table, path: str, options: list[exp.CopyParameter], order: tuple[str, ...]) -> None:
    query = exp.select("*").from_(exp.to_identifier("delivered"))
    for name in order:
        query = query.order_by(exp.column(exp.to_identifier(name, quoted=True)))
    copy = exp.Copy(this=query.subquery(), kind=False, files=[exp.Literal.string(path)], params=options)
    with closing(_connection()) as connection:
        connection.register("delivered", table)
        connection.execute(copy.sql("duckdb"))


def _copy(table: pa.Table, target: FileTarget) -> None:
    form = target.format
    options = _options(form, table)
    order = form.sort_by if isinstance(form, ParquetFormat) else ()
    if target.partition_by:
        options.append(_option("partition_by", _names(target.partition_by)))
        options.append(_option("write_partition_columns", exp.convert(target.partition_columns_in_files)))
        if table.num_rows:
            _run_copy(table, str(target.folder / "."), [*options, _option("overwrite_or_ignore", exp.true())], order)
        return
    _run_copy(table, str(target.folder / (target.single or "part-0")), options, order)


def _pour(table: pa.Table, writer: PipeWriter) -> None:
    write_end = writer.open()
    try:
        _run_copy(table, f"/dev/fd/{write_end}", _options(writer.format, table), ())
    finally:
        os.close(write_end)


# ---------------------------------------------------------------- reading


def pull(rows: Rows) -> tuple[pa.Table, int]:
    """All rows of a scan as one table, and how many records it rejected."""
    match rows:
        case Batches():
            return _drain(rows)
        case Files():
            with closing(_connection()) as connection:
                return _read_files(connection, rows), 0
        case Pipe():
            return _read_pipe(rows), 0
    assert_never(rows)


def _drain(rows: Batches) -> tuple[pa.Table, int]:
    chunks = list(rows.open())
    rejected = sum(chunk.rejects.num_rows for chunk in chunks if chunk.rejects is not None)
    from penstock.types import to_arrow

    schema = to_arrow(rows.schema)
    for chunk in chunks:
        assert chunk.batch.schema.names == schema.names, "a batch has other columns than the scan said"
    return pa.Table.from_batches([chunk.batch for chunk in chunks], schema=None if chunks else schema), rejected


def _reader(rows: Files | Pipe, paths: list[str]) -> exp.Expr:
    from penstock.types import to_duckdb

    form = rows.format
    listed = exp.Array(expressions=[exp.Literal.string(path) for path in paths])
    if isinstance(form, ParquetFormat):
        return exp.Anonymous(this="read_parquet", expressions=[listed, *_arguments(union_by_name=exp.true())])
    columns = exp.Struct(
        expressions=[
            exp.PropertyEQ(
                this=exp.to_identifier(f.name, quoted=True), expression=exp.Literal.string(to_duckdb(f.type))
            )
            for f in rows.schema
        ]
    )
    if isinstance(form, JsonFormat):
        layout = exp.Literal.string("newline_delimited" if form.layout == "lines" else "array")
        given = _arguments(columns=columns, format=layout)
        return exp.Anonymous(this="read_json", expressions=[listed, *given])
    given = _arguments(
        columns=columns,
        header=exp.convert(bool(form.header)),
        delim=exp.Literal.string(form.delimiter or ","),
        quote=exp.Literal.string(form.quote or '"'),
        nullstr=exp.Array(expressions=[exp.Literal.string(text) for text in form.null_values]),
        auto_detect=exp.false(),
    )
    return exp.Anonymous(this="read_csv", expressions=[listed, *given])


def _arguments(**given: exp.Expr) -> list[exp.Expr]:
    return [exp.EQ(this=exp.to_identifier(name), expression=value) for name, value in given.items()]


def _read_files(connection: duckdb.DuckDBPyConnection, rows: Files | Pipe, paths: list[str] | None = None) -> Any:
    listed = list(rows.paths) if isinstance(rows, Files) else paths or []
    columns = [exp.column(exp.to_identifier(field.name, quoted=True)) for field in rows.schema]
    query = exp.select(*columns).from_(exp.Table(this=_reader(rows, listed)))
    return connection.sql(query.sql("duckdb")).to_arrow_table()


def _read_pipe(rows: Pipe) -> pa.Table:
    ends = rows.open()
    try:
        with closing(_connection()) as connection:
            table = _read_files(connection, rows, [f"/dev/fd/{end}" for end in ends])
    finally:
        for end in ends:
            os.close(end)
    rows.finish()
    return table
