"""Files that break readers: for every hazard and every source of files one file or several, each with what must come of it.

The law that each obeys when it runs through a pipeline: no traceback and no error of our own fault (INT, ENG-320); no
value that is not what the file says; ``in = out + rejected``, exactly; a named error, or rejects with cause and position,
for the rest. A connector's test writes the files, runs them, and compares with ``expected``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.testing.hostile_files.cases import Bad, Expected, FileCase, Hazard, Refused, Row, Taken, Value
from penstock.testing.hostile_files.compressed import compressed
from penstock.testing.hostile_files.csv_files import csv_files
from penstock.testing.hostile_files.excel_files import excel_files
from penstock.testing.hostile_files.json_files import json_files, ndjson_files
from penstock.testing.hostile_files.typed_files import avro_files, orc_files, parquet_files
from penstock.testing.hostile_files.xml_files import xml_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SOURCES: Final[Mapping[str, Callable[[], Iterator[FileCase]]]] = {
    "csv": csv_files,
    "json": json_files,
    "ndjson": ndjson_files,
    "parquet": parquet_files,
    "avro": avro_files,
    "orc": orc_files,
    "excel": excel_files,
    "xml": xml_files,
}
_TYPED: Final = frozenset({"parquet", "avro", "orc"})

# What a format cannot have, and why. Everything else is in the corpus.
LACKING: Final[Mapping[tuple[str, Hazard], str]] = {
    **{(source, Hazard.DEEP_NESTING): "types nest at most 32 levels; deeper ones are DOC-403" for source in _TYPED},
    **{(source, Hazard.BOMB): "pages and blocks have a bound of their own; rows stream" for source in _TYPED},
}


def corpus(source: str) -> tuple[FileCase, ...]:
    """Every case of a source, those of compressed files too."""
    plain = tuple(SOURCES[source]())
    return (*plain, *compressed(source, plain)) if source in ("csv", "json", "ndjson") else plain


__all__ = [
    "LACKING",
    "SOURCES",
    "Bad",
    "Expected",
    "FileCase",
    "Hazard",
    "Refused",
    "Row",
    "Taken",
    "Value",
    "corpus",
]
