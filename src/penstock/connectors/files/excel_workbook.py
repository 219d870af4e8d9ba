"""A sheet of a workbook as text: what every cell shows, where errors stand, which columns there are under which names.

fastexcel parses a whole sheet into memory; of numbers its text keeps nine digits after the point, so that the numbers
themselves are read beside it (excel_cells.py).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final, Literal, NoReturn

from penstock.connectors.files.excel_guard import check_workbook, column_letters, column_number
from penstock.errors import ConfigError, DataError, nearest
from penstock.structs import Frozen, replace
from penstock.types import BOOLEAN, FLOAT64, INTERVAL, STRING, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import fastexcel
    import pyarrow as pa

    from penstock.connectors.files.listing import FoundFile
    from penstock.types import LogicalType

View = Literal["string", "float", "duration"]
_RANGE: Final = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})?:([A-Z]{1,3})([1-9][0-9]{0,6})?")
_ERROR: Final = re.compile(r"Error\((\w+)\)")
_SHOWN: Final[Mapping[str, str]] = {
    "NA": "#N/A",
    "Div0": "#DIV/0!",
    "Ref": "#REF!",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}
_KINDS: Final[Mapping[str, LogicalType]] = {
    "int": FLOAT64,
    "float": FLOAT64,
    "boolean": BOOLEAN,
    "datetime": TIMESTAMP,
    "date": TIMESTAMP,
    "duration": INTERVAL,
    "string": STRING,
    "null": STRING,
}


class Area(Frozen):
    """A part of a sheet; numbers count from 1 and are inclusive, None is as far as there is anything."""

    first_column: int = 1
    last_column: int | None = None
    first_row: int = 1
    last_row: int | None = None


def parse_range(text: str) -> Area:
    """``A1:F200``, ``A:F``, ``B5:F``. Raises ValueError with what is expected."""
    match = _RANGE.fullmatch(text.strip().upper())
    if match is None:
        raise ValueError('takes a range of cells such as "A1:F200", "A:F" or "B5:F"')
    area = Area(
        column_number(match[1]),
        column_number(match[3]),
        int(match[2] or 1),
        int(match[4]) if match[4] else None,
    )
    if area.last_column is not None and area.last_column < area.first_column:
        raise ValueError("the range ends left of where it begins")
    if area.last_row is not None and area.last_row < area.first_row:
        raise ValueError("the range ends above where it begins")
    return area


class Layout(Frozen):
    """``header`` is the row of the names, from 1; ``none``: there is none; None: the first row that is not empty."""

    sheet: str | int | None
    area: Area
    header: int | Literal["none"] | None


class SheetColumn(Frozen):
    """``number`` counts from 1: column A."""

    name: str
    number: int

    @property
    def letters(self) -> str:
        return column_letters(self.number)


class Sheet(Frozen):
    """One sheet of an open workbook. ``cells`` is text, its first row is row 1 of the sheet, its first column is
    ``left``; ``errors`` are the cells that hold an error, by column and row (from 1), as Excel shows them.
    """

    file: FoundFile
    name: str
    reader: fastexcel.ExcelReader
    cells: pa.RecordBatch
    left: int
    errors: Mapping[int, Mapping[int, str]]
    columns: tuple[SheetColumn, ...]
    first_row: int
    last_row: int

    def text(self, column: SheetColumn) -> pa.Array:
        """The column's cells in the rows of data."""
        cells: pa.Array = self.cells.column(column.number - self.left)
        return cells.slice(self.first_row - 1, self.last_row - self.first_row + 1)

    def viewed(self, columns: Sequence[SheetColumn], view: View) -> dict[str, pa.Array]:
        """The cells of these columns in the rows of data, read as numbers or durations; null where they are none."""
        numbers: list[str | int] = [column.number - 1 for column in columns]
        loaded = self.reader.load_sheet(
            self.name,
            header_row=None,
            skip_rows=0,
            use_columns=[column.number - 1 for column in columns],
            dtypes=dict.fromkeys(numbers, view),
        ).to_arrow()
        count = self.last_row - self.first_row + 1
        arrays = [loaded.column(place).slice(self.first_row - 1, count) for place in range(len(columns))]
        return {column.name: array for column, array in zip(columns, arrays, strict=True)}

    def kinds(self, columns: Sequence[SheetColumn]) -> dict[str, LogicalType]:
        """What the reader takes the columns for, looking at every row: numbers are float64, days are timestamps."""
        if not columns or self.last_row < self.first_row:
            return {column.name: STRING for column in columns}
        return {column.name: self._kind(column) for column in columns} if len(columns) == 1 else self._all(columns)

    def _all(self, columns: Sequence[SheetColumn]) -> dict[str, LogicalType]:
        import fastexcel

        try:
            found = self._guessed([column.number - 1 for column in columns])
        except fastexcel.UnsupportedColumnTypeCombinationError:
            return {column.name: self._kind(column) for column in columns}
        return {column.name: kind for column, kind in zip(columns, found, strict=True)}

    def _kind(self, column: SheetColumn) -> LogicalType:
        import fastexcel

        try:
            return self._guessed([column.number - 1])[0]
        except fastexcel.UnsupportedColumnTypeCombinationError:
            return STRING

    def _guessed(self, numbers: list[int]) -> list[LogicalType]:
        loaded = self.reader.load_sheet(
            self.name,
            header_row=None,
            skip_rows=self.first_row - 1,
            n_rows=self.last_row - self.first_row + 1,
            use_columns=numbers,
            schema_sample_rows=None,
        )
        return [_KINDS[column.dtype] for column in loaded.selected_columns]


