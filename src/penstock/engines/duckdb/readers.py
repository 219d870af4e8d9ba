"""Files and pipes as queries over DuckDB's own readers: the fast way, which fails at the first bad record.

Whoever runs such a query and sees :func:`is_bad_data` starts the attempt again with ``careful.careful_files`` in place
of the query: it delivers the same rows and names every record that is none.

Columns are read by their place under names of our own (``c0``, ``c1``, …), so that no name of a user's reaches a reader.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.connectors.api import CsvFormat, Files, JsonFormat, ParquetFormat, Pipe
from penstock.graph.select import column, identifier
from penstock.types import STRING
from penstock.types.duckdb import to_duckdb, to_duckdb_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

    from penstock.types import Schema
    from penstock.types.logical import LogicalType

# A read_csv over more files than twice the threads loses the last record of a file, without a word, where that record
# has a quote that is never closed (DuckDB 2.0, also without store_rejects).
FILES_PER_THREAD: Final = 2
MAX_CSV_BYTES: Final = 2_000_000  # DuckDB's own default for a record; more would cost memory per thread
MAX_JSON_BYTES: Final = 16 * 2**20
_SOURCE: Final = "__file"
_BAD_DATA: Final = (
    "CSV Error on Line",
    "CSV Parser state machine",
    "JSON transform error",
    "Malformed JSON",
    "maximum_object_size",
    "exceeded the maximum",
    "Could not convert",
    "not utf-8 encoded",
)


def files_query(files: Files, *, threads: int = 1) -> exp.Query:
    """Exactly the columns of ``files.schema``, by name, order and type, every record of every file once. Pure.

    Fails, when it runs, at the first record or value that cannot be taken. ``threads``: how many the session has (a
    lower number is always right).
    """
    if not files.paths:
        return _no_rows(files.schema)
    match files.format:
        case CsvFormat() as form:
            parts = [
                csv_query(files, form, CsvPart(tuple(paths), layout))
                for layout, paths in _by_layout(files, most=FILES_PER_THREAD * threads)
            ]
            return _union(parts)
        case JsonFormat() as form:
            # A read_json over several files in several threads loses errors, and with them records, most of the time
            # where a small file has a malformed line (DuckDB 2.0); over one file it does not.
            return _union([_json_query(files, form, path) for path in files.paths])
        case ParquetFormat():
            return _union([_parquet_query(part) for part in _alike(files)])
        case _:
            assert_never(files.format)


def pipe_query(pipe: Pipe, descriptors: Sequence[int]) -> exp.Query:
    """The rows of all descriptors, one reader each: a pipe can neither be sought in nor read twice. As ``files_query``."""
    paths = tuple(f"/dev/fd/{descriptor}" for descriptor in descriptors)
    files = Files(replace(pipe.format, header=bool(pipe.format.header)), paths, pipe.schema)
    parts = [csv_query(files, pipe.format, CsvPart((path,), pipe.schema.names)) for path in paths]
    return _union(parts) if parts else _no_rows(pipe.schema)


def is_bad_data(error: duckdb.Error) -> bool:
    """Whether a careful read may be the answer to this error of a statement that holds a ``files_query``.

    True also for some failures of a user's own expressions, which then fail again in the second attempt.
    """
    text = str(error)
    return any(words in text for words in _BAD_DATA)


# ---------------------------------------------------------------- parts of all readers


def _no_rows(schema: Schema) -> exp.Select:
    nulls = [exp.alias_(exp.Cast(this=exp.null(), to=to_duckdb(item.type)), identifier(item.name)) for item in schema]
    return exp.select(*nulls).where(exp.false())


def _union(parts: Sequence[exp.Query]) -> exp.Query:
    """UNION ALL as a balanced tree: a chain of a thousand would be a thousand levels deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return exp.Union(this=_union(parts[:middle]), expression=_union(parts[middle:]), distinct=False)


def option(name: str, value: exp.Expr | str | bool | int) -> exp.EQ:  # noqa: FBT001 -- an option's value
    """``name = value`` among a table function's arguments."""
    tree = value if isinstance(value, exp.Expr) else exp.convert(value)
    return exp.EQ(this=exp.to_identifier(name), expression=tree)


def literal_path(path: str) -> str:
    """The path as a pattern that matches itself alone: the readers take every path for a pattern."""
    if not any(mark in path for mark in "*?["):
        return path
    marks = {"*": "[*]", "?": "[?]", "[": "[[]", "\\": "\\\\"}
    return "".join(marks.get(character, character) for character in path)


def texts(values: Sequence[str]) -> exp.Array:
    return exp.Array(expressions=[exp.Literal.string(value) for value in values])


