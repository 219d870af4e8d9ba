"""The writer of one attempt: the engine writes Parquet files, which become the table's own without being read again.

Where a column's type in the rows is not the table's (unsigned integers, uuid, a type that is wider in the table), the
rows are written once more by our own DuckDB; in a merge the commit does that.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from penstock.connectors.api import FileTarget, FileWriter, ParquetFormat, Staged, WriteMode
from penstock.connectors.delta.driver import touching
from penstock.connectors.delta.layout import folder_of, partition_of
from penstock.connectors.delta.staging import ROWS, Attempt, NewFile
from penstock.connectors.delta.statistics import footers, to_log
from penstock.connectors.lake.duck import copy, duck
from penstock.connectors.lake.literals import parquet
from penstock.connectors.lake.relations import same_in_files, staged_rows
from penstock.disk import sync_file
from penstock.errors import DataError, InternalError, PenstockError
from penstock.structs import Frozen
from penstock.trees import column, is_null
from penstock.types import Decimal, Primitive, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from penstock.connectors.api import Allowance, Json
    from penstock.connectors.delta.statistics import Footer
    from penstock.connectors.lake.duck import Duck
    from penstock.types import Field

CONVERTED: Final = "converted"


class Shape(Frozen):
    """What a writer writes: ``rows`` as they come from the engine, ``target`` the table's columns after the commit."""

    mode: WriteMode
    rows: Schema
    target: Schema
    partition_by: tuple[str, ...]
    form: ParquetFormat

    @property
    def as_it_comes(self) -> bool:
        """Whether the engine's files can be the table's."""
        return all(same_in_files(field.type, self.target[field.name].type) for field in self.rows)

    @property
    def never_null(self) -> list[str]:
        """The columns in whose rows a null is refused. In a merge those that did not come have the table's values."""
        wanted = self.rows if self.mode is WriteMode.MERGE else self.target
        strict = {field.name for field in self.target if not field.nullable and field.name not in self.partition_by}
        return [name for name in wanted.names if name in strict]


class Part(Frozen):
    """What one writer staged, as it travels: the files of subfolder ``source`` of an attempt's folder."""

    folder: str
    source: str
    schema: Schema
    files: tuple[NewFile, ...]

    def to_payload(self) -> dict[str, Json]:
        return {
            "v": 1,
            "folder": self.folder,
            "source": self.source,
            "schema": [dict(column) for column in self.schema.to_json()],  # type: ignore[arg-type]  # labels are texts
            "files": [file.to_json() for file in self.files],
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Part:
        """Raises InternalError INT-900 for what no writer gave."""
        match payload:
            case {"v": 1, "folder": str() as folder, "source": str() as source, "schema": schema, "files": files}:
                return cls(folder, source, Schema.from_json(schema), tuple(NewFile(**file) for file in files))
        raise InternalError("INT-900", "what is to be committed was not staged by a delta writer of this version")


class DeltaWriter(FileWriter):
    """Holds the attempt's lock until it is staged or aborted."""

    def __init__(self, attempt: Attempt, shape: Shape, *, allowance: Allowance, reached: Callable[[str], None]) -> None:
        self._attempt = attempt
        self._shape = shape
        self._allowance = allowance
        self._reached = reached

    def target(self) -> FileTarget:
        shape = self._shape
        native = shape.as_it_comes and shape.mode is not WriteMode.MERGE
        return FileTarget(
            folder=self._attempt.folder / ROWS,
            format=shape.form if native else ParquetFormat(compression="lz4", version="v1", bloom_filter=False),
            partition_by=shape.partition_by if native else (),
        )

    def stage(self) -> Staged:
        """Raises DataError SNK-252, SNK-253, TransientError SNK-257."""
        try:
            with touching(self._attempt.place.shown):
                part = self._staged()
            self._reached("delta.staged")
        finally:
            self._attempt.release()
        return Staged(sum(file.rows for file in part.files), sum(file.size for file in part.files), part.to_payload())

    def _staged(self) -> Part:
        shape, source = self._shape, ROWS
        folder = self._attempt.folder
        # A merge takes the rows as they are; it writes files of its own.
        merging = shape.mode is WriteMode.MERGE
        with duck(self._attempt.root, self._allowance) as own:
            if not merging and not shape.as_it_comes:
                source = CONVERTED
                self._convert(own, folder / ROWS, folder / CONVERTED)
            partition_by = () if merging else shape.partition_by
            files = collect(own, folder / source, shape.target, partition_by, never_null=shape.never_null)
        self._attempt.keep(files, source, final=not merging)
        return Part(folder.name, source, shape.rows, files)

    def _convert(self, own: Duck, rows: Path, converted: Path) -> None:
        shape = self._shape
        converted.mkdir()
        paths = [path for path in sorted(rows.iterdir()) if path.is_file()]
        query = staged_rows(own, paths, shape.rows, shape.target)
        own.run(copy(query, converted, shape.form, shape.partition_by))
        for path in paths:
            path.unlink()

    def abort(self) -> None:
        """Leaves what a commit has already placed to the next ``marker``, where another holds it."""
        with suppress(OSError, PenstockError):
            self._attempt.abandon()


def collect(
    own: Duck, folder: Path, target: Schema, partition_by: tuple[str, ...], *, never_null: Sequence[str] = ()
) -> tuple[NewFile, ...]:
    """The Parquet files below a folder, durable, with what the log is to say of them; empty ones are removed.

    Raises OSError, TransientError SNK-257, DataError SNK-252, SNK-253 for a null in one of ``never_null``.
    """
    types = {name: target[name].type for name in partition_by}
    inner = Schema(tuple(field for field in target if field.name not in types))
    files = []
    for path, footer in footers(own, sorted(_files_below(folder))).items():
        if footer.rows == 0:
            path.unlink()
            continue
        for name in never_null:
            if _nulls(own, path, footer, target[name]) != 0:
                raise null_in(name)
        sync_file(path)
        relative = path.relative_to(folder).as_posix()
        partition = partition_of(folder_of(partition_by, relative), types)
        files.append(NewFile(relative, path.stat().st_size, footer.rows, partition, to_log(footer, inner)))
    return tuple(files)


def _nulls(own: Duck, path: Path, footer: Footer, field: Field) -> int | None:
    """As ``Footer.nulls``, of nested columns too: no footer tells of those."""
    if isinstance(field.type, (Primitive, Decimal)):
        return footer.nulls(field.name)
    rows = exp.Table(this=parquet([str(path)], Schema((field,))))
    query = exp.select(exp.Count(this=exp.Star())).from_(rows).where(is_null(column(field.name)))
    return int(own.rows(query)[0][0])


def _files_below(folder: Path) -> Iterable[Path]:
    for top, _, names in os.walk(folder):
        for name in names:
            yield Path(top, name)


def null_in(name: str) -> DataError:
    """SNK-253, to be raised."""
    return DataError("SNK-253", f'column "{name}" is never null in the Delta table, and the rows have a null there')
