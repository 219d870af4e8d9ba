"""Compressed text is decompressed a second time, beside the engine, for what DuckDB 2.0 says nothing of: a zstd file that
is cut off, whose rest it leaves out; a gzip file that its check sum says is altered; a last CSV record of 8 MB and more.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from penstock.connectors.api import CsvFormat, JsonFormat
from penstock.engines.duckdb.careful.line_breaks import stream
from penstock.engines.duckdb.errors import files_are_whole
from penstock.engines.duckdb.long_ends import is_long_end
from penstock.engines.duckdb.readers import MAX_CSV_BYTES
from penstock.errors import DataError

if TYPE_CHECKING:
    from penstock.connectors.api import Files


def needs_inspection(files: Files) -> bool:
    """Whether the files are of compressed text."""
    return isinstance(files.format, CsvFormat | JsonFormat) and files.format.compression in ("gzip", "zstd")


class Inspection:
    """Goes through files on threads of its own, from the moment it is made, in a few MB of memory per thread.

    ``check`` waits for what it found; ``stop`` sends it away, from any thread; ``close`` must follow.
    """

    def __init__(self, files: Files, threads: int) -> None:
        self._files = files
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="inspect")
        self._ends = [self._pool.submit(self._end_of, path) for path in files.paths]

    def check(self) -> None:
        """Blocks until all files were gone through, or ``stop``.

        Raises FatalError ENG-304 for a file that is cut off or broken; DataError ENG-312 where the last record of a CSV
        file is longer than a record may be, so that only a careful read is right.
        """
        for path, end in zip(self._files.paths, self._ends, strict=True):
            if end.result() and not self._stopped.is_set():
                raise DataError("ENG-312", "the last record of a file is too long", detail=f"it is in {path}")

    def stop(self) -> None:
        """Idempotent; does not wait."""
        self._stopped.set()

    def close(self) -> None:
        """Stops, and waits for the threads. Idempotent."""
        self.stop()
        self._pool.shutdown(wait=True)

    def _end_of(self, path: str) -> bool:
        """Whether the file's last record is too long. Its last bytes are in the last two blocks."""
        before = last = b""
        with files_are_whole(path), stream(path, self._files.format.compression) as source:
            while not self._stopped.is_set() and (block := source.read(MAX_CSV_BYTES)):
                before, last = last, block
        return isinstance(self._files.format, CsvFormat) and is_long_end(before + last)
