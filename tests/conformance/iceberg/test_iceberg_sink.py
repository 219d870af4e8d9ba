"""Writing: the marker in the table, files as they lie, foreign writers and columns, what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from iceberg_tables import NAME
from penstock.connectors.api import FileWriter, ScanRequest, Staged
from penstock.connectors.iceberg.layout import key_of
from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError, TransientError
from penstock.structs import replace
from penstock.testing import data
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable

    from iceberg_tables import Lake

ONE = rows((1, "one"))
TWO = rows((2, "two"), (3, None))


def refused(act: Callable[[], object], code: str, error: type[PenstockError]) -> PenstockError:
    with pytest.raises(error) as caught:
        act()
    assert caught.value.code == code
    return caught.value


# ---------------------------------------------------------------- the marker


def test_data_marker_and_fence_stand_in_one_version_of_the_table(lake: Lake) -> None:
    receipt = deliver(lake.sink(), epoch(1, fence=7), ONE)
    table = lake.table()
    assert len(table.metadata.snapshots) == 1
    assert not table.metadata.metadata_log
    told = json.loads(table.properties[key_of(SINK_ID)])
    assert (told["epoch"], told["fence"], told["snapshot"]) == (1, 7, table.metadata.current_snapshot_id)
    assert receipt.version == str(table.metadata.current_snapshot_id)
    (task,) = table.scan().plan_files()
    assert (receipt.rows, receipt.bytes) == (1, task.file.file_size_in_bytes)
    summary = table.current_snapshot().summary
    assert (summary["penstock.epoch"], summary["penstock.fence"]) == ("1", "7")
    assert summary["penstock.attempt"] == "attempt-1-7"


def test_an_epoch_that_changes_nothing_makes_a_snapshot_all_the_same(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    deliver(lake.sink(), epoch(2), ONE.slice(0, 0))
    assert len(lake.table().metadata.snapshots) == 2


def test_a_table_that_was_rolled_back_keeps_its_marker_so_nothing_is_written_again(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    deliver(lake.sink(), epoch(2), TWO)
    first = lake.table().metadata.snapshots[0].snapshot_id
    lake.table().manage_snapshots().rollback_to_snapshot(first).commit()
    marker = lake.sink().marker(SINK_ID)
    assert marker is not None
    assert marker.epoch == 2


def test_sinks_of_two_pipelines_share_a_table(lake: Lake) -> None:
    other = replace(SINK_ID, pipeline="another")
    deliver(lake.sink(), epoch(1), ONE)
    assert lake.sink().marker(other) is None
    deliver(lake.sink(), replace(epoch(1), sink_id=other), TWO)
    assert [row["id"] for row in lake.rows()] == [1, 2, 3]


def test_a_foreign_writer_in_between_is_no_trouble(lake: Lake) -> None:
    def interfere(point: str) -> None:
        if point == "iceberg.committing" and not done:
            done.append(point)
            lake.add(pa.table({"id": pa.array([9], pa.int64()), "name": ["x"]}))

    done: list[str] = []
    deliver(lake.sink(), epoch(1), ONE)
    deliver(lake.sink(interfere), epoch(2), TWO)
    assert [row["id"] for row in lake.rows()] == [1, 2, 3, 9]
    assert lake.left() == []


def test_writers_that_are_always_first_are_named(lake: Lake) -> None:
    def interfere(point: str) -> None:
        if point == "iceberg.committing":
            lake.add(pa.table({"id": pa.array([9], pa.int64()), "name": ["x"]}))

    deliver(lake.sink(), epoch(1), ONE)
    refused(lambda: deliver(lake.sink(interfere), epoch(2), TWO), "SNK-255", TransientError)
    assert 2 not in [row["id"] for row in lake.rows()]


# ---------------------------------------------------------------- files


def test_the_engines_files_become_the_tables_own(lake: Lake) -> None:
    sink = lake.sink(compression="snappy")
    sink.prepare(from_arrow(ONE.schema))
    writer = sink.writer(epoch(1), from_arrow(ONE.schema))
    assert isinstance(writer, FileWriter)
    assert writer.target().format.compression == "snappy"
    writer.abort()
    deliver(sink, epoch(1), ONE)
    (task,) = lake.table().scan().plan_files()
    path = task.file.file_path.removeprefix("file://")
    assert path.endswith(".parquet")
    ids = [field.metadata[b"PARQUET:field_id"] for field in pq.read_schema(path)]
    assert ids == [b"1", b"2"]


def test_columns_that_others_added_meanwhile_are_no_trouble(lake: Lake) -> None:
    """The ids that the files were written with are not the table's."""
    sink = lake.sink()
    sink.prepare(from_arrow(ONE.schema))
    staged = stage(sink, epoch(1), ONE)
    lake.create(pa.schema([("name", pa.string()), ("more", pa.int64()), ("id", pa.int64())]))
    sink.commit(epoch(1), [staged])
    assert lake.rows() == [{"name": "one", "more": None, "id": 1}]


