"""Figures of the columns of Parquet files, as DuckDB's COPY tells them: over all files, of plain numbers their bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from penstock.connectors.api import ColumnFigures
from penstock.engines.duckdb.written import MOST, figures_of
from penstock.types import Field, Schema
from penstock.types.parse import parse_type

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, select: str) -> dict[str, dict[str, str]]:
    query = f"copy ({select}) to '{path}' (format parquet, return_stats true)"
    ((_, _, _, _, statistics, *_),) = duckdb.connect().execute(query).fetchall()
    return statistics


def schema(**types: str) -> Schema:
    return Schema(tuple(Field(name, parse_type(text)[0]) for name, text in types.items()))


def test_bounds_are_those_of_all_files_and_nulls_are_added(tmp_path: Path) -> None:
    select = "select i as k, nullif(i, 3) / 2 as x, (i / 4)::decimal(9,2) as m, 't' || i as t from range({}, {}) r(i)"
    files = [written(tmp_path / f"{n}.parquet", select.format(n, n + 4)) for n in (0, 9)]
    assert figures_of(schema(k="int64", x="float64", m="decimal(9,2)", t="string"), files) == {
        "k": ColumnFigures(0, 8, "0", "12"),
        "x": ColumnFigures(1, 7, "0.0", "6.0"),
        "m": ColumnFigures(0, 8, "0.00", "3.00"),
        "t": ColumnFigures(0, 8),
    }


def test_neither_nan_nor_an_infinity_nor_a_label_leaves_bounds(tmp_path: Path) -> None:
    select = "select unnest([1, 'nan'::double]) as a, unnest([1, 'inf'::double]) as b, unnest([1, 2]) as c"
    found = written(tmp_path / "a.parquet", select)
    columns = Schema((*schema(a="float64", b="float64"), Field("c", parse_type("int32")[0], labels=frozenset({"pii"}))))
    assert figures_of(columns, [found]) == dict.fromkeys("abc", ColumnFigures(0, 2))


def test_a_column_of_nulls_leaves_the_bounds_of_others(tmp_path: Path) -> None:
    files = [written(tmp_path / f"{n}.parquet", f"select {v}::int as k") for n, v in enumerate(("null", "-7"))]
    assert figures_of(schema(k="int32"), files) == {"k": ColumnFigures(1, 1, "-7", "-7")}


def test_names_are_matched_as_they_are_and_nested_columns_count_their_nulls(tmp_path: Path) -> None:
    found = written(tmp_path / "a.parquet", """select 1 as "we.ird ""q", {'x': 5} as s, null::int[] as l""")
    columns = Schema(
        (
            Field('we.ird "q', parse_type("int32")[0]),
            Field("s", parse_type("struct<x: int32>")[0]),
            Field("l", parse_type("list<int32>")[0]),
        )
    )
    assert figures_of(columns, [found]) == {
        'we.ird "q': ColumnFigures(0, 1, "1", "1"),
        "s": ColumnFigures(0, 1),
        "l": ColumnFigures(1, 0),
    }


def test_no_file_has_no_figures_and_wide_tables_are_not_kept_whole(tmp_path: Path) -> None:
    assert figures_of(schema(k="int32"), []) == {}
    names = [f"c{number}" for number in range(MOST + 50)]
    found = written(tmp_path / "a.parquet", f"select {', '.join(f'1 as {name}' for name in names)}")
    assert list(figures_of(schema(**dict.fromkeys(names, "int32")), [found])) == names[:MOST]
