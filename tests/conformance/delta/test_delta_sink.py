"""Writing: the target's shape, markers and receipts in the log, foreign writers, what is refused."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake
from pydantic import ValidationError

from penstock.connectors.api import Files, FileWriter, ScanRequest, Staged
from penstock.connectors.delta import commit, layout, places
from penstock.connectors.delta.driver import touching
from penstock.connectors.delta.schema import from_delta
from penstock.engines.duckdb.readers import files_query
from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError, TransientError
from penstock.structs import replace
from penstock.testing import data, native
from penstock.testing.delivery import fill
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import OTHER_INCARNATION, SINK_ID, read_table, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from delta_lake import Lake

ONE = rows((1, "one"))
TWO = rows((2, "two"), (3, None))


def refused(act: Callable[[], object], code: str, error: type[PenstockError]) -> PenstockError:
    with pytest.raises(error) as caught:
        act()
    assert caught.value.code == code
    return caught.value


def by_id(table: pa.Table) -> list[dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: row["id"])


def typed(**columns: pa.Array) -> pa.Table:
    return pa.table(columns)


# ---------------------------------------------------------------- the log


def test_data_marker_and_fence_stand_in_one_entry(lake: Lake) -> None:
    receipt = deliver(lake.sink(), epoch(1, fence=7), ONE)
    entry = lake.log(0)
    marks = {line["txn"]["appId"]: line["txn"]["version"] for line in entry if "txn" in line}
    assert marks == {layout.app_id(SINK_ID): 1, layout.fence_id(SINK_ID): 7}
    assert sum("add" in line for line in entry) == 1
    assert (receipt.version, receipt.rows) == ("0", 1)
    assert receipt.bytes == sum(line["add"]["size"] for line in entry if "add" in line)


def test_the_marker_outlives_the_log_entry_and_the_lost_receipt_is_named(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1, fence=7), ONE)
    for number in range(2):
        write_deltalake(lake.root, TWO.cast(pa.schema([("id", pa.int64()), ("name", pa.string())])), mode="append")
        assert lake.table().version() == number + 1
    lake.table().create_checkpoint()
    (lake.root / "_delta_log" / f"{0:020}.json").unlink()
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert (marker.epoch, marker.fence, marker.receipt) == (1, 7, None)
    assert lake.sink().incarnations(SINK_ID) == {SINK_ID.incarnation}
    refused(lambda: deliver(lake.sink(), epoch(1, fence=7), ONE), "SNK-259", FatalError)
    deliver(lake.sink(), epoch(2, fence=7), TWO)


def test_every_so_many_versions_the_log_is_summed_up(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    lake.table().alter.set_table_properties({"delta.checkpointInterval": "2"})
    for number in range(2, 5):
        deliver(lake.sink(), epoch(number), ONE)
    log = lake.root / "_delta_log"
    assert {2, 4} <= {int(path.name[:20]) for path in log.glob("*.checkpoint.parquet")}
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == 4
    for version in range(4):
        (log / f"{version:020}.json").unlink()
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 4
    assert len(lake.rows()) == 4


def test_a_restored_table_keeps_its_marker_so_nothing_is_written_again(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    deliver(lake.sink(), epoch(2), TWO)
    lake.table().restore(0)
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2


def test_bounds_in_the_log_let_readers_leave_files_out(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), rows((1, "a"), (5, "b")))
    deliver(lake.sink(), epoch(2), rows((10, "c"), (15, None)))
    actions = pa.table(lake.table().get_add_actions(flatten=True)).to_pylist()
    found = sorted((row["min.id"], row["max.id"], row["null_count.name"], row["num_records"]) for row in actions)
    assert found == [(1, 5, 0, 2), (10, 15, 1, 2)]


def test_what_the_log_names_was_made_durable_before_and_the_log_after(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, str]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        entries = len(list((lake.root / "_delta_log").glob("*.json")))
        named = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((entries, os.path.relpath(named, lake.root)))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    deliver(lake.sink(partition_by=["name"]), epoch(1), ONE)
    before = {path for entries, path in synced if entries == 0}
    after = {path for entries, path in synced if entries == 1}
    assert any(path.startswith(layout.STAGING) and path.endswith(".staged") for path in before)
    assert {".", "name=one"} <= before
    assert {"_delta_log", f"_delta_log/{0:020}.json", "."} <= after


# ---------------------------------------------------------------- other writers


def foreign(lake: Lake, number: int) -> None:
    table = pa.table({"id": pa.array([number], pa.int64()), "name": ["foreign"]})
    write_deltalake(lake.root, table, mode="append")


@pytest.mark.parametrize("options", [{}, {"mode": "merge", "keys": ["id"]}, {"mode": "overwrite"}])
def test_a_foreign_commit_in_between_is_taken_into_account(lake: Lake, options: dict[str, Any]) -> None:
    done: list[str] = []

    def meddle(point: str) -> None:
        if point == "delta.placed" and not done:
            done.append(point)
            foreign(lake, 2)

    deliver(lake.sink(**options), epoch(1), ONE)
    receipt = deliver(lake.sink(meddle, **options), epoch(2), TWO)
    assert receipt.version == "2"
    found = [(row["id"], row["name"]) for row in lake.rows()]
    match options.get("mode"):
        case "merge":
            assert (receipt.inserted, receipt.updated) == (1, 1)
            assert found == [(1, "one"), (2, "two"), (3, None)]
        case "overwrite":
            assert receipt.deleted == 2
            assert found == [(2, "two"), (3, None)]
        case _:
            assert sorted(found, key=str) == [(1, "one"), (2, "foreign"), (2, "two"), (3, None)]
    assert not (lake.root / layout.STAGING).exists()
    on_disk = {path.name for path in lake.root.glob("*.parquet")}
    named = {line["add"]["path"] for version in range(3) for line in lake.log(version) if "add" in line}
    assert on_disk == named


def test_the_first_commit_races_with_a_foreign_creation(lake: Lake) -> None:
    done: list[str] = []

    def meddle(point: str) -> None:
        if point == "delta.placed" and not done:
            done.append(point)
            foreign(lake, 9)

    receipt = deliver(lake.sink(meddle), epoch(1), ONE)
    assert receipt.version == "1"
    assert [row["id"] for row in lake.rows()] == [1, 9]


def test_who_is_in_the_way_each_time_is_named(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    sink = lake.sink(lambda point: foreign(lake, 9) if point == "delta.placed" else None)
    sink.prepare(from_arrow(TWO.schema))
    staged = stage(sink, epoch(2), TWO)
    refused(lambda: sink.commit(epoch(2), [staged]), "SNK-255", TransientError)
    assert 2 not in {row["id"] for row in lake.rows()}
    deliver_again = lake.sink().commit(epoch(2), [staged])
    assert deliver_again.rows == 2


def test_a_commit_that_nobody_prevents_and_that_fails_is_named(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)

    def hide_log(point: str) -> None:
        if point == "delta.placed":
            (lake.root / "_delta_log" / f"{1:020}.json").mkdir()

    sink = lake.sink(hide_log)
    sink.prepare(from_arrow(TWO.schema))
    staged = stage(sink, epoch(2), TWO)
    refused(lambda: sink.commit(epoch(2), [staged]), "SNK-256", TransientError)
    (lake.root / "_delta_log" / f"{1:020}.json").rmdir()
    assert lake.sink().marker(SINK_ID).epoch == 1  # type: ignore[union-attr]  # it stands there
    assert [row["id"] for row in lake.rows()] == [1]


class PanicException(BaseException):
    """As the library's own bugs arrive."""


