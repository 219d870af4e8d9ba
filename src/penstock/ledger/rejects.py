"""The reject store: Parquet files of one attempt, one per node, private to their owner; the ledger has their index."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from penstock.errors import DataError
from penstock.ledger.api import RejectFile
from penstock.ledger.state import writing_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    import pyarrow as pa
    import pyarrow.parquet as pq

    from penstock.ledger.api import PipelineKey, RejectEntry

FOLDER: Final = "rejects"
_NAME_CHARACTERS: Final = 100


@dataclass(slots=True)
class _File:
    path: Path
    writer: pq.ParquetWriter
    handle: pa.NativeFile
    rows: int = 0
    groups: Counter[tuple[str, str | None]] = field(default_factory=Counter)


class RejectFiles:
    """Implements ``engines.api.RejectStore``. Safe to write from several threads.

    ``write`` and ``finish`` raise FatalError LED-103 where the disk does not take the files.
    """

    def __init__(
        self,
        state: Path,
        key: PipelineKey,
        epoch: int,
        attempt: str,
        labels: Mapping[str, Mapping[str, frozenset[str]]],
    ) -> None:
        """``labels``: by node and column."""
        self._state = state
        # A name of its own for every try: what an earlier one left stays as the index has it.
        name = f"{epoch}-{attempt}-{uuid.uuid4().hex[:8]}"
        self._folder = state / FOLDER / key.project / key.environment / key.pipeline / name
        self._labels = labels
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}

    def write(self, node: str, batch: pa.RecordBatch) -> None:
        with self._lock, writing_state(self._folder):
            file = self._files.get(node) or self._opened(node)
            whole = _complete(batch)
            file.writer.write_batch(whole)
            file.rows += whole.num_rows
            file.groups.update(_groups(whole))

    def clear(self, node: str) -> None:
        with self._lock:
            file = self._files.pop(node, None)
            if file is not None:
                _close(file)
                file.path.unlink(missing_ok=True)

    def finish(self) -> tuple[RejectFile, ...]:
        """Closes and syncs the files; what there is of them."""
        with self._lock:
            files, self._files = self._files, {}
        with writing_state(self._folder):
            return tuple(self._finished(node, file) for node, file in sorted(files.items()))

    def discard(self) -> None:
        """Removes what this attempt wrote."""
        for node in list(self._files):
            self.clear(node)

    def _opened(self, node: str) -> _File:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{len(self._files):03}-{_file_name(node)}.parquet"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        handle = pa.OSFile(str(path), "wb")
        file = self._files[node] = _File(path, pq.ParquetWriter(handle, _schema(), compression="zstd"), handle)
        return file

    def _finished(self, node: str, file: _File) -> RejectFile:
        import xxhash

        _close(file)
        with file.path.open("rb") as content:
            os.fsync(content.fileno())
            checksum = xxhash.xxh3_128_hexdigest(content.read())
        path = str(file.path.relative_to(self._state))
        return RejectFile(node, path, file.rows, checksum, dict(file.groups), self._labels.get(node, {}))


def remove(state: Path, files: Iterable[RejectFile]) -> None:
    """Files that another attempt has written anew and that no index names."""
    for file in files:
        path = state / file.path
        path.unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files
            path.parent.rmdir()


def _close(file: _File) -> None:
    file.writer.close()
    file.handle.close()


def _file_name(node: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in node)[:_NAME_CHARACTERS]


def _schema() -> pa.Schema:
    import pyarrow as pa

    cause = pa.struct([("code", pa.string()), ("column", pa.string()), ("message", pa.string())])
    return pa.schema(
        [
            ("position", pa.string()),
            ("row", pa.string()),
            ("raw", pa.string()),
            ("source_row", pa.string()),
            ("causes", pa.list_(cause)),
        ]
    )


def _complete(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Every column of the store, null where the engine had nothing to say."""
    import pyarrow as pa

    columns = [
        _plain(batch.column(item.name)).cast(item.type)
        if item.name in batch.schema.names
        else pa.nulls(batch.num_rows, item.type)
        for item in _schema()
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_schema())


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _groups(batch: pa.RecordBatch) -> dict[tuple[str, str | None], int]:
    """Rows per (code, column); a row with two causes of one group counts once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    causes = batch.column("causes")
    values = pc.list_flatten(causes)
    table = pa.table(
        {
            "row": pc.list_parent_indices(causes),
            "code": pc.struct_field(values, "code"),
            "column": pc.struct_field(values, "column"),
        }
    )
    counted = (
        table.group_by(["row", "code", "column"])
        .aggregate([])
        .group_by(["code", "column"])
        .aggregate([([], "count_all")])
    )
    return {(row["code"], row["column"]): row["count_all"] for row in counted.to_pylist()}


def read(state: Path, entry: RejectEntry) -> Iterator[pa.RecordBatch]:
    """The rows of an index entry, batch by batch.

    Raises DataError LED-120 where the file is gone or altered.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = state / entry.file.path
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            "LED-120", f'the rejects of "{entry.file.node}" cannot be read', detail=f"{path.name}: {error}"
        ) from None
