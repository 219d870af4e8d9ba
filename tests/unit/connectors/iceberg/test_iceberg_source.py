"""Reading: snapshots, times, columns that were renamed, files that delete rows, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestWriterV2,
)
from pyiceberg.typedef import Record
from sqlglot import parse_one

from penstock.connectors.api import Batches, Files, ScanRequest
from penstock.errors import ConfigError, DataError
from penstock.testing.compare import assert_same
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch

if TYPE_CHECKING:
    from iceberg_tables import Lake

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])
ONE = pa.table({"id": [1, 2], "name": ["a", None]}, schema=SCHEMA)
TWO = pa.table({"id": [3], "name": ["c"]}, schema=SCHEMA)


def loaded(lake: Lake, *tables: pa.Table) -> None:
    lake.create(tables[0].schema)
    for table in tables:
        lake.add(table)


def rows(lake: Lake, source: Any) -> pa.Table:
    (part,) = source.partitions()
    return source.scan(ScanRequest(part, None, source.latest(part)))


def code_of(error: Any) -> str:
    return str(error.value.code)


def test_a_snapshot_is_read_as_it_stood(lake: Lake) -> None:
    loaded(lake, ONE, TWO)
    first, second = (snapshot.snapshot_id for snapshot in lake.table().metadata.snapshots)
    assert_same(lake.read(lake.source(snapshot=first)), ONE)
    assert lake.read(lake.source(snapshot=second)).num_rows == 3
    with pytest.raises(ConfigError) as caught:
        lake.read(lake.source(snapshot=7))
    assert code_of(caught) == "SRC-260"


def test_a_time_is_that_of_the_snapshot_before_it(lake: Lake) -> None:
    loaded(lake, ONE, TWO)
    first, second = (snapshot.timestamp_ms for snapshot in lake.table().metadata.snapshots)
    start = datetime(1970, 1, 1, tzinfo=UTC)
    between = start + timedelta(milliseconds=first + (second - first) // 2)
    assert_same(lake.read(lake.source(as_of=between.isoformat())), ONE)
    with pytest.raises(ConfigError) as caught:
        lake.read(lake.source(as_of="2001-01-01"))
    assert code_of(caught) == "SRC-260"


def test_one_way_to_travel() -> None:
    from penstock.connectors.iceberg.params import IcebergSourceParams

    given = {"type": "iceberg", "connection": {"path": "x"}, "table": "a.b", "snapshot": 1, "as_of": "2024-01-01"}
    with pytest.raises(ValidationError, match="keep one"):
        IcebergSourceParams.model_validate(given)


def test_an_old_snapshot_has_its_columns(lake: Lake) -> None:
    loaded(lake, ONE)
    (first,) = lake.table().metadata.snapshots
    with lake.table().update_schema() as change:
        from pyiceberg.types import LongType

        change.add_column("size", LongType())
    assert lake.source().describe().names == ("id", "name", "size")
    lake.add(TWO.append_column("size", pa.array([1], pa.int64())))
    assert lake.source(snapshot=first.snapshot_id).describe().names == ("id", "name")
    assert_same(lake.read(lake.source(snapshot=first.snapshot_id)), ONE)


def test_a_table_that_never_had_rows_has_its_columns(lake: Lake) -> None:
    lake.create(SCHEMA)
    source = lake.source()
    assert source.latest(source.partitions()[0]) == {"v": 1, "snapshot": None}
    assert lake.read(source).num_rows == 0


def test_renamed_and_remade_columns_are_read_by_their_ids(lake: Lake) -> None:
    loaded(lake, ONE)
    with lake.table().update_schema() as change:
        change.rename_column("name", "label")
    with lake.table().update_schema() as change:
        from pyiceberg.types import StringType

        change.add_column("name", StringType())
    lake.add(pa.table({"id": [3], "label": ["c"], "name": ["new"]}))
    scanned = rows(lake, lake.source())
    assert isinstance(scanned, Files)
    assert set(scanned.field_ids) == {"id", "label", "name"}
    found = sorted(pull(scanned)[0].to_pylist(), key=lambda row: row["id"])
    assert found == [
        {"id": 1, "label": "a", "name": None},
        {"id": 2, "label": None, "name": None},
        {"id": 3, "label": "c", "name": "new"},
    ]


def test_columns_that_were_never_renamed_are_read_by_their_names(lake: Lake) -> None:
    loaded(lake, ONE)
    scanned = rows(lake, lake.source())
    assert isinstance(scanned, Files)
    assert scanned.field_ids == {}


def test_a_widened_column_is_read_in_its_new_type(lake: Lake) -> None:
    narrow = pa.table({"id": pa.array([1], pa.int64()), "size": pa.array([7], pa.int32())})
    loaded(lake, narrow)
    with lake.table().update_schema() as change:
        from pyiceberg.types import LongType

        change.update_column("size", LongType())
    lake.add(pa.table({"id": pa.array([2], pa.int64()), "size": pa.array([2**40], pa.int64())}))
    assert sorted(lake.read(lake.source()).column("size").to_pylist()) == [7, 2**40]


class Deletes(ManifestWriterV2):
    """Of files that delete rows; pyiceberg writes none."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def deleting(lake: Lake, path: str, position: int) -> None:
    """A foreign writer's file that deletes one row: position deletes, as format version 2 has them."""

    table = lake.table()
    target = f"{table.location()}/data/deletes.parquet"
    pq.write_table(
        pa.table(
            {"file_path": [path], "pos": pa.array([position], pa.int64())},
            schema=pa.schema(
                [
                    pa.field("file_path", pa.string(), nullable=False, metadata={"PARQUET:field_id": "2147483546"}),
                    pa.field("pos", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "2147483545"}),
                ]
            ),
        ),
        target.removeprefix("file://"),
    )
    told = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES,
        file_path=target,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=1,
        file_size_in_bytes=1,
        spec_id=0,
    )
    transaction = table.transaction()
    with transaction.update_snapshot().fast_append() as append:
        real = append._manifests

        def manifests() -> list[Any]:
            output = append.new_manifest_output()
            writer = Deletes(table.spec(), table.schema(), output, append.snapshot_id, "deflate")
            with writer:
                writer.add(
                    ManifestEntry.from_args(
                        status=ManifestEntryStatus.ADDED,
                        snapshot_id=append.snapshot_id,
                        sequence_number=None,
                        file_sequence_number=None,
                        data_file=told,
                    )
                )
            return [*real(), writer.to_manifest_file()]

        append._manifests = manifests
    transaction.commit_transaction()


