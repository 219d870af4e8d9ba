"""What the engine has staged as Parquet for a format that it cannot write itself, as batches."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import ParquetFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.types import Schema

# Read once and thrown away: fast to write, and row groups small enough to be held.
STAGED_FORM: Final = ParquetFormat(compression="lz4", row_group_rows=20_480, version="v1", bloom_filter=False)


def staged_batches(path: Path, schema: Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """The file's rows in their order, at most ``rows`` to a batch, each in the form that ``to_arrow`` gives."""
    from pyarrow import parquet

    from penstock.types.conform import conform

    with closing(parquet.ParquetFile(path)) as file:
        for batch in file.iter_batches(batch_size=rows):
            yield conform(batch, schema)
