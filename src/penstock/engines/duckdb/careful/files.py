"""The door: files or a pipe in, batches with their rejects out."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.api import Batches, Chunk, CsvFormat, Files, JsonFormat, Origin, ParquetFormat
from penstock.engines.duckdb.careful.csv import BATCH_ROWS, read_csv
from penstock.engines.duckdb.careful.json import read_lines, read_values
from penstock.engines.duckdb.errors import batches_of, files_are_whole
from penstock.engines.duckdb.readers import files_query
from penstock.errors import DataError
from penstock.structs import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.api import Pipe, Position
    from penstock.engines.duckdb.careful.workspace import Workspace

_POSITION: Final[Position] = {"v": 1}  # a careful read does not resume: an attempt that fails starts anew


def careful_files(files: Files, workspace: Workspace, hidden: Collection[str] = ()) -> Batches:
    """Rows of files with the columns of ``files.schema`` (nullable), and their rejects, file by file, in the order of the records.

    ``open`` may be called again and gives the same. Causes: ``malformed``, ``too_few_columns``, ``too_many_columns``,
    ``bad_quote``, ``bad_encoding``, ``record_too_long``, and with ``bad_values`` not "null" ``bad_value``. A position is
    ``{"file", "record", "byte"}``: the record's number from 1 at the top of the file, a header among them, and where it
    begins; ``byte`` is absent where the bytes read are not those of the file (a private copy of text in another encoding).
    Raises, while it is read, DataError ENG-331 (a bad value, and ``bad_values`` is "fail"), ENG-332 (a JSON document
    that is cut off or broken, so that its records cannot be told apart), FatalError ENG-304 (a compressed file that is cut off or
    broken); what DuckDB raises of files that cannot be
    read is passed on. What is said of a ``hidden`` column has no value in it.
    """

    def chunks() -> Iterator[Chunk]:
        with workspace.opened():
            for path in files.paths:
                with files_are_whole(path):
                    for batch, rejects in _file(files, path, workspace):
                        if rejects is not None and files.bad_values == "fail":
                            _refuse_bad_values(rejects, hidden)
                        yield Chunk(batch, _POSITION, rejects)

    return Batches(files.schema.relaxed(), chunks)


def _file(files: Files, path: str, workspace: Workspace) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    match files.format:
        case CsvFormat() as form:
            return read_csv(files, form, path=path, workspace=workspace)
        case JsonFormat(layout="lines") as form:
            return read_lines(files, form, path=path, workspace=workspace)
        case JsonFormat() as form:
            return read_values(files, form, path=path, workspace=workspace)
        case ParquetFormat():
            return _plain(files, path, workspace)
        case _:
            assert_never(files.format)


def _plain(files: Files, path: str, workspace: Workspace) -> Iterator[tuple[pa.RecordBatch, None]]:
    """A Parquet file has no records that could be malformed."""
    from penstock.types.conform import conform

    query = files_query(replace(files, paths=(path,)))
    for batch in batches_of(workspace.database.sql(query.sql(dialect="duckdb")), BATCH_ROWS):
        yield conform(batch, files.schema.relaxed()), None


def careful_pipe(pipe: Pipe, workspace: Workspace) -> Batches:
    """As :func:`careful_files`, over a pipe that is opened anew; positions name the part of the pipe, from 1."""

    def chunks() -> Iterator[Chunk]:
        spooled = [workspace.scratch / f"part-{place}.csv" for place in _spool(pipe, workspace.scratch)]
        files = Files(
            replace(pipe.format, header=bool(pipe.format.header)),
            tuple(map(str, spooled)),
            pipe.schema,
            origins={str(path): Origin(f"part {place}") for place, path in enumerate(spooled, 1)},
        )
        yield from careful_files(files, workspace).open()

    return Batches(pipe.schema.relaxed(), chunks)


def _spool(pipe: Pipe, scratch: Path) -> range:
    """The text of every descriptor in a file of its own, so that it can be looked at twice; their numbers from 1."""
    descriptors = pipe.open()
    with ThreadPoolExecutor(max(1, len(descriptors))) as pool:
        list(pool.map(_drain, descriptors, (scratch / f"part-{place + 1}.csv" for place in range(len(descriptors)))))
    pipe.finish()
    return range(1, len(descriptors) + 1)


def _drain(descriptor: int, target: Path) -> None:
    with open(descriptor, "rb") as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


def _refuse_bad_values(rejects: pa.RecordBatch, hidden: Collection[str]) -> None:
    for row in rejects.to_pylist():
        for cause in row["causes"]:
            if cause["code"] == "bad_value":
                place = json.loads(row["position"])
                column = cause["column"]
                said = f'one of "{column}", which has labels' if column in hidden else cause["message"]
                raise DataError(
                    "ENG-331",
                    f"a value cannot be taken: {said}",
                    detail=f'record {place["record"]} of "{place["file"]}"',
                    hint="on_bad_value: reject puts such records aside",
                )
