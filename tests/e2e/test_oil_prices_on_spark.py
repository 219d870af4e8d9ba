"""The main example on Spark gives what it gives on DuckDB: the balance, the rejects, the tables."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from deltalake import DeltaTable
from test_oil_prices import KEY, PIPELINE, demo, penstock

from penstock.testing.servers import Unavailable
from spark_sessions import find_jars

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ENGINES = ("duckdb", "spark")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where each engine has run it, with what the run told in ``told``."""
    jars = find_jars()
    if isinstance(jars, Unavailable):
        pytest.skip(jars.reason)
    made = {engine: tmp_path_factory.mktemp(engine) for engine in ENGINES}
    for folder in made.values():
        demo.project(folder)
    return made


@pytest.fixture(scope="module")
def told(folders: dict[str, Path]) -> dict[str, dict[str, Any]]:
    found = {}
    for engine, folder in folders.items():
        environment = ["--env", "spark"] if engine == "spark" else []
        with demo.publishers(folder, demo.UNTIL_MAY, KEY) as url:
            found[engine] = penstock(folder, "run", PIPELINE, *environment, url=url)
    return found


def test_the_balance_is_the_same(told: dict[str, dict[str, Any]]) -> None:
    assert [told[engine]["engine"] for engine in ENGINES] == list(ENGINES)
    one, other = (told[engine] for engine in ENGINES)
    assert _exact(other["balance"]) == _exact(one["balance"])
    assert other["rejects"] == one["rejects"]
    assert other["guarantee"] == one["guarantee"]
    rows = [{name: sink["rows"] for name, sink in each["epochs"][0]["sinks"].items()} for each in (one, other)]
    assert rows[1] == rows[0]


def test_the_tables_have_the_same_rows(folders: dict[str, Path], told: dict[str, dict[str, Any]]) -> None:
    assert told
    for name in ("prices", "spread"):
        one, other = (_serving(folders[engine], name) for engine in ENGINES)
        assert other == one
    one, other = (_monthly(folders[engine]) for engine in ENGINES)
    assert other == one
    one, other = (_lake(folders[engine]) for engine in ENGINES)
    assert len(one) == 213_028
    assert other == one


def test_the_other_engine_goes_on_where_one_has_stopped(
    folders: dict[str, Path], told: dict[str, dict[str, Any]]
) -> None:
    assert told
    project = folders["spark"] / "penstock.yml"
    text = project.read_text(encoding="utf-8")
    assert "engine: spark" in text
    project.write_text(text.replace("engine: spark", "engine: duckdb"), encoding="utf-8")
    for engine, environment in (("duckdb", []), ("spark", ["--env", "spark"])):
        with demo.publishers(folders[engine], demo.UNTIL_JUNE, KEY) as url:
            later = penstock(folders[engine], "run", PIPELINE, *environment, url=url)
        assert later["engine"] == "duckdb"
        assert later["epochs"][0]["epoch"] == 2
    one, other = (_lake(folders[engine]) for engine in ENGINES)
    assert len(one) == 213_849
    assert other == one


def _exact(balance: dict[str, Any]) -> dict[str, Any]:
    """Without what is an approximation by its name, which goes by the order of the rows."""
    found = dict(balance)
    measured = {**found["prices.rules"]["measured"], "distribution": None}
    found["prices.rules"] = {**found["prices.rules"], "measured": measured}
    return found


def _serving(folder: Path, table: str) -> list[str]:
    with sqlite3.connect(folder / "out" / "serving.db") as connection:
        rows = sorted(map(repr, connection.execute(f"select * from {table}").fetchall()))
    connection.close()
    return rows


def _monthly(folder: Path) -> list[str]:
    query = duckdb.connect().execute("select * from read_parquet(?)", [str(folder / "out" / "monthly.parquet")])
    return sorted(map(repr, query.fetchall()))


def _lake(folder: Path) -> set[tuple[Any, ...]]:
    connection = duckdb.connect()
    connection.register("lake", DeltaTable(str(folder / "lake" / "prices")).to_pyarrow_table())
    return set(connection.execute("select * replace (revised_at::varchar as revised_at) from lake").fetchall())
