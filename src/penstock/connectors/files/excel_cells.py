"""The cells of a sheet as columns of the wanted types, a chunk of rows at a time; what a type cannot take is a bad value.

A cell is converted from its text, as text in a file of CSV is, with three differences: a number whose text the reader
has shortened is taken as the number itself, a day is a moment at midnight, and a time of day is a moment on the day that
Excel counts as none.
"""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Final, Literal

from sqlglot import exp

from penstock.connectors.api import REJECT_COLUMNS, Chunk
from penstock.connectors.database import open_database
from penstock.errors import DataError
from penstock.faithful import Spelling, textual
from penstock.structs import Frozen
from penstock.trees import call, is_not_null, matches, when
from penstock.types import (
    DATE,
    FLOAT32,
    FLOAT64,
    INT64,
    INTERVAL,
    STRING,
    TIME,
    TIMESTAMP,
    Decimal,
    Field,
    Kind,
    Primitive,
    Schema,
)
from penstock.types.duckdb import to_duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb
    import pyarrow as pa

    from penstock.connectors.api import Allowance, Position
    from penstock.connectors.files.excel_workbook import Sheet, SheetColumn
    from penstock.types import LogicalType

Policy = Literal["reject", "null", "fail"]
CHUNK_ROWS: Final = 50_000
_CELLS: Final = "cells"
_AT_ONCE: Final = 200
_WHOLE: Final = frozenset(
    {Kind.INT8, Kind.INT16, Kind.INT32, Kind.INT64, Kind.UINT8, Kind.UINT16, Kind.UINT32, Kind.UINT64}
)
_NUMBER_TEXT: Final = r"^\s*[-+]?[0-9.]"
_WHOLE_TEXT: Final = r"\s*[-+]?[0-9]+\s*"
_DAY_ZERO: Final = r"^(1899-12-3[01]|1904-01-01) "
_TIME_TEXT: Final = r"\s*[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?\s*"


class _Cells(Frozen):
    """The rows of data of a sheet: per column its text, the numbers beside it where they matter, and its errors."""

    sheet: Sheet
    schema: Schema
    text: dict[str, pa.Array]
    seen: dict[str, pa.Array]
    numbers: dict[str, int]

    @property
    def rows(self) -> int:
        return self.sheet.last_row - self.sheet.first_row + 1


