"""A run that dies at any boundary, and the next one: nothing lost, nothing twice, whatever the sinks are.

Every point that an uninterrupted run passes is walked; a point that is added later is walked without asking.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING, Literal

import pytest
from begun import begun, go
from deltalake import DeltaTable
from epochs import BAD, System, completed, die, once, points
from systems import DELTA, FILES, GOOD, SQLITE, check, read_files, read_sqlite, sealed

from penstock.faults.points import RUN_POINTS, Faults
from penstock.ledger.api import RunStatus
from penstock.ledger.sqlite import SqliteLedger

if TYPE_CHECKING:
    from pathlib import Path

    from systems import Reader

    from penstock.testing.servers import PostgresServer


Act = Literal["kill", "lost", "raise"]


def test_a_plain_run_gives_what_the_oracle_says(system: System, read: Reader, tmp_path: Path) -> None:
    result = completed(system, system.project(tmp_path / "plain"))
    assert result.rejected == BAD
    check(tmp_path / "plain", read, epochs=1)


# A killed run leaves all that a failed one leaves, and more: failures are walked for one system, for all in the long form.
SYSTEMS = ("files", "sqlite", "duckdb", "delta", "iceberg", "postgres", "mariadb", "s3")
WALKED = [
    pytest.param(system, act, marks=[pytest.mark.server] if system in {"postgres", "mariadb", "s3"} else [])
    for system in SYSTEMS
    for act in ("kill", "lost", *(["raise"] if system == "files" else []))
]
HALVES = pytest.mark.parametrize("half", range(2))  # of the points, so that several workers share a walk


@HALVES
@pytest.mark.parametrize(("system", "act"), WALKED, indirect=["system"])
def test_the_run_after_a_fault_leaves_what_an_uninterrupted_one_does(
    act: Act, half: int, system: System, read: Reader, tmp_path: Path
) -> None:
    """In pairs: every point meets every act, over some system; the long form has every point with every act over each."""
    passed = _passed(system, tmp_path)
    picked = [item for item in passed if act in picked_acts(system, passed, *item)]
    _walk(picked[half::2], act, system, read, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("act", ["kill", "lost", "raise"])
def test_the_run_after_any_fault_at_any_point_leaves_what_an_uninterrupted_one_does(
    act: Act, system: System, read: Reader, tmp_path: Path
) -> None:
    _walk(_passed(system, tmp_path), act, system, read, tmp_path)


# Between them a sink has done something that the ledger does not know of.
AT_SINKS = frozenset({"run.staged", "run.accounted", "run.before_commit", "run.committed", "run.before_seal"})


def picked_acts(system: System, passed: list[tuple[str, int]], point: str, time: int) -> set[Act]:
    """What a short walk does at the time that a point is passed. A sink's own points are passed by each of the three sinks: acts
    take turns. Those of the run meet an act in two of five systems where sinks are about to commit, elsewhere in two of eight.
    """
    turn = SYSTEMS.index(system.name)
    if point in system.points:
        times = sum(1 for name, _ in passed if name == point)
        own = sorted(system.points).index(point) + time
        acts: set[Act] = {"kill", "lost"} if times == 1 else _in_turn(own, times)
    elif point in AT_SINKS:
        acts = _in_turn(RUN_POINTS.index(point) + time + turn, 5)
    else:
        acts = _in_turn(RUN_POINTS.index(point) + turn, len(SYSTEMS))
    return acts if "kill" in acts else {*acts, "raise"}


def _in_turn(number: int, of: int) -> set[Act]:
    match number % of:
        case 0:
            return {"kill"}
        case 1:
            return {"lost"}
        case _:
            return set()


def test_in_pairs_every_point_meets_every_act() -> None:
    """A sink's own points over that sink, the run's over some."""
    met: set[tuple[str, str]] = set()
    for name in SYSTEMS:
        system = System(name, "", "", "", frozenset({f"{name}.{part}" for part in ("staged", "marked", "committed")}))
        passed = [(point, time) for point in RUN_POINTS for time in ((1, 2, 3) if point in AT_SINKS else (1,))]
        passed += [(point, time) for point in sorted(system.points) for time in (1, 2, 3)]
        met |= {(point, act) for point, time in passed for act in picked_acts(system, passed, point, time)}
        assert {(point, act) for point in system.points for act in ("kill", "lost")} <= met
    assert {(point, act) for point in RUN_POINTS for act in ("kill", "lost")} <= met


def _passed(system: System, folder: Path) -> list[tuple[str, int]]:
    passed = points(system, system.project(folder / "walk"))
    assert {point for point, _ in passed} == {*RUN_POINTS, *system.points}
    return passed


def _walk(items: list[tuple[str, int]], act: Act, system: System, read: Reader, tmp_path: Path) -> None:
    """Of a run with a fault that passes the rest is done whether the deed was or not: the run settles it by the markers."""
    for number, (point, time) in enumerate(items):
        folder = tmp_path / str(number)
        file = system.project(folder)
        die(system, file, point, time, act)
        loads = 1
        if act != "lost":
            loads = sealed(folder) + 1
            completed(system, file)
        _holds(folder, read, loads, f"{act} at {point}@{time}")


def _holds(folder: Path, read: Reader, epochs: int, what: str) -> None:
    assert sealed(folder) == epochs, what
    try:
        check(folder, read, epochs=epochs)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from None


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
    assert not list((tmp_path / ".penstock" / "spool").rglob("*.arrow"))


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


def test_a_fault_that_passes_where_a_delta_table_gets_a_column(tmp_path: Path) -> None:
    """A point that the walk does not come by."""
    file = DELTA.project(tmp_path / "p")
    completed(DELTA, file)
    text = file.read_text(encoding="utf-8").replace("steps:\n", "steps:\n      - derive: {more: k + 1}\n", 1)
    for options in ("mode: append}", "keys: [k]}"):
        text = text.replace(options, f"{options[:-1]}, on_schema_change: evolve}}")
    file.write_text(text, encoding="utf-8")
    faults = Faults({("delta.evolved", 1): "lost"})
    assert once(DELTA, file, faults).status is RunStatus.DONE
    assert faults.seen["delta.evolved"] == 2  # of two tables, the first one's not again
    for name, before in (("appended", [None] * len(GOOD)), ("merged", [])):
        found = DeltaTable(str(tmp_path / "p" / "out" / name)).to_pyarrow_table()["more"].to_pylist()
        assert Counter(found) == Counter([*before, *(number + 1 for number in GOOD)])


def test_a_fault_that_passes_where_files_sum_up_their_log(tmp_path: Path) -> None:
    file = FILES.project(tmp_path / "p")
    completed(FILES, file)
    faults = Faults({("files.snapshot_written", 1): "lost"})
    with begun(file, faults=faults) as around:
        for sink in around.sinks.values():
            sink._target.log._every = 2  # type: ignore[attr-defined]
        go(around)
    assert faults.seen["files.snapshot_written"]
    check(tmp_path / "p", read_files, epochs=2)
