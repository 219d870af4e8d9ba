"""A run that dies at any boundary, and the next one: nothing lost, nothing twice, whatever the sinks are.

Every point that an uninterrupted run passes is walked; a point that is added later is walked without asking.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from epochs import BAD, ROWS, System, completed, die, once, points

from penstock.faults.points import Faults
from penstock.ledger.api import RunStatus
from penstock.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from penstock.testing.servers import PostgresServer

Table = list[tuple[Any, ...]]
Reader = Callable[[Path, str], Table]
GOOD = [number for number in range(ROWS - BAD) if number % 3]


def test_a_plain_run_gives_what_the_oracle_says(system: System, read: Reader, tmp_path: Path) -> None:
    result = completed(system, system.project(tmp_path / "plain"))
    assert result.rejected == BAD
    check(tmp_path / "plain", read, epochs=1)


@pytest.mark.parametrize("act", ["kill", "raise", "lost"])
def test_the_run_after_a_crash_leaves_what_an_uninterrupted_one_does(
    act: Any, system: System, read: Reader, tmp_path: Path
) -> None:
    for number, (point, time) in enumerate(points(system, system.project(tmp_path / "walk"))):
        if act == "lost" and point != "run.committed":
            continue
        folder = tmp_path / str(number)
        file = system.project(folder)
        die(system, file, point, time, act)
        before = sealed(folder)
        completed(system, file)
        expected = before + 1 if act != "lost" else sealed(folder)
        assert sealed(folder) == expected, f"{point}@{time}"
        try:
            check(folder, read, epochs=expected)
        except AssertionError as error:
            raise AssertionError(f"{act} at {point}@{time}: {error}") from None


def check(folder: Path, read: Reader, *, epochs: int) -> None:
    """The sinks hold what so many loads of the file make."""
    rows = [(number, "abc"[number % 3], Decimal(number) + Decimal("0.25")) for number in GOOD]
    assert read(folder, "appended") == sorted(rows * epochs)
    assert read(folder, "merged") == sorted(rows)
    parts = sorted({part for _, part, _ in rows})
    totals = [
        (
            part,
            epochs * len([row for row in rows if row[1] == part]),
            epochs * sum(row[2] for row in rows if row[1] == part),
        )
        for part in parts
    ]
    assert read(folder, "summed") == totals


def sealed(folder: Path) -> int:
    """How many epochs the ledger has sealed."""
    if not (folder / ".penstock" / "ledger.db").exists():
        return 0
    with sqlite3.connect(folder / ".penstock" / "ledger.db") as connection:
        tables = connection.execute("select count(*) from sqlite_master where name = 'epochs'").fetchone()
        if not tables[0]:
            return 0
        (count,) = connection.execute("select count(distinct number) from epochs where status = 'sealed'").fetchone()
    connection.close()
    return int(count)


# ---------------------------------------------------------------- systems


def plain(rows: list[tuple[Any, ...]]) -> Table:
    return sorted(tuple(Decimal(str(value)) if place > 1 else value for place, value in enumerate(row)) for row in rows)


def read_files(folder: Path, name: str) -> Table:
    path = folder / "out" / name
    files = [str(path.with_suffix(".parquet"))] if not path.is_dir() else [str(part) for part in path.glob("*.parquet")]
    return plain(duckdb.connect().execute("select * from read_parquet(?)", [files]).fetchall())


def read_sqlite(folder: Path, name: str) -> Table:
    connection = sqlite3.connect(folder / "out.db")
    try:
        return plain(connection.execute(f'select * from "{name}"').fetchall())
    finally:
        connection.close()


def read_delta(folder: Path, name: str) -> Table:
    from deltalake import DeltaTable

    table = DeltaTable(str(folder / "out" / name)).to_pyarrow_table()
    return plain([tuple(row.values()) for row in table.to_pylist()])


FILES = System(
    "files",
    "{from: even, type: parquet, path: out/appended, mode: append}",
    "{from: even, type: parquet, path: out/merged, mode: overwrite}",
    "{from: summary, type: parquet, path: out/summed.parquet, mode: overwrite}",
)
SQLITE = System(
    "sqlite",
    "{from: even, type: sqlite, path: out.db, table: appended, mode: append}",
    "{from: even, type: sqlite, path: out.db, table: merged, mode: merge, keys: [k]}",
    "{from: summary, type: sqlite, path: out.db, table: summed, mode: overwrite}",
)
DELTA = System(
    "delta",
    "{from: even, type: delta, path: out/appended, mode: append}",
    "{from: even, type: delta, path: out/merged, mode: merge, keys: [k]}",
    "{from: summary, type: delta, path: out/summed, mode: overwrite}",
)


def postgres(server: PostgresServer, database: str) -> System:
    sink = f'type: postgres, connection: "{server.url(database)}"'
    return System(
        "postgres",
        f"{{from: even, {sink}, table: appended_$PLACE, mode: append}}",
        f"{{from: even, {sink}, table: merged_$PLACE, mode: merge, keys: [k]}}",
        f"{{from: summary, {sink}, table: summed_$PLACE, mode: overwrite}}",
    )


@pytest.fixture(params=["files", "sqlite", "delta", pytest.param("postgres", marks=pytest.mark.server)])
def system(request: pytest.FixtureRequest) -> System:
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        return postgres(server, request.getfixturevalue("postgres_database"))
    return {"files": FILES, "sqlite": SQLITE, "delta": DELTA}[request.param]


@pytest.fixture
def read(system: System, request: pytest.FixtureRequest) -> Reader:
    if system.name != "postgres":
        return {"files": read_files, "sqlite": read_sqlite, "delta": read_delta}[system.name]
    server, database = request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_database")

    def read_postgres(folder: Path, name: str) -> Table:
        lines = server.sql(f"select * from {name}_{folder.name}", database=database).splitlines()
        rows = [line.split("|") for line in lines if line]
        kinds = (str, int, Decimal) if name == "summed" else (int, str, Decimal)
        return plain([tuple(kind(value) for kind, value in zip(kinds, row, strict=True)) for row in rows])

    return read_postgres


def test_the_ledger_of_a_killed_run_is_taken_over_at_once(tmp_path: Path) -> None:
    """A lease of a dead process need not expire first."""
    file = SQLITE.project(tmp_path / "p")
    die(SQLITE, file, "run.planned", 1, "kill")
    assert completed(SQLITE, file).epochs[0].record.number == 1
    SqliteLedger(tmp_path / "p" / ".penstock" / "ledger.db").close()


@pytest.mark.parametrize(
    ("point", "time"),
    [
        ("run.taken", 1),
        ("run.planned", 1),
        *((point, time) for point in ("run.before_commit", "run.committed") for time in (1, 2, 3)),
    ],
)
def test_a_full_refresh_that_was_cut_off_is_finished_as_one(point: str, time: int, tmp_path: Path) -> None:
    file = SQLITE.project(tmp_path / "p")
    completed(SQLITE, file)
    assert once(SQLITE, file, Faults({(point, time): "raise"}), full_refresh=True).status is RunStatus.FAILED
    completed(SQLITE, file)
    check(tmp_path / "p", read_sqlite, epochs=1)
    completed(SQLITE, file)
    check(tmp_path / "p", read_sqlite, epochs=2)


def test_bad_values_of_a_source_that_is_copied_first_are_rejects(tmp_path: Path) -> None:
    """Two sinks need the same rows of a table that cannot be read twice alike."""
    with sqlite3.connect(tmp_path / "in.db") as connection:
        connection.execute("create table t (k integer, v text)")
        connection.executemany("insert into t values (?, ?)", [(1, "a"), ("oops", "b"), (3, "c")])
    connection.close()
    file = tmp_path / "spool.yml"
    file.write_text(
        "pipeline: spool\n"
        "sources: {t: {type: sqlite, path: in.db, table: t, schema: {columns: {k: int64, v: string}}}}\n"
        "sinks:\n"
        "  one: {from: t, type: parquet, path: out/one, mode: append}\n"
        "  two: {from: t, type: parquet, path: out/two, mode: append}\n",
        encoding="utf-8",
    )
    result = completed(FILES, file)
    assert result.rejected == 1
    for name in ("one", "two"):
        assert [row[0] for row in read_files(tmp_path, name)] == [1, 3]
    assert not list((tmp_path / ".penstock" / "spool").rglob("*.parquet"))


@pytest.mark.server
@pytest.mark.parametrize("point", ["run.committed", "run.before_seal"])
def test_a_table_that_changes_under_every_look_is_not_loaded_again_by_the_run_that_finishes(
    point: str, tmp_path: Path, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """A live table has another position each time it is asked; one sink needs no copy of it."""
    postgres_server.sql("create table t as select 1::bigint as k union all select 2", database=postgres_database)
    file = tmp_path / "live.yml"
    file.write_text(
        "pipeline: live\n"
        f'sources: {{t: {{type: postgres, connection: "{postgres_server.url(postgres_database)}", table: t}}}}\n'
        "sinks: {one: {from: t, type: parquet, path: out/one, mode: append}}\n",
        encoding="utf-8",
    )
    die(FILES, file, point, 1, "raise")
    postgres_server.sql("insert into t values (3)", database=postgres_database)
    assert completed(FILES, file).epochs[0].redone
    assert [row[0] for row in read_files(tmp_path, "one")] == [1, 2]


def test_an_epoch_that_all_its_sinks_have_is_sealed_though_the_document_has_another_sink_now(tmp_path: Path) -> None:
    file = SQLITE.project(tmp_path / "p")
    die(SQLITE, file, "run.before_seal", 1, "raise")
    more = "sinks:\n  late: {from: even, type: sqlite, path: out.db, table: late, mode: overwrite}\n"
    file.write_text(file.read_text(encoding="utf-8").replace("sinks:\n", more), encoding="utf-8")
    assert completed(SQLITE, file).epochs[0].redone
    check(tmp_path / "p", read_sqlite, epochs=1)
    assert "late" in completed(SQLITE, file).epochs[0].receipts
    assert len(read_sqlite(tmp_path / "p", "late")) == len(GOOD)
