"""CSV files whose last record DuckDB's reader drops without a word: one of 8 MB and more (DuckDB 2.0, in any threads)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.connectors.api import CsvFormat
from penstock.engines.duckdb.readers import MAX_CSV_BYTES

if TYPE_CHECKING:
    from penstock.connectors.api import Files


def has_long_end(files: Files) -> bool:
    """Whether the last record of one of the files is longer than a record may be, so that only a careful read is right.
    False for compressed files, which have to be read to their end to tell: :mod:`inspection`.
    """
    form = files.format
    if not isinstance(form, CsvFormat) or form.compression in ("gzip", "zstd"):
        return False
    return any(is_long_end(_end(Path(path))) for path in files.paths)


def is_long_end(end: bytes) -> bool:
    """Whether the last record of a text is longer than a record may be; ``end``: more than so many of its last bytes, or
    all it has.
    """
    if len(end) <= MAX_CSV_BYTES:
        return False
    record = end[-MAX_CSV_BYTES:].rstrip(b"\r\n")
    return b"\n" not in record and b"\r" not in record


def _end(path: Path) -> bytes:
    with suppress(OSError):  # for the engine to tell
        size = path.stat().st_size
        if size > MAX_CSV_BYTES:
            with path.open("rb") as file:
                file.seek(-MAX_CSV_BYTES - 1, 2)
                return file.read()
    return b""
