"""Files and pipes as queries over DuckDB's own readers: the fast way, which fails at the first bad record.

Whoever runs such a query and meets a DataError (``errors.classified``) starts the attempt again with
``careful.careful_files`` in place of the query: it delivers the same rows and names every record that is none.

Columns are read by their place under names of our own (``c0``, ``c1``, …), so that no name of a user's reaches a reader.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from sqlglot import exp

from penstock.connectors.api import COPY_TEXT, CsvFormat, Files, JsonFormat, ParquetFormat, Pipe
from penstock.engines.duckdb import copy_text
from penstock.faithful import ALTERED, UNCERTAIN, Reading, Spelling, fast, textual
from penstock.structs import Frozen, replace
from penstock.trees import (
    call,
    column,
    file_names,
    identifier,
    is_null,
    parquet_columns,
    struct,
    text_of,
    texts,
    union_all,
)
from penstock.types import STRING, Field
from penstock.types.duckdb import to_duckdb, to_duckdb_text
from penstock.types.logical import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from penstock.types import Schema
    from penstock.types.logical import LogicalType

Listed: TypeAlias = "Callable[[Sequence[str]], exp.Expr]"

# A read_csv over more files than twice the threads loses the last record of a file, without a word, where that record
# has a quote that is never closed (DuckDB 2.0, also without store_rejects).
FILES_PER_THREAD: Final = 2
MAX_CSV_BYTES: Final = 2_000_000  # DuckDB's own default for a record; more would cost memory per thread
MAX_JSON_BYTES: Final = 16 * 2**20
_SOURCE: Final = "__file"


def files_query(files: Files, *, threads: int = 1, by_text: bool = False, listed: Listed = file_names) -> exp.Query:
    """Exactly the columns of ``files.schema``, by name, order and type, every record of every file once. Pure.

    Fails, when it runs, at the first record or value that cannot be taken, and, unless ``by_text``, at the first value
    that cannot be told fast (:data:`faithful.UNCERTAIN`). ``threads``: how many the session has (a lower number is
    always right). ``listed``: how the query names files.
    """
    if not files.paths:
        return no_rows(files.schema)
    reading = textual if by_text else fast
    match files.format:
        case CsvFormat() as form:
            parts = [
                _csv_query(files, form, part=CsvPart(tuple(paths), layout, listed=listed), reading=reading)
                for layout, paths in _by_layout(files, most=FILES_PER_THREAD * threads)
            ]
            return union_all(parts)
        case JsonFormat() as form:
            # A read_json over several files in several threads loses errors, and with them records, most of the time
            # where a small file has a malformed line (DuckDB 2.0); over one file it does not.
            return union_all(
                [_json_query(files, form, path=path, reading=reading, listed=listed) for path in files.paths]
            )
        case ParquetFormat():
            return union_all([_parquet_query(part, listed) for part in _alike(files)])
        case _:
            assert_never(files.format)


def located(files: Files, name: str) -> Files:
    """With one column more, which says in JSON where a row comes from: its file, of Parquet also the row, from 1; or what the
    file itself says of it (``Files.position``).
    """
    schema = files.schema.with_fields([*files.schema, Field(name, STRING)])
    if files.position == name:
        return replace(files, schema=schema)
    constants = {
        path: {
            **files.constants.get(path, {}),
            name: exp.Literal.string(json.dumps({"file": files.origin(path).name}, ensure_ascii=False)),
        }
        for path in files.paths
    }
    return replace(files, schema=schema, constants=constants, position=name)


def pipe_query(pipe: Pipe, descriptors: Sequence[int], *, unchecked: bool = False) -> exp.Query:
    """The rows of all descriptors, one reader each: a pipe can neither be sought in nor read twice. A database writes its
    own types, so values are taken as they come; ``unchecked``: as ``open_unchecked`` gives them.
    """
    if not descriptors:
        return no_rows(pipe.schema)
    part = _unchecked_part if unchecked else _pipe_part
    return union_all([part(f"/dev/fd/{descriptor}", pipe) for descriptor in descriptors])


def _pipe_part(path: str, pipe: Pipe) -> exp.Select:
    form = replace(pipe.format, header=bool(pipe.format.header))
    types = {f"c{place}": item.type for place, item in enumerate(pipe.schema)}
    chosen = [exp.alias_(column(place), identifier(name)) for place, name in zip(types, pipe.schema.names, strict=True)]
    call = csv_reader(CsvPart((path,), pipe.schema.names), form, types)
    return _every_value_read(exp.select(*chosen).from_(call), list(types))


def _unchecked_part(path: str, pipe: Pipe) -> exp.Select:
    types = copy_text.held(pipe.schema)
    values = [
        exp.alias_(copy_text.value(place, item.type), identifier(item.name)) for place, item in enumerate(pipe.schema)
    ]
    call = csv_reader(CsvPart((path,), tuple(types)), COPY_TEXT, types)
    query = exp.select(*values).from_(call)
    finite = copy_text.are_finite(pipe.schema)
    if finite is not None:
        query = query.where(finite, copy=False)
    return _every_value_read(query, [name for name in types if name != copy_text.FILLER])


# ---------------------------------------------------------------- parts of all readers


def no_rows(schema: Schema) -> exp.Select:
    """The columns of the schema, and nothing in them."""
    nulls = [exp.alias_(exp.Cast(this=exp.null(), to=to_duckdb(item.type)), identifier(item.name)) for item in schema]
    return exp.select(*nulls).where(exp.false())


def option(name: str, value: exp.Expr | str | bool | int) -> exp.EQ:  # noqa: FBT001 -- an option's value
    """``name = value`` among a table function's arguments."""
    tree = value if isinstance(value, exp.Expr) else exp.convert(value)
    return exp.EQ(this=exp.to_identifier(name), expression=tree)


