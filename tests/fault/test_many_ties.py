"""More rows with a cursor's newest value than a position names: each comes once, and what comes too late is told."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from arrived import keys, rows_of
from epochs import completed, once
from systems import FILES

from penstock.faults.points import Faults

if TYPE_CHECKING:
    from pathlib import Path

    from penstock.service.running import RunResult

ONE, TWO = "2024-01-01T00:00:01", "2024-01-01T00:00:02"


class Shop:
    """A table in SQLite whose rows are told apart by two columns besides the cursor."""

    def __init__(self, folder: Path, cursor: str = "[at, v, k]", sinks: int = 1, epoch: str = "") -> None:
        self.folder, self.file = folder, folder / "shop.yml"
        outputs = "".join(
            f"  {name}: {{from: t, type: parquet, path: out/{name}, mode: append}}\n" for name in ("one", "two")[:sinks]
        )
        self.file.write_text(
            f"pipeline: shop\nsources:\n  t: {{type: sqlite, path: shop.db, table: t, incremental: {{cursor: {cursor}}},\n"
            "      schema: {columns: {k: int64?, at: timestamp, v: string}}}\n"
            f"sinks:\n{outputs}run: {{memory: 256 MiB, threads: 1{epoch}}}\n",
            encoding="utf-8",
        )
        self.ask("create table t (k integer, at text, v text)")

    def ask(self, text: str) -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.execute(text)
            connection.commit()

    def add(self, at: str, *numbers: int | None, v: str = "a") -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.executemany("insert into t values (?, ?, ?)", [(number, at, v) for number in numbers])
            connection.commit()

    def run(self) -> RunResult:
        return completed(FILES, self.file)

    @property
    def cursor(self) -> dict[str, Any]:
        with closing(sqlite3.connect(self.folder / ".penstock" / "ledger.db")) as connection:
            ((text,),) = connection.execute("select position from positions").fetchall()
        found: dict[str, Any] = json.loads(text)["cursor"]
        return found

    def says(self, **cursor: object) -> None:
        with closing(sqlite3.connect(self.folder / ".penstock" / "ledger.db")) as connection:
            ((text,),) = connection.execute("select position from positions").fetchall()
            position = json.loads(text)
            position["cursor"].update(cursor)
            connection.execute("update positions set position = ?", (json.dumps(position),))
            connection.commit()


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "real" not in request.node.name:
        monkeypatch.setattr("penstock.run.cursors.MOST_SEEN", 3)


def codes(result: RunResult) -> list[str]:
    return [warning.code for warning in result.warnings]


def test_named_rows_become_a_place_in_an_order_and_late_ones_are_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add(ONE, 20, 30)
    assert shop.run().written == 2
    assert "key" not in shop.cursor
    shop.add(ONE, 10, 25, 40, 50, None)  # before and behind those that are named
    result = shop.run()
    assert (result.written, result.rejected, codes(result)) == (4, 1, [])
    assert shop.cursor["key"]["values"] == ["a", "50"]
    assert shop.run().epochs == ()
    shop.add(ONE, 60, None)  # one behind the place that was reached, and one more that lacks a column
    shop.add(ONE, 15)  # and one before it
    shop.add(TWO, 70)
    result = shop.run()
    assert (result.written, result.rejected, codes(result)) == (2, 1, ["RUN-137"])
    assert "1 row" in result.warnings[0].message
    assert "--from '2024-01-01 00:00:01'" in str(result.warnings[0].hint)
    result = shop.run()
    assert (result.epochs, codes(result)) == ((), ["RUN-137"])
    shop.add(TWO, 80)
    assert codes(shop.run()) == []
    assert keys(rows_of(tmp_path)) == [10, 20, 25, 30, 40, 50, 60, 70, 80]


def test_late_rows_alone_are_told_and_a_place_never_goes_back(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add(ONE, 1, 3, 5, 7, 9)
    shop.run()
    shop.ask("delete from t where k = 9")
    shop.add(ONE, 2)
    result = shop.run()  # as many rows as before, and others
    assert (result.written, codes(result)) == (0, ["RUN-137"])
    shop.add(ONE, 9, 11)
    assert shop.run().written == 1
    assert shop.cursor["key"]["values"] == ["a", "11"]
    assert keys(rows_of(tmp_path)) == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize("point", ["run.planned", "run.staged", "run.committed"])
def test_rows_that_come_after_a_run_died_come_once(tmp_path: Path, point: str) -> None:
    shop = Shop(tmp_path, sinks=2)  # so that what is read is kept
    shop.add(ONE, 1, 3, 5, 7, 9)
    once(FILES, shop.file, Faults({(point, 1): "raise"}))
    shop.add(ONE, 11, 13)
    shop.run()
    shop.run()
    for sink in ("one", "two"):
        assert keys(rows_of(tmp_path, sink)) == [1, 3, 5, 7, 9, 11, 13]


def test_a_series_of_epochs_goes_on_behind_a_place_and_tells_what_came_late(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "[at, k]", epoch=", epoch: {rows: 2}")
    shop.add(ONE, 1, 3, 5, 7, 9, None)
    shop.run()
    shop.add(ONE, 2, 11)
    shop.add(TWO, 12, 13, 14, 15, 16)
    result = shop.run()
    assert len(result.epochs) > 1
    assert (result.written, result.rejected, codes(result)) == (6, 0, ["RUN-137"])
    assert keys(rows_of(tmp_path)) == [1, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16]


def test_a_place_that_cannot_be_understood_stops_the_run(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add(ONE, 1, 2, 3, 4)
    shop.run()
    key = shop.cursor["key"]
    for told, code in (({"greatest": 4}, "RUN-138"), ({**key, "types": ["string", "string"]}, "RUN-130")):
        shop.says(key=told)
        assert [problem.code for problem in once(FILES, shop.file, Faults()).problems] == [code]
    assert keys(rows_of(tmp_path)) == [1, 2, 3, 4]


def test_without_further_columns_the_way_out_is_named(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "at")
    shop.add(ONE, 1, 2, 3, 4)
    (problem,) = once(FILES, shop.file, Faults()).problems
    assert problem.code == "SRC-111"
    assert "`cursor: [at, id]`" in str(problem.hint)


def test_real_numbers_of_rows(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.add(ONE, *range(0, 50_000, 2))
    assert shop.run().written == 25_000
    shop.add(ONE, 7, *range(60_000, 85_000))
    result = shop.run()
    assert (result.written, codes(result)) == (25_000, ["RUN-137"])
    assert keys(rows_of(tmp_path)) == [*range(0, 50_000, 2), *range(60_000, 85_000)]
