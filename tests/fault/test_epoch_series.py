"""A long load as a series of epochs: where it dies it goes on, and what comes of it is what one epoch makes."""

from __future__ import annotations

import functools
import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from epochs import completed, die, once, points
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from systems import FILES, sealed

from penstock.cli.app import execute
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus

ROWS = 40
DOCUMENT = """
pipeline: load
sources:
  rows: {{type: csv, path: rows.csv, schema: {{columns: {{k: int64, v: string}}}}}}
  names: {{type: csv, path: names.csv, schema: {{columns: {{k: int64, name: string}}}}}}
transforms:
  named:
    from: rows
    steps:
      - filter: k % 5 <> 0
      - join: {{to: names, kind: left, on: [k], add: [name]}}
  total: {{sql: "select count(*) as n, sum(k)::bigint as s from appended"}}
sinks:
  appended: {{from: named, type: sqlite, path: out.db, table: appended, mode: append}}
  replaced: {{from: named, type: sqlite, path: out.db, table: replaced, mode: overwrite}}
  newest: {{from: named, type: sqlite, path: out.db, table: newest, mode: merge, keys: [k]}}
  totals: {{from: total, type: sqlite, path: out.db, table: totals, mode: overwrite}}
run: {{memory: 256 MiB, threads: 1{epoch}}}
"""
GOOD = [(k, f'v{k}\n"x"' if k % 7 == 0 else f"v{k}", f"n{k}" if k % 2 else None) for k in range(ROWS) if k % 5]


