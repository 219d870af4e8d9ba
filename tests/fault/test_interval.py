"""``run --from/--to``: an interval of a cursor is read again, beside what the runs read one after the other."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from epochs import Hasty, completed
from systems import FILES

from penstock.cli.app import execute
from penstock.events import Events
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.service.request import Request, interval_of
from penstock.service.running import RunResult, run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Shop:
    """Ten days, one row each, merged by their key."""

    def __init__(self, folder: Path, sink: str = "mode: merge, keys: [k]", cursor: str = "{cursor: day}") -> None:
        self.folder, self.file = folder, folder / "shop.yml"
        self.file.write_text(
            "pipeline: shop\nsources:\n"
            f"  t: {{type: sqlite, path: shop.db, table: t, incremental: {cursor},\n"
            "      schema: {columns: {k: int64, day: 'date?', v: string}}}\n"
            f"sinks: {{o: {{from: t, type: sqlite, path: out.db, table: o, {sink}}}}}\nrun: {{memory: 256 MiB, threads: 1}}\n",
            encoding="utf-8",
        )
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            connection.execute("create table t (k integer, day text, v text)")
        self.put(range(1, 11), "old")

    def put(self, days: Sequence[int], value: str) -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.executemany("delete from t where k = ?", [(day,) for day in days])
            connection.executemany("insert into t values (?, ?, ?)", [(d, f"2024-01-{d:02}", value) for d in days])
            connection.commit()

    def run(self, begin: str | None, end: str | None, faults: Faults | None = None) -> RunResult:
        faults = faults or Faults()
        request = Request(self.file, FILES.settings(), Hasty(), faults.reached, interval=interval_of(begin, end))
        return run(request, Events(level="error"), faults)

    @property
    def new(self) -> list[int]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            return [row[0] for row in connection.execute("select k from o where v = 'new' order by k")]

    def position(self) -> object:
        with closing(sqlite3.connect(self.folder / ".penstock" / "ledger.db")) as connection:
            rows = connection.execute("select position from positions").fetchall()
        return [json.loads(row[0])["cursor"] for row in rows]


@pytest.mark.parametrize(
    ("begin", "end", "found"),
    [
        ("2024-01-03", "2024-01-06", [3, 4, 5]),
        ("2024-01-09", None, [9]),
        (None, "2024-01-03", [1, 2]),
        ("2025-01-01", "2025-02-01", []),
    ],
)
def test_an_interval_is_read_again_and_the_position_stays(
    begin: str | None, end: str | None, found: list[int], tmp_path: Path
) -> None:
    shop = Shop(tmp_path)
    completed(FILES, shop.file)
    before = shop.position()
    shop.put(range(1, 10), "new")
    result = shop.run(begin, end)
    assert result.status is RunStatus.DONE
    assert (result.written, shop.new, shop.position()) == (len(found) + (begin == "2024-01-09"), found, before)
    shop.put([11], "new")
    assert completed(FILES, shop.file).written >= 1
    assert shop.new == [*found, 11]


def test_before_anything_else_was_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    assert shop.run("2024-01-09", None).written == 2
    assert shop.position() == []
    assert completed(FILES, shop.file).written == 10


@pytest.mark.parametrize("point", ["run.planned", "run.committed", "run.sealed"])
def test_one_that_dies_moves_no_position_either(point: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    completed(FILES, shop.file)
    before = shop.position()
    shop.put(range(1, 10), "new")
    assert shop.run("2024-01-03", "2024-01-06", Faults({(point, 1): "raise"})).status is RunStatus.FAILED
    completed(FILES, shop.file)
    assert shop.position() == before
    assert shop.new == ([] if point == "run.planned" else [3, 4, 5])
    shop.put([11], "new")
    completed(FILES, shop.file)
    assert shop.new[-1] == 11


def test_a_lag_is_not_taken_from_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path, cursor="{cursor: day, lag: 5 days}")
    completed(FILES, shop.file)
    shop.put(range(1, 10), "new")
    assert shop.run("2024-01-06", "2024-01-07").written == 1


@pytest.mark.parametrize(
    ("sink", "begin", "code"),
    [("mode: append", "2024-01-01", "RUN-133"), ("mode: merge, keys: [k]", "yesterday", "RUN-134")],
)
def test_what_takes_no_interval(
    sink: str, begin: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop(tmp_path, sink)
    assert execute(["run", str(shop.file), "--from", begin]) == 2
    assert code in capsys.readouterr().err
    assert not (tmp_path / "out.db").exists()


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (["--from", "2024-01-05", "--to", "2024-01-02"], "CLI-290"),
        (["--from", "2024-01-05", "--to", "2024-01-05"], "CLI-290"),
        (["--from", ""], "RUN-134"),  # a variable of a shell that is not set
        (["--to", ""], "RUN-134"),
    ],
)
def test_what_is_no_interval(ends: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path)
    assert execute(["run", str(shop.file), *ends]) == 2
    assert code in capsys.readouterr().err
    assert not (tmp_path / "out.db").exists()


def test_without_a_cursor_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path)
    shop.file.write_text(shop.file.read_text().replace(" incremental: {cursor: day},", ""))
    assert execute(["run", str(shop.file), "--to", "2024-01-01"]) == 2
    assert "RUN-132" in capsys.readouterr().err


def test_a_full_refresh_has_no_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path)
    assert execute(["run", str(shop.file), "--to", "2024-01-01", "--full-refresh"]) == 2
    assert "CLI-107" in capsys.readouterr().err


def test_in_the_midst_of_a_series_there_is_none(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "mode: merge, keys: [k], order_by: day")
    text = shop.file.read_text().replace("threads: 1", "threads: 1, epoch: {rows: 3}")
    shop.file.write_text(text)
    assert shop.run(None, None, Faults({("run.sealed", 1): "raise"})).status is RunStatus.FAILED
    result = shop.run("2024-01-01", None)
    assert [problem.code for problem in result.problems] == ["RUN-135"]
    completed(FILES, shop.file)
    assert shop.run("2024-01-05", None).written == 6


# ---------------------------------------------------------------- in a series of epochs


def in_epochs(folder: Path, sink: str) -> Shop:
    """Of an interval of nine days three epochs, after all ten were read."""
    shop = Shop(folder, sink)
    completed(FILES, shop.file)
    shop.file.write_text(shop.file.read_text().replace("threads: 1", "threads: 1, epoch: {rows: 3}"))
    shop.put(range(1, 11), "new")
    return shop


BY_KEY, AT_ITS_END = "mode: merge, keys: [k], order_by: day", "mode: merge, keys: [k]"


@pytest.mark.parametrize(("sink", "midst"), [(BY_KEY, 3), (AT_ITS_END, 0)])
def test_a_long_interval_is_a_series_and_goes_on_where_it_died(sink: str, midst: int, tmp_path: Path) -> None:
    shop = in_epochs(tmp_path, sink)
    before = shop.position()
    failed = shop.run("2024-01-02", None, Faults({("run.sealed", 1): "raise"}))
    assert (failed.status, len(shop.new)) == (RunStatus.FAILED, midst)
    result = shop.run("2024-01-02", None)
    assert (result.status, len(result.epochs), shop.new) == (RunStatus.DONE, 2, list(range(2, 11)))
    assert shop.position() == before
    assert len(shop.run("2024-01-02", None).epochs) == 3  # asked for again, it is read again


@pytest.mark.parametrize("point", [("run.planned", 2), ("run.committed", 1), ("run.kept", 2)])
def test_an_epoch_of_it_that_died_is_done_again(point: tuple[str, int], tmp_path: Path) -> None:
    shop = in_epochs(tmp_path, AT_ITS_END)
    assert shop.run("2024-01-02", None, Faults({point: "raise"})).status is RunStatus.FAILED
    shop.run("2024-01-02", None)
    assert shop.new == list(range(2, 11))


def test_one_that_is_given_up_is_forgotten(tmp_path: Path) -> None:
    shop = in_epochs(tmp_path, AT_ITS_END)
    before = shop.position()
    shop.run("2024-01-02", None, Faults({("run.sealed", 2): "raise"}))
    assert len(shop.run("2024-01-02", "2024-01-04").epochs) == 1  # another one
    assert shop.new == [2, 3]
    shop.run("2024-01-02", None, Faults({("run.sealed", 1): "raise"}))
    shop.put([11], "new")
    completed(FILES, shop.file)
    assert (shop.new, shop.position() == before) == (
        [2, 3, 10, 11],
        False,
    )  # the 10th is another row of the newest value
    assert not list((tmp_path / ".penstock" / "spool").rglob("*.arrow"))
