"""Runs whose ledger is kept by PostgreSQL: they die at every boundary, and the server goes away while they work."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Literal

import pytest
from crashes import children
from epochs import completed, die, once, points
from systems import FILES, check, read_files

from penstock.faults.points import RUN_POINTS, Faults
from penstock.ledger.api import RunStatus
from penstock.structs import Frozen, replace

if TYPE_CHECKING:
    from pathlib import Path

    from epochs import System

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server


class Lab(Frozen):
    server: PostgresServer
    database: str

    @property
    def system(self) -> System:
        """Each project has a schema of its own, of its name."""
        return replace(FILES, ledger=f'{{connection: "{self.server.url(self.database)}", schema: ledger_$PLACE}}')

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


@pytest.mark.parametrize("form", ["short", pytest.param("long", marks=pytest.mark.long)])
@pytest.mark.parametrize("half", range(2))  # of the points, so that two workers share the walk
def test_the_run_after_a_kill_leaves_what_an_uninterrupted_one_does(
    half: int, form: Literal["short", "long"], lab: Lab, tmp_path: Path
) -> None:
    """In the short form at the run's own points, where it speaks with its ledger, at each once."""
    passed = points(lab.system, lab.system.project(tmp_path / "walk"))
    assert {point for point, _ in passed} == {*RUN_POINTS, *lab.system.points}
    walked = passed if form == "long" else [(point, 1) for point in RUN_POINTS]
    for number, (point, nth) in list(enumerate(walked))[half::2]:
        folder = tmp_path / f"p{number}"
        file = lab.system.project(folder)
        die(lab.system, file, point, nth, "kill")
        lab.expire(folder)
        before = lab.sealed(folder)
        completed(lab.system, file)
        assert lab.sealed(folder) == before + 1, f"{point}@{nth}"
        check(folder, read_files, epochs=before + 1)
        assert not (folder / ".penstock" / "ledger.db").exists()


def test_a_dead_runs_pipeline_is_refused_with_its_name_until_the_lease_has_expired(lab: Lab, tmp_path: Path) -> None:
    file = lab.system.project(tmp_path / "p")
    die(lab.system, file, "run.planned", 1, "kill")
    refused = once(lab.system, file, Faults())
    assert [problem.code for problem in refused.problems] == ["LED-110"]
    assert f"{socket.gethostname()}/" in refused.problems[0].message
    lab.expire(tmp_path / "p")
    assert completed(lab.system, file).epochs[0].record.number == 1


def test_a_paused_run_whose_lease_expired_writes_nothing_when_it_wakes_up(lab: Lab, tmp_path: Path) -> None:
    file = lab.system.project(tmp_path / "p")
    child = children().start(once, lab.system, file, Faults({("run.accounted", 1): "pause"}))
    try:
        assert child.frozen_within(60)
        refused = once(lab.system, file, Faults())
        assert [problem.code for problem in refused.problems] == ["LED-110"]
        assert f"/{child.pid}/" in refused.problems[0].message
        lab.expire(tmp_path / "p")
        completed(lab.system, file)
        child.wake()
        child.join(120)
    finally:
        child.kill()
    check(tmp_path / "p", read_files, epochs=1)
    paused, _, last = lab.sql("select status from ledger_p.runs order by started_at").splitlines()
    assert (paused, last) == ("failed", "done")
    assert lab.sealed(tmp_path / "p") == 1


class Restarts(Faults):
    """The server crashes, and is back, when the run comes by the point for the first time."""

    def __init__(self, server: PostgresServer, point: str) -> None:
        super().__init__()
        self.server, self.point = server, point

    def reached(self, point: str) -> None:
        super().reached(point)
        if (point, self.seen[point]) == (self.point, 1):
            self.server.crash()
            self.server.start()


@pytest.mark.parametrize("point", ["run.taken", "run.planned", "run.accounted", "run.before_seal", "run.sealed"])
def test_a_run_outlives_a_server_that_crashes_and_comes_back(point: str, lab: Lab, tmp_path: Path) -> None:
    file = lab.system.project(tmp_path / "p")
    faults = Restarts(lab.server, point)
    assert once(lab.system, file, faults).status is RunStatus.DONE
    assert faults.seen[point]
    check(tmp_path / "p", read_files, epochs=1)
    assert lab.sealed(tmp_path / "p") == 1
