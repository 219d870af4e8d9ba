"""ORC files: staged by the engine as Parquet, then written by Arrow."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from penstock.connectors.files.decoding import as_written
from penstock.connectors.files.listing import found_at
from penstock.connectors.files.orc_encoding import encode_orc, orc_objection
from penstock.connectors.files.orc_reading import batches_of, schemas_of
from penstock.connectors.files.scratch import SCRATCH
from penstock.connectors.files.sink import FileKind, ReadableFileSink
from penstock.connectors.files.sink_params import CAPABILITIES, MODES, NOTES, FileSinkParams
from penstock.connectors.files.staged import STAGED_FORM
from penstock.registry import Capability, Descriptor
from penstock.structs import replace
from penstock.types import UUID, Schema

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Context
    from penstock.types import LogicalType


class OrcSinkParams(FileSinkParams):
    """A folder of ORC files, or one."""

    compression: Literal["zstd", "zlib", "lz4", "snappy", "none"] = Field(
        default="zstd", description="How the data of a stripe is compressed; zlib is for readers before ORC 1.6."
    )


def make(params: OrcSinkParams, context: Context) -> ReadableFileSink:
    kind = FileKind(
        name="orc",
        form=STAGED_FORM,
        extension="orc",
        objection=orc_objection,
        encode=partial(encode_orc, compression=params.compression),
        decode=decode_orc,
    )
    return ReadableFileSink(params, context, kind)


def decode_orc(path: Path, wanted: Schema) -> Generator[pa.RecordBatch, None, None]:
    """A file of this sink, in the types that it was written from. Errors as ``batches_of``."""
    from penstock.types.arrow import to_arrow

    file = found_at(path, path.name)
    kept = schemas_of([file])[file.name]
    read = Schema(
        tuple(
            replace(kept[column.name], type=_read_as(column.type, kept[column.name].type))
            for column in wanted
            if column.name in kept
        )
    )
    with closing(batches_of([file], read)) as batches:
        for batch in batches:
            yield as_written(batch, to_arrow(wanted))


def _read_as(wanted: LogicalType, kept: LogicalType) -> LogicalType:
    """Text is parsed where it was a uuid."""
    return UUID if wanted == UUID else kept


SINK: Final = Descriptor(
    name="orc",
    group="sinks",
    summary="ORC files: a folder, partitioned or not, or one file.",
    params=OrcSinkParams,
    make=make,
    example="type: orc\nfrom: prices\npath: out/prices\nmode: append\ncompression: zlib\n",
    capabilities=CAPABILITIES - {Capability.NATIVE},
    scratch=SCRATCH,
    modes=MODES,
    notes=(
        *NOTES,
        "timestamp is timestamp, timestamptz is timestamp with local time zone.",
        "Unsigned numbers are the next larger signed ones, uint64 is decimal(20,0); json and uuid are strings.",
        "Times of day, intervals, and a uuid inside another type are refused.",
        "Moments before 1677-09-21 or after 2262-04-11 are written, but a transform that reads them from the sink's table fails.",
        "The engine stages Parquet first; it needs room beside the target for a while.",
    ),
)