class Load:
    """A file of 40 rows and one bad record, and four sinks, two of which wait for the end."""

    def __init__(self, folder: Path, epoch: str = ", epoch: {rows: 12}") -> None:
        self.folder = folder
        self.file = folder / "load.yml"
        folder.mkdir(exist_ok=True)
        self.write(epoch)
        lines = [f'{k},"v{k}\n""x"""' if k % 7 == 0 else f"{k},v{k}" for k in range(ROWS)]
        lines[20:20] = ["oops,v"]
        (folder / "rows.csv").write_text("k,v\n" + "".join(f"{line}\n" for line in lines), encoding="utf-8")
        names = [f"{k},n{k}\n" for k in range(1, ROWS, 2)]
        (folder / "names.csv").write_text("k,name\n" + "".join(names), encoding="utf-8")

    def write(self, epoch: str) -> None:
        self.file.write_text(DOCUMENT.format(epoch=epoch), encoding="utf-8")

    def table(self, name: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            if not connection.execute("select 1 from sqlite_master where name = ?", [name]).fetchall():
                return []
            return connection.execute(f"select * from {name} order by 1").fetchall()

    def check(self) -> None:
        for name in ("appended", "replaced", "newest"):
            assert self.table(name) == GOOD, name
        assert self.table("totals") == [(len(GOOD), sum(row[0] for row in GOOD))]

    @property
    def spooled(self) -> list[Path]:
        return [item for item in (self.folder / ".penstock").rglob("*.arrow") if "spool" in item.parts]


def fill(epochs: Any) -> list[list[str]]:
    return [sorted(epoch.receipts) for epoch in epochs]


def test_every_epoch_takes_a_piece_and_the_last_one_publishes(tmp_path: Path) -> None:
    load = Load(tmp_path)
    result = completed(FILES, load.file)
    load.check()
    assert fill(result.epochs) == [["appended"]] * 3 + [["appended", "newest", "replaced", "totals"]]
    assert [
        sum(entry.into.values()) for epoch in result.epochs for entry in epoch.account.balance if entry.node == "rows"
    ] == [12, 12, 12, 5]  # fmt: skip
    assert (result.read - 4 * (ROWS // 2), result.rejected) == (ROWS + 1, 1)
    assert load.spooled == []


def test_without_a_size_it_is_one_epoch_of_the_same_rows(tmp_path: Path) -> None:
    load = Load(tmp_path, "")
    assert len(completed(FILES, load.file).epochs) == 1
    load.check()


def test_where_a_reject_stands_does_not_depend_on_the_pieces(tmp_path: Path) -> None:
    places = []
    for epoch in ("", ", epoch: {rows: 12}"):
        load = Load(tmp_path / f"load{len(places)}", epoch)
        completed(FILES, load.file)
        (rejects,) = (load.folder / ".penstock" / "rejects").rglob("*.parquet")
        ((place, raw),) = (
            duckdb.connect().execute("select position, raw from read_parquet(?)", [str(rejects)]).fetchall()
        )
        places.append({**json.loads(place), "file": None})
        assert raw == "oops,v"
    assert places[0] == places[1]


@functools.cache
def crash_points() -> list[tuple[str, int]]:
    """The run's own, in the second epoch and in the last one."""
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder) / "load")
        passed = [item for item in points(FILES, load.file) if item[0].startswith("run.")]
        last = dict(passed)  # how often each is passed
        ends = {"run.kept", "run.committed"}
        return [(point, time) for point, time in passed if time == 2 or (time == last[point] and point in ends)]


@pytest.mark.parametrize("part", range(2))
def test_it_goes_on_wherever_it_died(part: int, tmp_path: Path) -> None:
    for place, (point, time) in enumerate(crash_points()):
        if place % 2 == part:
            go_on(Load(tmp_path / f"load{place}"), point, time, "raise")


@pytest.mark.parametrize("point", [("run.kept", 2), ("run.committed", 2), ("run.committed", 5), ("run.before_seal", 4)])
@pytest.mark.parametrize("act", ["kill", "lost"])
def test_it_goes_on_after_a_kill_and_a_lost_answer(act: Any, point: tuple[str, int], tmp_path: Path) -> None:
    go_on(Load(tmp_path), *point, act)


def go_on(load: Load, point: str, time: int, act: Any) -> None:
    die(FILES, load.file, point, time, act)
    if act != "lost" and sealed(load.folder) < 4:  # else all was done, and another run would append it again
        before = len(load.table("appended"))
        result = completed(FILES, load.file)
        assert [epoch.record.number for epoch in result.epochs] == list(range(5 - len(result.epochs), 5))
        done = 4 - len(result.epochs)
        assert before >= len([row for row in GOOD if row[0] < [0, 12, 23, 35, 40][done]]), f"{point}@{time}"
        assert load.spooled == []
    load.check()


def test_what_was_sealed_is_not_read_again(tmp_path: Path) -> None:
    load = Load(tmp_path)
    once(FILES, load.file, Faults({("run.sealed", 3): "raise"}))
    assert len(load.table("appended")) == len([row for row in GOOD if row[0] < 35])
    result = completed(FILES, load.file)
    assert [epoch.record.number for epoch in result.epochs] == [4]
    load.check()


@pytest.mark.parametrize("epoch", ["", ", epoch: {rows: 12}"])
def test_another_pipeline_does_not_go_on(epoch: str, tmp_path: Path) -> None:
    load = Load(tmp_path)
    once(FILES, load.file, Faults({("run.sealed", 2): "raise"}))
    load.write(epoch)
    if epoch:
        load.file.write_text(load.file.read_text().replace("k % 5", "k % 4"))
    result = once(FILES, load.file, Faults())
    assert [problem.code for problem in result.problems] == ["RUN-131"]
    assert len(load.table("appended")) < len(GOOD)
    load.write(", epoch: {rows: 5}")  # of another size it is the same pipeline
    completed(FILES, load.file)
    load.check()


def test_a_file_that_changes_in_the_midst_of_it(tmp_path: Path) -> None:
    load = Load(tmp_path)
    once(FILES, load.file, Faults({("run.sealed", 2): "raise"}))
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text(text.replace("39,v39", "39,v40"), encoding="utf-8")
    result = once(FILES, load.file, Faults())
    assert [problem.code for problem in result.problems] == ["SRC-110"]
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
    result = once(FILES, load.file, Faults())
    assert result.status is RunStatus.FAILED  # it was written anew, which its time tells


@pytest.mark.parametrize("point", [("run.sealed", 1), ("run.sealed", 3), ("run.committed", 2), ("run.kept", 4)])
def test_a_full_refresh_replaces_at_its_end(point: tuple[str, int], tmp_path: Path) -> None:
    load = Load(tmp_path)
    completed(FILES, load.file)
    text = (tmp_path / "rows.csv").read_text(encoding="utf-8")
    (tmp_path / "rows.csv").write_text(text + "41,new\n", encoding="utf-8")
    failed = once(FILES, load.file, Faults({point: "raise"}), full_refresh=True)
    assert failed.status is RunStatus.FAILED
    if point[0] != "run.committed":
        load.check()
    assert completed(FILES, load.file).status is RunStatus.DONE
    for name in ("appended", "replaced", "newest"):
        assert load.table(name) == [*GOOD, (41, "new", None)]


# ---------------------------------------------------------------- cursors


class Shop:
    """A table with a cursor in SQLite, of 100 rows."""

    def __init__(self, folder: Path, sinks: str, incremental: str = "{cursor: at}", size: str = "rows: 30") -> None:
        self.folder, self.file = folder, folder / "shop.yml"
        self.file.write_text(
            "pipeline: shop\nsources:\n"
            f"  t: {{type: sqlite, path: shop.db, table: t, incremental: {incremental},\n"
            "      schema: {columns: {k: int64, at: 'int64?', v: string}}}\n"
            f"sinks:\n{sinks}run: {{memory: 256 MiB, threads: 1, epoch: {{{size}}}}}\n",
            encoding="utf-8",
        )
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            connection.execute("create table t (k integer, at integer, v text)")
        self.add(*((k, k // 3, f"v{k}") for k in range(100)))

    def add(self, *rows: tuple[int, int | None, str]) -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.executemany("insert into t values (?, ?, ?)", rows)
            connection.commit()

    @property
    def found(self) -> list[int]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            return [row[0] for row in connection.execute("select k from o order by k")]


APPENDED = "  o: {from: t, type: sqlite, path: out.db, table: o, mode: append}\n"
MERGED = "  o: {from: t, type: sqlite, path: out.db, table: o, mode: merge, keys: [k], order_by: at}\n"
TWO = APPENDED + "  p: {from: t, type: parquet, path: out/p, mode: append}\n"


@pytest.mark.parametrize("sinks", [APPENDED, TWO, MERGED], ids=["append", "two", "merge"])
@pytest.mark.parametrize("size", ["rows: 30", "bytes: 900 B", "rows: 1000, bytes: 1 KiB"])
def test_a_cursor_is_cut_by_its_values(sinks: str, size: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, sinks, size=size)
    shop.add((200, None, "nowhere"))
    result = completed(FILES, shop.file)
    assert shop.found == list(range(100))
    assert len(result.epochs) in {3, 4, 5}
    assert result.rejected == 1
    assert completed(FILES, shop.file).epochs == ()
    shop.add((100, 33, "tie"), (101, 34, "later"))
    assert completed(FILES, shop.file).written == 2 * len(result.epochs[-1].receipts)
    assert shop.found == list(range(102))


@pytest.mark.parametrize("sinks", [APPENDED, TWO], ids=["read", "copied"])
def test_of_a_table_each_epoch_reads_its_own_rows(sinks: str, tmp_path: Path) -> None:
    """In SQLite, and where it is copied for two sinks; so a record that becomes no row is told once."""
    shop = Shop(tmp_path, sinks)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("insert into t values ('oops', 17, 'v')")
        connection.commit()
    result = completed(FILES, shop.file)
    assert shop.found == list(range(100))
    assert (len(result.epochs) > 2, result.read, result.rejected) == (True, 101, 1)


def test_a_lag_is_not_taken_from_a_cut(tmp_path: Path) -> None:
    shop = Shop(tmp_path, MERGED, "{cursor: at, lag: 10}")
    assert completed(FILES, shop.file).written == 100
    assert completed(FILES, shop.file).written == len([k for k in range(100) if k // 3 >= 33 - 10])


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    dies=st.lists(
        st.tuples(st.sampled_from(["run.planned", "run.staged", "run.committed", "run.sealed"]), st.integers(1, 3)),
        max_size=4,
    ),
    more=st.lists(st.integers(0, 40), max_size=5),
    sinks=st.sampled_from([APPENDED, TWO]),
)
def test_a_cursor_that_grows_while_it_is_cut(dies: list[tuple[str, int]], more: list[int], sinks: str) -> None:
    """What comes with a value that was passed is late, as without a series; all that is not late comes once."""
    with tempfile.TemporaryDirectory() as name:
        shop = Shop(Path(name), sinks)
        for turn, point in enumerate(dies, start=1):
            once(FILES, shop.file, Faults({point: "raise"}))
            shop.add(*((1000 * turn + place, 33 + step, "new") for place, step in enumerate(more)))
        completed(FILES, shop.file)
        completed(FILES, shop.file)
        assert sorted(shop.found) == sorted(set(shop.found))
        assert set(range(100)) <= set(shop.found)


# ---------------------------------------------------------------- files


def test_new_files_are_taken_by_and_by(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for number in range(6):
        (tmp_path / "new" / f"{number}.csv").write_text(f"k\n{number}0\n{number}1\n", encoding="utf-8")
    file = tmp_path / "files.yml"
    file.write_text(
        "pipeline: files\nsources: {t: {type: csv, path: new, incremental: files, schema: {columns: {k: int64}}}}\n"
        "sinks: {o: {from: t, type: sqlite, path: out.db, table: o, mode: append}}\nrun: {epoch: {rows: 5}}\n"
    )
    once(FILES, file, Faults({("run.sealed", 1): "raise"}))
    (tmp_path / "new" / "7.csv").write_text("k\n70\n", encoding="utf-8")
    rest = completed(FILES, file)
    assert len(rest.epochs) > 1
    assert completed(FILES, file).written == 1
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        found = [row[0] for row in connection.execute("select k from o order by k")]
    assert found == sorted([n * 10 + i for n in range(6) for i in (0, 1)] + [70])


# ---------------------------------------------------------------- people


def test_a_plan_says_how_a_load_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load = Load(tmp_path)
    assert execute(["plan", str(load.file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["series"] == {
        "rows": 12,
        "bytes": None,
        "sources": ["rows"],
        "each": ["appended"],
        "at_the_end": ["replaced", "newest", "totals"],
    }
    assert execute(["plan", str(load.file)]) == 0
    shown = capsys.readouterr().out
    assert "12 rows" in shown
    assert "replaced" in shown