def test_bounds_let_readers_leave_files_out_and_never_wrongly(lake: Lake) -> None:
    import math

    kind = pa.schema([("id", pa.int64()), ("size", pa.float64())])
    wide = pa.table({"id": range(300_000), "size": [1.0] * 299_999 + [math.nan]}, schema=kind)
    deliver(lake.sink(), epoch(1), wide)
    deliver(lake.sink(), epoch(2), pa.table({"id": [500_000], "size": [2.0]}, schema=kind))
    assert len(list(lake.table().scan(row_filter="id > 400000").plan_files())) == 1
    bounds = {task.file.record_count: task.file.upper_bounds for task in lake.table().scan().plan_files()}
    assert set(bounds[1]) == {1, 2}
    assert set(bounds[300_000]) == {1}


def test_staged_rows_that_are_gone_are_named_and_nothing_is_written(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    sink = lake.sink()
    sink.prepare(from_arrow(TWO.schema))
    staged = stage(sink, epoch(2), TWO)
    lake.sink().marker(SINK_ID)
    refused(lambda: sink.commit(epoch(2), [staged]), "SNK-258", FatalError)
    assert len(lake.rows()) == 1


def test_what_no_writer_gave_is_not_committed(lake: Lake) -> None:
    refused(lambda: lake.sink().commit(epoch(1), [Staged(1, 1, {"v": 2})]), "INT-900", InternalError)
    refused(lambda: lake.sink().commit(epoch(1), []), "INT-900", InternalError)


def test_a_folder_that_may_not_be_written_is_named(lake: Lake) -> None:
    (lake.folder / "lake").write_text("a file")
    refused(lambda: deliver(lake.sink(), epoch(1), ONE), "SNK-260", ConfigError)


def test_a_full_disk_is_a_passing_fault(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from penstock.connectors.iceberg import staging

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(staging, "sync_file", full)
    refused(lambda: deliver(lake.sink(), epoch(1), ONE), "SNK-257", TransientError)


def test_the_table_of_a_sink_is_read_at_the_snapshot_of_its_receipt(lake: Lake) -> None:
    sink = lake.sink()
    receipt = deliver(sink, epoch(1), ONE)
    with closing(sink.table()) as source:
        (part,) = source.partitions()
        at = source.latest(part)
        assert at == {"v": 1, "snapshot": int(receipt.version)}
        deliver(sink, epoch(2), TWO)
        assert pull(source.scan(ScanRequest(part, None, at)))[0].num_rows == 1


def test_files_that_are_gone_are_counted(lake: Lake) -> None:
    from pathlib import Path

    deliver(lake.sink(), epoch(1), ONE)
    deliver(lake.sink(), epoch(2), TWO)
    (first, _) = lake.table().scan().plan_files()
    Path(first.file.file_path.removeprefix("file://")).unlink()
    assert lake.sink().missing() == f'1 of 2 files of the Iceberg table "{NAME}"'


# ---------------------------------------------------------------- columns


def test_a_null_where_the_table_has_none_is_refused(lake: Lake) -> None:
    lake.create(pa.schema([pa.field("id", pa.int64(), nullable=False), pa.field("name", pa.string(), nullable=False)]))
    refused(lambda: deliver(lake.sink(), epoch(1), TWO), "SNK-253", DataError)
    refused(lambda: deliver(lake.sink(), epoch(1), ONE.select(["id"])), "SNK-253", DataError)
    refused(lambda: deliver(lake.sink(mode="merge", keys=["id"]), epoch(1), ONE.select(["id"])), "SNK-253", DataError)
    deliver(lake.sink(), epoch(1), ONE)
    assert len(lake.rows()) == 1


def test_a_type_that_iceberg_does_not_promote_is_widened_by_writing_all_rows_again(lake: Lake) -> None:
    evolving: dict[str, Any] = {"on_schema_change": "evolve"}
    narrow = pa.table({"id": pa.array([1], pa.int64()), "size": pa.array([7], pa.int32())})
    deliver(lake.sink(), epoch(1), narrow)
    wide = pa.table({"id": pa.array([2], pa.int64()), "size": pa.array([0.5], pa.float64())})
    deliver(lake.sink(**evolving), epoch(2), wide)
    assert [row["size"] for row in lake.rows()] == [7.0, 0.5]
    found = lake.read(lake.source())
    assert sorted(found.column("size").to_pylist()) == [0.5, 7.0]


def test_a_promoted_type_leaves_files_as_they_are(lake: Lake) -> None:
    narrow = pa.table({"id": pa.array([1], pa.int64()), "size": pa.array([7], pa.int32())})
    deliver(lake.sink(), epoch(1), narrow)
    (before,) = (task.file.file_path for task in lake.table().scan().plan_files())
    wide = pa.table({"id": pa.array([1, 2], pa.int64()), "size": pa.array([7, 2**40], pa.int64())})
    options: dict[str, Any] = {"mode": "merge", "keys": ["id"], "on_schema_change": "evolve"}
    receipt = deliver(lake.sink(**options), epoch(2), wide)
    assert (receipt.inserted, receipt.unchanged) == (1, 1)
    assert before in {task.file.file_path for task in lake.table().scan().plan_files()}
    assert [row["size"] for row in lake.rows()] == [7, 2**40]


# ---------------------------------------------------------------- partitions and features


@pytest.mark.parametrize("kind", ["int64", "boolean", "time", "decimal(38,10)", "string"])
def test_partitions_of_every_type_are_replaced_one_by_one(lake: Lake, kind: str) -> None:
    values = data.column(kind).values.unique()
    table = data.table_of(values)
    options: dict[str, Any] = {"mode": "overwrite_partitions", "partition_by": ["value"]}
    deliver(lake.sink(**options), epoch(1), table)
    receipt = deliver(lake.sink(**options), epoch(2), table.slice(0, 1))
    assert receipt.deleted == 1
    receipt = deliver(lake.sink(**options), epoch(3), table)
    assert (receipt.deleted, receipt.inserted) == (table.num_rows, table.num_rows)


def test_partitions_by_month_are_replaced_month_by_month(lake: Lake) -> None:
    from datetime import date

    def days(*values: tuple[int, date]) -> pa.Table:
        return pa.table({"id": [at for at, _ in values], "day": [day for _, day in values]})

    options: dict[str, Any] = {"mode": "overwrite_partitions", "partition_by": [{"month": "day"}]}
    first = days((1, date(2024, 1, 1)), (2, date(2024, 1, 31)), (3, date(2024, 2, 1)))
    deliver(lake.sink(**options), epoch(1), first)
    receipt = deliver(lake.sink(**options), epoch(2), days((4, date(2024, 1, 15))))
    assert receipt.deleted == 2
    assert [row["id"] for row in lake.rows()] == [3, 4]


def test_partitions_that_are_not_the_tables_are_refused(lake: Lake) -> None:
    deliver(lake.sink(partition_by=["name"]), epoch(1), ONE)
    refused(lambda: lake.sink(partition_by=["id"]).preview(from_arrow(ONE.schema)), "SNK-251", ConfigError)
    deliver(lake.sink(), epoch(2), TWO)
    files = list(lake.table().scan().plan_files())
    assert {task.file.partition[0] for task in files} == {"one", "two", None}
    assert all(task.file.file_path.endswith(".parquet") for task in files)
    (lake.folder / "catalog.db").unlink()
    bare = lake.sink(mode="overwrite_partitions")
    refused(lambda: bare.preview(from_arrow(ONE.schema)), "SNK-251", ConfigError)


def test_files_of_several_partitionings_are_not_merged(lake: Lake) -> None:
    deliver(lake.sink(), epoch(1), ONE)
    with lake.table().update_spec() as change:
        change.add_identity("name")
    deliver(lake.sink(), epoch(2), TWO)
    for sink in (lake.sink(mode="merge", keys=["id"]), lake.sink(mode="overwrite_partitions")):
        error = refused(partial(sink.preview, from_arrow(ONE.schema)), "SNK-250", ConfigError)
        assert "several partitionings" in str(error)
    found = lake.read(lake.source())
    assert sorted(found.column("id").to_pylist()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"partition_by": ["a", "a"]}, "twice"),
        ({"keys": ["a", "a"]}, "twice"),
        ({"compression": "brotli"}, "compression"),
        ({"table": "prices"}, "namespace"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(lake: Lake, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        lake.sink(**options)
