"""Python steps on the engine itself: counted, bounded, and stopped by what the function does wrong."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import passes
import pytest

from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ROWS = [{"a": number} for number in range(10)]


@pytest.fixture(autouse=True)
def _modules_are_forgotten() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("penstock_test_"):
            del sys.modules[name]


def _run(tmp_path: Path, code: str, more: str = "", *, project: bool = True) -> passes.Ran:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "penstock_test_steps.py").write_text(code, encoding="utf-8")
    text = f"""
pipeline: test
sources: {{rows: {{type: memory, schema: {{columns: {{a: int64}}}}}}}}
transforms:
  made:
    from: rows
    steps:
      - filter: a > 0
      - python: {{function: "penstock_test_steps:work", schema: {{b: int64?}}{more}}}
      - filter: b is not null
sinks: {{out: {{type: memory, from: made}}}}
"""
    return passes.run(text, {"rows": _ROWS}, tmp_path / "scratch", project=folder if project else None)


_HALVES = """
import pyarrow as pa
import pyarrow.compute as pc

def work(rows):
    even = rows.filter(pc.equal(pc.bit_wise_and(rows["a"], 1), 0))
    return pa.table({"b": pc.divide(even["a"], 2)})
"""


@pytest.mark.parametrize("more", ["", ", whole_table: true, max_bytes: 1 MiB"])
def test_rows_go_through_the_function_and_are_counted(tmp_path: Path, more: str) -> None:
    ran = _run(tmp_path, _HALVES, more)
    assert sorted(row["b"] for row in ran.rows["out"]) == [1, 2, 3, 4]
    assert (dict(ran["made.python"].into), ran["made.python"].out) == ({"made.filter": 9}, 4)


def test_a_whole_table_beyond_its_bound_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _run(tmp_path, _HALVES, ", whole_table: true, max_bytes: 8 B")
    assert caught.value.code == "CMP-269"


def test_what_the_function_raises_is_told_and_no_driver_error_escapes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _run(tmp_path, "def work(rows):\n    raise KeyError('x')\n")
    problem = caught.value.problems[0]
    assert (problem.code, problem.detail) == ("CMP-267", "KeyError: 'x' (penstock_test_steps.py:2).")
    assert problem.at is not None


def test_without_a_project_there_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        _run(tmp_path, _HALVES, project=False)
    assert caught.value.code == "CMP-264"
