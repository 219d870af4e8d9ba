"""The ledger of a project kept by PostgreSQL: two copies of the project on two machines are one project."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from penstock.connectors.resilience.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said
    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server
FILE = "pipelines/days.yml"


@pytest.fixture
def shared(
    project: Path, postgres_server: PostgresServer, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.setenv("PENSTOCK_SECRET_LEDGER", f"{postgres_server.url(postgres_database)}?sslmode=disable")
    with (project / "penstock.yml").open("a", encoding="utf-8") as file:
        file.write("ledger: {connection: {url: '${secret.LEDGER}'}}\n")
    return project


def test_a_run_of_one_machine_is_known_on_the_other(
    penstock: Callable[..., Said],
    shared: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = tmp_path_factory.mktemp("other") / "copy"
    shutil.copytree(shared, other)
    run = penstock("run", FILE, "--json").json
    assert run["status"] == "done"
    assert not (shared / ".penstock" / "ledger.db").exists()
    monkeypatch.chdir(other)
    assert [found["run_id"] for found in penstock("runs", "list", "--json").json["runs"]] == [run["run_id"]]
    assert penstock("runs", "show", "--json").json["run_id"] == run["run_id"]
    assert penstock("rejects", "list", "--json").json["total"] == run["rejects"]["total"]
    (problem,) = penstock("plan", FILE, "--json").json["problems"]
    assert problem["code"] == "RUN-110"  # the rows lie on the first machine


def test_asking_makes_no_ledger(
    penstock: Callable[..., Said], shared: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    for command in (["runs", "list"], ["rejects", "list"], ["plan", FILE], ["validate", FILE, "--connect"]):
        assert penstock(*command).code == 0
    schemas = "select count(*) from pg_namespace where nspname = 'penstock'"
    assert postgres_server.sql(schemas, database=postgres_database) == "0"
    assert not (shared / ".penstock").exists()


def test_a_ledger_that_is_out_of_reach_stands_where_it_is_named(
    penstock: Callable[..., Said], shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.ledger.postgres.RETRY", RetryPolicy(attempts=1))
    monkeypatch.setenv("PENSTOCK_SECRET_LEDGER", "postgresql://x:hunter2@127.0.0.1:9/nothing")
    assert penstock("validate", FILE).code == 0  # which asks no server
    for command in (["validate", FILE, "--connect"], ["run", FILE], ["runs", "list"], ["plan", FILE]):
        said = penstock(*command)
        assert said.code == 3
        assert "error[LED-201]" in said.err + said.out
        assert "--> penstock.yml:" in said.err + said.out
        assert "hunter2" not in said.err + said.out
    assert not (shared / ".penstock").exists()
