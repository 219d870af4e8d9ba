"""CSV with bad records, one file at a time: every value is read as text and looked at; DuckDB stores what is malformed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.engines.duckdb.careful import reject_rows, values
from penstock.engines.duckdb.careful.csv_records import REJECT_TABLES, Located
from penstock.engines.duckdb.careful.line_breaks import Prepared, bytes_at, places_in_file, prepared
from penstock.engines.duckdb.errors import batches_of
from penstock.engines.duckdb.readers import CsvPart, csv_reader, held_columns, layout_of, selected, spelling_of
from penstock.faithful import Reading, textual
from penstock.structs import Frozen, replace
from penstock.trees import call, column, drop_table, field_of, identifier, struct, text_of
from penstock.types import STRING
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import CsvFormat, Files, Origin
    from penstock.engines.duckdb.careful.workspace import Workspace

BATCH_ROWS: Final = 100_000
_ROW: Final = "__row"
_CAUSES: Final = "__causes"
_RECORD: Final = "__record"
_TEXTS: Final = "texts"  # of records that are no text: what stands in the file
_MOVED: Final = "moved"  # of a copy: where its bad records begin, and where they do in the file
_UNDECODABLE: Final = "bad_encoding"
# DuckDB's word for what is wrong, ours, and what a person reads.
_MALFORMED: Final[tuple[tuple[str, str, str], ...]] = (
    ("MISSING COLUMNS", "too_few_columns", "the record has fewer columns than the file"),
    ("TOO MANY COLUMNS", "too_many_columns", "the record has more columns than the file"),
    ("UNQUOTED VALUE", "bad_quote", "a quote is not closed, or text follows it"),
    ("LINE SIZE OVER MAXIMUM", "record_too_long", "the record is longer than 2,000,000 bytes, which are kept"),
    ("INVALID ENCODING", _UNDECODABLE, "the record holds bytes that are no text in its encoding"),
)


def read_csv(
    files: Files, given: CsvFormat, *, path: str, workspace: Workspace
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """Batches of rows, then the rejects, in the order of their records, with empty batches."""
    import pyarrow as pa

    from penstock.types.conform import conform

    ready = prepared(path, given, workspace.scratch)
    one = replace(files, paths=(ready.path,), constants={ready.path: files.constants.get(path, {})})
    form = given if ready.path == path else replace(given, compression="none")
    task = _Task(one, form, layout_of(files, path), files.origin(path), ready)
    schema, database = files.schema.relaxed(), workspace.database
    bad = Located(workspace, form, ready, columns=len(task.layout))
    for batch in batches_of(database.sql(task.rows().sql(dialect="duckdb")), BATCH_ROWS):
        yield conform(bad.taken_from(batch).rename_columns(schema.names), schema), None
    bad.locate()
    if ready.fed:
        starts = [int(row[0]) for row in database.sql(task.starts().sql(dialect="duckdb")).fetchall()]
        own = places_in_file(path, given, ready, starts)
        database.register(_MOVED, pa.table({"start": pa.array(starts, pa.int64()), "own": pa.array(own, pa.int64())}))
    database.register(_TEXTS, _texts(task, database))
    empty = reject_rows.no_rows(schema)
    for rejects in reject_rows.collect(database, task.rejected()):
        yield empty, rejects
    bad.close()
    for table in REJECT_TABLES:
        database.execute(drop_table(table).sql(dialect="duckdb"))
    database.unregister(_TEXTS)
    if ready.fed:
        database.unregister(_MOVED)


def _texts(task: _Task, database: duckdb.DuckDBPyConnection) -> pa.Table:
    """By line, the bytes of records that are no text: DuckDB has a question mark for each, and for what follows them."""
    import pyarrow as pa

    found = database.sql(task.undecodable().sql(dialect="duckdb")).fetchall()
    places = [(int(start), int(length)) for _, start, length in found]
    parts = bytes_at(task.ready, task.form, places)
    lines = pa.array([line for line, _, _ in found], pa.uint64())
    return pa.table({"line": lines, "text": pa.array([reject_rows.legible(part) for part in parts], pa.string())})


class _Task(Frozen, dict=True):
    """One file, and the statements over it."""

    files: Files
    form: CsvFormat
    layout: tuple[str, ...]
    origin: Origin
    ready: Prepared

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        spelling = spelling_of(self.form)
        held = held_columns(self.files, self.ready.path, self.layout)
        return {item.name: textual(item.type, spelling) for item in held}

    def rows(self) -> exp.Select:
        """The columns of the schema, as ``p0, p1, …``, the row's number, from 1, why it is bad, and its texts by column (JSON),
        both null where it is not.
        """
        places = [f"c{self.layout.index(name)}" for name in self._readings]
        tests = values.tests_of(self._readings)
        held: dict[str, exp.Expr] = {}
        for place, name in enumerate(self._readings):
            value: exp.Expr = values.value_of(place)
            if self.files.bad_values == "null" and name in tests:
                value = exp.Case().when(tests[name].copy(), exp.null()).else_(value)
            held[name] = value
        reasons: exp.Expr = exp.null()
        record: exp.Expr = reject_rows.null_text()
        if self.files.bad_values != "null" and tests:
            shown = {name: column(place) for name, place in zip(self._readings, places, strict=True)}
            listed = values.listed(values.causes(self._readings, tests, shown))
            is_bad = values.any_of(list(tests.values()))
            record = exp.Case().when(is_bad.copy(), text_of(call("to_json", struct(shown))))
            reasons = exp.Case().when(is_bad, listed)
        found = selected(self.files, self.files.paths, held)
        columns = [exp.alias_(item.this, f"p{place}") for place, item in enumerate(found)]
        texts = {name: self._text(place, name) for name, place in zip(self._readings, places, strict=True)}
        looked = values.looked_at(self._numbered(), self._readings, texts=texts, keep=[_ROW, *places])
        why = (exp.alias_(reasons, identifier(_CAUSES)), exp.alias_(record, identifier(_RECORD)))
        return exp.select(*columns, column(_ROW), *why).from_(looked)

    def _text(self, place: str, name: str) -> exp.Expr:
        held = self._readings[name].held
        return column(place) if held == STRING else exp.TryCast(this=column(place), to=to_duckdb(held))

    def _numbered(self) -> exp.Subquery:
        types = {f"c{place}": STRING for place in range(len(self.layout))}
        call = csv_reader(CsvPart((self.ready.path,), self.layout, rejects=True, fed=self.ready.fed), self.form, types)
        # Both are counted while the rows come, without keeping them.
        spec = exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW")
        given = exp.Window(this=exp.Count(this=column("c0")), spec=spec)
        number = given if len(types) == 1 else exp.Window(this=exp.RowNumber())
        return exp.select("*", exp.alias_(number, identifier(_ROW))).from_(call).subquery("__numbered")

    def rejected(self) -> exp.Select:
        """The rejects, in the order of their records."""
        start = column("start")
        moved = exp.Add(this=start.copy(), expression=exp.Literal.number(self.ready.mark))
        own = column("own") if self.ready.fed else moved
        place = reject_rows.position(self.origin, column("line"), own)
        raw = call("coalesce", column("text"), self._raw(start))
        causes = _with_lines(column("causes"), raw)
        query = reject_rows.reject_query(place, raw, causes, row=column("record")).from_(self._found())
        query = query.join(_TEXTS, using="line", join_type="left")
        return (query.join(_MOVED, using="start") if self.ready.fed else query).order_by(column("line"))

    def starts(self) -> exp.Select:
        """Where the rejected records begin in what is read, from 0, ascending."""
        return exp.select("start").distinct().from_(self._found()).order_by("start")

    def undecodable(self) -> exp.Select:
        """Of the records that are no text, in their order: line, first byte (from 0) and length."""
        codes = exp.Lambda(this=field_of(column("cause"), "code"), expressions=[identifier("cause")])
        listed = call("list_transform", column("causes"), codes)
        is_one = call("list_contains", listed, exp.Literal.string(_UNDECODABLE))
        found = exp.select("line", "start", call("strlen", column("raw"))).from_(self._found())
        return found.where(is_one).order_by("line")

    def _found(self) -> exp.Subquery:
        """What DuckDB rejected, one row per record however many causes it has, and the bad rows."""
        malformed = exp.select(
            column("line"),
            exp.alias_(_begin_of_record(), "byte"),
            exp.alias_(_without_breaks(_first("csv_line")), "raw"),
            exp.alias_(call("list_sort", call("list_distinct", exp.ArrayAgg(this=self._malformed()))), "causes"),
            exp.alias_(reject_rows.null_text(), "record"),
        ).from_(exp.to_identifier(REJECT_TABLES[0]))
        if self.ready.sentinel:
            is_own = exp.LTE(this=column("line_byte_position"), expression=exp.Literal.number(self.ready.size))
            malformed = malformed.where(is_own)
        malformed = malformed.group_by(column("line"))
        bad = exp.select("line", "byte", "raw", "causes", "record").from_(exp.to_identifier(Located.TABLE))
        both = exp.Union(this=malformed, expression=bad, distinct=False).subquery("found")
        start = exp.Sub(this=column("byte"), expression=exp.Literal.number(1))
        parts = ("line", exp.alias_(start, "start"), "raw", "causes", "record")
        return exp.select(*parts).from_(both).subquery("rejected")

    def _raw(self, start: exp.Expr) -> exp.Expr:
        """The record's text, without the part of the sentinel that a record takes in whose quote is not closed."""
        raw = column("raw")
        if not self.ready.sentinel:
            return raw
        end = exp.Add(this=exp.Paren(this=start.copy()), expression=call("strlen", raw))
        beyond = exp.GT(this=end, expression=exp.Literal.number(self.ready.size))
        kept = exp.Sub(this=exp.Literal.number(self.ready.size), expression=exp.Paren(this=start.copy()))
        own = call("decode", call("array_slice", call("encode", raw.copy()), exp.Literal.number(1), kept))
        return exp.Case().when(beyond, own).else_(raw.copy())

    def _malformed(self) -> exp.Expr:
        """The cause of one error that DuckDB stored, with the column's own name, by its place."""
        kind = column("error_type")
        code, message = exp.Case(), exp.Case()
        for theirs, ours, words in _MALFORMED:
            code = code.when(exp.EQ(this=kind, expression=exp.Literal.string(theirs)), exp.Literal.string(ours))
            message = message.when(exp.EQ(this=kind, expression=exp.Literal.string(theirs)), exp.Literal.string(words))
        names = exp.Array(expressions=[exp.Literal.string(name) for name in self.layout])
        at = exp.Cast(this=column("column_idx"), to=exp.DataType.build("bigint", dialect="duckdb"))
        blames = exp.In(
            this=column("error_type"),
            expressions=[exp.Literal.string("INVALID ENCODING"), exp.Literal.string("UNQUOTED VALUE")],
        )
        name = exp.Case().when(blames, call("list_extract", names, at)).else_(reject_rows.null_text())
        return reject_rows.cause(code.else_(exp.Literal.string("malformed")), name, message.else_(call("lower", kind)))


