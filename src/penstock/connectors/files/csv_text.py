"""What is found out about CSV text before it is read: the delimiter, the names of the columns, their types."""

from __future__ import annotations

import csv
import io
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.database import open_database
from penstock.connectors.files.file_source import LONG
from penstock.errors import DataError
from penstock.faithful import is_mistaken
from penstock.structs import replace
from penstock.trees import call, is_not_null, matches
from penstock.types import BOOLEAN, DATE, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMPTZ
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from penstock.connectors.api import Allowance, CsvFormat
    from penstock.types.logical import LogicalType

_DELIMITERS: Final = (",", ";", "\t", "|")
_LOOKED_AT: Final = 50  # records, to find the delimiter
_MAX_FIELD: Final = 2**20


def first_records(text: str, form: CsvFormat, most: int = 1, *, strict: bool = False) -> list[list[str]]:
    """The first records after the skipped lines, without comments and empty lines, by Python's own reader; up to the
    first that is malformed.
    """
    stream = io.StringIO(text, newline="")
    for _ in range(form.skip_lines):
        stream.readline()
    quote = '"' if form.quote is None else form.quote
    escape = form.escape if form.escape not in (None, "", quote) else None
    limit = csv.field_size_limit(_MAX_FIELD * 4)
    records: list[list[str]] = []
    try:
        for record in csv.reader(
            stream,
            delimiter=form.delimiter or ",",
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
            escapechar=escape,
            doublequote=escape is None,
            strict=strict,
        ):
            if record and not (form.comment and record[0].startswith(form.comment)):
                records.append(record)
            if len(records) == most:
                break
    except csv.Error:
        return records
    finally:
        csv.field_size_limit(limit)
    return records


def without_comments(text: str, form: CsvFormat) -> str:
    """The text without the comments behind its skipped lines; a line within a quoted value is none."""
    if form.comment is None:
        return text
    kept: list[str] = []
    in_quotes = False
    for place, line in enumerate(io.StringIO(text, newline="")):
        if in_quotes or place < form.skip_lines or not line.startswith(form.comment):
            kept.append(line)
            in_quotes ^= place >= form.skip_lines and line.count(form.quote or "\0") % 2 == 1
    return "".join(kept)


def find_delimiter(text: str, form: CsvFormat) -> str:
    """The one that divides most of the first records into the same number of columns, and that more than one; the
    first where none does. None is a mark that the document gives another meaning.
    """
    candidates = [each for each in _DELIMITERS if each not in (form.quote, form.escape, form.comment)]
    best, score = candidates[0], (0, 0)
    for candidate in candidates:
        records = first_records(text, replace(form, delimiter=candidate), _LOOKED_AT, strict=True)
        counts = [len(record) for record in records]
        width = max(set(counts), key=counts.count, default=1)
        found = (counts.count(width), width)
        if width > 1 and found > score:
            best, score = candidate, found
    return best


_SHOWN: Final = 100  # characters of a name
_OWN_NAMES: Final = (
    "name all columns in their order under `columns`, and skip the header with skip_lines: 1, header: false"
)
_NO_TEXT: Final = "text with a character set of its own needs `encoding`; what is no text, another type of source"


def header_names(text: str, form: CsvFormat, file: str) -> tuple[str, ...]:
    """The names in the first record. Raises DataError SRC-136 where one is empty or stands there twice."""
    records = first_records(text, form)
    names = tuple(records[0]) if records else ()
    times = Counter(names)
    for name in names:
        if what := _objection(name, times[name]):
            raise DataError(
                "SRC-136",
                f'the header of "{file}" has {what}',
                detail=f"it reads {', '.join(map(repr, names))[:300]}",
                hint=_NO_TEXT if "\0" in name else _OWN_NAMES,
            )
    return names


def _objection(name: str, times: int) -> str | None:
    if not name.strip():
        return "a column without a name"
    if "\0" in name:
        return f"a NUL character in the column {name[:_SHOWN]!r}"
    return f"two columns named {name[:_SHOWN]!r}" if times > 1 else None


