"""Rows of a node that are kept until the epoch is sealed, so that a sink that gets the epoch later gets the same ones.

Arrow's own file format: every logical type as it is, interval and wide decimal too. A file is private to its owner and
named by epoch, attempt and a number; it lies beside what sources spooled and goes with it (``Feeds.forget``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, BatchWriter, Chunk, Staged
from penstock.disk import sync_file, sync_folder
from penstock.errors import DataError
from penstock.ledger.api import KeptRows
from penstock.run.feeds import checksum_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.graph.nodes import Read
    from penstock.types import Schema

_VERSION: Final = 1


class KeptWriter(BatchWriter):
    """One file, new at every attempt."""

    def __init__(self, path: Path, schema: Schema) -> None:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow

        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._handle = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._file = pa.ipc.new_file(self._handle, to_arrow(schema), options=options)
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write_batch(batch)
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        self._close()
        sync_file(self._path)
        sync_folder(self._path.parent)
        return Staged(self._rows, self._path.stat().st_size)

    def abort(self) -> None:
        self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._handle.closed:
            self._file.close()
            self._handle.close()


def kept_rows(folder: Path, path: Path) -> KeptRows:
    """What the ledger remembers of a file below ``folder``."""
    return KeptRows(str(path.relative_to(folder)), checksum_of(path))


def rows_of(folder: Path, node: Read, kept: KeptRows) -> Batches:
    """Raises DataError SRC-110 where the file is gone or altered."""
    path, schema = folder / kept.path, node.schema
    assert schema is not None
    if not path.is_file() or checksum_of(path) != kept.checksum:
        raise DataError(
            "SRC-110",
            f'the kept rows of "{node.id}" are gone or altered',
            at=node.at,
            detail=kept.path,
            hint="begin anew: `penstock run FILE --full-refresh`",
        )

    def chunks() -> Iterator[Chunk]:
        import pyarrow as pa

        with pa.memory_map(str(path)) as content, pa.ipc.open_file(content) as file:
            for number in range(file.num_record_batches):
                yield Chunk(file.get_batch(number), {"v": _VERSION, "batch": number})

    return Batches(schema, chunks)
