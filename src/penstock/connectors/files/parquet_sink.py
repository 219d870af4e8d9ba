"""Parquet files, written by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, model_validator

from penstock.connectors.api import ParquetFormat
from penstock.connectors.files.held import parquet_objection
from penstock.connectors.files.scratch import SCRATCH
from penstock.connectors.files.sink import FileKind, ReadableFileSink
from penstock.connectors.files.sink_params import CAPABILITIES, MODES, NOTES, FileSinkParams, is_one_file
from penstock.fields import ByteSize  # noqa: TC001 -- pydantic evaluates the annotations here
from penstock.registry import Descriptor

if TYPE_CHECKING:
    from penstock.connectors.api import Context


class ParquetSinkParams(FileSinkParams):
    """A folder of Parquet files, or one."""

    compression: Literal["auto", "zstd", "lz4", "snappy", "none"] = Field(
        default="auto",
        description="How pages are compressed; auto: by the kinds of the columns, zstd at level 1 or, where v2 encodes all of them tightly (whole numbers, decimals, moments), not at all.",
    )
    compression_level: int | None = Field(
        default=None, ge=1, le=22, description="How hard zstd tries, 1 to 22; the engine's own default is 3."
    )
    row_group_rows: int | None = Field(
        default=None, ge=2048, description="Rows per row group, rounded up to a multiple of 2048; default 122880."
    )
    version: Literal["v1", "v2"] = Field(
        default="v2", description="v2 has the delta and byte-stream-split encodings, smaller; v1 is for old readers."
    )
    bloom_filter: bool = Field(
        default=True, description="Whether columns with few distinct values get filters for fast look-up of a value."
    )
    sort_by: list[str] = Field(
        default_factory=list,
        description="Columns by which the rows of each file are sorted, so that ranges are skipped.",
    )
    max_file_size: ByteSize | None = Field(
        default=None, description="Start a new file beyond about this size (64 MiB); not with partition_by or one file."
    )

    @model_validator(mode="after")
    def _options_fit_together(self) -> ParquetSinkParams:
        if self.compression_level is not None and self.compression != "zstd":
            raise ValueError("compression_level is for compression zstd")
        if len(set(self.sort_by)) != len(self.sort_by):
            raise ValueError("sort_by names a column twice")
        if self.max_file_size is not None and (self.partition_by or is_one_file(self.path)):
            raise ValueError("max_file_size is for a folder without partition_by")
        return self


def make(params: ParquetSinkParams, context: Context) -> ReadableFileSink:
    form = ParquetFormat(
        compression=params.compression,
        compression_level=params.compression_level,
        row_group_rows=params.row_group_rows,
        version=params.version,
        bloom_filter=params.bloom_filter,
        sort_by=tuple(params.sort_by),
    )
    kind = FileKind(
        name="parquet",
        form=form,
        extension="parquet",
        objection=parquet_objection,
        needed=tuple(params.sort_by),
        one_per_writer=False,
        max_file_bytes=params.max_file_size,
    )
    return ReadableFileSink(params, context, kind)


SINK: Final = Descriptor(
    name="parquet",
    group="sinks",
    summary="Parquet files: a folder, partitioned or not, or one file.",
    params=ParquetSinkParams,
    make=make,
    example="type: parquet\nfrom: prices\npath: out/prices\nmode: overwrite_partitions\npartition_by: [region]\n",
    capabilities=CAPABILITIES,
    scratch=SCRATCH,
    modes=MODES,
    notes=(
        *NOTES,
        "One codec serves all columns of a file: the engine's writer has none per column.",
        "Encodings are chosen by the writer, column by column; version v1 or v2 says from which.",
        "A file with 32-bit numbers more than 2,147,483,647 apart is v1, since Arrow cannot read how DuckDB writes them as v2.",
        "Intervals are refused: Parquet keeps them to the millisecond.",
    ),
)