def typed(columns: Mapping[str, LogicalType]) -> exp.Struct:
    """``{'name': 'TYPE', …}``, as the readers take columns."""
    return exp.Struct(
        expressions=[
            exp.PropertyEQ(this=identifier(name), expression=exp.Literal.string(to_duckdb_text(kind)))
            for name, kind in columns.items()
        ]
    )


def reader(name: str, paths: Sequence[str], options: Sequence[exp.Expr]) -> exp.Table:
    listed = texts([literal_path(path) for path in paths])
    call = exp.Anonymous(this=name, expressions=[listed, *options, option("hive_partitioning", False)])
    return exp.Table(this=call, alias=exp.TableAlias(this=identifier(_SOURCE)))


def _constant(files: Files, paths: Sequence[str], name: str, kind: LogicalType) -> exp.Expr | None:
    """The value of a column that no file holds: one literal, or one per file, chosen by the file's place in the list."""
    values = [files.constants.get(path, {}).get(name) for path in paths]
    if all(value is None for value in values):
        return None
    trees = [exp.Cast(this=(value or exp.null()).copy(), to=to_duckdb(kind)) for value in values]
    if all(tree == trees[0] for tree in trees):
        return trees[0]
    place = exp.Cast(this=exp.Add(this=exp.column("file_index"), expression=exp.Literal.number(1)), to=_bigint())
    return exp.Anonymous(this="list_extract", expressions=[exp.Array(expressions=trees), place])


def _bigint() -> exp.DataType:
    return exp.DataType.build("bigint", dialect="duckdb")


def _selected(files: Files, paths: Sequence[str], held: Mapping[str, exp.Expr]) -> list[exp.Expr]:
    """Every column of the schema: what the file holds, else its constant, else null."""
    chosen: list[exp.Expr] = []
    for item in files.schema:
        value = _constant(files, paths, item.name, item.type) or held.get(item.name)
        chosen.append(exp.alias_(value or exp.Cast(this=exp.null(), to=to_duckdb(item.type)), identifier(item.name)))
    return chosen


def _every_value_read(query: exp.Select, files: Files, places: Sequence[str]) -> exp.Select:
    """Columns that nobody uses are read all the same, so that a bad value is found whatever the statement above asks
    for: ``vector_type`` needs the column and costs nothing per row.
    """
    if files.bad_values == "null" or not places:
        return query
    touched = [exp.Anonymous(this="vector_type", expressions=[column(place)]) for place in places]
    return query.where(*[exp.NEQ(this=call, expression=exp.Literal.string("")) for call in touched], copy=False)


# ---------------------------------------------------------------- csv


@dataclass(frozen=True, slots=True)
class CsvPart:
    """Files that have the same columns in the same order. ``lenient`` reads text and makes null of what does not
    convert; ``rejects`` collects what is malformed (and, unless lenient, what does not convert) instead of failing.
    """

    paths: tuple[str, ...]
    layout: tuple[str, ...]
    lenient: bool = False
    rejects: bool = False


def layout_of(files: Files, path: str) -> tuple[str, ...]:
    """The columns of a CSV file in their order."""
    given = files.layouts.get(path)
    if given is not None:
        return given
    constants = files.constants.get(path, {})
    return tuple(name for name in files.schema.names if name not in constants)


