"""``plan`` says what ``run`` would say before it does anything: what the markers tell, and that nothing is new."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Said

FILE = "pipelines/shop.yml"
DOCUMENT = """\
pipeline: shop
sources: {raw: {type: csv, path: data/sold-*.csv, incremental: files, schema: {columns: {id: int64}}}}
sinks:
  out: {from: raw, type: sqlite, path: out.db, table: t}
  copy: {from: raw, type: sqlite, path: copy.db, table: t}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def shop(project: Path) -> Path:
    (project / FILE).write_text(DOCUMENT, encoding="utf-8")
    (project / "data" / "sold-1.csv").write_text("id\n1\n", encoding="utf-8")
    return project


def test_what_a_run_would_refuse_plan_refuses_alike(penstock: Callable[..., Said], shop: Path) -> None:
    assert penstock("run", FILE).code == 0
    before = (shop / "out.db").read_bytes()
    with closing(sqlite3.connect(shop / "out.db")) as database, database:
        database.execute("update _penstock_commits set epoch = 9")
    planned, ran = penstock("plan", FILE, "--json"), penstock("run", FILE, "--json")
    assert (planned.codes, ran.codes) == (["RUN-110"], ["RUN-110"])
    assert planned.code == ran.code
    assert planned.json["problems"] == ran.json["problems"]
    (shop / "out.db").write_bytes(before)
    ledger = (shop / ".penstock" / "ledger.db").read_bytes()
    assert penstock("plan", FILE).code == 0
    assert (shop / "out.db").read_bytes() == before, "asking leaves nothing"
    assert (shop / ".penstock" / "ledger.db").read_bytes() == ledger


def test_that_nothing_is_new_is_said_in_place_of_what_would_be_done(penstock: Callable[..., Said], shop: Path) -> None:
    first = penstock("plan", FILE)
    assert "commit" in first.out
    assert penstock("run", FILE).code == 0
    then = penstock("plan", FILE)
    assert "nothing new since epoch 1, sealed " in then.out
    assert "appends" not in then.out
    assert penstock("plan", FILE, "--json").json["nothing_new"] is True
    (shop / "data" / "sold-2.csv").write_text("id\n2\n", encoding="utf-8")
    now = penstock("plan", FILE, "--json").json
    assert (now["nothing_new"], now["left_epoch"]) == (False, None)


def test_an_epoch_that_was_left_is_said_to_come_first(
    penstock: Callable[..., Said], shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert penstock("run", FILE).code == 0
    (shop / "data" / "sold-2.csv").write_text("id\n2\n", encoding="utf-8")
    monkeypatch.setenv("PENSTOCK_FAULTS", "run.committed=raise")
    assert penstock("run", FILE).code != 0
    monkeypatch.delenv("PENSTOCK_FAULTS")
    told = penstock("plan", FILE)
    assert "epoch 2, which a run left in the midst, is finished first" in told.out
    assert penstock("plan", FILE, "--json").json["left_epoch"] == 2
