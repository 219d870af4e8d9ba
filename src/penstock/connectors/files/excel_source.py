"""Excel workbooks: one sheet of each, parsed by fastexcel and converted column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, Field

from penstock.connectors.api import Batches
from penstock.connectors.files.excel_workbook import Area, Layout, open_sheet, parse_range
from penstock.connectors.files.file_source import (
    CAPABILITIES,
    NOTES,
    FileSource,
    FileSourceParams,
    brought_together,
    sampled,
)
from penstock.registry import Capability, Descriptor
from penstock.types import STRING, Schema
from penstock.types import Field as Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.connectors.api import Allowance, Chunk, Context, Position, Rows
    from penstock.connectors.files.excel_workbook import Sheet
    from penstock.connectors.files.listing import FoundFile
    from penstock.types.logical import LogicalType


def _range(text: str) -> str:
    parse_range(text)
    return text


class ExcelSourceParams(FileSourceParams):
    """One sheet of a workbook, or of several."""

    sheet: str | Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Its name, or its number from 1; unsaid, the first one that is not hidden."
    )
    range: Annotated[str, AfterValidator(_range)] | None = Field(
        default=None, description="The cells that count, such as A1:F200, A:F or B5:F; unsaid, all of them."
    )
    header_row: Annotated[int, Field(ge=1, le=1_048_576)] | Literal["none"] | None = Field(
        default=None,
        description="The row of the sheet that names the columns, or none: they are then A, B, C; unsaid, the first row "
        "that is not empty.",
    )
    skip_empty_rows: bool = Field(default=True, description="Whether rows without a single value are left out.")


class ExcelSource(FileSource):
    """Columns: as the header names them; one without a name is called after its letters, if it holds anything. Types: the
    schema's, else what all cells of the first 16 files are.
    """

    endings = (".xlsx", ".xlsm", ".xls")

    def __init__(self, params: ExcelSourceParams, context: Context) -> None:
        super().__init__(params, context)
        area = parse_range(params.range) if params.range is not None else Area()
        self._layout = Layout(params.sheet, area, params.header_row)
        self._keeps_empty = not params.skip_empty_rows

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        """Raises DataError SRC-310, SRC-311, SRC-312, SRC-314, SRC-135, ConfigError SRC-313."""
        contract = self._context.contract
        known = {column.name: column.type for column in contract.schema} if contract is not None else {}
        infers = contract is None or contract.on_new_column == "add"
        looked_at = set(sampled(files)) if infers else set()
        names: dict[str, Sequence[str]] = {}
        types: dict[str, LogicalType] = {}
        for file in files:
            sheet = open_sheet(file, self._layout)
            if sheet.columns:
                names[file.name] = [column.name for column in sheet.columns]
            if file in looked_at:
                _add_types(types, sheet, known=known, allowance=self._context.allowance)
        columns = tuple(Column(name, known.get(name) or types.get(name, STRING)) for name in self.merged_names(names))
        return contract.schema if contract is not None and not columns else Schema(columns)

    def _rows(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Rows:
        return Batches(wanted, lambda: self._chunks(files, wanted, upto))

    def _chunks(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Iterator[Chunk]:
        from penstock.connectors.files.excel_cells import SheetReader

        reader = SheetReader(
            self.describe(),
            wanted,
            policy=self.bad_values,
            keeps_empty=self._keeps_empty,
            upto=upto,
            allowance=self._context.allowance,
        )
        for file in files:
            yield from reader.chunks(open_sheet(file, self._layout))


def _add_types(
    types: dict[str, LogicalType], sheet: Sheet, *, known: dict[str, LogicalType], allowance: Allowance
) -> None:
    """A column without a value says nothing of its type."""
    from penstock.connectors.files.excel_cells import inferred

    unknown = [
        column
        for column in sheet.columns
        if column.name not in known and sheet.text(column).null_count < len(sheet.text(column))
    ]
    for name, kind in inferred(sheet, unknown, allowance=allowance).items():
        types[name] = brought_together(types[name], kind, STRING) if name in types else kind


SOURCE: Final = Descriptor(
    name="excel",
    group="sources",
    summary="A sheet of Excel workbooks: one, a folder, or a pattern.",
    params=ExcelSourceParams,
    make=ExcelSource,
    example="type: excel\npath: data/prices.xlsx\nsheet: Daily\nrange: B5:H\nschema: {columns: {day: date, price: float64}}\n",
    capabilities=CAPABILITIES - {Capability.NATIVE},
    extra="excel",
    notes=(
        *NOTES,
        "Without a schema all cells of the first 16 files are looked at: whole numbers are int64, days are date, text where cells differ in kind.",
        "Numbers are what Excel keeps, floats of 15 to 17 digits; a decimal column rounds them to its scale, so that a cell of 0.1 + 0.2 is 0.30.",
        "A cell that its column's type cannot take, and an error such as #N/A, is a bad value: a reject with file, sheet and row.",
        "Formulas are their last saved values; of merged cells the first has the value; times have milliseconds.",
        "The parser reads and holds a whole sheet, to know its columns too: about 100 MB per million cells, 67 million at most.",
        "Kinds of files are xlsx, xlsm and xls; not xlsb, ods, and files with a password.",
    ),
)
