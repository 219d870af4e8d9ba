"""What every DuckDB database of ours is told."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from penstock.embedded import connect

if TYPE_CHECKING:
    from pathlib import Path

FAILING = """
import sys
import duckdb
from penstock.embedded import connect

made = connect({"threads": 2})
for number in range(int(sys.argv[2])):
    last = int(10 ** (number % 100 / 19))  # up to some 160,000: the moment varies
    rows = f"select case when i = {last} then error('x') else i::varchar end as v from range({last} + 1) as t(i)"
    try:
        made.execute(f"copy ({rows}) to '{sys.argv[1]}' (format parquet, row_group_size 2048)")
    except duckdb.InvalidInputException:
        continue
    raise SystemExit("a copy that meets an error came to its end")
"""


@pytest.mark.slow
def test_a_copy_that_meets_an_error_ends(tmp_path: Path) -> None:
    """It waited for good for its own writes: one in some hundred did. In a process of its own, which can be ended."""
    subprocess.run([sys.executable, "-c", FAILING, str(tmp_path / "rows.parquet"), "500"], check=True, timeout=120)


def test_it_is_in_utc_loads_nothing_and_shows_no_progress() -> None:
    made = connect({"threads": 1})
    names = ("TimeZone", "autoload_known_extensions", "autoinstall_known_extensions", "enable_progress_bar")
    told = [made.execute("select current_setting(?)", [name]).fetchall()[0][0] for name in names]
    made.close()
    assert told == ["UTC", False, False, False]
