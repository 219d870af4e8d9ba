"""What a command does not need it does not import: every one of these costs the time of a person who waits."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

pytestmark = pytest.mark.slow

# The parser of arguments loads pydantic with the first value that is given or has a default; help loads nothing.
ENGINE = {"duckdb", "pyarrow", "sqlglot"}
LEDGER = {"sqlalchemy"}
PAGES = {"rich"}
DOCUMENT = {"pydantic", "pydantic_core", "yaml"}
LIBRARIES = {"cryptography", "structlog", "tenacity", "xxhash"}
DRIVERS = {
    "certifi", "deltalake", "fastavro", "fastexcel", "idna", "lxml", "numpy", "orjson", "polars", "psycopg", "py4j",
    "pycurl", "pyspark", "xlsxwriter",
}  # fmt: skip
COPY = """
pipeline: copy
sources: {rows: {type: csv, path: rows.csv, schema: {columns: {k: int64}}}}
sinks: {copied: {from: rows, type: parquet, path: out/copied.parquet, mode: overwrite}}
"""
HEAVY = ENGINE | LEDGER | PAGES | DOCUMENT | LIBRARIES | DRIVERS
PROGRAM = """
import json, sys
from penstock.cli.app import execute
code = execute(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported(folder: Path, *arguments: str) -> set[str]:
    """The top modules in a process of its own after that command."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    code, names = json.loads(done.stderr.splitlines()[-1])
    assert code in {0, 2}, done.stderr
    return set(names)


@pytest.mark.parametrize(
    ("arguments", "may"),
    [
        (["--help"], set()),
        (["run", "--help"], DOCUMENT),
        (["--version"], DOCUMENT),
        (["frobnicate"], DOCUMENT | PAGES),
        (["version", "--json"], DOCUMENT),
        (["runs", "list", "--json"], DOCUMENT | ENGINE),
        (["validate", "broken.yml", "--json"], DOCUMENT | PAGES | {"sqlglot"}),
        (["validate", "pipelines/days.yml", "--json"], DOCUMENT | ENGINE | {"numpy", "xxhash", "tenacity"}),
        (["plan", "pipelines/days.yml", "--json"], DOCUMENT | ENGINE | {"numpy", "xxhash", "tenacity"}),
        # Rows that DuckDB reads and writes itself never pass through Arrow.
        (["run", "copy.yml", "--json"], DOCUMENT | PAGES | {"duckdb", "sqlglot", "xxhash", "tenacity"}),
    ],
)
def test_a_command_imports_only_what_it_needs(
    penstock: Callable[..., Said], project: Path, arguments: list[str], may: set[str]
) -> None:
    (project / "broken.yml").write_text("pipeline: [", encoding="utf-8")
    (project / "copy.yml").write_text(COPY, encoding="utf-8")
    (project / "rows.csv").write_text("k\n1\n", encoding="utf-8")
    assert (imported(project, *arguments) & HEAVY) - may == set()
