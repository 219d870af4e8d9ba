"""Parquet files, read by the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.api import Files, ParquetFormat
from penstock.connectors.files.file_source import CAPABILITIES, NOTES, FileSource, FileSourceParams
from penstock.connectors.files.listing import unreadable
from penstock.errors import ConfigError, DataError
from penstock.registry import Capability, Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.files.listing import FoundFile
    from penstock.types import Schema


class ParquetSourceParams(FileSourceParams):
    """Parquet files."""


class ParquetSource(FileSource):
    """Columns and types as the footers of all files say, types widened where they differ."""

    endings = (".parquet", ".parq", ".pq")

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        return self.widened({file.name: _schema_of(file) for file in files})

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:
        schemas = [_schema_of(file) for file in files]
        paths = tuple(_named(file) for file in files)
        alike = all(schema.relaxed() == schemas[0].relaxed() for schema in schemas[1:])
        held = {name for schema in schemas for name in schema.names}
        differ = not alike or any(name not in held for name in wanted.names)
        return Files(ParquetFormat(), paths, wanted, bad_values=self.bad_values, union_by_name=differ)


def _named(file: FoundFile) -> str:
    path = str(file.path)
    if "\\" in path and any(mark in path for mark in "*?["):
        raise ConfigError(
            "SRC-132",
            f'"{file.path.name}" cannot be read',
            detail="the engine cannot be told a path with both a backslash and one of * ? [",
            hint="rename the file",
        )
    return path


def _schema_of(file: FoundFile) -> Schema:
    """Raises ConfigError SRC-132 (not to be read), DataError SRC-140 (no Parquet file), ConfigError DOC-404, DOC-406,
    DOC-410 (its names or types).
    """
    import pyarrow as pa
    from pyarrow import parquet

    from penstock.types.arrow import from_arrow

    try:
        with file.path.open("rb") as stream:
            arrow = parquet.read_schema(stream)
    except pa.ArrowException as error:
        raise DataError("SRC-140", f'"{file.name}" is no Parquet file, or is broken', detail=str(error)[:300]) from None
    except OSError as error:
        if error.errno is None:
            raise DataError(
                "SRC-140", f'"{file.name}" is no Parquet file, or is broken', detail=str(error)[:300]
            ) from None
        raise unreadable(file.path, error) from None
    return from_arrow(arrow)


SOURCE: Final = Descriptor(
    name="parquet",
    group="sources",
    summary="Parquet files on a local file system: one, a folder, or a pattern.",
    params=ParquetSourceParams,
    make=ParquetSource,
    example="type: parquet\npath: data/gbp_usd.parquet\n",
    capabilities=CAPABILITIES | {Capability.PROJECTION, Capability.COLUMNAR},
    notes=(*NOTES, "Times are kept to the microsecond; finer digits are cut off."),
)
