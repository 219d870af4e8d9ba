"""Rows on their way into a database file (SQLite, DuckDB): kept beside it as Arrow until the commit, so that nobody waits
for a lock meanwhile.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from penstock.connectors.api import BatchWriter, Staged
from penstock.connectors.commits import fingerprint, taken_over
from penstock.errors import FatalError, InternalError, TransientError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

    from penstock.connectors.api import Epoch, SinkId
    from penstock.types import Schema

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Form(Protocol):
    """Brings batches into the form in which they are staged. ``close`` is idempotent."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch: ...
    def close(self) -> None: ...


class AsItComes:
    """The form of a system that takes Arrow's types."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch

    def close(self) -> None:
        """Nothing is held."""


class StagingFolder(Frozen):
    """Where the writers of a sink leave files: ``folder`` is the sink's own, ``system`` part of their names. ``full`` and
    ``failed`` are the codes of FatalError and TransientError where the folder does not take them.
    """

    folder: Path
    system: str
    full: str
    failed: str

    def attempt_file(self, epoch: Epoch) -> Path:
        """A new, empty file for one more writer of the attempt."""
        place = 0
        while True:
            name = f"{self._prefix(epoch.sink_id)}{fingerprint(epoch.attempt, str(epoch.number))}-{place:04d}.arrow"
            try:
                (self.folder / name).touch(exist_ok=False)
            except FileExistsError:
                place += 1
            else:
                return self.folder / name

    def staged_of(self, sink_id: SinkId) -> list[Path]:
        """All that writers of this sink id have left."""
        return sorted(self.folder.glob(f"{self._prefix(sink_id)}*.arrow"))

    def _prefix(self, sink_id: SinkId) -> str:
        return f"{self.system}-{fingerprint(*sink_id.parts)}-"

    @contextmanager
    def touched(self) -> Iterator[None]:
        """Raises FatalError ``full`` and TransientError ``failed`` in place of OSError."""
        try:
            yield
        except OSError as error:
            if error.errno in _FULL:
                message = f'there is no room to stage rows in "{self.folder}"'
                raise FatalError(self.full, message, detail=str(error)) from error
            raise TransientError(self.failed, f'staging rows in "{self.folder}" failed', detail=str(error)) from error


class ArrowWriter(BatchWriter):
    """Writes ``path``, an Arrow stream of the columns in their ``form``; an empty file where no row came. ``staged`` is told
    when it is whole.
    """

    def __init__(
        self, place: StagingFolder, path: Path, schema: Schema, staged: Callable[[], None], form: Form
    ) -> None:
        self.place = place
        self.path = path
        self.schema = schema
        self.staged = staged
        self.form = form
        self._rows = 0
        self._stream: Any = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises as the form does, and as ``touched`` of the folder."""
        import pyarrow as pa

        if not batch.num_rows:
            return
        kept = self.form(batch)
        with self.place.touched():
            if self._stream is None:
                self._stream = pa.ipc.new_stream(str(self.path), kept.schema)
            self._stream.write_batch(kept)
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        """Raises as ``touched`` of the folder."""
        with self.place.touched():
            self._close()
        self.staged()
        size = self.path.stat().st_size if self._rows else 0
        columns = [dict(column) for column in self.schema.to_json()]
        return Staged(self._rows, size, {"path": str(self.path), "columns": columns})  # type: ignore[dict-item]

    def abort(self) -> None:
        with suppress(OSError):  # a full disk does not take the file's end either
            self._close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        self.form.close()
        if self._stream is not None:
            self._stream.close()
            self._stream = None


class StagedRows(Frozen):
    """What one writer left."""

    path: Path
    schema: Schema
    rows: int
    epoch: Epoch

    @classmethod
    def of(cls, staged: Staged, epoch: Epoch) -> StagedRows:
        """Raises InternalError INT-900 for what no writer gave."""
        from penstock.types import Schema

        match staged.payload:
            case {"path": str() as path, "columns": list() as columns}:
                return cls(Path(path), Schema.from_json(columns), staged.rows, epoch)
        raise InternalError("INT-900", "what was staged for a sink is not what its writer said")

    def stream(self) -> pa.RecordBatchReader:
        """The rows; there must be some. Raises FatalError SNK-120 where the file is gone."""
        import pyarrow as pa

        try:
            return pa.ipc.open_stream(pa.memory_map(str(self.path)))
        except FileNotFoundError:
            raise taken_over(self.epoch, "what it staged is gone") from None
