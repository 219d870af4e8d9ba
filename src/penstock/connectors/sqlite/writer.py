"""Rows on their way into SQLite: kept beside it as Arrow until the commit, so that nobody waits for a lock meanwhile."""

from __future__ import annotations

import errno
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.api import BatchWriter, Staged
from penstock.connectors.commits import taken_over
from penstock.connectors.sqlite.storing import values_of
from penstock.errors import FatalError, InternalError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Epoch
    from penstock.connectors.sqlite.storing import Storing
    from penstock.types import Schema

BATCH_ROWS: Final = 20_000
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(slots=True)
class ArrowWriter(BatchWriter):
    """Writes ``path``, an Arrow stream of the columns as SQLite keeps them; no file where no row came."""

    path: Path
    schema: Schema
    reached: Callable[[str], None]
    storing: Storing
    _rows: int = 0
    _stream: Any = field(default=None)

    def write(self, batch: pa.RecordBatch) -> None:
        """Raises DataError SNK-177 (a day that SQLite cannot hold); of the scratch folder, FatalError SNK-173 (no room) and
        TransientError SNK-174.
        """
        import pyarrow as pa

        if not batch.num_rows:
            return
        kept = self.storing(batch)
        with _staging(self.path):
            if self._stream is None:
                self._stream = pa.ipc.new_stream(str(self.path), kept.schema)
            self._stream.write_batch(kept)
        self._rows += batch.num_rows

    def stage(self) -> Staged:
        """Raises as ``write`` does of the scratch folder."""
        with _staging(self.path):
            self._close()
        self.reached("sqlite.staged")
        size = self.path.stat().st_size if self._rows else 0
        columns = [dict(column) for column in self.schema.to_json()]
        return Staged(self._rows, size, {"path": str(self.path), "columns": columns})  # type: ignore[dict-item]

    def abort(self) -> None:
        with suppress(OSError):  # a full disk does not take the file's end either
            self._close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        self.storing.close()
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@contextmanager
def _staging(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise FatalError(
                "SNK-173", f'there is no room to stage rows in "{path.parent}"', detail=str(error)
            ) from error
        raise TransientError("SNK-174", f'staging rows in "{path.parent}" failed', detail=str(error)) from error


@dataclass(frozen=True, slots=True)
class StagedRows:
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
        raise InternalError("INT-900", "what was staged for a sink of SQLite is not what its writer said")

    def batches(self) -> Iterator[Sequence[Sequence[object]]]:
        """Columns of values for the driver, some rows at a time. Raises FatalError SNK-120 where the file is gone."""
        import pyarrow as pa

        if not self.rows:
            return
        try:
            stream = pa.ipc.open_stream(pa.memory_map(str(self.path)))
        except OSError:
            raise taken_over(self.epoch, "what it staged is gone") from None
        for batch in stream:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                yield [values_of(column, kept.type) for column, kept in zip(part.columns, self.schema, strict=True)]
