"""Parquet files, read by the engine."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from penstock.connectors.api import Files, ParquetFormat
from penstock.connectors.database import open_database
from penstock.connectors.files.file_source import CAPABILITIES, NOTES, FileSource, FileSourceParams
from penstock.connectors.files.listing import unreadable
from penstock.connectors.files.parquet_pieces import divide_parquet, rows_of_pieces
from penstock.connectors.objects.outlines import Outline
from penstock.errors import ConfigError, DataError
from penstock.registry import Capability, Descriptor
from penstock.structs import replace
from penstock.trees import call, file_names
from penstock.types import Field as Column
from penstock.types import Schema
from penstock.types.duckdb import from_duckdb
from penstock.types.logical import MAX_PRECISION, fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from duckdb import DuckDBPyConnection

    from penstock.connectors.api import Position, Rows
    from penstock.connectors.files.listing import FoundFile, Place
    from penstock.connectors.files.pieces import Budget


class ParquetSourceParams(FileSourceParams):
    """Parquet files."""


class ParquetSource(FileSource):
    """Columns and types as the footers of all files say, types widened where they differ."""

    endings = (".parquet", ".parq", ".pq")
    outline = Outline(head=4096, tail=256 * 2**10)
    _known: tuple[Sequence[FoundFile], Mapping[str, Schema]] | None = None

    def _describe(self, files: Sequence[FoundFile]) -> Schema:
        return self.widened(self._schemas(files))

    def _divide(self, file: FoundFile, start: Place, budget: Budget) -> Place | None:
        """A file with a column of the name that counts the rows is read as a whole."""
        if any(fold_case(name) == "file_row_number" for name in self._schemas([file])[file.name].names):
            return super()._divide(file, start, budget)
        return divide_parquet(file, start, budget, self._context.allowance)

    def _rows(self, files: Sequence[FoundFile], wanted: Schema, upto: Position) -> Rows:
        if all(file.piece is None for file in files):
            return self._files(files, wanted)
        held = self._schemas([replace(file, piece=None) for file in files])
        return rows_of_pieces(files, wanted, held, position=upto, allowance=self._context.allowance)

    def _files(self, files: Sequence[FoundFile], wanted: Schema) -> Files:
        first, *others = self._schemas(files).values()
        held = {name for schema in (first, *others) for name in schema.names}
        differ = any(schema != first for schema in others) or any(name not in held for name in wanted.names)
        paths = tuple(file.place for file in files)
        return Files(ParquetFormat(), paths, wanted, bad_values=self.bad_values, union_by_name=differ)

    def _schemas(self, files: Sequence[FoundFile]) -> Mapping[str, Schema]:
        """As the last time where the files are the same. Errors as ``_read``."""
        if self._known is None or self._known[0] != files:
            self._known = (files, self._read(files))
        return self._known[1]

    def _read(self, files: Sequence[FoundFile]) -> Mapping[str, Schema]:
        """By file, every column nullable: what the engine, which will read them, makes of their footers.

        Raises ConfigError SRC-132 (not to be read), DataError SRC-140 (no Parquet file), ConfigError DOC-403, DOC-404,
        DOC-406, DOC-410 (its names or types).
        """
        import duckdb

        folders = sorted({file.path.parent for file in files})
        with closing(open_database(self._context.allowance, folders=folders)) as database:
            try:
                return _footers(database, files)
            except duckdb.Error:  # which one it was is not certain
                for file in files:
                    _check(database, file)
                raise


def _footers(database: DuckDBPyConnection, files: Sequence[FoundFile]) -> Mapping[str, Schema]:
    """Raises duckdb.Error, and ConfigError as ``_read``."""
    footers = call("parquet_schema", file_names(_named(file) for file in files))
    query = exp.select("name", "num_children", "duckdb_type", "precision").from_(exp.Table(this=footers))
    rows = iter(database.execute(query.sql("duckdb")).fetchall())
    found = {}
    for file in files:
        _, columns, *_ = next(rows)  # the root; what is nested stands behind what holds it
        found[file.name] = Schema(tuple(_column(rows) for _ in range(columns)))
    return found


def _column(rows: Iterator[tuple[str, int | None, str, int | None]]) -> Column:
    name, inner, kind, _ = row = next(rows)
    _check_digits(row)
    while inner:
        row = next(rows)
        _check_digits(row)
        inner += (row[1] or 0) - 1
    return Column(name, from_duckdb(kind))


def _check_digits(row: tuple[str, int | None, str, int | None]) -> None:
    """DuckDB reads a decimal of more digits than it has as a float."""
    name, *_, digits = row
    if digits is not None and digits > MAX_PRECISION:
        raise ConfigError(
            "DOC-406",
            f'"{name}" has a type that has none here',
            detail=f"it is a decimal of {digits} digits, and {MAX_PRECISION} is the most",
            hint="cast it to another type where the data comes from",
        )


def _check(database: DuckDBPyConnection, file: FoundFile) -> None:
    """Raises ConfigError SRC-132, DataError SRC-140."""
    import duckdb

    try:
        file.path.open("rb").close()
        _footers(database, [file])
    except OSError as error:
        raise unreadable(file.path, error) from None
    except duckdb.Error as error:
        detail = str(error).partition("\n")[0].partition("Error: ")[2][:300]
        raise DataError("SRC-140", f'"{file.name}" is no Parquet file, or is broken', detail=detail) from None


def _named(file: FoundFile) -> str:
    path = file.place
    if "\\" in path and any(mark in path for mark in "*?["):
        raise ConfigError(
            "SRC-132",
            f'"{file.path.name}" cannot be read',
            detail="the engine cannot be told a path with both a backslash and one of * ? [",
            hint="rename the file",
        )
    return path


SOURCE: Final = Descriptor(
    name="parquet",
    group="sources",
    summary="Parquet files on this machine or in an object store: one, a folder, or a pattern.",
    params=ParquetSourceParams,
    make=ParquetSource,
    example="type: parquet\npath: data/gbp_usd.parquet\n",
    capabilities=CAPABILITIES | {Capability.PROJECTION, Capability.COLUMNAR},
    notes=(*NOTES, "Times are kept to the microsecond; finer digits are cut off."),
)
