"""DuckDB's own readers and writers of files, as an engine uses them, in the smallest form that serves the suites."""

from __future__ import annotations

import csv
import io
from contextlib import closing
from typing import TYPE_CHECKING, assert_never

import pyarrow as pa
from sqlglot import exp

from penstock import embedded
from penstock.connectors.api import CsvFormat, JsonFormat, ParquetFormat
from penstock.structs import Frozen
from penstock.trees import call, column, copy_option, field_ids, identifier, texts
from penstock.types.arrow import to_arrow
from penstock.types.duckdb import to_duckdb, to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import duckdb

    from penstock.connectors.api import FileFormat, Files


class Layout(Frozen):
    """A hive layout of several files."""

    partition_by: tuple[str, ...]
    extension: str
    in_files: bool


def connection() -> duckdb.DuckDBPyConnection:
    """A new embedded database in UTC."""
    return embedded.connect({"threads": 1})


# ---------------------------------------------------------------- writing


def _columns(names: tuple[str, ...]) -> exp.Tuple:
    return exp.Tuple(expressions=[column(name) for name in names])


def _options(form: FileFormat) -> list[exp.CopyParameter]:
    match form:
        case ParquetFormat():
            codec = {"auto": "zstd", "none": "uncompressed"}.get(form.compression, form.compression)
            version = exp.var(form.version.upper())
            ids = [copy_option("field_ids", field_ids(form.field_ids))] if form.field_ids else []
            return [
                copy_option("format", "parquet"),
                copy_option("parquet_version", version),
                copy_option("compression", codec),
                *ids,
            ]
        case JsonFormat():
            options = [copy_option("format", "json"), copy_option("compression", form.compression or "none")]
            return [*options, copy_option("array", True)] if form.layout == "array" else options
        case CsvFormat():
            return [
                copy_option("format", "csv"),
                copy_option("header", form.header is not False),
                copy_option("delimiter", form.delimiter or ","),
                copy_option("quote", form.quote or '"'),
                copy_option("escape", form.escape or form.quote or '"'),
                copy_option("nullstr", form.null_values[0]),
                copy_option("compression", form.compression or "none"),
            ]
    assert_never(form)


def copy(table: pa.Table, path: str, form: FileFormat, layout: Layout | None = None) -> dict[str, int] | None:
    """Write the table to a file, or below a folder where a layout is given.

    Rows by path; None where the engine does not tell (several files of a format other than Parquet).
    """
    counts = isinstance(form, ParquetFormat)
    options = [*_options(form), *([copy_option("return_stats", True)] if counts else [])]
    if layout is not None:
        options += [
            copy_option("partition_by", _columns(layout.partition_by)),
            copy_option("overwrite_or_ignore", True),
        ]
        options += [
            copy_option("write_partition_columns", layout.in_files),
            copy_option("file_extension", layout.extension),
        ]
    query = exp.select("*").from_(identifier("delivered"))
    for name in form.sort_by if isinstance(form, ParquetFormat) else ():
        query = query.order_by(column(name))
    statement = exp.Copy(this=query.subquery(), kind=False, files=[exp.Literal.string(path)], params=options)
    with closing(connection()) as database:
        database.register("delivered", table)
        written = database.execute(statement.sql("duckdb")).fetchall()
    if counts:
        return {str(row[0]): int(row[1]) for row in written}
    return {path: int(written[0][0])} if layout is None else None


# ---------------------------------------------------------------- reading


def read(files: Files, *, seekable: bool = True) -> pa.Table:
    """All rows of the files, in the schema's columns and types; no files, no rows."""
    if not files.paths:
        return to_arrow(files.schema).empty_table()
    with closing(connection()) as database:
        parts = [
            database.sql(_select(files, path, seekable=seekable).sql("duckdb")).to_arrow_table() for path in files.paths
        ]
    return pa.concat_tables(parts)


def _select(files: Files, path: str, *, seekable: bool) -> exp.Select:
    constants = files.constants.get(path, {})
    held = [name for name in _held(files, path, seekable=seekable) if name not in constants]
    null = exp.Null()
    values = {name: column(name) for name in held} | dict(constants)
    chosen = [
        exp.alias_(exp.cast(values.get(f.name, null).copy(), to_duckdb(f.type)), f.name, quoted=True)
        for f in files.schema
    ]
    return exp.select(*chosen).from_(exp.Table(this=_reader(files, path, held)))


def _held(files: Files, path: str, *, seekable: bool) -> Sequence[str]:
    """The columns that the file has, in its order where that matters."""
    given = files.layouts.get(path)
    match files.format:
        case ParquetFormat():
            return [name for name in _parquet_names(path) if name in files.schema]
        case CsvFormat() as form if given is None and form.header and seekable:
            return _header(form, path)
        case _:
            return given or files.schema.names


def _reader(files: Files, path: str, held: Sequence[str]) -> exp.Expr:
    listed = texts([path])
    types = {name: to_duckdb_text(files.schema[name].type) if name in files.schema else "VARCHAR" for name in held}
    match files.format:
        case ParquetFormat():
            return call("read_parquet", listed, hive_partitioning=exp.false())
        case JsonFormat() as form:
            return call(
                "read_json",
                listed,
                columns=_typed(types),
                format=exp.Literal.string(form.duckdb_format),
                compression=_codec(form.compression),
                maximum_object_size=exp.Literal.number(1 << 28),
                hive_partitioning=exp.false(),
            )
        case CsvFormat() as form:
            return call("read_csv", listed, **_csv(form, types))
    assert_never(files.format)


def _parquet_names(path: str) -> list[str]:
    import pyarrow.parquet as pq

    names: list[str] = pq.read_schema(path).names
    return names


def _codec(compression: str | None) -> exp.Expr:
    return exp.Literal.string(compression or "none")


def _typed(types: Mapping[str, str]) -> exp.Expr:
    pairs = [(identifier(name), exp.Literal.string(kind)) for name, kind in types.items()]
    return exp.Struct(expressions=[exp.PropertyEQ(this=name, expression=kind) for name, kind in pairs])


def _csv(form: CsvFormat, types: Mapping[str, str]) -> dict[str, exp.Expr]:
    return {
        "columns": _typed(types),
        "header": exp.convert(bool(form.header)),
        "delim": exp.Literal.string(form.delimiter or ","),
        "quote": exp.Literal.string(form.quote or '"'),
        "escape": exp.Literal.string(form.escape or form.quote or '"'),
        "nullstr": texts(form.null_values),
        "allow_quoted_nulls": exp.convert(form.quoted_nulls),
        "compression": _codec(form.compression),
        "max_line_size": exp.Literal.number(1 << 26),
        "auto_detect": exp.false(),
        "hive_partitioning": exp.false(),
    }


def _header(form: CsvFormat, path: str) -> list[str]:
    """The names in the file's first record."""
    with pa.OSFile(path) as file:
        stream = pa.CompressedInputStream(file, form.compression) if form.compression in ("gzip", "zstd") else file
        text = io.StringIO(stream.read().decode(), newline="")
    return next(csv.reader(text, delimiter=form.delimiter or ",", quotechar=form.quote or '"'))