@pytest.mark.parametrize("error", [OSError, PanicException])
def test_a_lost_answer_is_settled_by_the_log(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    real = commit._write

    def lose(*given: Any) -> None:
        real(*given)
        raise error("the answer was lost")

    monkeypatch.setattr(commit, "_write", lose)
    receipt = deliver(lake.sink(), epoch(1), ONE)
    assert (receipt.rows, receipt.version) == (1, "0")
    assert len(lake.rows()) == 1


def test_another_runner_that_cleaned_up_is_named(lake: Lake) -> None:
    sink = lake.sink()
    sink.prepare(from_arrow(ONE.schema))
    staged = stage(sink, epoch(1), ONE)
    lake.sink().marker(SINK_ID)
    refused(lambda: sink.commit(epoch(1), [staged]), "SNK-258", FatalError)
    assert not DeltaTable.is_deltatable(str(lake.root))


class Crash(BaseException):
    """Nothing may catch it."""


def test_who_cleans_up_sees_a_commit_that_came_while_it_looked(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(point: str) -> None:
        if point == "delta.committed":
            raise Crash

    def late(area: Path) -> Any:
        with pytest.raises(Crash):
            deliver(lake.sink(die), epoch(2), TWO)
        return attempts(area)

    attempts = places.attempts_in
    deliver(lake.sink(), epoch(1), ONE)
    monkeypatch.setattr(places, "attempts_in", late)
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2
    assert [row["id"] for row in lake.rows()] == [1, 2, 3]
    assert not (lake.root / layout.STAGING).exists()


def test_a_writer_at_work_is_left_alone_by_who_cleans_up(lake: Lake) -> None:
    sink = lake.sink()
    sink.prepare(from_arrow(ONE.schema))
    writer = sink.writer(epoch(1), from_arrow(ONE.schema))
    lake.sink().marker(SINK_ID)
    fill(writer, ONE)
    lake.sink().marker(SINK_ID)
    assert sink.commit(epoch(1), [writer.stage()]).rows == 1


def test_rows_of_a_removed_staged_file_are_not_committed(lake: Lake) -> None:
    sink = lake.sink()
    sink.prepare(from_arrow(ONE.schema))
    staged = stage(sink, epoch(1), ONE)
    for path in lake.root.rglob("*.staged"):
        path.unlink()
    refused(lambda: sink.commit(epoch(1), [staged]), "SNK-258", FatalError)


def test_a_payload_of_another_version_is_refused(lake: Lake) -> None:
    sink = lake.sink()
    sink.prepare(from_arrow(ONE.schema))
    refused(lambda: sink.commit(epoch(1), [Staged(1, 1, {"v": 0})]), "INT-900", InternalError)


# ---------------------------------------------------------------- partitions


def test_values_of_every_type_divide_a_table(lake: Lake) -> None:
    kinds = ("string", "boolean", "int64", "decimal(18,4)", "date", "timestamp", "timestamptz")
    for number, kind in enumerate(kinds):
        table = data.table_of(data.column(kind).values, "part")
        if kind == "string":
            table = table.filter(pa.compute.field("part") != "")
        sink = lake.sink(path=f"by{number}", mode="overwrite_partitions", partition_by=["part"])
        deliver(sink, epoch(1), table)
        deliver(sink, epoch(2), table)
        expected = by_id(table)
        assert by_id(pa.table(DeltaTable(lake.folder / f"by{number}").scan())) == expected, kind
        assert by_id(read_table(sink)) == expected, kind


@pytest.mark.parametrize("kind", ["float64", "binary", "list<string>"])
def test_a_type_that_cannot_divide_a_table_is_refused(lake: Lake, kind: str) -> None:
    table = data.table_of(data.column(kind).values, "part")
    error = refused(lambda: lake.sink(partition_by=["part"]).prepare(from_arrow(table.schema)), "SNK-110", ConfigError)
    assert '"part"' in str(error)


def test_the_empty_text_as_a_partition_is_refused_and_nothing_is_written(lake: Lake) -> None:
    refused(lambda: deliver(lake.sink(partition_by=["name"]), epoch(1), rows((1, ""))), "SNK-252", DataError)
    assert not DeltaTable.is_deltatable(str(lake.root))


def test_a_year_that_delta_cannot_name_is_refused(lake: Lake) -> None:
    far = typed(id=pa.array([1]), day=pa.array([3_000_000], pa.int32()).cast(pa.date32()))
    refused(lambda: deliver(lake.sink(partition_by=["day"]), epoch(1), far), "SNK-252", DataError)


def test_partitions_other_than_the_tables_are_refused(lake: Lake) -> None:
    deliver(lake.sink(partition_by=["name"]), epoch(1), ONE)
    schema = from_arrow(ONE.schema)
    assert lake.sink().preview(schema).creates is False
    refused(lambda: lake.sink(partition_by=["id"]).preview(schema), "SNK-251", ConfigError)


def test_partitions_of_a_table_that_has_none_are_refused(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    schema = from_arrow(ONE.schema)
    refused(lambda: lake.sink(partition_by=["id"]).preview(schema), "SNK-251", ConfigError)
    refused(lambda: lake.sink(mode="overwrite_partitions").preview(schema), "SNK-251", ConfigError)


def test_a_table_of_nothing_but_partitions_is_refused(lake: Lake) -> None:
    schema = from_arrow(ONE.schema)
    refused(lambda: lake.sink(partition_by=["id", "name"]).preview(schema), "SNK-251", ConfigError)


def test_a_partition_that_is_not_among_the_rows_is_refused(lake: Lake) -> None:
    refused(lambda: lake.sink(partition_by=["nmae"]).preview(from_arrow(ONE.schema)), "SNK-112", ConfigError)


@pytest.mark.parametrize("mode", ["append", "overwrite", "overwrite_partitions", "merge"])
def test_a_partitioned_table_without_rows_takes_some(lake: Lake, mode: str) -> None:
    options: dict[str, Any] = {"mode": mode, "partition_by": ["name"], "allow_empty": True}
    if mode == "merge":
        options["keys"] = ["id"]
    deliver(lake.sink(**options), epoch(1), rows())
    assert read_table(lake.sink(**options)).num_rows == 0
    assert deliver(lake.sink(**options), epoch(2), TWO).inserted == 2
    assert [row["id"] for row in lake.rows()] == [2, 3]


def test_hostile_column_names_divide_a_table(lake: Lake) -> None:
    for number, name in enumerate(('a"; DROP TABLE x;--', "x=1", "a/b", "..", "%2F", "\U0001f6e2")):
        table = typed(id=pa.array([1, 2]), **{name: pa.array(["v/1", None])})
        sink = lake.sink(path=f"t{number}", partition_by=[name])
        deliver(sink, epoch(1), table)
        assert read_table(sink).sort_by("id").to_pylist() == table.to_pylist()
        assert pa.table(DeltaTable(lake.folder / f"t{number}").scan()).num_rows == 2


def test_the_engine_reads_hostile_partitions_as_they_were_written(lake: Lake) -> None:
    values = [value for value in data.PARTITION_VALUES if value != ""]
    table = rows(*enumerate(values), names=("id", "name"))
    sink = lake.sink(partition_by=["name"])
    deliver(sink, epoch(1), table)
    source = sink.table()
    (part,) = source.partitions()
    scanned = source.scan(ScanRequest(part, None, source.latest(part)))
    assert isinstance(scanned, Files)
    with native.connection() as database:
        found = database.sql(files_query(scanned).sql("duckdb")).fetchall()
    assert sorted(found) == list(enumerate(values))


# ---------------------------------------------------------------- shape of the target


def test_types_that_delta_lacks_are_kept_in_wider_ones_and_read_back(lake: Lake) -> None:
    kinds = ("uint8", "uint16", "uint32", "uint64", "uuid", "json")
    table = data.wide_table(kinds)
    deliver(lake.sink(), epoch(1), table)
    kinds_there = [str(field.type) for field in from_delta(lake.table().schema().to_json())][1:]
    assert kinds_there == ["int16", "int32", "int64", "decimal(20,0)", "string", "string"]
    assert {str(kind) for kind in physical(lake)["c4"]} == {"string"}
    expected = [None if value is None else str(value) for value in table.column("c4").to_pylist()]
    assert [row["c4"] for row in lake.rows()] == expected
    assert [row["c3"] for row in lake.rows()] == table.column("c3").to_pylist()


def test_rows_of_a_narrower_type_are_written_in_the_tables(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), typed(id=pa.array([1], pa.int64()), size=pa.array([2**40], pa.int64())))
    deliver(lake.sink(), epoch(2), typed(id=pa.array([2], pa.int64()), size=pa.array([5], pa.int32())))
    assert [row["size"] for row in lake.rows()] == [2**40, 5]
    kinds = {str(kind) for kind in physical(lake)["size"]}
    assert kinds == {"int64"}


def physical(lake: Lake) -> dict[str, set[pa.DataType]]:
    import pyarrow.parquet as pq

    found: dict[str, set[pa.DataType]] = {}
    for uri in lake.table().file_uris():
        for field in pq.read_schema(uri.removeprefix("file://")):
            found.setdefault(field.name, set()).add(field.type)
    return found


@pytest.mark.parametrize("mode", ["append", "merge", "overwrite_partitions"])
def test_widening_a_type_rewrites_what_stays(lake: Lake, mode: str) -> None:
    options: dict[str, Any] = {"mode": mode, "on_schema_change": "evolve", "partition_by": ["part"]}
    if mode == "merge":
        options["keys"] = ["id"]
    narrow = typed(id=pa.array([1, 2, 3]), part=pa.array(["a", "b", None]), size=pa.array([1, 2, None], pa.int32()))
    wide = typed(id=pa.array([2, 4]), part=pa.array(["b", "c"]), size=pa.array([2**40, 4], pa.int64()))
    deliver(lake.sink(**options), epoch(1), narrow)
    receipt = deliver(lake.sink(**options), epoch(2), wide)
    assert receipt.rows == 2
    kept = [(2, 2)] if mode == "append" else []
    found = [(row["id"], row["size"]) for row in lake.rows()]
    assert sorted(found, key=str) == sorted([(1, 1), (2, 2**40), (3, None), (4, 4), *kept], key=str)
    assert physical(lake)["size"] == {pa.int64()}
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2


def test_new_columns_come_in_an_entry_before_the_data(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    wider = rows((2, "two", 22), names=("id", "name", "size"))
    receipt = deliver(lake.sink(on_schema_change="evolve"), epoch(2), wider)
    assert receipt.version == "2"
    assert lake.rows() == [{"id": 1, "name": "one", "size": None}, {"id": 2, "name": "two", "size": 22}]


def test_a_wall_time_column_may_come_to_a_table_without_any(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    later = ONE.append_column("at", pa.array([0], pa.timestamp("us")))
    deliver(lake.sink(on_schema_change="evolve"), epoch(2), later)
    assert "timestampNtz" in (lake.table().protocol().reader_features or [])
    assert len(lake.rows()) == 2


def test_a_full_refresh_brings_wall_times_to_a_table_without_any(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    times = pa.array([[{"at": 0}]], pa.list_(pa.struct([("at", pa.timestamp("us"))])))
    later = ONE.append_column("at", times).drop_columns(["name"])
    fresh = lake.sink(refreshes=True, mode="overwrite")
    deliver(fresh, epoch(1, incarnation=OTHER_INCARNATION), later)
    assert "timestampNtz" in (lake.table().protocol().reader_features or [])
    assert lake.rows() == [{"id": 1, "at": [{"at": datetime(1970, 1, 1)}]}]  # noqa: DTZ001 -- a wall time


def test_a_column_that_is_never_null_stays_so(lake: Lake) -> None:
    schema = pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string(), nullable=False)])
    write_deltalake(lake.root, ONE.cast(schema))
    deliver(lake.sink(), epoch(1), rows((2, "two")))
    refused(lambda: deliver(lake.sink(), epoch(2), TWO), "SNK-253", DataError)
    refused(lambda: deliver(lake.sink(), epoch(2), TWO.select(["id"])), "SNK-253", DataError)
    merging = {"mode": "merge", "keys": ["id"]}
    refused(lambda: deliver(lake.sink(**merging), epoch(2), TWO), "SNK-253", DataError)
    refused(lambda: deliver(lake.sink(**merging), epoch(2), TWO.select(["id"])), "SNK-253", DataError)
    assert [row["id"] for row in lake.rows()] == [1, 2]
    deliver(lake.sink(**merging), epoch(2), rows((2,), names=("id",)))
    assert not lake.table().schema().to_arrow().field("name").nullable


@pytest.mark.parametrize("nested", [pa.list_(pa.int64()), pa.struct([("x", pa.int64())])], ids=["list", "struct"])
def test_nested_columns_that_are_never_null_take_no_null_and_all_else(lake: Lake, nested: pa.DataType) -> None:
    value: object = [None] if pa.types.is_list(nested) else {"x": None}
    table = pa.table({"id": pa.array([1], pa.int64()), "n": pa.array([value], nested)})
    strict = pa.schema([table.schema.field("id"), table.schema.field("n").with_nullable(False)])
    write_deltalake(lake.root, table.cast(strict))
    deliver(lake.sink(), epoch(1), table)
    empty = pa.table({"id": pa.array([2], pa.int64()), "n": pa.array([None], nested)})
    refused(lambda: deliver(lake.sink(), epoch(2), empty), "SNK-253", DataError)
    refused(lambda: deliver(lake.sink(), epoch(2), empty.select(["id"])), "SNK-253", DataError)
    assert [row["n"] for row in lake.rows()] == [value, value]


# ---------------------------------------------------------------- tables that promise more


def make_foreign(lake: Lake, **configuration: str) -> None:
    write_deltalake(lake.root, pa.table({"id": pa.array([1], pa.int64())}), configuration=configuration)


@pytest.mark.parametrize(
    ("configuration", "what"),
    [
        ({"delta.enableChangeDataFeed": "true"}, "change data feed"),
        ({"delta.enableRowTracking": "true"}, "row tracking"),
    ],
)
def test_a_table_that_keeps_books_of_its_own_is_not_written(
    lake: Lake, configuration: dict[str, str], what: str
) -> None:
    make_foreign(lake)
    metadata = next(line["metaData"] for line in lake.log(0) if "metaData" in line)
    lake.append_to_log({"metaData": {**metadata, "configuration": configuration}})
    error = refused(lambda: lake.sink().preview(from_arrow(ONE.select(["id"]).schema)), "SNK-250", ConfigError)
    assert what in str(error)


def test_a_table_with_check_constraints_is_not_written(lake: Lake) -> None:
    make_foreign(lake)
    lake.table().alter.add_constraint({"positive": "id > 0"})
    refused(lambda: deliver(lake.sink(), epoch(1), ONE.select(["id"])), "SNK-250", ConfigError)


def test_a_table_that_may_only_grow_is_appended_to_and_not_overwritten(lake: Lake) -> None:
    make_foreign(lake, **{"delta.appendOnly": "true"})
    deliver(lake.sink(), epoch(1), rows((2,), names=("id",)))
    refused(lambda: deliver(lake.sink(mode="overwrite"), epoch(2), ONE.select(["id"])), "SNK-250", ConfigError)


@pytest.mark.parametrize("key", ["delta.generationExpression", "delta.invariants", "delta.identity.start"])
def test_a_table_with_columns_of_its_own_making_is_not_written(lake: Lake, key: str) -> None:
    make_foreign(lake)
    metadata = next(line["metaData"] for line in lake.log(0) if "metaData" in line)
    schema = json.loads(metadata["schemaString"])
    schema["fields"][0]["metadata"] = {key: 1 if key.endswith("start") else "1"}
    lake.append_to_log({"metaData": {**metadata, "schemaString": json.dumps(schema)}})
    error = refused(lambda: lake.sink().preview(from_arrow(ONE.select(["id"]).schema)), "SNK-250", ConfigError)
    assert '"id"' in str(error)


def test_a_writer_feature_that_nobody_here_knows_is_named(lake: Lake) -> None:
    make_foreign(lake)
    lake.append_to_log({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["clustering"]}})
    error = refused(lambda: lake.sink().preview(from_arrow(ONE.select(["id"]).schema)), "SNK-250", ConfigError)
    assert "clustering" in str(error)


def test_a_file_that_the_log_spells_unusually_is_not_replaced(lake: Lake) -> None:
    write_deltalake(lake.root, pa.table({"id": pa.array([1], pa.int64()), "name": ["old"]}))
    (added,) = [line["add"] for line in lake.log(0) if "add" in line]
    (lake.root / added["path"]).rename(lake.root / "a~b c.parquet")
    removed = {"path": added["path"], "dataChange": True, "deletionTimestamp": 1}
    lake.append_to_log({"remove": removed}, {"add": {**added, "path": "a%7Eb%20c.parquet"}})
    refused(lambda: deliver(lake.sink(mode="merge", keys=["id"]), epoch(1), ONE), "SNK-250", ConfigError)
    refused(lambda: deliver(lake.sink(mode="overwrite"), epoch(1), ONE), "SNK-250", ConfigError)
    assert lake.rows() == [{"id": 1, "name": "old"}]
    deliver(lake.sink(), epoch(1), TWO)
    assert [row["id"] for row in lake.rows()] == [1, 2, 3]


# ---------------------------------------------------------------- disk


def test_a_disk_that_refuses_is_named(lake: Lake) -> None:
    (lake.folder / "file").write_text("")
    sink = lake.sink(path="file/table")
    sink.prepare(from_arrow(ONE.schema))
    error = refused(lambda: sink.writer(epoch(1), from_arrow(ONE.schema)), "SNK-260", ConfigError)
    assert str(lake.folder / "file" / "table") in str(error)


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (errno.EACCES, "SNK-260", ConfigError),
        (errno.EROFS, "SNK-260", ConfigError),
        (errno.ENOSPC, "SNK-257", TransientError),
        (errno.EIO, "SNK-257", TransientError),
    ],
)
def test_what_the_file_system_refuses_says_what_to_do_next(
    lake: Lake, number: int, code: str, kind: type[PenstockError]
) -> None:
    def write() -> None:
        with touching(lake.root):
            raise OSError(number, os.strerror(number))

    assert os.strerror(number) in str(refused(write, code, kind))


