"""New rows only: each in one epoch, none in two, whatever comes between the runs and whenever one of them dies."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from arrived import keys, rows_of
from epochs import completed, once
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from systems import FILES

from penstock.cli.app import execute
from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.testing.web import Reply, WebServer

if TYPE_CHECKING:
    from penstock.service.running import RunResult
    from penstock.testing.servers import PostgresServer
    from penstock.testing.web import Received

ROW = tuple[int, str | None, str]


# ---------------------------------------------------------------- cursors


class Shop:
    """A table in SQLite and a pipeline over it."""

    def __init__(self, folder: Path, cursor: str, sinks: int = 1, kind: str = "timestamp") -> None:
        self.folder = folder
        self.file = folder / "shop.yml"
        outputs = "".join(
            f"  {name}: {{from: t, type: parquet, path: out/{name}, mode: append}}\n" for name in ("one", "two")[:sinks]
        )
        self.file.write_text(
            "pipeline: shop\nsources:\n"
            f"  t: {{type: sqlite, path: shop.db, table: t, incremental: {cursor},\n"
            f"      schema: {{columns: {{k: int64, at: '{kind}?', v: string}}}}}}\n"
            f"sinks:\n{outputs}run: {{memory: 256 MiB, threads: 1}}\n",
            encoding="utf-8",
        )
        with closing(sqlite3.connect(folder / "shop.db")) as connection:
            stored = {"int64": "integer", "decimal(20,4)": "decimal(20,4)"}.get(kind, "text")
            connection.execute(f"create table t (k integer, at {stored}, v text)")

    def add(self, *rows: ROW) -> None:
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection:
            connection.executemany("insert into t values (?, ?, ?)", rows)
            connection.commit()

    def run(self) -> RunResult:
        return completed(FILES, self.file)


def moment(number: int) -> str:
    return f"2024-01-01T00:00:{number:02}"


def test_ties_at_the_end_of_an_epoch_come_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"), (2, moment(2), "b"))
    assert shop.run().written == 2
    shop.add((3, moment(2), "late"), (4, moment(3), "c"))
    result = shop.run()
    assert result.written == 2
    (entry,) = (found for found in result.epochs[0].account.balance if found.node == "t.range")
    assert (sum(entry.into.values()), entry.out, entry.filtered) == (3, 2, 1)  # those before the boundary are not read
    assert keys(rows_of(tmp_path)) == [1, 2, 3, 4]


def test_where_nothing_is_new_there_is_no_epoch(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"))
    assert [epoch.record.number for epoch in shop.run().epochs] == [1]
    assert shop.run().epochs == ()
    shop.add((2, moment(1), "b"))
    assert [epoch.record.number for epoch in shop.run().epochs] == [2]
    assert not (tmp_path / ".penstock" / "spool").exists() or not any(
        (tmp_path / ".penstock" / "spool").rglob("*.arrow")
    )


def test_rows_without_a_value_are_rejects_and_stop_nobody(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, None, "nowhere"), (2, moment(1), "a"))
    result = shop.run()
    assert (result.written, result.rejected) == (1, 1)
    assert [(cause.cause, cause.rows) for cause in result.by_cause()] == [("null_cursor", 1)]


def test_a_row_without_a_value_is_rejected_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, None, "nowhere"), (2, moment(1), "a"))
    assert shop.run().rejected == 1
    shop.add((3, moment(2), "b"))
    result = shop.run()
    assert (result.written, result.rejected) == (1, 0)
    (entry,) = (found for found in result.epochs[0].account.balance if found.node == "t.range")
    assert (sum(entry.into.values()), entry.out, entry.filtered) == (3, 1, 2)
    shop.add((4, None, "nowhere either"))
    assert shop.run().rejected == 1  # though no row has a newer value
    assert shop.run().epochs == ()


@pytest.mark.parametrize("lag", ["", ", lag: 5 s"])
def test_rows_without_a_value_that_nothing_tells_apart_are_rejected_in_every_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: str
) -> None:
    monkeypatch.setattr("penstock.run.cursors.MOST_SEEN", 1)  # two are too many for a position
    shop = Shop(tmp_path, f"{{cursor: at{lag}}}")
    if lag:
        text = shop.file.read_text(encoding="utf-8")
        text = text.replace(
            "type: parquet, path: out/one, mode: append", "type: sqlite, path: o.db, table: t, mode: merge, keys: [k]"
        )
        shop.file.write_text(text, encoding="utf-8")
    shop.add((1, None, "one"), (2, None, "two"), (3, moment(1), "a"))
    assert shop.run().rejected == 2
    shop.add((4, moment(2), "b"))
    assert shop.run().rejected == 2


# ---------------------------------------------------------------- bad records of files with a cursor


FEEDS = {
    "csv": ["k,at,v", "1,2024-01-01,a", "2,2024-01-02,b", "x,2024-01-02,bad key", "3,,no value", "4,2024-01-03", "5,2024-01-04,c"],
    "ndjson": [
        '{"k": 1, "at": "2024-01-01", "v": "a"}',
        '{"k": 2, "at": "2024-01-02", "v": "b"}',
        '{"k": "x", "at": "2024-01-02", "v": "bad key"}',
        '{"k": 3, "at": null, "v": "no value"}',
        '{"k": 4, "at": ',
        '{"k": 5, "at": "2024-01-04", "v": "c"}',
    ],
}  # fmt: skip
MORE = {
    "csv": ["y,2024-01-05,bad too", "6,2024-01-06,d"],
    "ndjson": ['{"k": "y", "at": "2024-01-05", "v": "bad too"}', '{"k": 6, "at": "2024-01-06", "v": "d"}'],
}


class Feed:
    """A file that grows, and a pipeline that reads what is new of it."""

    def __init__(self, folder: Path, kind: str, epoch: str = "") -> None:
        self.folder, self.kind = folder, kind
        self.file, self.data = folder / "feed.yml", folder / f"feed.{kind}"
        self.data.write_text("".join(f"{line}\n" for line in FEEDS[kind]), encoding="utf-8")
        self.file.write_text(
            f"pipeline: feed\nsources:\n  t: {{type: {kind}, path: {self.data.name}, incremental: {{cursor: at}},\n"
            "      schema: {columns: {k: int64, at: date?, v: string}}}\n"
            "sinks:\n  one: {from: t, type: parquet, path: out/one, mode: append}\n"
            f"run: {{memory: 256 MiB, threads: 1{epoch}}}\n",
            encoding="utf-8",
        )

    def grow(self) -> None:
        with self.data.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in MORE[self.kind])


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_a_bad_record_of_a_file_is_rejected_once(tmp_path: Path, kind: str) -> None:
    feed = Feed(tmp_path, kind)
    first = completed(FILES, feed.file)
    assert (first.written, first.rejected) == (3, 3)
    feed.grow()
    second = completed(FILES, feed.file)
    assert (second.written, second.rejected) == (1, 1)
    (entry,) = (found for found in second.epochs[0].account.balance if found.node == "t")
    taken_in = sum(entry.into.values())
    assert (taken_in, entry.out, entry.filtered, entry.rejected) == (8, 5, 2, 1)
    assert keys(rows_of(tmp_path)) == [1, 2, 5, 6]


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_where_nothing_but_bad_records_came_they_are_rejected(tmp_path: Path, kind: str) -> None:
    feed = Feed(tmp_path, kind)
    completed(FILES, feed.file)
    with feed.data.open("a", encoding="utf-8") as file:
        file.write(f"{MORE[kind][0]}\n")
    result = completed(FILES, feed.file)
    assert (result.written, result.rejected) == (0, 1)
    assert completed(FILES, feed.file).epochs == ()


@pytest.mark.parametrize("kind", sorted(FEEDS))
def test_a_series_of_epochs_rejects_a_bad_record_in_the_first_alone(tmp_path: Path, kind: str) -> None:
    feed = Feed(tmp_path, kind, ", epoch: {rows: 1}")
    result = completed(FILES, feed.file)
    assert len(result.epochs) > 1
    assert (result.written, result.rejected) == (3, 3)
    assert keys(rows_of(tmp_path)) == [1, 2, 5]


def test_a_record_that_stands_where_another_one_was_rejected_is_rejected(tmp_path: Path) -> None:
    feed = Feed(tmp_path, "csv")
    completed(FILES, feed.file)
    lines = FEEDS["csv"]
    feed.data.write_text(
        "".join(f"{line}\n" for line in [lines[0], lines[3], *lines[2:], *MORE["csv"]]), encoding="utf-8"
    )
    # One record moved into another's place, and the last one lies at another byte.
    assert completed(FILES, feed.file).rejected >= 2


def test_what_was_sent_again_is_not_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feed = Feed(tmp_path, "csv")
    completed(FILES, feed.file)
    replay = ["rejects", "replay", str(feed.file), "t/bad_value/k", "--set", "k = '77'"]
    assert execute(replay) == 0
    feed.grow()
    completed(FILES, feed.file)
    assert execute(replay) == 0  # the new one alone
    capsys.readouterr()
    assert keys(rows_of(tmp_path)) == [1, 2, 5, 6, 77, 77]


def test_after_a_full_refresh_every_bad_record_is_rejected_again(tmp_path: Path) -> None:
    feed = Feed(tmp_path, "csv")
    completed(FILES, feed.file)
    assert execute(["run", "--full-refresh", str(feed.file)]) == 0
    feed.grow()
    assert completed(FILES, feed.file).rejected == 1


def test_where_the_file_of_rejects_is_gone_the_records_are_rejected_again(tmp_path: Path) -> None:
    feed = Feed(tmp_path, "csv")
    completed(FILES, feed.file)
    for path in (tmp_path / ".penstock" / "rejects").rglob("*.parquet"):
        path.unlink()
    feed.grow()
    assert completed(FILES, feed.file).rejected == 3


# ---------------------------------------------------------------- ties that are alike, and columns that come later


class Clicks:
    """Files of a folder, with a cursor over all of them, into a table that takes new columns."""

    def __init__(self, folder: Path, cursor: str, columns: str) -> None:
        self.folder, self.file = folder, folder / "clicks.yml"
        (folder / "in").mkdir()
        self.cursor = cursor
        self.says(columns)

    def says(self, columns: str) -> None:
        self.file.write_text(
            "pipeline: clicks\nsources:\n"
            f"  t: {{type: csv, path: 'in/*.csv', incremental: {{cursor: {self.cursor}}}, schema: {{columns: {{{columns}}}}}}}\n"
            "sinks:\n  one: {from: t, type: sqlite, path: out.db, table: one, mode: append, on_schema_change: evolve}\n"
            "run: {memory: 256 MiB, threads: 1}\n",
            encoding="utf-8",
        )

    def put(self, name: str, *lines: str) -> None:
        (self.folder / "in" / f"{name}.csv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def run(self) -> tuple[int, int]:
        result = completed(FILES, self.file)
        return result.written, result.rejected

    @property
    def found(self) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            return sorted(connection.execute("select * from one").fetchall(), key=str)


def test_rows_that_are_alike_are_told_by_their_number(tmp_path: Path) -> None:
    clicks = Clicks(tmp_path, "u", "u: int64?, e: string")
    clicks.put("a", "u,e", "10,click", "10,click", ",nowhere")
    assert clicks.run() == (2, 1)
    clicks.put("b", "u,e", "10,click", ",nowhere", "10,other")
    assert clicks.run() == (2, 1)  # one more of each that was there
    assert completed(FILES, clicks.file).epochs == ()
    clicks.put("c", "u,e", "11,click", "10,click")  # one comes late, with the value of the boundary
    assert clicks.run() == (2, 0)
    assert completed(FILES, clicks.file).epochs == ()


def test_rows_that_are_alike_in_a_table_that_others_write_to(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"), (1, moment(1), "a"))
    assert shop.run().written == 2
    shop.add((1, moment(1), "a"), (2, moment(2), "b"))
    assert shop.run().written == 2
    assert shop.run().epochs == ()


def test_a_position_without_numbers_leaves_out_what_it_names(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"), (1, moment(1), "a"), (9, None, "nowhere"))
    shop.run()
    position = json.loads(position_of(tmp_path))
    position["cursor"]["seen"] = sorted(position["cursor"]["seen"])
    position["cursor"]["nulls"] = sorted(position["cursor"]["nulls"]["rows"])
    with closing(sqlite3.connect(tmp_path / ".penstock" / "ledger.db")) as connection:
        connection.execute("update positions set position = ?", (json.dumps(position),))
        connection.commit()
    assert shop.run().epochs == ()
    shop.add((2, moment(1), "b"))
    assert (shop.run().written, shop.run().written) == (1, 0)


def test_a_new_column_makes_no_row_new_and_hides_none(tmp_path: Path) -> None:
    clicks = Clicks(tmp_path, "u", "u: int64?, e: string")
    clicks.put("a", "u,e", "10,click", "10,other", ",nowhere")
    assert clicks.run() == (2, 1)
    clicks.says("u: int64?, e: string, f: string?")
    clicks.put("a", "u,e,f", "10,click,", "10,other,", ",nowhere,")
    clicks.put("b", "u,e,f", "10,click,x", "10,new,y", ",nowhere,z")
    assert clicks.run() == (2, 1)
    assert completed(FILES, clicks.file).epochs == ()
    clicks.put("c", "u,e,f", "11,click,x", "11,click,y")
    assert clicks.run() == (2, 0)
    clicks.put("d", "u,e,f", "11,click,z")
    assert clicks.run() == (1, 0)
    assert [row for row in clicks.found if row[0] == 10] == [
        (10, "click", "x"), (10, "click", None), (10, "new", "y"), (10, "other", None),
    ]  # fmt: skip


def test_a_column_that_is_gone_stops_the_run(tmp_path: Path) -> None:
    clicks = Clicks(tmp_path, "u", "u: int64, e: string, f: string")
    clicks.put("a", "u,e,f", "10,click,x")
    clicks.run()
    clicks.says("u: int64, e: string")
    clicks.put("a", "u,e", "10,click")
    (problem,) = once(FILES, clicks.file, Faults()).problems
    assert problem.code == "RUN-130"
    assert problem.message.endswith("tell the last rows read apart: f")


def test_a_null_in_any_column_of_a_cursor_is_a_reject_once(tmp_path: Path) -> None:
    clicks = Clicks(tmp_path, "[u, k]", "u: int64?, k: int64?, e: string")
    clicks.put("a", "u,k,e", "11,1,good", "11,,A", "10,,inside", ",7,nowhere")
    result = completed(FILES, clicks.file)
    assert (result.written, result.rejected) == (1, 3)
    clicks.put("b", "u,k,e", "11,,B", "11,,A", "11,1,the same", ",7,elsewhere", "11,2,new")
    assert clicks.run() == (1, 3)
    assert completed(FILES, clicks.file).epochs == ()


def test_a_row_from_the_future_is_warned_of_in_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"))
    assert shop.run().warnings == ()
    shop.add((2, "2999-01-01T00:00:00", "b"))
    for written in (1, 0):
        result = shop.run()
        assert result.written == written
        (warning,) = result.warnings
        assert (warning.code, warning.severity) == ("RUN-136", "warning")
        assert "2999-01-01" in warning.message
    assert execute(["plan", str(shop.file)]) == 0
    assert "RUN-136" in capsys.readouterr().err


def test_an_empty_table_is_an_epoch_the_first_time(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    assert [epoch.record.number for epoch in shop.run().epochs] == [1]
    assert shop.run().epochs == ()
    shop.add((1, moment(1), "a"))
    assert shop.run().written == 1


def test_the_first_epoch_begins_at_its_initial_value(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at, initial: '2024-01-01T00:00:05'}")
    shop.add((1, moment(4), "before"), (2, moment(5), "at"), (3, moment(6), "after"))
    shop.run()
    assert keys(rows_of(tmp_path)) == [2, 3]


def test_rows_of_one_value_are_told_apart_by_further_columns(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: [at, k]}")
    shop.add((5, moment(1), "a"))
    shop.run()
    shop.add((3, moment(1), "a smaller key, later"))
    shop.run()
    assert keys(rows_of(tmp_path)) == [3, 5]
    position = json.loads(position_of(tmp_path))
    assert position["cursor"]["by"] == ["at", "k"]


def position_of(folder: Path) -> str:
    with closing(sqlite3.connect(folder / ".penstock" / "ledger.db")) as connection:
        ((text,),) = connection.execute("select position from positions").fetchall()
    return str(text)


def test_more_rows_at_the_end_than_a_position_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.run.cursors.MOST_SEEN", 3)
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add(*((number, moment(1), "a") for number in range(3)))
    assert shop.run().written == 3
    shop.add(*((number, moment(2), "a") for number in range(3, 7)))
    result = once(FILES, shop.file, Faults())
    assert [problem.code for problem in result.problems] == ["SRC-111"]
    assert keys(rows_of(tmp_path)) == [0, 1, 2]


def test_the_position_of_another_cursor(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"))
    shop.run()
    shop.file.write_text(shop.file.read_text(encoding="utf-8").replace("cursor: at", "cursor: k"), encoding="utf-8")
    result = once(FILES, shop.file, Faults())
    assert [problem.code for problem in result.problems] == ["RUN-130"]
    assert once(FILES, shop.file, Faults(), full_refresh=True).status is RunStatus.DONE
    assert keys(rows_of(tmp_path)) == [1]


def test_a_column_that_comes_later_makes_no_row_new(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    text = shop.file.read_text(encoding="utf-8").replace("      schema:", "      on_new_column: add, schema:")
    shop.file.write_text(text.replace("mode: append", "mode: append, on_schema_change: evolve"), encoding="utf-8")
    shop.add((1, moment(1), "a"))
    shop.run()
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("alter table t add column more integer default 5")
        connection.commit()
    assert shop.run().epochs == ()
    assert keys(rows_of(tmp_path)) == [1]


def test_rows_that_are_told_apart_by_other_columns_now(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"))
    shop.run()
    shop.file.write_text(
        shop.file.read_text(encoding="utf-8").replace("cursor: at", "cursor: [at, k]"), encoding="utf-8"
    )
    assert [problem.code for problem in once(FILES, shop.file, Faults()).problems] == ["RUN-130"]
    assert keys(rows_of(tmp_path)) == [1]


def test_a_full_refresh_begins_anew(tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}")
    shop.add((1, moment(1), "a"))
    shop.run()
    shop.add((2, moment(0), "behind"))
    assert shop.run().epochs == ()
    assert once(FILES, shop.file, Faults(), full_refresh=True).status is RunStatus.DONE
    assert keys(rows_of(tmp_path)) == [1, 2]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", ["-5", "0", "9007199254740993", "9007199254740994"]),
        ("decimal(20,4)", ["-0.5", "1.0000", "1.0001", "12345678901234.5678"]),
        ("date", ["1500-01-01", "1970-01-01", "2024-02-29", "9999-12-31"]),
        ("timestamptz", ["2024-03-31T00:59:59.999999Z", "2024-03-31T01:00:00+00:00", "2024-10-27T01:30:00+01:00",
                         "2024-10-27T01:30:00+00:00"]),
        ("string", ["", "O'Hara", "a\u0301", "\U0001f6e2"]),
    ],
)  # fmt: skip
def test_values_of_every_kind_keep_their_place(kind: str, values: list[str], tmp_path: Path) -> None:
    shop = Shop(tmp_path, "{cursor: at}", kind=kind)
    for number, value in enumerate(values):
        shop.add((number, value, "a"))
        assert shop.run().written == 1, value
        shop.add((number + 10, value, "tie"))
        assert shop.run().written == 1, value
    assert keys(rows_of(tmp_path)) == sorted([*range(len(values)), *range(10, 10 + len(values))])


POINTS = (
    "run.planned",
    "run.kept",
    "run.staged",
    "run.before_commit",
    "run.committed",
    "run.before_seal",
    "run.sealed",
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.sampled_from([0, 0, 1, 1, 2]), min_size=1, max_size=4)),
        st.tuples(st.just("die"), st.sampled_from(POINTS)),
        st.tuples(st.just("run"), st.none()),
    ),
    min_size=1,
    max_size=8,
)


@example(acts=[("die", "run.committed"), ("add", [0])], sinks=1)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=ACTS, sinks=st.sampled_from([1, 2]))
def test_every_row_comes_once_whatever_happens(acts: list[Any], sinks: int) -> None:
    """Rows come with the newest value so far, or later ones; runs die between them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop, newest, count = Shop(folder, "{cursor: at}", sinks), 1, 0
        for act, given_ in acts:
            if act == "add":
                for step in given_:
                    newest += step
                    count += 1
                    shop.add((count, moment(min(newest, 59)), f"row {count}"))
            elif act == "die":
                once(FILES, shop.file, Faults({(given_, 1): "raise"}))
            else:
                shop.run()
        shop.run()
        for sink in ("one", "two")[:sinks]:
            assert keys(rows_of(folder, sink)) == list(range(1, count + 1))


