"""The program that reads ORC files, in a process of its own: the reader of a damaged file may crash or never end.

Standard input: one line of JSON, ``{"paths": [...], "columns": [...] | null}``, and then nothing; its end is the end of
whoever asked, and of this process. Standard output: per file an Arrow stream of the columns that it has, of its schema
alone where ``columns`` is null, and ``DONE``: readers of Arrow take a stream that breaks off between two batches for
whole. A file that cannot be read ends the program, with one line on standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE: Final = b"."
UNREADABLE: Final = 3
_CELLS: Final = 2**20
_ROWS: Final = (1_024, 65_536)


def main() -> int:
    import pyarrow as pa

    asked = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_who_asked, daemon=True).start()
    try:
        for path in asked["paths"]:
            _write(path, asked["columns"])
    except (OSError, pa.ArrowException) as error:
        sys.stderr.write((str(error).splitlines() or [type(error).__name__])[0])
        sys.stderr.flush()
        return UNREADABLE
    return 0


def _end_with_who_asked() -> None:
    sys.stdin.buffer.read()
    os._exit(UNREADABLE)


def _write(path: str, columns: Sequence[str] | None) -> None:
    import pyarrow as pa
    from pyarrow import dataset, fs

    file = dataset.OrcFileFormat().make_fragment(path, fs.LocalFileSystem())
    schema = file.physical_schema
    if columns is not None:  # one at least: it tells how many rows there are
        names = [name for name in columns if name in schema.names] or schema.names[:1]
        schema = pa.schema([schema.field(name) for name in names])
    stream = pa.ipc.new_stream(sys.stdout.buffer, schema)
    if columns is not None:
        rows = min(max(_CELLS // max(len(schema), 1), _ROWS[0]), _ROWS[1])
        for batch in file.to_batches(
            columns=schema.names, batch_size=rows, batch_readahead=1, fragment_readahead=1, use_threads=False
        ):
            batch.validate(full=True)
            stream.write_batch(batch)
    stream.close()
    sys.stdout.buffer.write(DONE)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    os._exit(main())  # Arrow may abort a process that ends otherwise, after all was done
