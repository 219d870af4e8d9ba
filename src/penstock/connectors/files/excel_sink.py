"""Excel workbooks: staged by the engine as Parquet, then written as sheets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field

from penstock.connectors.files.excel_encoding import check_sheet_name, encode_excel, excel_objection
from penstock.connectors.files.scratch import SCRATCH
from penstock.connectors.files.sink import FileKind, FileSink
from penstock.connectors.files.sink_params import CAPABILITIES, MODES, NOTES, FileSinkParams
from penstock.connectors.files.staged import STAGED_FORM
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context


class ExcelSinkParams(FileSinkParams):
    """A workbook of one sheet, or a folder of them."""

    sheet: Annotated[str, AfterValidator(check_sheet_name)] = Field(
        default="Sheet1", description="The name of the sheet that holds the rows."
    )
    header: bool = Field(default=True, description="Whether the first row names the columns.")


def make(params: ExcelSinkParams, context: Context) -> FileSink:
    kind = FileKind(
        name="excel",
        form=STAGED_FORM,
        extension="xlsx",
        objection=excel_objection,
        ordered=not params.header,
        encode=partial(encode_excel, sheet=params.sheet, header=params.header, allowance=context.allowance),
    )
    return FileSink(params, context, kind)


SINK: Final = Descriptor(
    name="excel",
    group="sinks",
    summary="Excel workbooks (xlsx) of one sheet: one file, or a folder of them.",
    params=ExcelSinkParams,
    make=make,
    example="type: excel\nfrom: prices\npath: out/prices.xlsx\nmode: overwrite\nsheet: Prices\n",
    capabilities=CAPABILITIES - {Capability.NATIVE, Capability.READ_BACK},
    scratch=SCRATCH,
    modes=MODES,
    extra="excel",
    notes=(
        *NOTES,
        "A sheet has 1,048,576 rows and 16,384 columns, a cell 32,767 characters; more is an error before the commit.",
        "Text stays text, also where it begins with = + - @: nothing becomes a formula.",
        "Numbers that a float does not hold exactly (large int64, long decimals, NaN) are written as text.",
        "Days before March 1900, and moments with microseconds, are text in ISO 8601; timestamps with zone are in UTC.",
        "Lists, maps, structs, binary and intervals are refused; json and uuid are text.",
        "Every cell passes through Python: some 100,000 cells a second.",
        "A transform cannot read the sink's table: write Parquet beside it where rows are to be read again.",
    ),
)