def typed(columns: Mapping[str, LogicalType]) -> exp.Struct:
    """``{'name': 'TYPE', …}``, as the readers take columns."""
    return struct({name: exp.Literal.string(to_duckdb_text(kind)) for name, kind in columns.items()})


def reader(name: str, paths: Sequence[str], options: Sequence[exp.Expr], listed: Listed = file_names) -> exp.Table:
    table = call(name, listed(paths), *options, option("hive_partitioning", False))
    return exp.Table(this=table, alias=exp.TableAlias(this=identifier(_SOURCE)))


def _constant(files: Files, paths: Sequence[str], *, name: str, kind: LogicalType) -> exp.Expr | None:
    """The value of a column that no file holds: one literal, or one per file, chosen by the file's place in the list."""
    values = [files.constants.get(path, {}).get(name) for path in paths]
    if all(value is None for value in values):
        return None
    trees = [exp.Cast(this=(value or exp.null()).copy(), to=to_duckdb(kind)) for value in values]
    if all(tree == trees[0] for tree in trees):
        return trees[0]
    place = exp.Cast(this=exp.Add(this=exp.column("file_index"), expression=exp.Literal.number(1)), to=_bigint())
    return call("list_extract", exp.Array(expressions=trees), place)


def _bigint() -> exp.DataType:
    return exp.DataType.build("bigint", dialect="duckdb")


def selected(files: Files, paths: Sequence[str], held: Mapping[str, exp.Expr]) -> list[exp.Expr]:
    """Every column of the schema: what the file holds, else its constant, else null."""
    chosen: list[exp.Expr] = []
    for item in files.schema:
        value = _constant(files, paths, name=item.name, kind=item.type) or held.get(item.name)
        held_or_null = value or exp.Cast(this=exp.null(), to=to_duckdb(item.type))
        chosen.append(exp.alias_(held_or_null, identifier(item.name), copy=False))
    return chosen


def _every_value_read(query: exp.Select, places: Sequence[str]) -> exp.Select:
    """Columns that nobody uses are read all the same, so that a bad value is found whatever the statement above asks
    for: ``vector_type`` needs the column and costs nothing per row.
    """
    touched = [call("vector_type", column(place)) for place in places]
    tests = [exp.NEQ(this=used, expression=exp.Literal.string("")) for used in touched]
    return query.where(exp.and_(*tests, copy=False), copy=False) if tests else query


