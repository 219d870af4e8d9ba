"""A pipeline that is killed, cut off and overtaken: what holds is said to hold, and what does not is found out."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from broken_sinks import CATALOGUE

from penstock.errors import PenstockError
from penstock.service.request import Request, Settings
from penstock.service.torturing import Bounds, Kind, torture

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.service.torturing import Tortured

pytestmark = pytest.mark.slow

DOCUMENT = """
pipeline: shop
sources:
  orders: {type: csv, path: orders.csv, schema: {columns: {id: int64, price: "decimal(9,2)"}}}
transforms:
  priced:
    from: orders
    steps:
      - derive: {at: now()}
sinks:
  stored: {from: priced, type: SINK, path: shop.db, table: orders, mode: append}
run: {memory: 256 MiB, threads: 1}
"""


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Request]:
    def made(sink: str = "sqlite", rows_of: int = 20, **changed: str) -> Request:
        rows = ["id,price", *(f"{number},{number}.25" for number in range(rows_of)), "x,1.00"]
        (tmp_path / "orders.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        text = DOCUMENT.replace("SINK", sink)
        for old, new in changed.items():
            text = text.replace(old, new)
        (tmp_path / "shop.yml").write_text(text, encoding="utf-8")
        return Request(tmp_path / "shop.yml", Settings(dict(os.environ), catalogue=CATALOGUE))

    return made


def tortured(request: Request, *, trials: int, chosen: str) -> Tortured:
    return torture(request, Bounds(3600, trials, chosen), seed=5)


def test_a_pipeline_that_loses_and_doubles_nothing(project: Callable[..., Request], tmp_path: Path) -> None:
    told: list[str] = []
    found = torture(project(), Bounds(3600, 5, "sqlite.committed"), seed=5, told=told.append)
    assert found.breaches == ()
    assert found.holds
    assert found.guarantee == "exactly_once"
    assert found.untried == 0
    assert {one.kind: one.trials for one in found.tried} == dict.fromkeys(Kind, 1)
    at_points = [one for one in found.tried if one.kind not in (Kind.KILLED, Kind.OVERTAKEN)]
    assert all(one.struck for one in at_points)
    assert found.unsteady == {"stored": frozenset({"at"})}
    assert "killed at a crash point: sqlite.committed" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.csv", "shop.yml"]  # and nothing else


@pytest.mark.parametrize(("sink", "holds"), [("liar", False), ("honest", True)])
def test_a_sink_that_commits_in_two_acts_is_found_out(sink: str, holds: bool, project: Callable[..., Request]) -> None:  # noqa: FBT001 -- a parameter of pytest
    """One that says so has promised no more than it keeps."""
    found = tortured(project(sink), trials=1, chosen="two_acts.between")
    assert found.guarantee == ("at_least_once" if holds else "exactly_once")
    (breach,) = found.breaches
    assert (breach.lost, breach.doubled) == (0, 20)
    assert breach.broken is not holds
    assert found.holds is holds


def test_what_real_sinks_hold_stays_as_it_is(project: Callable[..., Request], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table orders (id integer, price text)")
        connection.execute("insert into orders values (1, '2')")
    before = (tmp_path / "shop.db").read_bytes()
    assert tortured(project(), trials=1, chosen="run.committed").holds
    assert (tmp_path / "shop.db").read_bytes() == before


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        (
            "FLT-111",
            {"type: sqlite, path: shop.db, table: orders": "type: excel, path: shop.xlsx", "append": "overwrite"},
        ),
        ("FLT-112", {"    steps:": "    rules: [{range: {column: id, max: 3, on_fail: fail}}]\n    steps:"}),
        ("FLT-113", {"derive: {at: now()}": "filter: id * 30000 < extract('microseconds' from now())"}),
        ("FLT-114", {}),
    ],
)
def test_what_cannot_be_tortured_is_said(code: str, changed: dict[str, str], project: Callable[..., Request]) -> None:
    rows = 2000 if code == "FLT-113" else 20  # so that no two moments let as many pass
    with pytest.raises(PenstockError) as caught:
        tortured(project(rows_of=rows, **changed), trials=1, chosen="nowhere" if code == "FLT-114" else "")
    assert caught.value.code == code