def open_sheet(file: FoundFile, layout: Layout) -> Sheet:
    """Raises as ``check_workbook``, and ConfigError SRC-313 (no such sheet), SRC-316 (a header outside the area), DataError SRC-314 (two
    columns of one name).
    """
    import fastexcel

    # It tells the log of every column without a value that it is taken for text.
    logging.getLogger("fastexcel").setLevel(logging.ERROR)
    check_workbook(file.path, file.name)
    try:
        reader = fastexcel.read_excel(file.place)
        loaded = _loaded(reader, _candidates(reader.sheet_names, layout.sheet, file))
        cells, found = loaded.to_arrow_with_errors()
    except fastexcel.FastExcelError as error:
        raise DataError(
            "SRC-310", f'"{file.name}" is no Excel workbook, or is broken', detail=str(error).split("\n", 1)[0][:200]
        ) from None
    left = loaded.selected_columns[0].absolute_index + 1 if cells.num_columns else 1
    errors: dict[int, dict[int, str]] = {}
    for item in found.errors if found is not None else ():
        row, column = item.position
        errors.setdefault(column + left, {})[row + 1] = _shown(item.detail)
    return _laid_out(Sheet(file, loaded.name, reader, cells, left, errors, (), 1, 0), layout)


def _shown(detail: str) -> str:
    match = _ERROR.search(detail)
    return _SHOWN.get(match[1], match[1]) if match else detail[:100]


def _loaded(reader: fastexcel.ExcelReader, candidates: Sequence[str]) -> fastexcel.ExcelSheet:
    """The first of them that people see, else the first."""
    first = None
    for name in candidates:
        loaded = reader.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
        if loaded.visible == "visible" or len(candidates) == 1:
            return loaded
        first = first or loaded
    assert first is not None
    return first


def _candidates(names: Sequence[str], asked: str | int | None, file: FoundFile) -> Sequence[str]:
    if isinstance(asked, str):
        near = nearest(asked, names)
        hint = f'did you mean "{near}"?' if near else None
        return (
            [asked]
            if asked in names
            else _no_sheet(file, f'"{file.name}" has no sheet "{asked}"', names=names, hint=hint)
        )
    if asked is not None:
        there = 1 <= asked <= len(names)
        return (
            [names[asked - 1]] if there else _no_sheet(file, f'"{file.name}" has no sheet number {asked}', names=names)
        )
    return names or _no_sheet(file, f'"{file.name}" has no sheets', names=names)


def _no_sheet(file: FoundFile, message: str, *, names: Sequence[str], hint: str | None = None) -> NoReturn:
    shown = ", ".join(f'"{name}"' for name in names[:20])
    raise ConfigError(
        "SRC-313", message, detail=f"its sheets are {shown}" if names else file.name, hint=hint, about=("sheet",)
    )


# ---------------------------------------------------------------- names and rows


def _laid_out(sheet: Sheet, layout: Layout) -> Sheet:
    area = layout.area
    last_row = min(area.last_row or sheet.cells.num_rows, sheet.cells.num_rows)
    right = sheet.left + sheet.cells.num_columns - 1
    numbers = range(max(area.first_column, sheet.left), min(area.last_column or right, right) + 1)
    header = _header_row(sheet, layout, numbers=numbers, last_row=last_row)
    first_row = area.first_row if header is None else header + 1
    columns = _named(replace(sheet, first_row=first_row, last_row=max(last_row, first_row - 1)), numbers, header)
    return replace(sheet, columns=columns, first_row=first_row, last_row=max(last_row, first_row - 1))


def _header_row(sheet: Sheet, layout: Layout, *, numbers: range, last_row: int) -> int | None:
    match layout.header:
        case "none":
            return None
        case None:
            return _first_filled(sheet, numbers, first=layout.area.first_row, last=last_row)
        case row:
            if row < layout.area.first_row or (layout.area.last_row and row > layout.area.last_row):
                raise ConfigError(
                    "SRC-316", f'header_row {row} of "{sheet.file.name}" is outside its range', about=("header_row",)
                )
            return row


def _first_filled(sheet: Sheet, numbers: range, *, first: int, last: int) -> int | None:
    firsts = []
    for number in numbers:
        present = sheet.cells.column(number - sheet.left).slice(first - 1, max(last - first + 1, 0)).is_valid()
        place = present.index(True).as_py()
        if place >= 0:
            firsts.append(first + place)
    return min(firsts, default=None)


def _named(sheet: Sheet, numbers: range, header: int | None) -> tuple[SheetColumn, ...]:
    """A column without a name is called after its letters, and is none where all its cells are empty."""
    columns: list[SheetColumn] = []
    seen: dict[str, str] = {}
    for number in numbers:
        cells = sheet.cells.column(number - sheet.left)
        given = cells[header - 1].as_py() if header is not None and header <= len(cells) else None
        column = SheetColumn(given or column_letters(number), number)
        if not given and sheet.text(column).null_count == len(sheet.text(column)) and number not in sheet.errors:
            continue
        if column.name in seen:
            raise DataError(
                "SRC-314",
                f'two columns of "{sheet.file.name}" are called "{column.name}"',
                detail=f'they are {seen[column.name]} and {column.letters} of the sheet "{sheet.name}"',
                hint="rename one of them in the workbook, or state a range that has only one",
            )
        seen[column.name] = column.letters
        columns.append(column)
    return tuple(columns)
