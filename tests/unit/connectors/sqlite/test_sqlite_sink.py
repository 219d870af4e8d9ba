"""A table of a SQLite file as a sink: what is kept how, what it shares, what it refuses."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pydantic import ValidationError

from penstock.clock import SystemClock
from penstock.connectors.api import Context
from penstock.connectors.sqlite.descriptors import SINK
from penstock.connectors.sqlite.driver import reading_failed, writing_failed
from penstock.errors import ConfigError, DataError, PenstockError, TransientError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, read_table, stage
from penstock.types import Schema
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.sqlite.sink import SqliteSink

pytestmark = pytest.mark.slow

TABLE = rows((1, "a"), (2, None))


def sqlite_sink(folder: Path, *, refreshes: bool = False, **given: object) -> SqliteSink:
    params = {"type": "sqlite", "from": "rows", "path": "x.db", "table": "t", "lock_wait": "20 ms", **given}
    context = Context("out", folder.joinpath, folder, SystemClock(), refreshes=refreshes)
    made: SqliteSink = SINK.make(SINK.params.model_validate(params), context)
    return made


def query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        return connection.execute(sql).fetchall()


def change(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "x.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def refusal(act: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        act()
    return caught.value


# ---------------------------------------------------------------- what is kept how


def test_values_are_kept_as_the_notes_say(tmp_path: Path) -> None:
    names = {
        "d": "decimal(18,4)",
        "e": "decimal(38,38)",
        "u": "uint64",
        "t": "timestamp",
        "z": "timestamptz",
        "f": "float64",
        "b": "boolean",
        "h": "time",
    }
    columns = {name: data.column(logical).values[:1] for name, logical in names.items()}
    columns |= {"u": pa.array([2**64 - 1], pa.uint64()), "f": pa.array([float("nan")])}
    table = pa.table({"id": pa.array([1], pa.int64()), **columns})
    deliver(sqlite_sink(tmp_path), epoch(1), table)
    assert query(tmp_path, "SELECT d, e, u, t, z, f, b, h FROM t") == [
        (
            "99999999999999.9999",
            "0." + "9" * 38,
            "18446744073709551615",
            "0001-01-01T00:00:00.000000",
            "0001-01-01T00:00:00.000000+00:00",
            "NaN",
            1,
            "00:00:00",
        )
    ]
    described = sqlite_sink(tmp_path).describe()
    assert described is not None
    assert [str(column.type) for column in described] == ["int64", *names.values()]


def test_the_table_is_read_back_with_its_types(tmp_path: Path) -> None:
    kinds = [t for t in data.TYPES if not t.startswith(("interval", "list", "map", "struct", "float"))]
    table = data.wide_table(kinds)
    sink = sqlite_sink(tmp_path, table="wide")
    deliver(sink, epoch(1), table)
    found = read_table(sink)
    assert found.schema.types == [pa.int64(), *(data.column(kind).values.type for kind in kinds)]
    assert found.to_pylist() == table.to_pylist()


def test_overwrite_keeps_indexes_views_and_triggers(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path, mode="overwrite"), epoch(1), TABLE)
    change(tmp_path, "CREATE INDEX i ON t (name)", "CREATE VIEW v AS SELECT count(*) AS n FROM t")
    receipt = deliver(sqlite_sink(tmp_path, mode="overwrite"), epoch(2), rows((3, "c")))
    assert (receipt.inserted, receipt.deleted) == (1, 2)
    assert query(tmp_path, "SELECT n FROM v") == [(1,)]
    assert query(tmp_path, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'") == [("i",)]


def test_two_sinks_share_a_file_and_commit_one_after_the_other(tmp_path: Path) -> None:
    one, two = sqlite_sink(tmp_path, table="one"), sqlite_sink(tmp_path, table="two", mode="merge", keys=["id"])
    other = replace(epoch(1), sink_id=replace(SINK_ID, sink="other"))
    schema = from_arrow(TABLE.schema)
    one.prepare(schema)
    two.prepare(schema)
    staged = [stage(one, epoch(1), TABLE), stage(two, other, TABLE)]
    assert one.commit(epoch(1), [staged[0]]).rows == 2
    assert two.commit(other, [staged[1]]).inserted == 2
    assert query(tmp_path, "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)") == [(2, 2)]


def test_a_merge_meets_rows_that_somebody_else_wrote(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, extra TEXT DEFAULT 'x')")
    change(tmp_path, "INSERT INTO t VALUES (1, 'old', 'kept')")
    receipt = deliver(sqlite_sink(tmp_path, mode="merge", keys=["id"]), epoch(1), rows((1, "new"), (2, "b")))
    assert (receipt.inserted, receipt.updated) == (1, 1)
    assert query(tmp_path, "SELECT * FROM t ORDER BY id") == [(1, "new", "kept"), (2, "b", "x")]


# ---------------------------------------------------------------- what is refused


def test_keys_that_do_not_tell_the_tables_rows_apart_are_refused(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path), epoch(1), rows((1, "a"), (1, "b")))
    error = refusal(lambda: sqlite_sink(tmp_path, mode="merge", keys=["id"]).prepare(from_arrow(TABLE.schema)))
    assert (type(error), error.code) == (ConfigError, "SNK-180")


@pytest.mark.parametrize("values", [((1, "a"), (1, "b")), ((None, "a"),)])
def test_rows_whose_key_is_null_or_comes_twice_are_refused(
    tmp_path: Path, values: tuple[tuple[object, str], ...]
) -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string())])
    table = pa.table([pa.array([v[0] for v in values], pa.int64()), pa.array([v[1] for v in values])], schema=schema)
    error = refusal(lambda: deliver(sqlite_sink(tmp_path, mode="merge", keys=["id"]), epoch(1), table))
    assert (type(error), error.code) == (DataError, "SNK-181")
    assert sqlite_sink(tmp_path).marker(SINK_ID) is None


def test_a_constraint_of_the_table_fails_the_whole_epoch(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE t (id INTEGER, name TEXT NOT NULL)")
    error = refusal(lambda: deliver(sqlite_sink(tmp_path), epoch(1), TABLE))
    assert (type(error), error.code) == (DataError, "SNK-175")
    assert query(tmp_path, "SELECT count(*) FROM t") == [(0,)]


@pytest.mark.parametrize("logical", ["date", "timestamp", "timestamptz"])
def test_a_day_that_iso_text_cannot_hold_is_refused(tmp_path: Path, logical: str) -> None:
    kind = data.column(logical).values.type
    far = pa.array([2_932_897], pa.int32()) if logical == "date" else pa.array([253_402_300_800_000_000], pa.int64())
    table = pa.table({"id": pa.array([1], pa.int64()), "value": far.view(kind)})
    error = refusal(lambda: deliver(sqlite_sink(tmp_path), epoch(1), table))
    assert (type(error), error.code) == (DataError, "SNK-177")
    assert '"value"' in str(error)


def test_a_view_is_no_target(tmp_path: Path) -> None:
    change(tmp_path, "CREATE VIEW t AS SELECT 1 AS id")
    assert refusal(lambda: sqlite_sink(tmp_path).prepare(from_arrow(TABLE.schema))).code == "SNK-178"


@pytest.mark.parametrize("logical", ["decimal(10,2)", "uint64"])
def test_rows_are_not_ordered_by_numbers_that_are_text(tmp_path: Path, logical: str) -> None:
    sink = sqlite_sink(tmp_path, mode="merge", keys=["id"], order_by="seen")
    error = refusal(lambda: sink.preview(Schema.of({"id": "int64", "seen": logical})))
    assert (type(error), error.code) == (ConfigError, "SNK-179")


def test_more_columns_than_sqlite_has_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    schema = Schema.of({f"c{number}": "int64" for number in range(2_001)})
    sink = sqlite_sink(tmp_path)
    for error in (refusal(lambda: sink.preview(schema)), refusal(lambda: sink.prepare(schema))):
        assert (type(error), error.code) == (ConfigError, "SNK-115")
        assert "2001 columns, and its system has at most 2000" in str(error)
    sink.prepare(schema.without(["c0"]))


def test_rows_of_more_columns_than_sqlite_compares_in_turn_are_merged(tmp_path: Path) -> None:
    names = ["id", *(f"c{number}" for number in range(1_200))]
    table = pa.table([[1, 2, 3]] * len(names), names=names)
    sink = sqlite_sink(tmp_path, mode="merge", keys=["id"])
    deliver(sink, epoch(1), table)
    changed = table.set_column(len(names) - 1, names[-1], pa.array([1, None, 3]))
    receipt = deliver(sink, epoch(2), changed)
    assert (receipt.updated, receipt.unchanged) == (1, 2)
    assert query(tmp_path, f"select {names[-1]} from t order by id") == [(1,), (None,), (3,)]


def test_a_type_is_not_widened(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path), epoch(1), pa.table({"id": pa.array([1], pa.int8())}))
    wider = Schema.of({"id": "int64"})
    assert refusal(lambda: sqlite_sink(tmp_path, on_schema_change="evolve").prepare(wider)).code == "SNK-111"


@pytest.mark.parametrize("content", [b"name,price\n", b"x" * 5_000, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.db").write_bytes(content)
    for act in (
        lambda: sqlite_sink(tmp_path).describe(),
        lambda: sqlite_sink(tmp_path).marker(SINK_ID),
        lambda: sqlite_sink(tmp_path).prepare(from_arrow(TABLE.schema)),
    ):
        assert refusal(act).code == "SNK-172"
    assert (tmp_path / "x.db").read_bytes() == content


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    assert refusal(lambda: sqlite_sink(tmp_path).prepare(from_arrow(TABLE.schema))).code == "SNK-170"
    (tmp_path / "file").touch()
    sink = sqlite_sink(tmp_path, path="file/deeper/x.db")
    assert refusal(lambda: sink.prepare(from_arrow(TABLE.schema))).code == "SNK-170"


def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    assert refusal(sqlite_sink(tmp_path, path="x" * 300).describe).code == "SNK-170"


def test_missing_folders_are_made(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path, path="a/b/x.db"), epoch(1), TABLE)
    assert (tmp_path / "a" / "b" / "x.db").is_file()


def test_a_lock_of_another_process_is_transient_and_nothing_is_written(tmp_path: Path) -> None:
    sink = sqlite_sink(tmp_path)
    sink.prepare(from_arrow(TABLE.schema))
    staged = stage(sink, epoch(1), TABLE)
    with closing(sqlite3.connect(tmp_path / "x.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refusal(lambda: sink.commit(epoch(1), [staged]))
        assert (type(error), error.code) == (TransientError, "SNK-171")
        other.execute("ROLLBACK")
    assert sink.commit(epoch(1), [staged]).rows == 2
    assert query(tmp_path, "SELECT count(*) FROM t") == [(2,)]


def test_a_full_disk_rolls_the_epoch_back(tmp_path: Path) -> None:
    sink = sqlite_sink(tmp_path)
    sink.prepare(from_arrow(TABLE.schema))
    pages = sink._connection().execute("PRAGMA page_count").fetchone()[0]
    sink._connection().execute(f"PRAGMA max_page_count = {pages}")
    big = data.table_of(pa.array([data.HUGE_STRING])).rename_columns(["id", "name"])
    error = refusal(lambda: sink.commit(epoch(1), [stage(sink, epoch(1), big)]))
    assert (type(error).__name__, error.code) == ("FatalError", "SNK-173")
    assert sqlite_sink(tmp_path).marker(SINK_ID) is None


@pytest.mark.parametrize(
    ("number", "writing", "reading"),
    [
        (sqlite3.SQLITE_READONLY, "SNK-170", "SRC-173"),
        (sqlite3.SQLITE_BUSY, "SNK-171", "SRC-174"),
        (sqlite3.SQLITE_CORRUPT, "SNK-172", "SRC-175"),
        (sqlite3.SQLITE_IOERR, "SNK-174", "SRC-174"),
        (sqlite3.SQLITE_ERROR, "SNK-176", "SRC-177"),
    ],
)
def test_every_kind_of_error_has_its_meaning(number: int, writing: str, reading: str) -> None:
    error = sqlite3.OperationalError("its own words")
    error.sqlite_errorcode = number
    assert writing_failed(error, "x.db").code == writing
    assert reading_failed(error, "x.db").code == reading


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "overwrite_partitions"},
        {"keys": ["id"]},
        {"mode": "merge", "keys": ["id", "id"]},
        {"table": "sqlite_schema"},
        {"table": "_penstock_commits"},
        {"table": "a\x00b"},
        {"lock_wait": "soon"},
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(tmp_path: Path, given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        sqlite_sink(tmp_path, **given)


# ---------------------------------------------------------------- a full refresh


def test_a_full_refresh_keeps_views_triggers_and_indexes_of_columns_that_stay(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path), epoch(1), TABLE)
    change(
        tmp_path,
        "create index by_id on t (id)",
        "create index by_name on t (id, name)",
        "create table log (id)",
        "create trigger told after insert on t begin insert into log values (new.id); end",
        "create view seen as select id from t",
    )
    fresh = sqlite_sink(tmp_path, refreshes=True, mode="overwrite")
    deliver(fresh, epoch(1, incarnation=OTHER_INCARNATION), rows((5, 6), names=(data.ID, "size")))
    assert query(tmp_path, "select * from t") == [(5, 6)]
    assert query(tmp_path, "select * from seen") == [(5,)]
    assert query(tmp_path, "select * from log") == [(5,)]
    indexes = query(tmp_path, "select name from sqlite_schema where type = 'index' and tbl_name = 't'")
    assert indexes == [("by_id",)]


def test_a_full_refresh_that_a_trigger_forbids_changes_nothing(tmp_path: Path) -> None:
    deliver(sqlite_sink(tmp_path), epoch(1), TABLE)
    change(tmp_path, "create trigger told after insert on t begin select new.name; end")
    fresh = sqlite_sink(tmp_path, refreshes=True, mode="overwrite")
    wanted = rows((5, 6), names=(data.ID, "size"))
    error = refusal(lambda: deliver(fresh, epoch(1, incarnation=OTHER_INCARNATION), wanted))
    assert error.code == "SNK-176"
    assert "new.name" in str(error)
    assert query(tmp_path, "select * from t") == [(1, "a"), (2, None)]