def _faithful(
    files: Files, paths: Sequence[str], *, table: exp.Table, readings: Mapping[str, Reading], held: Mapping[str, str]
) -> exp.Select:
    """The columns of the schema over a reader's, ``held`` being their names there; fails at a value that is not what the
    file says. Their texts are at hand below the filter alone.
    """
    values: dict[str, exp.Expr] = {}
    texts: list[exp.Expr] = []
    untested: list[str] = []
    doubts: dict[bool, list[exp.Expr]] = {False: [], True: []}
    for place, (name, reading) in enumerate(readings.items()):
        text = reading.text(column(held[name]))
        values[name] = reading.value(text)
        value = f"v{files.schema.index(name)}"
        differs = reading.differs(column(f"t{place}"), column(value))
        if differs is None:
            untested.append(value)
        else:
            texts.append(exp.alias_(text.copy(), f"t{place}", copy=False))
            doubts[reading.is_certain].append(differs)
    chosen = selected(files, paths, values)
    named = [exp.alias_(item.this, f"v{place}", copy=False) for place, item in enumerate(chosen)]
    inner = exp.select(*named, *texts, copy=False).from_(table, copy=False)
    names = enumerate(files.schema.names)
    outer = [exp.alias_(column(f"v{place}"), identifier(name), copy=False) for place, name in names]
    query = exp.select(*outer, copy=False).from_(inner.subquery("__read", copy=False), copy=False)
    if readings and isinstance(files.format, JsonFormat):  # as which the reader takes a line that says null
        nulls = [is_null(column(f"v{files.schema.index(name)}")) for name in readings]
        doubts[True].append(exp.and_(*nulls, copy=False))
    tests = exp.Case()
    for is_certain, word in ((False, UNCERTAIN), (True, ALTERED)):
        if doubts[is_certain]:
            failure = call("error", exp.Literal.string(word))
            failing = exp.Cast(this=failure, to=exp.DataType.build("boolean"))
            tests = tests.when(exp.or_(*doubts[is_certain], copy=False), failing, copy=False)
    if tests.args.get("ifs"):
        query = query.where(tests.else_(exp.true()), copy=False)
    if files.bad_values == "null":
        return query
    return _every_value_read(query, untested)


# ---------------------------------------------------------------- csv


class CsvPart(Frozen):
    """Files that have the same columns in the same order. ``rejects`` collects what is malformed instead of failing.
    ``fed``: every record is known to end in LF. DuckDB takes the first break of the file for that of all records, even
    where it stands within quotes. ``listed``: how the query names them.
    """

    paths: tuple[str, ...]
    layout: tuple[str, ...]
    rejects: bool = False
    fed: bool = False
    listed: Listed = file_names


def layout_of(files: Files, path: str) -> tuple[str, ...]:
    """The columns of a CSV file in their order."""
    given = files.layouts.get(path)
    if given is not None:
        return given
    constants = files.constants.get(path, {})
    return tuple(name for name in files.schema.names if name not in constants)


def held_columns(files: Files, path: str, layout: Sequence[str]) -> list[Field]:
    """The columns of the schema that come from such a file, in its order; a constant hides what the file has."""
    constants = files.constants.get(path, {})
    return [item for name in layout if name not in constants and (item := files.schema.get(name)) is not None]


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


def spelling_of(form: CsvFormat) -> Spelling:
    """How such files write values."""
    given = {Kind.DATE: form.date_format, Kind.TIMESTAMP: form.timestamp_format}
    patterns = {kind: pattern for kind, pattern in given.items() if pattern is not None}
    return Spelling(decimal_comma=form.decimal_separator == ",", patterns=patterns)


def _csv_query(
    files: Files, form: CsvFormat, *, part: CsvPart, reading: Callable[[LogicalType, Spelling], Reading]
) -> exp.Select:
    """The rows of files with one layout."""
    spelling = spelling_of(form)
    held = held_columns(files, part.paths[0], part.layout)
    readings = {item.name: reading(item.type, spelling) for item in held}
    places = {name: f"c{place}" for place, name in enumerate(part.layout)}
    types = {place: readings[name].held if name in readings else STRING for name, place in places.items()}
    return _faithful(files, part.paths, table=csv_reader(part, form, types), readings=readings, held=places)


