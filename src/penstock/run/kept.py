"""Rows that are kept until the epoch is sealed, so that whoever reads them later gets the same ones: those of a node that
several sinks share, and those of a source that cannot be read twice alike.

Arrow's own file format: every logical type as it is, interval and wide decimal too, which DuckDB's Parquet cuts or turns
into doubles. A file is private to its owner and lies in the epoch's folder, which ``Feeds.forget`` removes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, BatchWriter, Chunk, Staged
from penstock.disk import sync_file, sync_folder
from penstock.errors import DataError
from penstock.ledger.api import KeptRows
from penstock.ledger.state import writing_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.graph.nodes import Read
    from penstock.types import Schema

_VERSION: Final = 1
_BLOCK: Final = 1 << 20


class KeptWriter(BatchWriter):
    """One file, new at every attempt. All but ``abort`` raise FatalError LED-103 where the disk does not take it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow as pa

        self._path = path
        with writing_state(path):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._handle = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")
            self._file = pa.ipc.new_file(self._handle, schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        with writing_state(self._path):
            self._file.write_batch(batch)
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        with writing_state(self._path):
            self._close()
            sync_file(self._path)
            sync_folder(self._path.parent)
        return Staged(self._rows, self._path.stat().st_size)

    def abort(self) -> None:
        with suppress(OSError):  # a full disk does not take the file's end either
            self._close()
        self._path.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._handle.closed:
            with self._handle:
                self._file.close()


def kept_rows(folder: Path, path: Path) -> KeptRows:
    """What is remembered of a file below ``folder``."""
    return KeptRows(str(path.relative_to(folder)), _checksum_of(path))


def rows_of(folder: Path, node: Read, kept: KeptRows) -> Batches:
    """The rows of a node. Raises DataError SRC-110 where the file is gone or altered."""
    return _read(folder, node, kept, Chunk)


def nothing_of(node: Read) -> Batches:
    """A stream without rows."""
    return Batches(_schema(node), lambda: iter(()))


def rejects_of(folder: Path, node: Read, kept: KeptRows) -> Batches:
    """A stream without rows: the records of a node that became none. Errors as ``rows_of``."""

    def chunk(batch: pa.RecordBatch, position: dict[str, int]) -> Chunk:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow

        return Chunk(pa.RecordBatch.from_pylist([], schema=to_arrow(_schema(node))), position, batch)

    return _read(folder, node, kept, chunk)


def _read(
    folder: Path, node: Read, kept: KeptRows, chunk: Callable[[pa.RecordBatch, dict[str, int]], Chunk]
) -> Batches:
    path = folder / kept.path
    if not path.is_file() or _checksum_of(path) != kept.checksum:
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
                yield chunk(file.get_batch(number), {"v": _VERSION, "batch": number})

    return Batches(_schema(node), chunks)


def _schema(node: Read) -> Schema:
    assert node.schema is not None
    return node.schema


def _checksum_of(path: Path) -> str:
    """XXH3 (128 bits, hex) of a file."""
    import xxhash

    digest = xxhash.xxh3_128()
    with path.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
