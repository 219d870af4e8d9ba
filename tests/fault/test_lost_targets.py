"""What somebody took away between two runs: a target whose marker stands, or the ledger whose sinks are filled."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import duckdb
import pytest
from epochs import completed, once
from systems import check, keys_in, sealed, store_of

from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from epochs import System
    from systems import Reader

    Take = Callable[[Path, str], None]


@pytest.fixture
def take_away(system: System, request: pytest.FixtureRequest) -> Take:
    """Takes a target away as its owner would, and leaves the marker."""

    def files(folder: Path, name: str) -> None:
        found = [*folder.glob(f"out/{name}/*.parquet"), *folder.glob(f"out/{name}.parquet")]
        assert found
        for path in found:
            path.unlink()

    def iceberg(folder: Path, name: str) -> None:
        found = [*folder.glob(f"out/oil/{name}/data/**/*.parquet")]
        assert found
        for path in found:
            path.unlink()

    def sqlite(folder: Path, name: str) -> None:
        connection = sqlite3.connect(folder / "out.db")
        connection.execute(f'drop table "{name}"')
        connection.close()

    def in_duckdb(folder: Path, name: str) -> None:
        with duckdb.connect(folder / "out.duckdb") as connection:
            connection.execute(f'drop table "{name}"')

    def postgres(folder: Path, name: str) -> None:
        server = request.getfixturevalue("postgres_server")
        server.sql(f"drop table {name}_{folder.name}", database=request.getfixturevalue("postgres_database"))

    def mariadb(folder: Path, name: str) -> None:
        server = request.getfixturevalue(f"{system.name}_server")
        server.sql(f"drop table `{name}_{folder.name}`", database=request.getfixturevalue(f"{system.name}_database"))

    def s3(folder: Path, name: str) -> None:
        server = request.getfixturevalue("s3_server")
        store = store_of(server.connection(request.getfixturevalue("s3_bucket")))
        found = [key for key in keys_in(store) if key.startswith(f"{folder.name}/{name}") and key.endswith(".parquet")]
        assert found
        store.delete(found)

    every = {"files": files, "delta": files, "iceberg": iceberg, "sqlite": sqlite, "duckdb": in_duckdb}
    return {**every, "postgres": postgres, "mariadb": mariadb, "mysql": mariadb, "s3": s3}[system.name]


def test_a_target_that_is_gone_is_found_before_anything_is_committed(
    system: System, read: Reader, take_away: Take, tmp_path: Path
) -> None:
    file = system.project(tmp_path / "gone")
    completed(system, file)
    take_away(tmp_path / "gone", "appended")
    stopped = once(system, file, Faults())
    assert stopped.status is RunStatus.FAILED
    assert [problem.code for problem in stopped.problems] == ["RUN-113"]
    assert '"appended"' in stopped.problems[0].message
    assert "--full-refresh" in str(stopped.problems[0].hint)
    assert sealed(tmp_path / "gone") == 1
    assert once(system, file, Faults(), full_refresh=True).status is RunStatus.DONE
    check(tmp_path / "gone", read, epochs=1)
    completed(system, file)
    check(tmp_path / "gone", read, epochs=2)


def test_a_target_that_is_replaced_as_a_whole_may_be_gone(
    system: System, read: Reader, take_away: Take, tmp_path: Path
) -> None:
    file = system.project(tmp_path / "again")
    completed(system, file)
    take_away(tmp_path / "again", "summed")
    completed(system, file)
    check(tmp_path / "again", read, epochs=2)


def test_a_target_that_goes_while_its_epoch_is_half_committed_is_found_though_it_would_be_replaced(
    system: System, take_away: Take, tmp_path: Path
) -> None:
    """It has the epoch, so that nothing would write it again."""
    file = system.project(tmp_path / "half")
    assert once(system, file, Faults({("run.before_seal", 1): "raise"})).status is RunStatus.FAILED
    take_away(tmp_path / "half", "summed")
    assert [problem.code for problem in once(system, file, Faults()).problems] == ["RUN-113"]


def test_a_ledger_that_is_gone_does_not_begin_anew_over_a_filled_sink(
    system: System, read: Reader, tmp_path: Path
) -> None:
    file = system.project(tmp_path / "forgot")
    completed(system, file)
    shutil.rmtree(tmp_path / "forgot" / ".penstock")
    stopped = once(system, file, Faults())
    assert [problem.code for problem in stopped.problems] == ["RUN-114"]
    assert '"appended"' in stopped.problems[0].message
    check(tmp_path / "forgot", read, epochs=1)
    assert once(system, file, Faults(), full_refresh=True).status is RunStatus.DONE
    check(tmp_path / "forgot", read, epochs=1)
    completed(system, file)
    check(tmp_path / "forgot", read, epochs=2)