class SheetReader:
    """Reads sheets as rows of ``schema``; ``wanted`` of its columns are delivered, all are checked.

    ``keeps_empty`` delivers rows without a single value too.
    """

    def __init__(
        self, schema: Schema, wanted: Schema, *, policy: Policy, keeps_empty: bool, upto: Position, allowance: Allowance
    ) -> None:
        self._schema = schema
        self._wanted = wanted
        self._policy = policy
        self._keeps_empty = keeps_empty
        self._upto = upto
        self._allowance = allowance

    def chunks(self, sheet: Sheet) -> Iterator[Chunk]:
        """All rows of the sheet, in order. Raises DataError SRC-315 for a bad value where the policy is fail."""
        cells = _cells_of(sheet, self._schema)
        with closing(open_database(self._allowance, lossless=True)) as database:
            for start in range(0, cells.rows, CHUNK_ROWS):
                yield self._chunk(cells, start, rows=min(CHUNK_ROWS, cells.rows - start), database=database)

    def _chunk(self, cells: _Cells, start: int, *, rows: int, database: duckdb.DuckDBPyConnection) -> Chunk:
        import pyarrow.compute as pc

        given, converted, bad = _converted(cells, start, rows=rows, database=database)
        keep = None if self._keeps_empty else _filled(given, rows)
        batch = self._batch(converted, rows)
        any_bad = _any(bad.values())
        if any_bad is None or self._policy == "null":
            return Chunk(batch if keep is None else batch.filter(keep), self._upto)
        places = pc.indices_nonzero(any_bad).to_pylist()
        if self._policy == "fail":
            self._fail(cells, start + places[0], place=places[0], bad=bad, given=given)
        rejects = _rejects(cells, start, places=places, bad=bad, given=given)
        kept = pc.invert(any_bad) if keep is None else pc.and_(keep, pc.invert(any_bad))
        return Chunk(batch.filter(kept), self._upto, rejects)

    def _batch(self, converted: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow

        form = to_arrow(self._wanted)
        arrays = [converted[field.name] if field.name in converted else pa.nulls(rows, field.type) for field in form]
        return pa.RecordBatch.from_arrays(arrays, schema=form)

    def _fail(
        self, cells: _Cells, row: int, *, place: int, bad: dict[str, pa.Array], given: dict[str, pa.Array]
    ) -> None:
        name = next(name for name, flags in bad.items() if flags[place].as_py())
        column = next(column for column in cells.sheet.columns if column.name == name)
        raise DataError(
            "SRC-315",
            f'the cell {column.letters}{cells.sheet.first_row + row} of the sheet "{cells.sheet.name}" in '
            f'"{cells.sheet.file.name}" is no {cells.schema[name].type}',
            detail=f"it shows {str(given[name][place].as_py())[:100]!r}",
        )


def _cells_of(sheet: Sheet, schema: Schema) -> _Cells:
    columns = {column.name: column for column in sheet.columns if column.name in schema}
    text = {name: sheet.text(column) for name, column in columns.items()}
    exact = [column for name, column in columns.items() if _needs_numbers(text[name], schema[name].type)]
    spans = [column for name, column in columns.items() if schema[name].type == INTERVAL]
    seen = sheet.viewed(exact, "float") if exact else {}
    if spans:
        seen |= sheet.viewed(spans, "duration")
    numbers = {name: column.number for name, column in columns.items()}
    return _Cells(sheet, schema, text, seen, numbers)


def _needs_numbers(text: pa.Array, logical: LogicalType) -> bool:
    """Whether the column's type can show that the reader cut digits off, and there is a number among its cells."""
    import pyarrow.compute as pc

    if not (
        logical in (STRING, FLOAT32, FLOAT64)
        or isinstance(logical, Decimal)
        or (isinstance(logical, Primitive) and logical.kind in _WHOLE)
    ):
        return False
    return bool(pc.any(pc.match_substring_regex(text, _NUMBER_TEXT)).as_py())


# ---------------------------------------------------------------- converting


def _converted(
    cells: _Cells, start: int, *, rows: int, database: duckdb.DuckDBPyConnection
) -> tuple[dict[str, pa.Array], dict[str, pa.Array], dict[str, pa.Array]]:
    """Per column: what its cells show, errors too; the values, null where they are bad; which are bad, if any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from penstock.types.conform import conform_array

    given: dict[str, pa.Array] = {}
    values: dict[str, pa.Array] = {}
    for group in _groups(tuple(cells.text)):
        columns: dict[str, pa.Array] = {}
        queried: list[exp.Expr] = []
        for place, name in enumerate(group):
            shown, wrong = _with_errors(cells.text[name].slice(start, rows), cells, name=name, start=start)
            given[name] = shown
            columns[f"s{place}"] = (
                pc.if_else(wrong, pa.scalar(None, pa.string()), shown) if wrong is not None else shown
            )
            if name in cells.seen:
                columns[f"n{place}"] = cells.seen[name].slice(start, rows)
            queried.append(exp.alias_(_value(place, cells.schema[name].type, seen=name in cells.seen), f"c{place}"))
        database.register(_CELLS, pa.table(columns))
        found = database.sql(exp.select(*queried).from_(_CELLS).sql(dialect="duckdb")).to_arrow_table()
        database.unregister(_CELLS)
        for place, name in enumerate(group):
            values[name] = conform_array(_one(found.column(place)), cells.schema[name].type, name=name)
    bad = {name: pc.and_(given[name].is_valid(), values[name].is_null()) for name in cells.text}
    return given, values, {name: flags for name, flags in bad.items() if flags.true_count}


def _groups(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """As many columns as one statement converts: DuckDB's time for one grows with their square."""
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def _one(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def _with_errors(text: pa.Array, cells: _Cells, *, name: str, start: int) -> tuple[pa.Array, pa.Array | None]:
    """The text with errors as Excel shows them, and where they are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = cells.sheet.first_row + start
    found = {
        row - first: shown
        for row, shown in cells.sheet.errors.get(cells.numbers[name], {}).items()
        if first <= row < first + len(text)
    }
    text = text.cast(pa.string())
    if not found:
        return text, None
    places = sorted(found)
    wrong = pc.is_in(pa.array(range(len(text)), pa.int64()), pa.array(places, pa.int64()))
    return pc.replace_with_mask(text, wrong, pa.array([found[place] for place in places], pa.string())), wrong


def _value(place: int, logical: LogicalType, *, seen: bool) -> exp.Expr:
    """The SQL of a column's value; null where its text is no value of the type."""
    text: exp.Expr = exp.column(f"s{place}")
    number = exp.column(f"n{place}") if seen else None
    if logical == INTERVAL:
        spelled = _tried(text, INTERVAL)
        return exp.Coalesce(this=number, expressions=[spelled]) if number is not None else spelled
    if number is not None:
        text = _exact(text, number)
    if logical == STRING:
        return text
    if logical == DATE:
        moment = _told(text, TIMESTAMP)
        day = exp.Cast(this=moment.copy(), to=to_duckdb(DATE))
        return when(exp.EQ(this=exp.Cast(this=day.copy(), to=to_duckdb(TIMESTAMP)), expression=moment), day)
    if logical == TIME:
        time = call("regexp_replace", text, exp.Literal.string(_DAY_ZERO), exp.Literal.string(""))
        return when(matches(time, _TIME_TEXT), _tried(time, TIME))
    if isinstance(logical, Primitive) and logical.kind in _WHOLE:
        return when(matches(text, _WHOLE_TEXT), _tried(text, logical))
    return _tried(text, logical) if isinstance(logical, Decimal) else _told(text, logical)


def _told(text: exp.Expr, logical: LogicalType) -> exp.Expr:
    """The value where it is what the text says; of decimals, a float's digits beyond the scale go."""
    value = _tried(text, logical)
    altered = textual(logical, Spelling()).differs(text, value)
    return value if altered is None else when(exp.not_(call("coalesce", altered, exp.false())), value)


def _exact(text: exp.Expr, number: exp.Expr) -> exp.Expr:
    """The text, or the number where the reader has cut digits off it."""
    read = _tried(text, FLOAT64)
    cut = exp.and_(exp.NEQ(this=read, expression=number.copy()), is_not_null(number))
    spelled = exp.Cast(this=number.copy(), to=to_duckdb(STRING))
    return exp.Case(ifs=[exp.If(this=cut, true=spelled)], default=text.copy())


def _tried(text: exp.Expr, logical: LogicalType) -> exp.Expr:
    return exp.TryCast(this=text.copy(), to=to_duckdb(logical))


# ---------------------------------------------------------------- rows


def _filled(given: dict[str, pa.Array], rows: int) -> pa.Array:
    """Which rows hold anything at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pa.array([False]).take(pa.nulls(rows, pa.int64()).fill_null(0))
    for text in given.values():
        found = pc.or_(found, text.is_valid())
    return found


def _any(flags: Iterable[pa.Array]) -> pa.Array | None:
    import pyarrow.compute as pc

    found = None
    for item in flags:
        found = item if found is None else pc.or_(found, item)
    return found


def _rejects(
    cells: _Cells, start: int, *, places: Sequence[int], bad: dict[str, pa.Array], given: dict[str, pa.Array]
) -> pa.RecordBatch:
    """One record per row that holds a bad value; Python sees these rows only."""
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    chosen = pa.array(places, pa.int64())
    rows = pa.table({name: text.take(chosen) for name, text in given.items()}).to_pylist()
    flagged = {name: flags.take(chosen).to_pylist() for name, flags in bad.items()}
    columns: dict[str, list[object]] = {"position": [], "row": [], "raw": [None] * len(rows), "causes": []}
    for at, (place, row) in enumerate(zip(places, rows, strict=True)):
        number = cells.sheet.first_row + start + place
        where = {"file": cells.sheet.file.shown, "sheet": cells.sheet.name, "row": number}
        columns["position"].append(json.dumps(where, ensure_ascii=False))
        columns["row"].append(json.dumps(row, ensure_ascii=False))
        columns["causes"].append(
            [_cause(cells.schema[name], row[name]) for name, flags in flagged.items() if flags[at]]
        )
    form = to_arrow(Schema.of(REJECT_COLUMNS))
    arrays = [_reject_column(columns[field.name], field) for field in Schema.of(REJECT_COLUMNS)]
    return pa.RecordBatch.from_arrays(arrays, schema=form)


def _cause(field: Field, shown: str) -> dict[str, str]:
    return {
        "code": "bad_value",
        "column": field.name,
        "message": f'"{field.name}" is no {field.type}: {shown[:100]}',
    }


def _reject_column(values: list[object], field: Field) -> pa.Array:
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    form = to_arrow(field.type)
    return pa.array(values, form.storage_type if isinstance(form, pa.BaseExtensionType) else form).cast(form)


# ---------------------------------------------------------------- inference


def inferred(sheet: Sheet, columns: Sequence[SheetColumn], *, allowance: Allowance) -> dict[str, LogicalType]:
    """The type of each column by all of its cells: whole numbers are int64, moments at midnight only are dates, moments
    on the day that counts as none are times; text where the cells do not agree, or where there are none.
    """
    narrower: dict[LogicalType, tuple[LogicalType, ...]] = {FLOAT64: (INT64,), TIMESTAMP: (TIME, DATE)}
    tries = {name: [*narrower.get(kind, ()), kind] for name, kind in sheet.kinds(columns).items() if kind != STRING}
    found: dict[str, LogicalType] = {}
    with closing(open_database(allowance, lossless=True)) as database:
        while tries:  # all columns at once: a look at one costs as much as at all of them
            schema = Schema(tuple(Field(name, kinds.pop(0)) for name, kinds in tries.items()))
            refused = _refused(sheet, schema, database)
            found |= {item.name: item.type for item in schema if item.name not in refused}
            tries = {name: kinds for name, kinds in tries.items() if name in refused and kinds}
    return {column.name: found.get(column.name, STRING) for column in columns}


def _refused(sheet: Sheet, schema: Schema, database: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The columns of which a cell, errors apart, is no value of the type."""
    cells = _cells_of(sheet, schema)
    refused: set[str] = set()
    for start in range(0, cells.rows, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, cells.rows - start)
        _, _, bad = _converted(cells, start, rows=rows, database=database)
        first = sheet.first_row + start
        for name, flags in bad.items():
            errors = sheet.errors.get(cells.numbers[name], {})
            if flags.true_count > sum(1 for row in errors if first <= row < first + rows):
                refused.add(name)
    return frozenset(refused)