def csv_reader(part: CsvPart, form: CsvFormat, types: Mapping[str, LogicalType]) -> exp.Table:
    """DuckDB's reader over the columns of the files by their place, under these names and as these types."""
    return reader("read_csv", part.paths, [option("columns", typed(types)), *_csv_options(form, part)], part.listed)


def _csv_options(form: CsvFormat, part: CsvPart) -> list[exp.Expr]:
    """Every option is given, none is guessed; ``new_line`` only where it is known: a wrong one loses all rows without a
    word.
    """
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
    if part.fed:
        options.append(option("new_line", r"\n"))
    if part.rejects:
        # In parallel, the rejects of a piece of 8 MB that holds no good record are lost, all but the first ones.
        options += [option("store_rejects", True), option("rejects_limit", 0), option("parallel", False)]
        options.append(option("rejects_line_size_limit", MAX_CSV_BYTES))
    return options


# ---------------------------------------------------------------- json


def _json_query(
    files: Files,
    form: JsonFormat,
    *,
    path: str,
    reading: Callable[[LogicalType, Spelling], Reading],
    listed: Listed,
) -> exp.Select:
    """Keys are matched by exact name; an absent key is null."""
    constants = files.constants.get(path, {})
    spelling = Spelling(is_json=True)
    readings = {item.name: reading(item.type, spelling) for item in files.schema if item.name not in constants}
    # A reader without a column takes none; this one is in no file.
    columns = option("columns", typed({name: item.held for name, item in readings.items()} or {"__none": STRING}))
    options = [
        columns,
        option("auto_detect", False),
        option("format", form.duckdb_format),
        option("compression", form.compression or "none"),
        option("maximum_object_size", MAX_JSON_BYTES),
    ]
    call = reader("read_json", (path,), options, listed)
    return _faithful(files, (path,), table=call, readings=readings, held={name: name for name in readings})


def json_structure(columns: Mapping[str, LogicalType]) -> str:
    """What ``json_transform`` takes as the structure of an object."""
    return json.dumps({name: to_duckdb_text(kind) for name, kind in columns.items()}, ensure_ascii=False)


# ---------------------------------------------------------------- parquet


def _alike(files: Files) -> list[Files]:
    """One reader for all files; one each where a column of the user's hides the number that tells them apart."""
    hidden = any(name.casefold() == "file_index" for name in files.schema.names)
    return [replace(files, paths=(path,)) for path in files.paths] if hidden and files.constants else [files]


def _parquet_query(files: Files, listed: Listed) -> exp.Select:
    """``union_by_name``: a column that a file lacks is null there, also where all of them lack it."""
    constants = {name for values in files.constants.values() for name in values}
    held = {item.name: item.type for item in files.schema if item.name not in constants}
    options: list[exp.Expr] = []
    if files.union_by_name and held:
        options.append(option("schema", parquet_columns(held, files.field_ids)))
    values: dict[str, exp.Expr] = {name: exp.Cast(this=column(name), to=to_duckdb(kind)) for name, kind in held.items()}
    chosen = selected(files, files.paths, values)
    if files.position is not None:
        chosen = [_with_row(item) if item.alias == files.position else item for item in chosen]
    return exp.select(*chosen).from_(reader("read_parquet", files.paths, options, listed))


def _with_row(place: exp.Expr) -> exp.Expr:
    """``{"file": …}`` with the row's number, from 1."""
    number = exp.Add(this=exp.column("file_row_number"), expression=exp.Literal.number(1))
    row = call("json_object", exp.Literal.string("row"), number)
    return exp.alias_(text_of(call("json_merge_patch", place.this, row)), identifier(place.alias))


__all__ = [
    "CsvPart",
    "Listed",
    "csv_reader",
    "files_query",
    "held_columns",
    "json_structure",
    "layout_of",
    "located",
    "no_rows",
    "pipe_query",
    "selected",
    "spelling_of",
]
