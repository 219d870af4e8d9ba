"""Runs whose ledger is kept by PostgreSQL: they die at every boundary, and the server goes away while they work."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from epochs import completed, die, points
from systems import FILES, check, read_files

from penstock.faults.points import RUN_POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from epochs import System

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server


@dataclasses.dataclass(frozen=True)
class Lab:
    server: PostgresServer
    database: str

    @property
    def system(self) -> System:
        """Each project has a schema of its own, of its name."""
        return dataclasses.replace(
            FILES, ledger=f'{{connection: "{self.server.url(self.database)}", schema: ledger_$PLACE}}'
        )

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, database=self.database)

    def sealed(self, folder: Path) -> int:
        schema = f"ledger_{folder.name}"
        if not self.sql(f"select to_regclass('{schema}.epochs')"):
            return 0
        return int(self.sql(f"select count(distinct number) from {schema}.epochs where status = 'sealed'"))

    def expire(self, folder: Path) -> None:
        """The time of the lease passes: nobody here can know that its holder is dead."""
        if self.sql(f"select to_regclass('ledger_{folder.name}.pipelines')"):
            self.sql(f"update ledger_{folder.name}.pipelines set expires_at = now()")


@pytest.fixture
def lab(postgres_server: PostgresServer, postgres_database: str) -> Lab:
    return Lab(postgres_server, postgres_database)


@pytest.mark.parametrize("quarter", range(4))  # of the points, so that several workers share the walk
def test_the_run_after_a_kill_leaves_what_an_uninterrupted_one_does(quarter: int, lab: Lab, tmp_path: Path) -> None:
    walked = points(lab.system, lab.system.project(tmp_path / "walk"))
    assert {point for point, _ in walked} == {*RUN_POINTS, *lab.system.points}
    for number, (point, time) in list(enumerate(walked))[quarter::4]:
        folder = tmp_path / f"p{number}"
        file = lab.system.project(folder)
        die(lab.system, file, point, time, "kill")
        lab.expire(folder)
        before = lab.sealed(folder)
        completed(lab.system, file)
        assert lab.sealed(folder) == before + 1, f"{point}@{time}"
        check(folder, read_files, epochs=before + 1)
        assert not (folder / ".penstock" / "ledger.db").exists()