@pytest.mark.server
def test_a_table_of_postgres_gives_what_is_new_alone(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """The server is asked for the rows beyond the last value, and what it changed is merged."""
    postgres_server.sql(
        "create table t as select k, timestamptz '2024-01-01 00:00+00' + k * interval '1 min' as at, 'a' || k as v"
        " from generate_series(1, 1000) k",
        database=postgres_database,
    )
    file = tmp_path / "live.yml"
    file.write_text(
        "pipeline: live\nsources:\n"
        f'  t: {{type: postgres, connection: "{postgres_server.url(postgres_database)}", table: t, incremental: {{cursor: at, lag: 2 min}}}}\n'
        "sinks: {one: {from: t, type: sqlite, path: out.db, table: t, mode: merge, keys: [k]}}\n",
        encoding="utf-8",
    )
    assert completed(FILES, file).written == 1000
    postgres_server.sql(
        "update t set v = 'new', at = timestamptz '2024-01-02 00:00+00' where k = 7", database=postgres_database
    )
    result = completed(FILES, file)
    (receipt,) = (epoch.receipts["one"] for epoch in result.epochs)
    assert (receipt.rows, receipt.updated, receipt.unchanged) == (4, 1, 3)  # 998 to 1000 are within the lag
    assert result.read == 4


# ---------------------------------------------------------------- services, many tables


def test_a_listing_is_fetched_whole_and_gives_what_is_new(tmp_path: Path) -> None:
    """What the service says is kept first; revised days within the lag are merged."""
    days = [{"day": f"2024-01-{number:02}", "price": number} for number in range(1, 11)]

    def answer(_: Received) -> Reply:
        return Reply(json.dumps({"data": days}).encode(), headers={"Content-Type": "application/json"})

    with WebServer(answer) as server:
        file = tmp_path / "prices.yml"
        file.write_text(
            "pipeline: prices\nsources:\n"
            f"  p: {{type: rest, connection: {{base_url: '{server.url}', allow_private: [127.0.0.0/8]}}, path: /p,\n"
            "      records: data, incremental: {cursor: day, lag: 2 days}, schema: {columns: {day: date, price: int64}}}\n"
            "sinks: {one: {from: p, type: sqlite, path: out.db, table: t, mode: merge, keys: [day]}}\n",
            encoding="utf-8",
        )
        assert completed(FILES, file).written == 10
        (again,) = completed(FILES, file).epochs  # what is within the lag may have been revised
        assert (again.receipts["one"].rows, again.receipts["one"].unchanged) == (3, 3)
        days[8]["price"], days[0]["price"] = 90, 10
        days.append({"day": "2024-01-11", "price": 11})
        (epoch,) = completed(FILES, file).epochs
        receipt = epoch.receipts["one"]
        assert (receipt.rows, receipt.inserted, receipt.updated, receipt.unchanged) == (4, 1, 1, 2)
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        assert connection.execute("select count(*), sum(price) from t").fetchone() == (11, 66 + 81)


@pytest.mark.server
def test_every_table_of_a_family_has_its_own_position(
    tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    for name in ("a", "b"):
        postgres_server.sql(
            f"create schema if not exists s; create table s.{name} as select k, k as at from generate_series(1, 3) k",
            database=postgres_database,
        )
    file = tmp_path / "family.yml"
    file.write_text(
        "pipeline: family\nsources:\n"
        f'  crm: {{type: postgres, connection: "{postgres_server.url(postgres_database)}", tables: [s.*], incremental: {{cursor: at}}}}\n'
        'sinks: {one: {from: crm, type: sqlite, path: out.db, table: "{table}", mode: append}}\n',
        encoding="utf-8",
    )

    def counts() -> list[int]:
        assert execute(["run", str(file), "--quiet"]) == 0
        with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
            names = [name for (name,) in connection.execute("select name from sqlite_master where name like 's.%'")]
            return [connection.execute(f'select count(*) from "{name}"').fetchone()[0] for name in sorted(names)]

    assert counts() == [3, 3]
    postgres_server.sql("insert into s.b values (4, 4), (5, 3)", database=postgres_database)
    assert counts() == [3, 5]
    assert counts() == [3, 5]


# ---------------------------------------------------------------- versions of tables


class Lake:
    """A table that one pipeline fills, and another one reads by its versions."""

    def __init__(self, folder: Path, kind: str) -> None:
        catalog = "connection: {path: lake/catalog.db, warehouse: lake}, table: shop.t"
        self.folder, table = folder, "type: delta, path: lake/t" if kind == "delta" else f"type: iceberg, {catalog}"
        self.filled, self.read = folder / "fill.yml", folder / "read.yml"
        for mode in ("append", "merge, keys: [k]"):
            text = (
                "pipeline: fill\nsources: {r: {type: csv, path: new.csv, schema: {columns: {k: int64, v: string}}}}\n"
                f"sinks: {{t: {{from: r, {table}, mode: {mode}}}}}\nrun: {{memory: 256 MiB, threads: 1}}\n"
            )
            (folder / f"{mode[:5]}.yml").write_text(text.replace("pipeline: fill", f"pipeline: {mode[:5]}"))
        self.read.write_text(
            f"pipeline: read\nsources: {{t: {{{table}, incremental: version}}}}\n"
            "sinks: {o: {from: t, type: sqlite, path: out.db, table: o, mode: append}}\nrun: {memory: 256 MiB, threads: 1}\n"
        )

    def put(self, *keys_: int, mode: str = "append") -> None:
        lines = "".join(f"{key},v{key}\n" for key in keys_)
        (self.folder / "new.csv").write_text(f"k,v\n{lines}", encoding="utf-8")
        completed(FILES, self.folder / f"{mode[:5]}.yml")

    @property
    def found(self) -> list[int]:
        with closing(sqlite3.connect(self.folder / "out.db")) as connection:
            return [row[0] for row in connection.execute("select k from o order by k")]


@pytest.fixture(params=["delta", "iceberg"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return Lake(tmp_path, request.param)


def test_what_later_versions_added_is_read_once(lake: Lake) -> None:
    lake.put(1, 2)
    assert completed(FILES, lake.read).written == 2
    assert completed(FILES, lake.read).epochs == ()
    lake.put(3)
    lake.put(4, 5)
    once(FILES, lake.read, Faults({("run.committed", 1): "raise"}))
    lake.put(6)
    completed(FILES, lake.read)
    completed(FILES, lake.read)
    assert lake.found == [1, 2, 3, 4, 5, 6]


def test_a_table_whose_rows_were_changed_is_refused(lake: Lake) -> None:
    lake.put(1, 2)
    completed(FILES, lake.read)
    (lake.folder / "new.csv").write_text("k,v\n2,other\n", encoding="utf-8")
    completed(FILES, lake.folder / "merge.yml")
    result = once(FILES, lake.read, Faults())
    assert [problem.code for problem in result.problems] == ["SRC-266"]
    assert lake.found == [1, 2]
