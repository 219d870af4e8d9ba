"""A table of a DuckDB file as a sink: what is kept, what it shares, what it refuses."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError

from penstock.clock import SystemClock
from penstock.connectors.api import Allowance, Context
from penstock.connectors.duckdb.descriptors import SINK
from penstock.connectors.duckdb.driver import writing
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, read_table, stage
from penstock.types import Schema
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.duckdb.sink import DuckdbSink

pytestmark = pytest.mark.slow

TABLE = rows((1, "a"), (2, None))


def duckdb_sink(folder: Path, *, refreshes: bool = False, **given: object) -> DuckdbSink:
    params = {"type": "duckdb", "from": "rows", "path": "x.duckdb", "table": "t", "lock_wait": "20 ms", **given}
    context = Context("out", folder.joinpath, folder, SystemClock(), refreshes=refreshes)
    made: DuckdbSink = SINK.make(SINK.params.model_validate(params), context)
    return made


def query(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(duckdb.connect(folder / "x.duckdb", read_only=True)) as connection:
        return connection.execute(sql).fetchall()


def change(folder: Path, *statements: str) -> None:
    with closing(duckdb.connect(folder / "x.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def refusal(act: Callable[[], object]) -> PenstockError:
    with pytest.raises(PenstockError) as caught:
        act()
    return caught.value


# ---------------------------------------------------------------- what is kept


def test_every_type_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    kinds = [kind for kind in data.TYPES if not kind.startswith("float")]
    table = data.wide_table(kinds)
    sink = duckdb_sink(tmp_path, table="wide")
    deliver(sink, epoch(1), table)
    found = read_table(sink)
    assert found.schema.types == table.schema.types
    assert found.to_pylist() == table.to_pylist()


def test_overwrite_keeps_indexes_constraints_and_views(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR)", "CREATE INDEX i ON t (name)")
    change(tmp_path, "CREATE VIEW v AS SELECT count(*) AS n FROM t", "INSERT INTO t VALUES (3, 'old')")
    receipt = deliver(duckdb_sink(tmp_path, mode="overwrite"), epoch(1), rows((3, "c"), (4, "d")))
    assert (receipt.inserted, receipt.deleted) == (2, 1)
    assert query(tmp_path, "SELECT n FROM v") == [(2,)]
    assert query(tmp_path, "SELECT index_name FROM duckdb_indexes()") == [("i",)]
    error = refusal(lambda: deliver(duckdb_sink(tmp_path), epoch(2), rows((3, "twice"))))
    assert (type(error), error.code) == (DataError, "SNK-325")
    assert query(tmp_path, "SELECT n FROM v") == [(2,)]


def test_a_full_refresh_keeps_views_and_the_indexes_whose_columns_stay(tmp_path: Path) -> None:
    deliver(duckdb_sink(tmp_path, mode="overwrite"), epoch(1), rows((1, "a", "x"), names=("id", "name", "gone")))
    change(
        tmp_path, "CREATE INDEX stays ON t (id)", "CREATE INDEX goes ON t (gone)", "CREATE VIEW v AS SELECT id FROM t"
    )
    new = rows((7, "b"))
    sink = duckdb_sink(tmp_path, mode="overwrite", refreshes=True)
    deliver(sink, epoch(1, incarnation=OTHER_INCARNATION), new)
    assert query(tmp_path, "SELECT * FROM t") == [(7, "b")]
    assert query(tmp_path, "SELECT id FROM v") == [(7,)]
    assert query(tmp_path, "SELECT index_name FROM duckdb_indexes()") == [("stays",)]


def test_two_sinks_share_a_file_and_commit_one_after_the_other(tmp_path: Path) -> None:
    one, two = duckdb_sink(tmp_path, table="one"), duckdb_sink(tmp_path, table="two", mode="merge", keys=["id"])
    other = replace(epoch(1), sink_id=replace(SINK_ID, sink="other"))
    schema = from_arrow(TABLE.schema)
    one.prepare(schema)
    two.prepare(schema)
    staged = [stage(one, epoch(1), TABLE), stage(two, other, TABLE)]
    assert one.commit(epoch(1), [staged[0]]).rows == 2
    assert two.commit(other, [staged[1]]).inserted == 2
    assert query(tmp_path, "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)") == [(2, 2)]


def test_a_merge_meets_rows_that_somebody_else_wrote(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, tags INTEGER[], extra TEXT DEFAULT 'x')")
    change(tmp_path, "INSERT INTO t VALUES (1, [1], 'kept'), (3, NULL, 'left')")
    small = pa.table({"id": pa.array([1, 2, 3], pa.int32()), "tags": pa.array([[9], None, None], pa.list_(pa.int32()))})
    receipt = deliver(duckdb_sink(tmp_path, mode="merge", keys=["id"]), epoch(1), small)
    assert (receipt.inserted, receipt.updated, receipt.unchanged) == (1, 1, 1)
    assert query(tmp_path, "SELECT * FROM t ORDER BY id") == [(1, [9], "kept"), (2, None, "x"), (3, None, "left")]


def test_partitions_are_the_rows_that_agree_in_all_columns_of_partition_by(tmp_path: Path) -> None:
    names = ("id", "part", "size")
    given = {"mode": "overwrite_partitions", "partition_by": ["part", "size"]}
    deliver(duckdb_sink(tmp_path, **given), epoch(1), rows((1, "a", 1), (2, "a", 2), (3, None, 1), names=names))
    receipt = deliver(duckdb_sink(tmp_path, **given), epoch(2), rows((9, "a", 2), (8, None, 1), names=names))
    assert (receipt.inserted, receipt.deleted) == (2, 2)
    assert query(tmp_path, "SELECT id FROM t ORDER BY id") == [(1,), (8,), (9,)]


def test_the_file_is_not_held_between_the_looks_at_it(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    schema = from_arrow(TABLE.schema)
    sink.prepare(schema)
    staged = stage(sink, epoch(1), TABLE)
    change(tmp_path, "CREATE TABLE other AS SELECT 1 AS a")
    sink.commit(epoch(1), [staged])
    assert query(tmp_path, "SELECT count(*) FROM t") == [(2,)]


# ---------------------------------------------------------------- what is refused


def test_keys_that_do_not_tell_the_tables_rows_apart_are_refused(tmp_path: Path) -> None:
    deliver(duckdb_sink(tmp_path), epoch(1), rows((1, "a"), (1, "b"), (2, "c")))
    merging = duckdb_sink(tmp_path, mode="merge", keys=["id"])
    assert deliver(merging, epoch(2), rows((2, "d"))).updated == 1
    error = refusal(lambda: deliver(merging, epoch(3), rows((1, "new"))))
    assert (type(error), error.code) == (DataError, "SNK-330")
    assert query(tmp_path, "SELECT name FROM t ORDER BY name") == [("a",), ("b",), ("d",)]


@pytest.mark.parametrize("values", [((1, "a"), (1, "b")), ((None, "a"),)])
def test_rows_whose_key_is_null_or_comes_twice_are_refused(
    tmp_path: Path, values: tuple[tuple[object, str], ...]
) -> None:
    columns = [pa.array([value[0] for value in values], pa.int64()), pa.array([value[1] for value in values])]
    table = pa.table(columns, names=["id", "name"])
    error = refusal(lambda: deliver(duckdb_sink(tmp_path, mode="merge", keys=["id"]), epoch(1), table))
    assert (type(error), error.code) == (DataError, "SNK-329")
    assert duckdb_sink(tmp_path).marker(SINK_ID) is None


def test_a_view_is_no_target(tmp_path: Path) -> None:
    change(tmp_path, "CREATE VIEW t AS SELECT 1 AS id")
    error = refusal(duckdb_sink(tmp_path).describe)
    assert (type(error), error.code) == (ConfigError, "SNK-328")


def test_a_column_that_an_index_names_cannot_be_widened(tmp_path: Path) -> None:
    change(tmp_path, "CREATE TABLE t (id INTEGER)", "CREATE INDEX i ON t (id)")
    sink = duckdb_sink(tmp_path, on_schema_change="evolve")
    error = refusal(lambda: sink.prepare(Schema.of({"id": "int64"})))
    assert (type(error), error.code) == (ConfigError, "SNK-326")


def test_the_staging_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    sink = duckdb_sink(tmp_path)
    sink.prepare(from_arrow(TABLE.schema))
    writer = sink.writer(epoch(1), from_arrow(TABLE.schema))
    writer.path.unlink()
    writer.path.mkdir()
    error = refusal(lambda: writer.write(TABLE.to_batches()[0]))
    assert (type(error), error.code) == (TransientError, "SNK-324")


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ('IO Error: Could not write file "x": No space left on device', FatalError, "SNK-323"),
        ("Out of Memory Error: failed to allocate", FatalError, "SNK-323"),
        ("IO Error: Could not fsync", TransientError, "SNK-324"),
        ("TransactionContext Error: Conflict on update!", TransientError, "SNK-324"),
    ],
)
def test_what_the_driver_says_has_a_class(said: str, kind: type[PenstockError], code: str) -> None:
    def act() -> None:
        with writing("x.duckdb"):
            raise duckdb.Error(said)

    error = refusal(act)
    assert (type(error), error.code) == (kind, code)


@pytest.mark.parametrize(
    "given",
    [
        {"mode": "overwrite_partitions"},
        {"partition_by": ["a"]},
        {"keys": ["id"]},
        {"mode": "merge", "keys": ["id", "id"]},
        {"table": "_PENSTOCK_commits"},
    ],
)
def test_parameters_that_do_not_go_together_are_refused(given: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ValidationError):
        duckdb_sink(tmp_path, **given)


def test_runs_with_other_limits_do_not_share_a_file_in_one_process(tmp_path: Path) -> None:
    """DuckDB has one database per file and process, with one memory limit."""
    deliver(duckdb_sink(tmp_path), epoch(1), TABLE)
    other = Context("out", tmp_path.joinpath, tmp_path, SystemClock(), allowance=Allowance(threads=1))
    given = {"type": "duckdb", "from": "rows", "path": "x.duckdb", "table": "t"}
    with duckdb_sink(tmp_path)._opened():
        error = refusal(lambda: SINK.make(SINK.params.model_validate(given), other).marker(SINK_ID))
    assert (type(error), error.code) == (TransientError, "SNK-321")
