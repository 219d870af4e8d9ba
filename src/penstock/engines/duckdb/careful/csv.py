"""CSV with bad records: DuckDB stores what it rejects, one file at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.careful import rejects as r
from penstock.engines.duckdb.careful.line_breaks import Prepared, prepared
from penstock.engines.duckdb.errors import batches_of
from penstock.engines.duckdb.readers import CsvPart, csv_query, layout_of
from penstock.graph.select import column

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from penstock.connectors.api import CsvFormat, Files
    from penstock.engines.duckdb.careful.workspace import Workspace

BATCH_ROWS: Final = 100_000
# DuckDB's word for what is wrong, ours, and what a person reads.
_CAUSES: Final[tuple[tuple[str, str, str], ...]] = (
    ("MISSING COLUMNS", "too_few_columns", "the record has fewer columns than the file"),
    ("TOO MANY COLUMNS", "too_many_columns", "the record has more columns than the file"),
    ("UNQUOTED VALUE", "bad_quote", "a quote is not closed, or text follows it"),
    ("LINE SIZE OVER MAXIMUM", "record_too_long", "the record is longer than 2,000,000 bytes"),
    ("INVALID ENCODING", "bad_encoding", "the record holds bytes that are no text in its encoding"),
)


def read_csv(
    files: Files, form: CsvFormat, path: str, workspace: Workspace
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """Batches of rows, then the rejects with empty batches."""
    from penstock.types.conform import conform

    layout = layout_of(files, path)
    origin = files.origins.get(path, path)
    ready = prepared(path, form, workspace.scratch)
    one = replace(files, paths=(ready.path,), constants={ready.path: files.constants.get(path, {})})
    if ready.path != path:
        form = replace(form, compression="none")
    part = CsvPart((ready.path,), layout, lenient=files.bad_values == "null", rejects=True)
    query = csv_query(one, form, part)
    database = workspace.database
    for batch in batches_of(database.sql(query.sql(dialect="duckdb")), BATCH_ROWS):
        yield conform(batch, files.schema.relaxed()), None
    empty = r.no_rows(files.schema.relaxed())
    for batch in r.collect(
        database, _rejected(files, layout, origin, ready, offsets=not ready.moved and path not in files.origins)
    ):
        yield empty, batch
    database.execute("DROP TABLE reject_errors")
    database.execute("DROP TABLE reject_scans")


def _rejected(files: Files, layout: tuple[str, ...], origin: str, ready: Prepared, *, offsets: bool) -> exp.Select:
    """One row per record that was rejected, however many causes it has."""
    begin = exp.Sub(this=_first("line_byte_position"), expression=exp.Literal.number(1))
    place = r.position(origin, column("line"), begin if offsets else None)
    causes = r.call("list_sort", r.call("list_distinct", exp.ArrayAgg(this=_cause(files, layout))))
    query = r.reject_query(place, _raw(begin, ready), causes).from_(exp.to_identifier("reject_errors"))
    if ready.sentinel:
        query = query.where(exp.LTE(this=column("line_byte_position"), expression=exp.Literal.number(ready.size)))
    return query.group_by(column("line")).order_by(column("line"))


def _raw(begin: exp.Expr, ready: Prepared) -> exp.Expr:
    """The record's text, without the part of the sentinel that a record takes in whose quote is not closed."""
    raw = _first("csv_line")
    if not ready.sentinel:
        return raw
    end = exp.Add(this=exp.Paren(this=begin.copy()), expression=r.call("strlen", raw))
    beyond = exp.GT(this=end, expression=exp.Literal.number(ready.size))
    kept = exp.Sub(this=exp.Literal.number(ready.size), expression=exp.Paren(this=begin.copy()))
    own = r.call("decode", r.call("array_slice", r.call("encode", raw.copy()), exp.Literal.number(1), kept))
    return exp.Case().when(beyond, own).else_(raw.copy())


def _first(name: str) -> exp.Expr:
    return r.call("any_value", column(name))


def _cause(files: Files, layout: tuple[str, ...]) -> exp.Expr:
    kind = column("error_type")
    code, message = exp.Case(), exp.Case()
    code = code.when(exp.EQ(this=kind, expression=r.text("CAST")), r.text("bad_value"))
    message = message.when(exp.EQ(this=kind, expression=r.text("CAST")), _bad_value(files, layout))
    for theirs, ours, words in _CAUSES:
        code = code.when(exp.EQ(this=kind, expression=r.text(theirs)), r.text(ours))
        message = message.when(exp.EQ(this=kind, expression=r.text(theirs)), r.text(words))
    code = code.else_(r.text("malformed"))
    message = message.else_(r.call("lower", kind))
    return r.cause(code, _name(layout), message)


def _name(layout: tuple[str, ...]) -> exp.Expr:
    """The column's own name, by its place."""
    names = exp.Array(expressions=[r.text(name) for name in layout])
    at = exp.Cast(this=column("column_idx"), to=exp.DataType.build("bigint", dialect="duckdb"))
    found = r.call("list_extract", names, at)
    blames = exp.In(
        this=column("error_type"), expressions=[r.text("CAST"), r.text("INVALID ENCODING"), r.text("UNQUOTED VALUE")]
    )
    return exp.Case().when(blames, found).else_(r.null_text())


def _bad_value(files: Files, layout: tuple[str, ...]) -> exp.Expr:
    """``"price" is no decimal(12,4): the value``."""
    kinds = [str(item.type) if (item := files.schema.get(name)) else "string" for name in layout]
    at = exp.Cast(this=column("column_idx"), to=exp.DataType.build("bigint", dialect="duckdb"))
    heads = exp.Array(
        expressions=[r.text(f'"{name}" is no {kind}: ') for name, kind in zip(layout, kinds, strict=True)]
    )
    value = r.call(
        "regexp_extract",
        column("error_message"),
        r.text('Could not convert string "(.*)" to '),
        exp.Literal.number(1),
        r.text("s"),
    )
    return r.call("concat", r.call("list_extract", heads, at), r.shown(value))
