"""Arrow columns as a sheet of an Excel workbook, written row by row in bounded memory by xlsxwriter.

There is no writer of workbooks that takes columns, so that every cell passes through Python here; what a cell holds is
decided per column.
"""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal as Number
from typing import TYPE_CHECKING, Final, TypeAlias

from penstock.errors import DataError
from penstock.types import (
    BINARY,
    DATE,
    FLOAT32,
    FLOAT64,
    INT64,
    INTERVAL,
    TIME,
    TIMESTAMP,
    TIMESTAMPTZ,
    UINT64,
    Decimal,
    List,
    Map,
    Struct,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa
    import xlsxwriter

    from penstock.connectors.api import Allowance
    from penstock.types import Field, LogicalType, Schema

MOST_ROWS: Final = 1_048_576
MOST_COLUMNS: Final = 16_384
MOST_CHARACTERS: Final = 32_767
_BATCH_ROWS: Final = 5_000
_EXACT: Final = 2**53
_LARGEST: Final = 9.99999999999999e307
_SMALLEST: Final = 2.2251e-308
_DAY_OF_1970: Final = 25_569  # as Excel counts, from 1899-12-30
_FIRST_DAY: Final = 61  # 1900-03-01: before it Excel counts a day that never was
_END_OF_DAYS: Final = 2_958_466  # 10000-01-01
_MILLISECONDS_OF_DAY: Final = 86_400_000
_FORMATS: Final = {
    DATE: "yyyy-mm-dd",
    TIME: "hh:mm:ss.000",
    TIMESTAMP: "yyyy-mm-dd hh:mm:ss.000",
    TIMESTAMPTZ: "yyyy-mm-dd hh:mm:ss.000",
}
# When it was made is no fact of the rows; the same rows give the same file.
_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_SHEET_NAME: Final = re.compile(r"(?!')[^\[\]:*?/\\]{1,31}(?<!')")

Cell: TypeAlias = "str | bool | float | int | None"


class _Exact(float):
    """A number that xlsxwriter, which would write 16 digits of it, writes with all."""

    __slots__ = ()

    def __format__(self, specification: str) -> str:
        return float.__repr__(self)


def check_sheet_name(name: str) -> str:
    """Raises ValueError with what Excel takes."""
    if not _SHEET_NAME.fullmatch(name) or name.lower() == "history":
        raise ValueError("takes 1 to 31 characters, none of [ ] : * ? / \\, no ' at either end, and not History")
    return name


def excel_objection(column: Field) -> str | None:
    """Why a cell cannot hold values of the column; None: it can."""
    if isinstance(column.type, (List, Map, Struct)):
        return "a cell has no nested values; cast it to json"
    if column.type == BINARY:
        return "a cell has no binary; encode it, such as with base64()"
    return "a cell has no intervals; cast it to string" if column.type == INTERVAL else None


def encode_excel(staged: Path, made: Path, schema: Schema, *, sheet: str, header: bool, allowance: Allowance) -> None:
    """The rows of a Parquet file as a workbook of one sheet.

    Raises DataError SNK-301 (more rows or columns than a sheet has), SNK-302 (a text longer than a cell takes); OSError.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError

    try:
        with xlsxwriter.Workbook(str(made), {"constant_memory": True, "tmpdir": str(made.parent)}) as book:
            book.use_zip64()
            book.set_properties({"created": _CREATED})
            _Sheet(book, sheet, schema=schema, allowance=allowance).fill(staged, header=header)
    except FileCreateError as error:
        raise next((one for one in error.args if isinstance(one, OSError)), OSError(str(error))) from error


class _Sheet:
    def __init__(self, book: xlsxwriter.Workbook, name: str, *, schema: Schema, allowance: Allowance) -> None:
        self._sheet = book.add_worksheet(name)
        self._schema = schema
        self._allowance = allowance
        self._named = name
        self._formats = [
            book.add_format({"num_format": _FORMATS[field.type]}) if field.type in _FORMATS else None
            for field in schema
        ]
        self._row = 0

    def fill(self, staged: Path, *, header: bool) -> None:
        from pyarrow import parquet

        from penstock.connectors.files.staged import staged_batches

        rows = parquet.read_metadata(staged).num_rows
        self._check_size(rows + header)
        if header:
            for place, name in enumerate(self._schema.names):
                self._text(0, place, text=name, column=name)
            self._row = 1
        for batch in staged_batches(staged, self._schema, _BATCH_ROWS):
            columns = [
                cells_of(array, field.type, allowance=self._allowance)
                for array, field in zip(batch.columns, self._schema, strict=True)
            ]
            for line in zip(*columns, strict=True):
                self._line(line)

    def _check_size(self, rows: int) -> None:
        if rows > MOST_ROWS or len(self._schema) > MOST_COLUMNS:
            raise DataError(
                "SNK-301",
                f"{rows} rows and {len(self._schema)} columns do not fit a sheet of Excel",
                detail=f"it has {MOST_ROWS} rows, the header among them, and {MOST_COLUMNS} columns",
                hint="divide the rows with partition_by, or write CSV or Parquet",
            )

    def _line(self, line: Iterable[Cell]) -> None:
        sheet, row = self._sheet, self._row
        for place, value in enumerate(line):
            match value:
                case None:
                    continue
                case str():
                    self._text(row, place, text=value, column=self._schema.names[place])
                case bool():
                    sheet.write_boolean(row, place, value)
                case _:
                    sheet.write_number(row, place, value, self._formats[place])
        self._row = row + 1

    def _text(self, row: int, place: int, *, text: str, column: str) -> None:
        """Always as text: what begins with = + - @ is no formula."""
        if len(text) * 2 > MOST_CHARACTERS and len(text.encode("utf-16-le", "surrogatepass")) // 2 > MOST_CHARACTERS:
            raise DataError(
                "SNK-302",
                f'a text of {len(text)} characters in the column "{column}" does not fit a cell of Excel',
                detail=f"row {row + 1} of the sheet; a cell takes {MOST_CHARACTERS}",
                hint="cut it with left(), or write CSV or Parquet",
            )
        self._sheet.write_string(row, place, text)


# ---------------------------------------------------------------- cells


def cells_of(array: pa.Array, logical: LogicalType, *, allowance: Allowance) -> Sequence[Cell]:
    """What stands in the cells of a column: numbers, days and moments (as numbers) where Excel holds them exactly, else
    text.
    """
    import pyarrow as pa

    if logical in (FLOAT32, FLOAT64):
        return [_float(value) for value in array.cast(pa.float64()).to_pylist()]
    if isinstance(logical, Decimal):
        return [_decimal(value) for value in array.to_pylist()]
    if logical in (INT64, UINT64):
        return [value if value is None or abs(value) <= _EXACT else str(value) for value in array.to_pylist()]
    if logical in _FORMATS:
        return _moments(array, logical, allowance=allowance)
    if isinstance(array.type, pa.UuidType):
        return [value if value is None else str(value) for value in array.to_pylist()]
    found: Sequence[Cell] = array.to_pylist()
    return found


def _float(value: float | None) -> Cell:
    """NaN, the infinities, and what Excel takes for zero or for too large, are text."""
    if value is None:
        return None
    size = abs(value)
    return _Exact(value) if size == 0 or _SMALLEST < size < _LARGEST else repr(value)


def _decimal(value: Number | None) -> Cell:
    """A number where reading it as a float gives the same digits."""
    if value is None:
        return None
    near = float(value)
    return _Exact(near) if Number(repr(near)) == value else f"{value:f}"


def _moments(array: pa.Array, logical: LogicalType, *, allowance: Allowance) -> Sequence[Cell]:
    """Days since 1899-12-30, with the time as a fraction; text before March 1900, after 9999, and for microseconds."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if logical == DATE:
        units = array.cast(pa.int32()).cast(pa.int64())
        per_day = 1
        exact = units.is_valid()
    else:
        counts = array.cast(pa.int64())
        units = pc.divide(counts, 1000)
        per_day = _MILLISECONDS_OF_DAY
        exact = pc.equal(pc.multiply(units, 1000), counts)
    first, end = (0, 1) if logical == TIME else (_FIRST_DAY - _DAY_OF_1970, _END_OF_DAYS - _DAY_OF_1970)
    inside = pc.and_(pc.greater_equal(units, first * per_day), pc.less(units, end * per_day))
    held = pc.if_else(pc.and_(exact, inside), units, None)
    start = 0 if logical == TIME else _DAY_OF_1970
    numbers = [value if value is None else _Exact(value / per_day + start) for value in held.to_pylist()]
    if held.null_count == array.null_count:
        return numbers
    return [
        text if number is None else number for number, text in zip(numbers, _spelled(array, allowance), strict=True)
    ]


def _spelled(array: pa.Array, allowance: Allowance) -> list[str | None]:
    """As the engine spells them in every file of text, the infinities too."""
    import pyarrow as pa
    from sqlglot import exp

    from penstock.connectors.database import open_database

    query = exp.select(exp.Cast(this=exp.column("v"), to=exp.DataType.build("text"))).from_("moments")
    with closing(open_database(allowance)) as database:
        database.register("moments", pa.table({"v": array}))
        return [row[0] for row in database.execute(query.sql(dialect="duckdb")).fetchall()]
