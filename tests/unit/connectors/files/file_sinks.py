"""Sinks of files as tests of this folder make them, and readers that know nothing of them."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from penstock.clock import SystemClock
from penstock.connectors.api import Context, pass_by
from penstock.connectors.files import avro_sink, csv_sink, excel_sink, json_sink, orc_sink, parquet_sink
from penstock.testing import native

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.files.sink import FileSink

DESCRIPTORS = {
    "avro": avro_sink.SINK,
    "csv": csv_sink.SINK,
    "excel": excel_sink.SINK,
    "json": json_sink.SINK,
    "orc": orc_sink.SINK,
    "parquet": parquet_sink.SINK,
}


def file_sink(
    folder: Path, kind: str = "parquet", *, reached: Callable[[str], None] = pass_by, every: int = 64, **given: object
) -> FileSink:
    """A sink into ``folder/out`` unless a path is given."""
    descriptor = DESCRIPTORS[kind]
    params = descriptor.params.model_validate({"type": kind, "from": "rows", "path": "out", **given})
    made: FileSink = descriptor.make(params, Context("out", folder.joinpath, folder, SystemClock(), reached=reached))
    made._target.log._every = every
    return made


def ids(folder: Path, pattern: str = "out/**/*.parquet") -> Counter[int]:
    """The ids in all files that a reader finds, with how often."""
    found: Counter[int] = Counter()
    with closing(native.connection()) as database:
        for path in sorted(folder.glob(pattern)):
            rows = database.execute("SELECT id FROM read_parquet(?)", [str(path)]).fetchall()
            found.update(row[0] for row in rows)
    return found
