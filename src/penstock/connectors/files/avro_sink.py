"""Avro container files: staged by the engine as Parquet, then encoded column by column."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from pydantic import Field

from penstock.connectors.files.avro_container import Codec  # noqa: TC001 -- pydantic evaluates the annotations here
from penstock.connectors.files.avro_encoding import avro_objection, encode_avro
from penstock.connectors.files.decoding import as_written
from penstock.connectors.files.listing import found_at
from penstock.connectors.files.scratch import SCRATCH
from penstock.connectors.files.sink import FileKind, ReadableFileSink
from penstock.connectors.files.sink_params import CAPABILITIES, MODES, NOTES, FileSinkParams
from penstock.connectors.files.staged import STAGED_FORM
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Context
    from penstock.types import Schema


class AvroSinkParams(FileSinkParams):
    """A folder of Avro container files, or one."""

    codec: Codec = Field(
        default="deflate",
        description="How blocks are compressed: every reader knows deflate; zstandard is smaller, snappy faster.",
    )


def make(params: AvroSinkParams, context: Context) -> ReadableFileSink:
    kind = FileKind(
        name="avro",
        form=STAGED_FORM,
        extension="avro",
        objection=avro_objection,
        encode=partial(encode_avro, codec=params.codec),
        decode=decode_avro,
    )
    return ReadableFileSink(params, context, kind)


def decode_avro(path: Path, wanted: Schema) -> Generator[pa.RecordBatch, None, None]:
    """A file of this sink, in the types that it was written from."""
    from penstock.connectors.files.avro_source import batches_of, schema_of
    from penstock.types.arrow import to_arrow

    file = found_at(path, path.name)
    held = schema_of(file)
    stored = held.select([name for name in wanted.names if name in held])
    with closing(batches_of(file, stored)) as batches:
        for batch in batches:
            yield as_written(batch, to_arrow(wanted))


SINK: Final = Descriptor(
    name="avro",
    group="sinks",
    summary="Avro container files: a folder, partitioned or not, or one file.",
    params=AvroSinkParams,
    make=make,
    example="type: avro\nfrom: prices\npath: out/prices\nmode: append\ncodec: zstandard\n",
    capabilities=CAPABILITIES - {Capability.NATIVE},
    scratch=SCRATCH,
    modes=MODES,
    extra="avro",
    notes=(
        *NOTES,
        "Every column is a union of null and its type, so that readers need no change when nulls come.",
        "timestamp is local-timestamp-micros, timestamptz is timestamp-micros, decimals are bytes; uint64 is decimal(20,0).",
        "Whole numbers of 8 and 16 bits are ints, uint32 is long, json and uuid are strings.",
        "A map is an array of records key and value with the logicalType map, as Iceberg writes maps.",
        "Intervals, and names that are not letters, digits and _, are refused.",
        "The engine stages Parquet first; it needs room beside the target for a while.",
    ),
)