def _by_layout(files: Files, most: int) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Neighbours with the same columns, at most that many at a time."""
    current: list[str] = []
    layout: tuple[str, ...] = ()
    for path in files.paths:
        own = layout_of(files, path)
        if current and (own != layout or len(current) == most):
            yield layout, current
            current = []
        layout = own
        current.append(path)
    if current:
        yield layout, current


def csv_query(files: Files, form: CsvFormat, part: CsvPart) -> exp.Select:
    """The rows of files with one layout."""
    wanted = {item.name: item.type for item in files.schema}
    places = {name: f"c{place}" for place, name in enumerate(part.layout)}
    types = {place: STRING if part.lenient or name not in wanted else wanted[name] for name, place in places.items()}
    held = {name: _csv_value(form, place, wanted[name], part) for name, place in places.items() if name in wanted}
    call = reader("read_csv", part.paths, [option("columns", typed(types)), *_csv_options(form, part)])
    query = exp.select(*_selected(files, part.paths, held)).from_(call)
    return query if part.lenient else _every_value_read(query, files, [places[name] for name in held])


def _csv_value(form: CsvFormat, place: str, kind: LogicalType, part: CsvPart) -> exp.Expr:
    text: exp.Expr = column(place)
    if not part.lenient or kind == STRING:
        return text
    pattern = {"date": form.date_format, "timestamp": form.timestamp_format}.get(str(kind))
    if pattern is not None:
        text = exp.Anonymous(this="try_strptime", expressions=[text, exp.Literal.string(pattern)])
    if form.decimal_separator == "," and str(kind).startswith(("float", "decimal")):
        swapped = (exp.Literal.string(","), exp.Literal.string("."))
        plain = exp.Anonymous(this="replace", expressions=[text, *swapped])
        has_point = exp.Anonymous(this="contains", expressions=[text.copy(), exp.Literal.string(".")])
        text = exp.Case().when(exp.Not(this=has_point), plain)
    return exp.TryCast(this=text, to=to_duckdb(kind))


def _csv_options(form: CsvFormat, part: CsvPart) -> list[exp.Expr]:
    """Every option is given, none is guessed; not ``new_line``: a wrong one loses all rows without a word."""
    quote = '"' if form.quote is None else form.quote
    options: list[exp.Expr] = [
        option("auto_detect", False),
        option("header", form.header is not False),
        option("delim", form.delimiter or ","),
        option("quote", quote),
        option("escape", quote if form.escape is None else form.escape),
        option("nullstr", texts(form.null_values)),
        option("allow_quoted_nulls", form.quoted_nulls),
        option("skip", form.skip_lines),
        option("compression", form.compression or "none"),
        option("decimal_separator", form.decimal_separator),
        option("strict_mode", True),
        option("null_padding", False),
    ]
    if form.comment:
        options.append(option("comment", form.comment))
    if form.date_format and not part.lenient:
        options.append(option("dateformat", form.date_format))
    if form.timestamp_format and not part.lenient:
        options.append(option("timestampformat", form.timestamp_format))
    if part.rejects:
        # In parallel, the rejects of a piece of 8 MB that holds no good record are lost, all but the first ones.
        options += [option("store_rejects", True), option("rejects_limit", 0), option("parallel", False)]
        options.append(option("rejects_line_size_limit", MAX_CSV_BYTES))
    return options


# ---------------------------------------------------------------- json


def _json_query(files: Files, form: JsonFormat, path: str) -> exp.Select:
    """Keys are matched by exact name; an absent key is null."""
    constants = files.constants.get(path, {})
    held = {item.name: item.type for item in files.schema if item.name not in constants}
    # A reader without a column takes none; this one is in no file.
    columns = option("columns", typed(held or {"__none": STRING}))
    layout = {"lines": "newline_delimited", "array": "array", "values": "unstructured"}[form.layout]
    options = [
        columns,
        option("auto_detect", False),
        option("format", layout),
        option("compression", form.compression or "none"),
        option("maximum_object_size", MAX_JSON_BYTES),
    ]
    chosen = _selected(files, (path,), {name: column(name) for name in held})
    query = exp.select(*chosen).from_(reader("read_json", (path,), options))
    return _every_value_read(query, files, list(held))


def json_structure(columns: Mapping[str, LogicalType]) -> str:
    """What ``json_transform`` takes as the structure of an object."""
    return json.dumps({name: to_duckdb_text(kind) for name, kind in columns.items()}, ensure_ascii=False)


# ---------------------------------------------------------------- parquet


def _alike(files: Files) -> list[Files]:
    """One reader for all files; one each where a column of the user's hides the number that tells them apart."""
    hidden = any(name.casefold() == "file_index" for name in files.schema.names)
    return [replace(files, paths=(path,)) for path in files.paths] if hidden and files.constants else [files]


def _parquet_query(files: Files) -> exp.Select:
    """``union_by_name``: a column that a file lacks is null there, also where all of them lack it."""
    constants = {name for values in files.constants.values() for name in values}
    held = {item.name: item.type for item in files.schema if item.name not in constants}
    options: list[exp.Expr] = []
    if files.union_by_name and held:
        options.append(option("schema", _parquet_schema(held)))
    values: dict[str, exp.Expr] = {name: exp.Cast(this=column(name), to=to_duckdb(kind)) for name, kind in held.items()}
    chosen = _selected(files, files.paths, values)
    return exp.select(*chosen).from_(reader("read_parquet", files.paths, options))


def _parquet_schema(held: Mapping[str, LogicalType]) -> exp.Expr:
    """``MAP {'a': {name: 'a', type: 'BIGINT', default_value: NULL}, …}``: columns by name, absent ones null."""
    keys = texts(list(held))
    entries = [
        exp.Struct(
            expressions=[
                exp.PropertyEQ(this=identifier("name"), expression=exp.Literal.string(name)),
                exp.PropertyEQ(this=identifier("type"), expression=exp.Literal.string(to_duckdb_text(kind))),
                exp.PropertyEQ(this=identifier("default_value"), expression=exp.null()),
            ]
        )
        for name, kind in held.items()
    ]
    return exp.Anonymous(this="map", expressions=[keys, exp.Array(expressions=entries)])


__all__ = ["CsvPart", "csv_query", "files_query", "is_bad_data", "json_structure", "layout_of", "pipe_query"]
