"""A limit over what reads one node twice: DuckDB 2.0 would not come to an end in one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest
from epochs import completed
from systems import FILES

from penstock.clock import SystemClock
from penstock.service.inspecting import preview
from penstock.service.request import Request

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 300_000
TWICE = {
    "join": "{from: a, steps: [{join: {to: a, as: o, kind: left, on: [k], add: {other: v}}}LIMIT]}",
    "semi join": "{from: a, steps: [{join: {to: a, as: o, kind: semi, on: [k]}}LIMIT]}",
    "query": '{sql: "select x.k, y.v from a x join a y on x.k = y.k LIMIT"}',
    "comma": '{sql: "select x.k, y.v from a x, a y where x.k = y.k LIMIT"}',
}


def project(folder: Path, transform: str, *, limited: bool) -> Path:
    duckdb.connect().execute(f"copy (select range as k, 'x' || range as v from range({ROWS})) to '{folder}/a.parquet'")
    limit = "limit 3" if "sql" in transform else ", {limit: 3}"
    file = folder / "twice.yml"
    file.write_text(
        "pipeline: twice\nsources: {a: {type: parquet, path: a.parquet}}\n"
        f"transforms:\n  b: {transform.replace('LIMIT', limit if limited else '')}\n"
        "sinks: {one: {from: b, type: parquet, path: out/one, mode: append}}\nrun: {threads: 2}\n",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize("transform", TWICE.values(), ids=TWICE)
def test_a_limit_over_a_node_that_is_read_twice(transform: str, tmp_path: Path) -> None:
    assert completed(FILES, project(tmp_path, transform, limited=True)).written == 3


@pytest.mark.parametrize("transform", TWICE.values(), ids=TWICE)
def test_the_first_rows_of_a_node_that_is_read_twice(transform: str, tmp_path: Path) -> None:
    file = project(tmp_path, transform, limited=False)
    found = preview(Request(file, FILES.settings(), SystemClock()), "b", 3)
    assert found.rows.num_rows == 3
