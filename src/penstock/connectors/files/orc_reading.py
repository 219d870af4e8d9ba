"""ORC files as batches: read by orc_child.py in a process of its own, brought into the form of our types here."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from signal import Signals
from typing import IO, TYPE_CHECKING, Final

from penstock.connectors.files.listing import unreadable
from penstock.connectors.files.moments import microseconds
from penstock.connectors.files.orc_child import DONE
from penstock.errors import DataError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa

    from penstock.connectors.files.listing import FoundFile
    from penstock.types import Field, Schema

_CHILD: Final = (sys.executable, "-P", "-m", "penstock.connectors.files.orc_child")
_SAID_BYTES: Final = 300


def schemas_of(files: Sequence[FoundFile]) -> dict[str, Schema]:
    """By file, every column nullable. Raises ConfigError SRC-132 (not to be read), DataError SRC-320 (no ORC file),
    ConfigError DOC-404, DOC-406, DOC-410 (names or types that there are none of here).
    """
    from penstock.types.arrow import from_arrow

    with _child(files, None) as child:
        return {file.name: from_arrow(child.schema(file)).relaxed() for file in files}


def batches_of(files: Sequence[FoundFile], wanted: Schema) -> Generator[pa.RecordBatch, None, None]:
    """The rows of the files as columns of ``wanted``, null for those that a file lacks.

    Raises ConfigError SRC-132, DataError SRC-321 (rows of a file cannot be read), DOC-413 (a value does not fit).
    """
    with _child(files, wanted.names) as child:
        for file in files:
            with closing(child.batches(file)) as batches:
                for batch in batches:
                    yield _complete(batch, wanted)


class _Child(Frozen):
    """The process that reads the files, one after another; ``said`` is its standard error."""

    process: subprocess.Popen[bytes]
    said: IO[bytes]

    def schema(self, file: FoundFile) -> pa.Schema:
        """Of the next file. Raises DataError SRC-320."""
        with self._stream(file, "SRC-320", "is no ORC file, or is broken") as stream:
            return stream.schema

    def batches(self, file: FoundFile) -> Generator[pa.RecordBatch, None, None]:
        """Those of the next file, to be taken to their end. Raises DataError SRC-321."""
        with self._stream(file, "SRC-321", "has rows that cannot be read") as stream:
            yield from stream

    @contextmanager
    def _stream(self, file: FoundFile, code: str, what: str) -> Iterator[pa.RecordBatchReader]:
        import pyarrow as pa

        try:
            with pa.ipc.open_stream(self.process.stdout) as stream:
                yield stream
                for _ in stream:
                    pass
            self._check_whole()
        except (OSError, EOFError, pa.ArrowException):
            raise DataError(code, f'"{file.name}" {what}', detail=self._why()) from None

    def _check_whole(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.read(len(DONE)) != DONE:
            raise EOFError

    def _why(self) -> str:
        ended = self.process.wait()
        if ended < 0:
            return f"what read it was ended by {Signals(-ended).name}"
        self.said.seek(0)
        return self.said.read(_SAID_BYTES).decode("utf-8", "replace")


@contextmanager
def _child(files: Sequence[FoundFile], columns: Sequence[str] | None) -> Iterator[_Child]:
    """Raises ConfigError SRC-132."""
    for file in files:
        try:
            file.path.open("rb").close()
        except OSError as error:
            raise unreadable(file.path, error) from None
    asked = json.dumps({"paths": [file.place for file in files], "columns": columns}).encode() + b"\n"
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 -- our own program
            _CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True
        ) as process,
    ):
        assert process.stdin is not None
        try:
            with suppress(BrokenPipeError):  # it died; why, is found where its rows are missing
                process.stdin.write(asked)
                process.stdin.flush()
            yield _Child(process, said)
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.stdin.close()


def _complete(batch: pa.RecordBatch, wanted: Schema) -> pa.RecordBatch:
    import pyarrow as pa

    from penstock.types.arrow import to_arrow
    from penstock.types.conform import conform

    if not wanted.fields:
        return conform(batch, wanted)
    held = set(batch.schema.names)
    arrays = [
        _column(batch.column(field.name), field)
        if field.name in held
        else pa.nulls(batch.num_rows, to_arrow(field.type))
        for field in wanted
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=to_arrow(wanted))


def _column(array: pa.Array, field: Field) -> pa.Array:
    from penstock.types.conform import conform_array

    return conform_array(_cut(array), field.type, name=field.name)


def _cut(array: pa.Array) -> pa.Array:
    """With moments to the microsecond, wherever they stand; the reader gives all of them to the nanosecond."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_timestamp(kind):
        return microseconds(array.cast(pa.int64())).cast(pa.timestamp("us", kind.tz))
    if not pa.types.is_nested(kind) or "timestamp" not in str(kind):
        return array
    mask = array.is_null() if array.null_count else None
    if pa.types.is_struct(kind):
        parts = [_cut(array.field(place)) for place in range(kind.num_fields)]
        return pa.StructArray.from_arrays(parts, [field.name for field in kind], mask=mask)
    offsets = array.offsets
    if pa.types.is_map(kind):
        return pa.MapArray.from_arrays(offsets, _cut(array.keys), _cut(array.items), mask=mask)
    return pa.ListArray.from_arrays(offsets, _cut(array.values), mask=mask)
