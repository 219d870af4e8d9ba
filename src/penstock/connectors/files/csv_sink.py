"""CSV files, written by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import CsvFormat
from penstock.connectors.files.csv_dialect import ALSO_DELIMITER, check_characters
from penstock.connectors.files.held import csv_objection
from penstock.connectors.files.scratch import SCRATCH
from penstock.connectors.files.sink import FileKind, ReadableFileSink
from penstock.connectors.files.sink_params import (
    CAPABILITIES,
    MODES,
    NOTES,
    FileSinkParams,
    TextCompression,
    compression_of,
    with_compression,
)
from penstock.registry import Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context


class CsvSinkParams(FileSinkParams):
    """A folder of CSV files, or one; UTF-8, line breaks as LF."""

    delimiter: Annotated[str, ALSO_DELIMITER] = Field(
        default=",", min_length=1, max_length=1, description="The character between values."
    )
    quote: str = Field(default='"', min_length=1, max_length=1, description="The character around values that need it.")
    header: bool = Field(default=True, description="Whether the first line of each file names the columns.")
    null_text: str = Field(
        default="", description="What stands for null, never quoted; a value that is the same text is quoted."
    )
    compression: TextCompression = Field(
        default=None, description="none, gzip or zstd; unsaid, the path's extension (.gz, .zst) decides."
    )

    @model_validator(mode="after")
    def _characters_differ(self) -> CsvSinkParams:
        check_characters(delimiter=self.delimiter, quote=self.quote)
        if any(letter in self.null_text for letter in (self.delimiter, self.quote, "\r", "\n", "\x00")):
            raise ValueError("null_text holds the delimiter, the quote, a line break or NUL")
        return self


def make(params: CsvSinkParams, context: Context) -> ReadableFileSink:
    compression: Literal["none", "gzip", "zstd"] = compression_of(params.path, params.compression)
    form = CsvFormat(
        delimiter=params.delimiter,
        quote=params.quote,
        escape=params.quote,
        header=params.header,
        null_values=(params.null_text,),
        quoted_nulls=False,
        compression=compression,
    )
    kind = FileKind(
        name="csv",
        form=form,
        extension=with_compression("csv", compression),
        objection=csv_objection,
        ordered=not params.header,
    )
    return ReadableFileSink(params, context, kind)


SINK: Final = Descriptor(
    name="csv",
    group="sinks",
    summary="CSV files: a folder, partitioned or not, or one file.",
    params=CsvSinkParams,
    make=make,
    example="type: csv\nfrom: prices\npath: out/prices.csv\nmode: overwrite\n",
    capabilities=CAPABILITIES,
    scratch=SCRATCH,
    modes=MODES,
    notes=(
        *NOTES,
        'Null is written as nothing, the empty text as "": a reader must not take quoted values for null.',
        "Timestamps with zone are written in UTC; binary as \\x41 for bytes that are not printable ASCII.",
        "A row whose only column is null is an empty line, which some readers skip.",
        "Lists, maps, structs and intervals are refused: cast them to json or string first.",
    ),
)
