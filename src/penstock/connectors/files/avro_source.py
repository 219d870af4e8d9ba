"""Avro container files, read block by block: framed and decompressed here, decoded into columns by polars.

polars takes whole files only, so it is given one after another small ones, each made of a few blocks under the plain
schema of avro_schema.py; no record passes through Python.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Batches, Chunk
from penstock.connectors.files.file_source import CAPABILITIES, NOTES, TEXT_OUTLINE, FileSource, FileSourceParams
from penstock.connectors.files.listing import unreadable
from penstock.errors import DataError
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    import pyarrow as pa

    from penstock.connectors.api import Position, Rows
    from penstock.connectors.files.avro_container import Block, ContainerReader
    from penstock.connectors.files.avro_schema import Shape
    from penstock.connectors.files.listing import FoundFile
    from penstock.types import Schema

_GROUP_BYTES: Final = 4 * 2**20
_GROUP_ROWS: Final = 65_536


class AvroSourceParams(FileSourceParams):
    """Avro container files."""


class AvroSource(FileSource):
    """Columns and types as the files' own schemas say, types widened where they differ."""

    endings = (".avro",)
    outline = TEXT_OUTLINE

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        """Raises DataError SRC-300, SRC-302, SRC-303, SRC-135."""
        return self.widened({file.name: schema_of(file) for file in files})

    def _rows(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Rows:
        return Batches(wanted, lambda: self._chunks(files, wanted, upto))

    def _chunks(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Iterator[Chunk]:
        for file in files:
            with closing(batches_of(file, wanted)) as batches:
                for batch in batches:
                    yield Chunk(batch, upto)


def schema_of(file: FoundFile) -> Schema:
    """As the file's header says. Errors as ContainerReader and ``shape_of``; ConfigError SRC-132."""
    from penstock.connectors.files.avro_container import ContainerReader
    from penstock.connectors.files.avro_schema import columns_of, shape_of

    try:
        with file.path.open("rb") as stream:
            return columns_of(shape_of(ContainerReader(stream, file.name).header.schema, named=file.name))
    except OSError as error:
        raise unreadable(file.path, error) from None


def batches_of(file: FoundFile, wanted: Schema) -> Generator[pa.RecordBatch, None, None]:
    """The rows of a file as columns of ``wanted``, null for those that the file lacks. Closes it when it is closed.

    Raises as ContainerReader, and DataError SRC-304 where a block's records are not what the schema says.
    """
    from penstock.connectors.files.avro_container import ContainerReader
    from penstock.connectors.files.avro_schema import shape_of

    try:
        with file.path.open("rb") as stream:
            container = ContainerReader(stream, file.name)
            decoder = _Decoder(container, shape_of(container.header.schema, named=file.name), file.name, wanted)
            for group in _groups(container.blocks()):
                yield decoder.batch(group)
    except OSError as error:
        raise unreadable(file.path, error) from None


def _groups(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    """A few small blocks, or one large one."""
    group: list[Block] = []
    rows = size = 0
    for block in blocks:
        group.append(block)
        rows, size = rows + block.rows, size + len(block.data)
        if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


class _Decoder:
    """Turns groups of blocks of one file into batches."""

    def __init__(self, container: ContainerReader, shape: Shape, name: str, wanted: Schema) -> None:
        from penstock.connectors.files.avro_container import header_bytes

        self._shape = shape
        self._name = name
        self._wanted = wanted
        self._sync = container.header.sync
        self._head = header_bytes(shape.plain, "null", self._sync)
        self._held = tuple(name for name in wanted.names if name in shape.names)
        solid = {name for name, part in zip(shape.names, shape.parts, strict=True) if part.plain is not None}
        # One column is read at least: it tells how many rows there are.
        self._read = [name for name in self._held if name in solid] or [
            next(name for name in shape.names if name in solid)
        ]

    def batch(self, group: Sequence[Block]) -> pa.RecordBatch:
        """Raises DataError SRC-304, which names the first block that is broken."""
        try:
            return self._decoded(group)
        except DataError:
            if len(group) == 1:
                raise
        for block in group:
            self._decoded([block])
        raise DataError("SRC-304", self._message(group), detail="its blocks can be decoded one by one only")

    def _decoded(self, group: Sequence[Block]) -> pa.RecordBatch:
        import io

        import polars as pl
        import pyarrow as pa

        from penstock.connectors.files.avro_columns import as_columns
        from penstock.connectors.files.avro_container import block_bytes

        rows = sum(block.rows for block in group)
        blocks = (block_bytes(block.rows, block.data, self._sync) for block in group if block.rows)
        file = io.BytesIO(b"".join((self._head, *blocks)))
        try:
            frame = pl.read_avro(file, columns=self._read)
            table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
            columns = as_columns(table, self._shape, self._held)
        except (
            pl.exceptions.PolarsError,
            pl.exceptions.PanicException,
            OSError,
            pa.ArrowException,
            DataError,
        ) as error:
            raise DataError("SRC-304", self._message(group), detail=_first_line(error)) from None
        if table.num_rows != rows:
            detail = f"{rows} were announced and {table.num_rows} found"
            raise DataError("SRC-304", self._message(group), detail=detail)
        return self._complete(dict(zip(self._held, columns, strict=True)), rows)

    def _complete(self, columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
        import pyarrow as pa

        from penstock.types.arrow import to_arrow
        from penstock.types.conform import conform_array

        form = to_arrow(self._wanted)
        arrays = [
            conform_array(columns[field.name], field.type, name=field.name)
            if field.name in columns
            else pa.nulls(rows, to_arrow(field.type))
            for field in self._wanted
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=form)

    def _message(self, group: Sequence[Block]) -> str:
        return f'the records of block {group[0].number} of "{self._name}" are not what its schema says'


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


SOURCE: Final = Descriptor(
    name="avro",
    group="sources",
    summary="Avro container files on this machine or in an object store: one, a folder, or a pattern.",
    params=AvroSourceParams,
    make=AvroSource,
    example="type: avro\npath: data/events/\n",
    capabilities=CAPABILITIES - {Capability.NATIVE} | {Capability.PROJECTION},
    extra="avro",
    notes=(
        *NOTES,
        "A union of null and one type is a column that may be null; other unions, and records inside themselves, are refused.",
        "timestamp-* is timestamptz, local-timestamp-* is timestamp; nanoseconds are cut to microseconds.",
        "Enums are strings; a fixed value, and a logical type that is not known, are what they are stored as.",
        "Codecs are null, deflate, snappy, zstandard, bzip2 and xz; a block has at most 512 MiB.",
        "A block that is cut off or broken fails the epoch: its records cannot be told apart.",
    ),
)
