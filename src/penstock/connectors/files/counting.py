"""Rows of files, counted by reading them: for writers whose engine could not say how many it wrote to which."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final, assert_never

from sqlglot import exp

from penstock.connectors.api import CsvFormat, JsonFormat, ParquetFormat
from penstock.connectors.database import memory_of, open_database
from penstock.trees import call, file_names, struct

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Allowance, FileFormat

# A buffer holds two of the longest records, and there are some.
_BUFFERS: Final = 8
_LONGEST: Final = 1 << 28


def count_rows(form: FileFormat, paths: Sequence[Path], *, width: int, allowance: Allowance) -> dict[Path, int]:
    """Rows by path, of files that an engine has written in this format with ``width`` columns each."""
    if not paths:
        return {}
    counted = exp.select(exp.column("filename"), exp.Count(this=exp.Star()))
    longest = min(_LONGEST, memory_of(allowance) // _BUFFERS)
    query = counted.from_(exp.Table(this=_reader(form, paths, width=width, longest=longest))).group_by(
        exp.column("filename")
    )
    with closing(open_database(allowance, folders=sorted({path.parent for path in paths}))) as connection:
        found = {Path(str(row[0])): int(row[1]) for row in connection.execute(query.sql("duckdb")).fetchall()}
    return {path: found.get(path, 0) for path in paths}


def _reader(form: FileFormat, paths: Sequence[Path], *, width: int, longest: int) -> exp.Expr:
    listed = file_names(map(str, paths))
    common = {"filename": exp.true(), "hive_partitioning": exp.false()}
    match form:
        case ParquetFormat():
            return call("read_parquet", listed, **common)
        case JsonFormat():
            return call(
                "read_json_objects",
                listed,
                **common,
                format=exp.Literal.string(form.duckdb_format),
                **_sized(form, longest),
            )
        case CsvFormat():
            return call("read_csv", listed, **common, **_csv(form, width=width, longest=longest))
    assert_never(form)


def _sized(form: JsonFormat, longest: int) -> dict[str, exp.Expr]:
    return {
        "compression": exp.Literal.string(form.compression or "none"),
        "maximum_object_size": exp.Literal.number(longest),
    }


def _csv(form: CsvFormat, *, width: int, longest: int) -> dict[str, exp.Expr]:
    return {
        "columns": struct({f"c{place}": exp.Literal.string("VARCHAR") for place in range(width)}),
        "header": exp.convert(form.header is not False),
        "delim": exp.Literal.string(form.delimiter or ","),
        "quote": exp.Literal.string(form.quote or '"'),
        "escape": exp.Literal.string(form.escape or form.quote or '"'),
        "compression": exp.Literal.string(form.compression or "none"),
        "max_line_size": exp.Literal.number(longest),
        "buffer_size": exp.Literal.number(longest),
        "auto_detect": exp.false(),
    }