# ---------------------------------------------------------------- types

_NUMBER: Final = r"[+-]?(0|[1-9][0-9]*)"
_FLOAT: Final = r"[+-]?((0|[1-9][0-9]*)({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?"
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT: Final = _DAY + r"[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
_ZONE: Final = r" ?(Z|[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?)"


def _converts(text: exp.Expr, kind: str) -> exp.Expr:
    cast = exp.TryCast(this=text, to=exp.DataType.build(kind, dialect="duckdb"))
    return is_not_null(cast)


def _parses(column: exp.Expr, pattern: str) -> exp.Expr:
    moment = call("try_strptime", column.copy(), exp.Literal.string(pattern))
    return exp.and_(is_not_null(moment), exp.not_(is_mistaken(column, moment)))


def candidates(column: exp.Expr, form: CsvFormat) -> tuple[tuple[LogicalType, exp.Expr], ...]:
    """Types from the narrowest on, each with the test that a text must pass; whoever passes none is a string.

    A number with leading zeros is text (a postal code), and so is a whole one of more digits than a decimal keeps; dates
    count in ISO form or in the form that the document names.
    """
    point = r"\." if form.decimal_separator == "." else ","
    day = (
        _parses(column, form.date_format)
        if form.date_format
        else exp.and_(matches(column, _DAY), _converts(column.copy(), "date"))
    )
    moment = (
        _parses(column, form.timestamp_format)
        if form.timestamp_format
        else exp.and_(matches(column, _MOMENT), _converts(column.copy(), "timestamp"))
    )
    zoned = exp.and_(matches(column, _MOMENT + _ZONE), _converts(column.copy(), "timestamptz"))
    is_whole, is_kept = matches(column, _NUMBER), _converts(column.copy(), str(to_duckdb(LONG)))
    is_number = matches(column, _FLOAT.format(point=point))
    return (
        (BOOLEAN, matches(exp.Lower(this=column.copy()), "true|false")),
        (INT64, exp.and_(is_whole, _converts(column.copy(), "bigint"))),
        (LONG, exp.and_(is_whole, is_kept)),
        (FLOAT64, exp.and_(is_number, exp.or_(exp.not_(is_whole), is_kept))),
        (DATE, day),
        (TIMESTAMP, moment),
        (TIMESTAMPTZ, zoned),
    )


def infer(rows: pa.Table, names: Sequence[str], *, form: CsvFormat, allowance: Allowance) -> dict[str, LogicalType]:
    """The types of the columns of a table of texts, by its columns' order; a column of nulls alone is not among them.

    The texts are looked at in one column: a statement of some tests per column takes seconds to plan where they are many.
    """
    tests = candidates(exp.column("text"), form)
    counts = [exp.Count(this=exp.column("text")), *(exp.CountIf(this=exp.and_(test)) for _, test in tests)]
    query = exp.select("place", *counts).from_("texts").group_by("place")
    with closing(open_database(allowance)) as database:
        database.register("texts", _stacked(rows))
        found = database.execute(query.sql(dialect="duckdb")).fetchall()
    types: dict[str, LogicalType] = {}
    for place, values, *passed in sorted(found):
        if values:
            kinds = (kind for (kind, _), count in zip(tests, passed, strict=True) if count == values)
            types[names[place]] = next(kinds, STRING)
    return types


def _stacked(rows: pa.Table) -> pa.Table:
    """All columns below each other: place of the column (from 0), text."""
    import pyarrow as pa

    places = [pa.repeat(pa.scalar(place, pa.int32()), rows.num_rows) for place in range(rows.num_columns)]
    texts = [chunk for column in rows.columns for chunk in column.chunks]
    return pa.table({"place": pa.concat_arrays(places), "text": pa.chunked_array(texts, pa.string()).combine_chunks()})
