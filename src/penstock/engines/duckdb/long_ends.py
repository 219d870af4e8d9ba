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
    False for compressed files, which would have to be read to their end to tell.
    """
    form = files.format
    if not isinstance(form, CsvFormat) or form.compression in ("gzip", "zstd"):
        return False
    return any(_is_long_ended(Path(path)) for path in files.paths)


def _is_long_ended(path: Path) -> bool:
    with suppress(OSError):  # for the engine to tell
        if path.stat().st_size > MAX_CSV_BYTES:
            with path.open("rb") as file:
                file.seek(-MAX_CSV_BYTES, 2)
                end = file.read().rstrip(b"\r\n")
            return b"\n" not in end and b"\r" not in end
    return False