def test_rows_that_a_file_deletes_are_not_read(lake: Lake) -> None:
    loaded(lake, ONE, TWO)
    (path,) = (task.file.file_path for task in lake.table().scan().plan_files() if task.file.record_count == 2)
    deleting(lake, path, 0)
    source = lake.source()
    scanned = rows(lake, source)
    assert isinstance(scanned, Batches)
    found = pull(scanned)[0]
    assert sorted(found.column("id").to_pylist()) == [2, 3]
    assert not source.takes(parse_one("id = 1"))
    assert lake.read(source, ("name", "id")).column_names == ["name", "id"]


def test_a_list_of_structs_is_not_left_to_a_reader_that_misreads_it(lake: Lake) -> None:
    kind = pa.list_(pa.struct([("x", pa.int64())]))
    table = pa.table({"id": pa.array([1, 2], pa.int64()), "deep": pa.array([None, []], kind)})
    deliver(lake.sink(), epoch(1), table)  # pyiceberg would write an empty list for the null
    assert lake.read(lake.source()).column("deep").to_pylist() == [None, []]
    (path,) = (task.file.file_path for task in lake.table().scan().plan_files())
    deleting(lake, path, 1)
    with pytest.raises(ConfigError) as caught:
        rows(lake, lake.source())
    assert code_of(caught) == "SRC-261"
    assert '"deep"' in str(caught.value)
    assert lake.read(lake.source(), ("id",)).column("id").to_pylist() == [1]


def test_a_type_that_we_lack_is_named(lake: Lake) -> None:
    lake.create(pa.schema([("when", pa.timestamp("us"))]))
    path = Path(lake.table().metadata_location.removeprefix("file://"))
    newer = (
        path.read_text().replace('"timestamp"', '"timestamp_ns"').replace('"format-version":2', '"format-version":3')
    )
    path.write_text(newer.replace('"format-version":3', '"format-version":3,"next-row-id":0'))
    with pytest.raises(ConfigError) as caught:
        lake.source().describe()
    assert code_of(caught) == "SRC-261"
    assert '"when"' in str(caught.value)


def test_names_that_differ_only_in_case_are_refused(lake: Lake) -> None:
    lake.create(pa.schema([("Name", pa.int64()), ("name", pa.int64())]))
    with pytest.raises(ConfigError) as caught:
        lake.source().describe()
    assert code_of(caught) == "SRC-112"


def test_a_file_that_is_gone_or_cut_is_named(lake: Lake) -> None:
    loaded(lake, ONE)
    (task,) = lake.table().scan().plan_files()
    path = Path(task.file.file_path.removeprefix("file://"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        rows(lake, lake.source())
    assert code_of(caught) == "SRC-110"


def test_values_that_divide_the_table_leave_files_unread(lake: Lake) -> None:
    table = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]}, schema=SCHEMA)
    deliver(lake.sink(partition_by=["name"]), epoch(1), table)
    source = lake.source()
    assert source.takes(parse_one("name = 'a' or name is null"))
    assert not source.takes(parse_one("id = 1"))
    (part,) = source.partitions()
    predicate = parse_one("name = 'a' or name is null")
    scanned = source.scan(ScanRequest(part, None, source.latest(part), None, predicate))
    assert isinstance(scanned, Files)
    assert len(scanned.paths) == 2
    assert sorted(pull(scanned)[0].column("id").to_pylist()) == [1, 3]


def test_between_a_snapshot_and_itself_there_is_nothing(lake: Lake) -> None:
    loaded(lake, ONE)
    source = lake.source()
    (part,) = source.partitions()
    found = source.scan(ScanRequest(part, source.latest(part), source.latest(part)))
    assert isinstance(found, Batches)
    assert list(found.open()) == []
