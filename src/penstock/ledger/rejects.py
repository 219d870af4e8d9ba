"""The reject store: Parquet files of one attempt, one per node, private to their owner; the ledger has their index."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from penstock.errors import DataError
from penstock.graph.replayed import node_of
from penstock.ledger.api import RejectFile
from penstock.ledger.state import writing_state
from penstock.structs import Mutable, field
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    import pyarrow as pa
    import pyarrow.parquet as pq

    from penstock.ledger.api import PipelineKey

FOLDER: Final = "rejects"
# As ``connectors.api.REJECT_COLUMNS`` and ``SOURCE_ROW``, the JSON as texts.
KEPT: Final = Schema.of(
    {
        **dict.fromkeys(("position", "row", "raw", "source_row"), "string?"),
        "causes": "list<struct<code: string?, column: string?, message: string?>?>?",
    }
)
_NAME_CHARACTERS: Final = 100
_BLOCK: Final = 1 << 20

Group: TypeAlias = "tuple[str, str | None]"  # code and column of a cause


class _File(Mutable):
    path: Path
    writer: pq.ParquetWriter
    handle: pa.NativeFile
    rows: int = 0
    groups: Counter[Group] = field(default_factory=Counter)


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
        *,
        places: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        """``labels``: by node and column; ``places``: by node and code."""
        self._state = state
        # A name of its own for every try: what an earlier one left stays as the index has it.
        name = f"{epoch}-{attempt}-{uuid.uuid4().hex[:8]}"
        self._folder = state / FOLDER / key.project / key.environment / key.pipeline / name
        self._labels = labels
        self._places = places
        self._lock = threading.Lock()
        self._files: dict[str, _File] = {}
        self._numbers = count()  # names of nodes that differ may be alike as names of files

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

        from penstock.types.arrow import to_arrow

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{next(self._numbers):03}-{_file_name(node)}.parquet"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        handle = pa.OSFile(str(path), "wb")
        file = self._files[node] = _File(path, pq.ParquetWriter(handle, to_arrow(KEPT), compression="zstd"), handle)
        return file

    def _finished(self, node: str, file: _File) -> RejectFile:
        _close(file)
        with file.path.open("rb") as content:
            os.fsync(content.fileno())
            checksum = checksum_of(content)
        path = str(file.path.relative_to(self._state))
        return RejectFile(
            node_of(node),
            path,
            file.rows,
            checksum,
            dict(file.groups),
            self._labels.get(node, {}),
            self._places.get(node, {}),
        )


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


def _complete(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Every column of the store, null where the engine had nothing to say."""
    import pyarrow as pa

    from penstock.types.arrow import to_arrow

    kept = to_arrow(KEPT)
    columns = [
        _plain(batch.column(item.name)).cast(item.type)
        if item.name in batch.schema.names
        else pa.nulls(batch.num_rows, item.type)
        for item in kept
    ]
    return pa.RecordBatch.from_arrays(columns, schema=kept)


def _plain(column: pa.Array) -> pa.Array:
    import pyarrow as pa

    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _groups(batch: pa.RecordBatch) -> dict[Group, int]:
    """Rows per (code, column); a row with two causes of one group counts once."""
    counted = (
        _causes(batch)
        .group_by(["row", "code", "column"])
        .aggregate([])
        .group_by(["code", "column"])
        .aggregate([([], "count_all")])
    )
    return {(row["code"], row["column"]): row["count_all"] for row in counted.to_pylist()}


def _causes(batch: pa.RecordBatch) -> pa.Table:
    """One line per cause: the row's place in the batch, the code and the column."""
    import pyarrow as pa
    import pyarrow.compute as pc

    causes = batch.column("causes")
    values = pc.list_flatten(causes)
    return pa.table(
        {
            "row": pc.list_parent_indices(causes),
            "code": pc.struct_field(values, "code"),
            "column": pc.struct_field(values, "column"),
        }
    )


def having(batch: pa.RecordBatch, groups: Collection[Group]) -> pa.BooleanArray:
    """Per row, whether one of its causes is one of the groups."""
    import pyarrow as pa
    import pyarrow.compute as pc

    causes = _causes(batch)
    found = pa.array([False] * causes.num_rows)
    for code, name in groups:
        column = causes.column("column")
        is_named = pc.is_null(column) if name is None else pc.fill_null(pc.equal(column, name), fill_value=False)
        found = pc.or_(found, pc.and_(pc.equal(causes.column("code"), code), is_named))
    rows = pc.unique(causes.column("row").filter(found))
    return pc.is_in(pa.array(range(batch.num_rows), rows.type), rows)


def open_rows(batch: pa.RecordBatch, settled: Collection[Group], group: Group | None = None) -> pa.RecordBatch:
    """The rows of a file that were neither replayed nor discarded as rows of the ``settled`` groups; ``group``: of these
    those that have it.
    """
    import pyarrow.compute as pc

    left = batch.filter(pc.invert(having(batch, settled))) if settled else batch
    return left if group is None else left.filter(having(left, [group]))


def left_of(state: Path, file: RejectFile, settled: Collection[Group]) -> tuple[int, dict[Group, int]]:
    """How many rows of a file are open, and how many per group. Raises as ``read``."""
    rows, groups = 0, Counter[Group]()
    for batch in read(state, file):
        left = open_rows(batch, settled)
        rows += left.num_rows
        groups.update(_groups(left))
    return rows, dict(groups)


def read(state: Path, file: RejectFile) -> Iterator[pa.RecordBatch]:
    """The rows of a file, batch by batch, in their order.

    Raises DataError LED-120 where the file is gone or altered: its checksum is looked at before the first row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = state / file.path
    try:
        with path.open("rb") as content:
            if checksum_of(content) != file.checksum:
                raise _unreadable(file, "it is not what was written: its checksum differs")
            yield from pq.ParquetFile(content).iter_batches()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, str(error)) from None


def checksum_of(content: BinaryIO) -> str:
    """XXH3 (128 bits, hex) of a file, which stands at its beginning afterwards."""
    import xxhash

    digest = xxhash.xxh3_128()
    while block := content.read(_BLOCK):
        digest.update(block)
    content.seek(0)
    return digest.hexdigest()


def _unreadable(file: RejectFile, why: str) -> DataError:
    return DataError(
        "LED-120",
        f'the rejects of "{file.node}" cannot be read',
        detail=f"{Path(file.path).name}: {why}",
    )