def test_a_name_that_no_file_system_takes_is_refused(lake: Lake) -> None:
    refused(lake.sink(path="x" * 300).describe, "SRC-251", ConfigError)


@pytest.mark.parametrize("path", ["", "_delta_log"])
def test_a_file_where_a_folder_belongs_is_told_before_a_row_is_read(lake: Lake, path: str) -> None:
    place = lake.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    error = refused(lambda: lake.sink().prepare(from_arrow(ONE.schema)), "SNK-260", ConfigError)
    assert f'"{place}" is no folder' in str(error)
    assert error.problems[0].about == ("path",)
    assert place.read_text() == "mine"


def test_a_folder_that_may_not_be_written_is_told_before_a_row_is_read(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may be allowed everything, so the system's answer is put in its place."""
    deliver(lake.sink(), epoch(1), ONE)
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != str(lake.root / "_delta_log"))
    error = refused(lambda: lake.sink().prepare(from_arrow(ONE.schema)), "SNK-260", ConfigError)
    assert "_delta_log" in str(error)


def test_a_folder_that_holds_other_things_is_left_as_it_is(lake: Lake) -> None:
    lake.root.mkdir()
    (lake.root / "mine.txt").write_text("mine")
    deliver(lake.sink(), epoch(1), ONE)
    lake.sink().marker(SINK_ID)
    assert (lake.root / "mine.txt").read_text() == "mine"


