"""A row that a source handed over and that no statement saw is found, where the source's own count is known."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import duckdb
import pytest
from begun import begun, go, is_sealed
from sqlglot import exp

from penstock.engines.duckdb.inputs import Input
from penstock.engines.duckdb.lowered import Leaf
from penstock.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from penstock.engines.duckdb.session import Session

# Footers of Parquet files; batches of a spreadsheet's rows; a sink's table; lines that are read with care.
_DOCUMENT = """
pipeline: lost
sources:
  parquet: {type: parquet, path: a.parquet}
  careful: {type: csv, path: a.csv, schema: {columns: {k: int64, v: int64}}}
  database: {type: sqlite, path: in.db, table: a}
sinks:
  one: {from: parquet, type: sqlite, path: out.db, table: one, mode: overwrite}
  two: {from: careful, type: parquet, path: out/two, mode: overwrite}
  three: {from: database, type: parquet, path: out/three, mode: overwrite}
  four: {from: last, type: parquet, path: out/four, mode: overwrite}
transforms:
  last: {from: one, steps: [{filter: k > 5}]}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    connection = duckdb.connect()
    connection.execute("create table a as select range as k, range as v from range(100)")
    connection.execute(f"copy a to '{tmp_path}/a.parquet'")
    lines = "\n".join(f"{number},{number}" for number in range(100))
    (tmp_path / "a.csv").write_text(f"k,v\n{lines}\nbroken,1,2,3\n", encoding="utf-8")
    with sqlite3.connect(tmp_path / "in.db") as table:
        table.execute("create table a (k bigint, v bigint)")
        table.executemany("insert into a values (?, ?)", [(number, number) for number in range(100)])
    table.close()
    (tmp_path / "lost.yml").write_text(_DOCUMENT, encoding="utf-8")
    return tmp_path / "lost.yml"


@pytest.mark.parametrize("node", ["parquet", "careful", "database", "one.table"])
def test_a_row_that_is_lost_between_a_source_and_its_node_stops_the_epoch(
    node: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Input.open

    def losing(
        self: Input, session: Session, keep: Callable[[pa.RecordBatch], int], *, position: str | None = None
    ) -> Leaf:
        leaf = opened(self, session, keep, position=position)
        if self.node.id != node:
            return leaf
        lost = exp.select("*").from_(leaf.query().subquery("rows")).where(exp.column("k").neq(7))
        return Leaf((leaf.form, "without 7"), lambda: lost)

    with monkeypatch.context() as patched:
        patched.setattr(Input, "open", losing)
        with begun(file) as around, pytest.raises(FatalError) as caught:
            go(around)
    assert caught.value.code == "RUN-120"
    assert f'"{node}"' in caught.value.problems[0].message
    assert not is_sealed(file.parent)
    with begun(file) as around:
        go(around)
    assert is_sealed(file.parent)
