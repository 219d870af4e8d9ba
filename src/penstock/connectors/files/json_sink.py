"""JSON files, one object per line or one array, written by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from penstock.connectors.api import JsonFormat
from penstock.connectors.files.held import json_objection, unreadable_json
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


class JsonSinkParams(FileSinkParams):
    """A folder of JSON files, or one; UTF-8."""

    layout: Literal["lines", "array"] = Field(
        default="lines", description="One object per line (.ndjson), or each file one array of objects (.json)."
    )
    compression: TextCompression = Field(
        default=None, description="none, gzip or zstd; unsaid, the path's extension (.gz, .zst) decides."
    )


def make(params: JsonSinkParams, context: Context) -> ReadableFileSink:
    compression: Literal["none", "gzip", "zstd"] = compression_of(params.path, params.compression)
    kind = FileKind(
        name="json",
        form=JsonFormat(layout=params.layout, compression=compression),
        extension=with_compression("ndjson" if params.layout == "lines" else "json", compression),
        objection=json_objection,
        unreadable=unreadable_json,
    )
    return ReadableFileSink(params, context, kind)


SINK: Final = Descriptor(
    name="json",
    group="sinks",
    summary="JSON files, one object per line or one array: a folder, partitioned or not, or one file.",
    params=JsonSinkParams,
    make=make,
    example="type: json\nfrom: prices\npath: out/prices\nmode: append\n",
    capabilities=CAPABILITIES,
    scratch=SCRATCH,
    modes=MODES,
    notes=(
        *NOTES,
        "Numbers keep every digit in the file; most readers, the engine's too, take them for doubles.",
        "A transform cannot read the sink's table where it has decimals of more than 15 digits, or json columns.",
        "A json value that is null and a missing value are both written as null.",
        "NaN and the infinities are written as NaN, Infinity and -Infinity, which strict JSON readers refuse.",
        "Timestamps with zone are written in UTC.",
        "Refused are intervals, binary, and decimals without a digit before the point, such as decimal(4,4).",
    ),
)
