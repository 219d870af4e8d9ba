"""Rows between the local engine and Spark: folders of Parquet in the form in which Spark holds them (``carried``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, BatchWriter, Chunk, Staged
from penstock.engines.spark.carried import carried_schema, from_spark, into_spark

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.types import Schema

BATCH_ROWS: Final = 50_000


class SpoolWriter(BatchWriter):
    """Writes one file into a folder that it makes; there is a file also where no row came."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        import pyarrow.parquet as pq

        folder.mkdir()
        self._schema, self._rows = schema, 0
        self._path = folder / "part-00000.parquet"
        self._file = pq.ParquetWriter(self._path, carried_schema(schema), compression="snappy")

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write_batch(into_spark(batch, self._schema))
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        self._file.close()
        return Staged(rows=self._rows, bytes=self._path.stat().st_size)

    def abort(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def rows_in(folder: Path) -> int:
    """How many rows the files of a folder hold, by their own footers."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet")))


def spooled(folder: Path, schema: Schema) -> Batches:
    """The rows of a folder, file by file, as the local engine takes them; may be opened as often as needed."""
    relaxed = schema.relaxed()

    def chunks() -> Iterator[Chunk]:
        import pyarrow.parquet as pq

        seen = 0
        for path in sorted(folder.glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(BATCH_ROWS):
                    seen += batch.num_rows
                    yield Chunk(from_spark(batch, relaxed), {"v": 1, "rows": seen})

    return Batches(relaxed, chunks)
