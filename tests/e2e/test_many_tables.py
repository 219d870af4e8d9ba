"""A hundred tables in one pipeline: a run that is killed among them goes on with those that are left, by priority."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.testing.servers import PostgresServer

pytestmark = pytest.mark.server

TABLES = 100
URGENT = ("t073", "t099", "t011")  # by priority, before all others
KILLED_IN = 40  # the table, in the order in which they are run
DOCUMENT = """pipeline: shop
sources:
  crm:
    type: postgres
    connection: {url}
    tables: [{{name: public.t073, priority: 9}}, {{name: public.t099, priority: 8}}, {{name: public.t011, priority: 7}}, "public.*"]
    incremental: {{cursor: id}}
sinks:
  lake: {{from: crm, type: parquet, path: "lake/{{table}}", mode: append}}
run: {{memory: 256 MiB, threads: 1}}
"""


def call(folder: Path, faults: str = "") -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "penstock", "run", "shop.yml", "--json"],
        cwd=folder,
        env={**os.environ, "PENSTOCK_FAULTS": faults},
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None


def loaded(folder: Path) -> dict[str, int]:
    """How many files each table has in the lake."""
    return {path.name: len(list(path.rglob("*.parquet"))) for path in (folder / "lake" / "public").iterdir()}


def test_a_run_over_a_hundred_tables_resumes_by_table(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    url = postgres_server.url(postgres_database)
    names = [f"t{number:03}" for number in range(TABLES)]
    with psycopg.connect(url) as connection:
        for name in names:
            connection.execute(f"CREATE TABLE {name} AS SELECT generate_series(1, 3) AS id")  # type: ignore[arg-type]
    (tmp_path / "shop.yml").write_text(DOCUMENT.format(url=url), encoding="utf-8")

    code, _ = call(tmp_path, f"run.before_commit@{KILLED_IN}=kill")
    assert code == -signal.SIGKILL
    order = [*URGENT, *(name for name in names if name not in URGENT)]
    before = loaded(tmp_path)
    assert [name for name in order if before.get(name)] == order[: KILLED_IN - 1]

    code, rest = call(tmp_path)
    assert code == 0
    run = {one["pipeline"].rpartition(".")[2]: [epoch["epoch"] for epoch in one["epochs"]] for one in rest["members"]}
    assert list(run) == order
    assert [name for name in order if run[name]] == order[KILLED_IN - 1 :]
    assert set(loaded(tmp_path).values()) == {1}

    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO t050 VALUES (4)")
    code, last = call(tmp_path)
    assert (code, [one["pipeline"] for one in last["members"] if one["epochs"]]) == (0, ["shop/crm.public.t050"])
