"""ORC files, read batch by batch within their stripes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk
from penstock.connectors.files.file_source import CAPABILITIES, NOTES, FileSource, FileSourceParams
from penstock.connectors.files.orc_reading import batches_of, schemas_of
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penstock.connectors.api import Position, Rows
    from penstock.connectors.files.listing import FoundFile
    from penstock.types import Schema


class OrcSourceParams(FileSourceParams):
    """ORC files."""


class OrcSource(FileSource):
    """Columns and types as the footers of all files say, types widened where they differ."""

    endings = (".orc",)

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        """Errors as ``schemas_of``; DataError SRC-135."""
        return self.widened(schemas_of(files))

    def _rows(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Rows:
        return Batches(wanted, lambda: self._chunks(files, wanted, upto))

    def _chunks(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Iterator[Chunk]:
        with closing(batches_of(files, wanted)) as batches:
            for batch in batches:
                yield Chunk(batch, upto)


SOURCE: Final = Descriptor(
    name="orc",
    group="sources",
    summary="ORC files on a local file system: one, a folder, or a pattern.",
    params=OrcSourceParams,
    make=OrcSource,
    example="type: orc\npath: data/events/\n",
    capabilities=CAPABILITIES - {Capability.NATIVE} | {Capability.PROJECTION},
    notes=(
        *NOTES,
        "timestamp is timestamp, timestamp with local time zone is timestamptz; nanoseconds are cut to microseconds.",
        "Moments before 1677-09-21 or after 2262-04-11, which the reader cannot hold, fail the epoch where their column is read.",
        "char and varchar are strings; unions are refused.",
        "ORC has no checksums: damage that no codec notices, and that still makes rows, is not seen.",
        "Files are read in a process of their own, since the reader of a damaged file may crash or never end.",
    ),
)