def test_a_link_in_the_staging_folder_is_not_followed(lake: Lake) -> None:
    precious = lake.folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    area = layout.sink_folder(lake.root, SINK_ID)
    area.mkdir(parents=True)
    (area / "part-link").symlink_to(precious)
    lake.sink().marker(SINK_ID)
    assert (precious / "file").read_text() == "kept"


def test_files_end_in_their_final_format(lake: Lake) -> None:
    sink = lake.sink(compression="snappy")
    sink.prepare(from_arrow(ONE.schema))
    writer = sink.writer(epoch(1), from_arrow(ONE.schema))
    assert isinstance(writer, FileWriter)
    assert writer.target().format.compression == "snappy"
    writer.abort()
    assert not (lake.root / layout.STAGING).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition_by": ["a", "a"]}, "twice"),
        ({"compression": "brotli"}, "compression"),
        ({"path": ""}, "path"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(lake: Lake, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        lake.sink(**options)


def test_the_table_of_a_sink_is_read_at_the_version_of_its_receipt(lake: Lake) -> None:
    sink = lake.sink()
    deliver(sink, epoch(1), ONE)
    source = sink.table()
    (part,) = source.partitions()
    at = source.latest(part)
    assert at == {"v": 1, "version": 0}
    deliver(sink, epoch(2), TWO)
    scanned = sink.table().scan(ScanRequest(part, None, at))
    assert len(scanned.paths) == 1  # type: ignore[union-attr]  # files, as the source of a plain table


def test_properties_of_a_foreign_commit_do_not_hide_ours(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    told = CommitProperties(custom_metadata={"penstock": "mine too"})
    write_deltalake(
        lake.root, pa.table({"id": pa.array([9], pa.int64()), "name": ["x"]}), mode="append", commit_properties=told
    )
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.receipt is not None


def test_sinks_of_two_pipelines_share_a_table(lake: Lake) -> None:
    other = replace(SINK_ID, pipeline="another")
    deliver(lake.sink(), epoch(1), ONE)
    assert lake.sink().marker(other) is None
    deliver(lake.sink(), replace(epoch(1), sink_id=other), TWO)
    assert [row["id"] for row in lake.rows()] == [1, 2, 3]