def _begin_of_record() -> exp.Expr:
    """Its byte, from 1. Where lines end in CR LF, DuckDB lets a record begin with the LF before it."""
    text = _first("csv_line")
    breaks = exp.Sub(this=call("strlen", text), expression=call("strlen", _without_breaks(text.copy())))
    return exp.Add(this=_first("line_byte_position"), expression=exp.Paren(this=breaks))


def _with_lines(causes: exp.Expr, record: exp.Expr) -> exp.Expr:
    """A quote that is not closed takes in lines, perhaps all to the end of the file: its cause says how many."""
    code, name, message = (field_of(column("cause"), part) for part in ("code", "column", "message"))
    said = call("concat", message, _lines_of(record))
    told = exp.Case().when(exp.EQ(this=code, expression=exp.Literal.string("bad_quote")), said).else_(message)
    each = exp.Lambda(this=reject_rows.cause(code, name, told), expressions=[identifier("cause")])
    return call("list_transform", causes, each)


def _lines_of(record: exp.Expr) -> exp.Expr:
    """Nothing of one line."""
    text = call("rtrim", record, exp.Literal.string("\r\n"))
    shorter = call("length", call("replace", text.copy(), exp.Literal.string("\n"), exp.Literal.string("")))
    breaks = exp.Paren(this=exp.Sub(this=call("length", text), expression=shorter))
    number = exp.Add(this=breaks.copy(), expression=exp.Literal.number(1))
    lines = call("format", exp.Literal.string("; what is kept of it has {:,} lines"), number)
    return exp.Case().when(exp.GT(this=breaks, expression=exp.Literal.number(0)), lines).else_(exp.Literal.string(""))


def _without_breaks(text: exp.Expr) -> exp.Expr:
    return call("ltrim", text, exp.Literal.string("\r\n"))


def _first(name: str) -> exp.Expr:
    return call("any_value", column(name))
