"""What the log says of a file: bounds that are certain, or none."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

from penstock.connectors.api import Allowance
from penstock.connectors.delta.statistics import Footer, footers, to_log
from penstock.connectors.lake.duck import duck
from penstock.testing import data
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, table: pa.Table) -> Path:
    """As the engine writes it: three rows per row group."""
    path = folder / "x.parquet"
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("t", table)
        database.execute(f"COPY t TO '{path}' (FORMAT parquet, PARQUET_VERSION v1, ROW_GROUP_SIZE 2048)")
    return path


def footer(folder: Path, table: pa.Table) -> Footer:
    path = written(folder, table)
    with duck(folder, Allowance()) as own:
        return footers(own, [path])[path]


def stats(folder: Path, *values: pa.Array, names: list[str] | None = None) -> dict:
    table = pa.table(list(values), names=names or [f"c{at}" for at in range(len(values))])
    return json.loads(to_log(footer(folder, table), from_arrow(table.schema)), parse_float=str)


def test_bounds_and_nulls_span_row_groups(tmp_path: Path) -> None:
    found = stats(tmp_path, pa.array([*range(5000), None, -3]))
    assert found["numRecords"] == 5002
    assert (found["minValues"], found["maxValues"], found["nullCount"]) == ({"c0": -3}, {"c0": 4999}, {"c0": 1})


def test_a_column_with_nan_has_no_bounds(tmp_path: Path) -> None:
    found = stats(tmp_path, pa.array([1.0] * 3000 + [math.nan]), pa.array([1.5, *[None] * 3000]))
    assert found["minValues"] == {"c1": "1.5"}


def test_infinity_which_json_lacks_gives_no_bounds(tmp_path: Path) -> None:
    assert stats(tmp_path, pa.array([1.0, math.inf]))["maxValues"] == {}


def test_zero_is_bounded_by_both_zeros(tmp_path: Path) -> None:
    found = stats(tmp_path, pa.array([0.0, -0.0]))
    assert (found["minValues"]["c0"], found["maxValues"]["c0"]) == ("-0.0", "0.0")


def test_long_texts_are_cut_to_bounds_that_still_hold(tmp_path: Path) -> None:
    low, high = "a" * 40, "z" * 40
    found = stats(tmp_path, pa.array([low, high]))
    assert found["minValues"]["c0"] == "a" * 32
    assert found["maxValues"]["c0"] > high
    assert len(found["maxValues"]["c0"]) == 33


def test_a_text_that_no_cut_can_bound_has_no_bounds(tmp_path: Path) -> None:
    assert stats(tmp_path, pa.array(["z" * 32 + "\U0010ffff" * 2]))["maxValues"] == {}


def test_decimals_keep_their_digits(tmp_path: Path) -> None:
    limit = Decimal("9999999999999999999999999999.9999999999")
    found = stats(tmp_path, pa.array([limit, limit.copy_negate(), Decimal(1)], pa.decimal128(38, 10)))
    assert found["maxValues"]["c0"] == str(limit)
    assert found["minValues"]["c0"] == f"-{limit}"


def test_moments_keep_microseconds(tmp_path: Path) -> None:
    found = stats(tmp_path, data.column("timestamp").values, data.column("timestamptz").values)
    assert found["maxValues"] == {"c0": "9999-12-31T23:59:59.999999", "c1": "9999-12-31T23:59:59.999999Z"}
    assert found["minValues"]["c0"] == "0001-01-01T00:00:00.000000"


def test_days_that_python_lacks_give_no_bounds(tmp_path: Path) -> None:
    days = pa.array([3_000_000, 0], pa.int32()).cast(pa.date32())
    assert stats(tmp_path, days)["maxValues"] == {}


@pytest.mark.parametrize("kind", ["boolean", "binary"])
def test_types_that_delta_does_not_bound_have_counts_of_nulls_only(tmp_path: Path, kind: str) -> None:
    found = stats(tmp_path, data.column(kind).values)
    assert found["minValues"] == {}
    assert found["nullCount"] == {"c0": 1}


def test_nested_columns_are_left_out_even_where_a_name_looks_alike(tmp_path: Path) -> None:
    nested = pa.array([{"b": 1000}], pa.struct([("b", pa.int64())]))
    found = stats(tmp_path, nested, pa.array([5]), names=["a", "a.b"])
    assert (found["minValues"], found["maxValues"]) == ({"a.b": 5}, {"a.b": 5})


def test_a_column_named_as_the_engine_names_one_in_a_struct_has_no_bounds(tmp_path: Path) -> None:
    nested = pa.array([{"b": 1000}], pa.struct([("b", pa.int64())]))
    found = stats(tmp_path, nested, pa.array([5]), pa.array([6]), names=["a", "a, b", "c"])
    assert (found["minValues"], found["nullCount"]) == ({"c": 6}, {"c": 0})


def test_a_float_is_bounded_by_all_of_its_digits(tmp_path: Path) -> None:
    assert stats(tmp_path, pa.array([0.1], pa.float32()))["maxValues"] == {"c0": "0.10000000149011612"}


def test_only_the_first_32_columns_are_described(tmp_path: Path) -> None:
    found = stats(tmp_path, *[pa.array([at]) for at in range(40)])
    assert len(found["minValues"]) == 32


def test_a_column_that_the_file_lacks_is_all_null(tmp_path: Path) -> None:
    assert footer(tmp_path, pa.table({"a": [1, 2]})).nulls("b") == 2
