"""A bad value is found in a column that nobody uses, and constants are right whatever the columns are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from passes import run
from sqlglot import exp

from penstock.connectors.api import CsvFormat, Files, JsonFormat, ParquetFormat
from penstock.engines.duckdb.readers import files_query
from penstock.types import INT64, STRING, Field, Schema

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """
pipeline: test
sources:
  a: {type: memory, schema: {columns: {k: int64?, v: int64?}}}
transforms:
  x: {from: a, steps: [{select: [k]}]}
sinks:
  one: {from: x, type: memory}
"""
SCHEMA = Schema((Field("k", INT64), Field("v", INT64)))
FORMS = {
    "csv": (CsvFormat(header=True), "k,v\n1,2\n3,oops\n5,6\n"),
    "json": (JsonFormat(), '{"k":1,"v":2}\n{"k":3,"v":"oops"}\n{"k":5,"v":6}\n'),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(("bad_values", "kept"), [("reject", [1, 5]), ("null", [1, 3, 5])])
def test_a_bad_value_in_an_unused_column_is_as_bad_as_elsewhere(
    name: str, bad_values: str, kept: list[int], tmp_path: Path
) -> None:
    form, content = FORMS[name]
    path = tmp_path / f"a.{name}"
    path.write_text(content, encoding="utf-8")
    files = Files(form, (str(path),), SCHEMA, bad_values=bad_values)  # type: ignore[arg-type]
    found = run(DOCUMENT, {"a": files}, tmp_path / "scratch", readable=(tmp_path,))
    assert sorted(row["k"] for row in found.rows["one"]) == kept
    assert found["a"].into == {"a": 3}
    assert found["a"].rejected == 3 - len(kept) == len(found.rejects.get("a", ()))


def test_constants_of_files_are_told_apart_beside_a_column_called_file_index(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"file_index": [7, 8]}), path)
        paths.append(str(path))
    schema = Schema((Field("file_index", INT64), Field("part", STRING)))
    constants = {path: {"part": exp.Literal.string(f"p{number}")} for number, path in enumerate(paths)}
    query = files_query(Files(ParquetFormat(), tuple(paths), schema, constants=constants))
    with duckdb.connect() as connection:
        rows = connection.execute(query.sql(dialect="duckdb")).fetchall()
    assert sorted(rows) == [(7, "p0"), (7, "p1"), (7, "p2"), (8, "p0"), (8, "p1"), (8, "p2")]
