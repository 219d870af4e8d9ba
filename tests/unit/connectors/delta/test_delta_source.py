"""Reading: versions and times, partitions, what is refused."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pydantic import ValidationError
from sqlglot import parse_one

from penstock.connectors.api import Batches, Files, Partition, ScanRequest
from penstock.connectors.delta.params import DeltaSourceParams
from penstock.engines.duckdb.readers import files_query
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.testing import native
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from collections.abc import Callable

    from delta_lake import Lake

pytestmark = pytest.mark.slow


def numbers(*values: int) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


def parts() -> pa.Table:
    return pa.table(
        {
            "id": pa.array([1, 2, 3, 4, 5], pa.int64()),
            "region": ["a/b", "..", None, "x=1", "a/b"],
            "day": pa.array([0, 1, 2, None, 1], pa.int32()).cast(pa.date32()),
        }
    )


def ids(table: pa.Table) -> list[int]:
    return sorted(table.column("id").to_pylist())


def refused(act: Callable[[], object], code: str, error: type[PenstockError] = ConfigError) -> PenstockError:
    with pytest.raises(error) as caught:
        act()
    assert caught.value.code == code
    return caught.value


# ---------------------------------------------------------------- time travel


def test_a_version_is_read_as_it_was(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    write_deltalake(lake.root, numbers(2), mode="append")
    write_deltalake(lake.root, numbers(3), mode="overwrite")
    found = [ids(lake.read(lake.source(version=version))) for version in (0, 1, 2)]
    assert found == [[1], [1, 2], [3]]
    assert ids(lake.read(lake.source())) == [3]


def test_a_time_names_the_version_that_was_current_then(lake: Lake) -> None:
    for version, number in enumerate((1, 2)):
        write_deltalake(lake.root, numbers(number), mode="overwrite")
        moment = datetime(2024, 1, 1 + version, tzinfo=UTC).timestamp()
        os.utime(lake.root / "_delta_log" / f"{version:020}.json", (moment, moment))
    assert ids(lake.read(lake.source(timestamp="2024-01-01T12:00:00"))) == [1]
    assert ids(lake.read(lake.source(timestamp="2024-01-02T01:00:00+01:00"))) == [2]
    assert ids(lake.read(lake.source(timestamp="2030-01-01T00:00:00Z"))) == [2]
    refused(lake.source(timestamp="2023-12-31T00:00:00Z").describe, "SRC-252")


def test_a_version_and_a_time_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="keep one"):
        DeltaSourceParams.model_validate({"type": "delta", "path": "x", "version": 1, "timestamp": "2024-01-01"})


def test_a_time_that_is_none_is_named(lake: Lake) -> None:
    with pytest.raises(ValidationError, match="ISO 8601"):
        lake.source(timestamp="yesterday")


def test_a_position_reads_its_version_whatever_came_later(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    position = lake.source().latest(Partition())
    assert position == {"v": 1, "version": 0}
    write_deltalake(lake.root, numbers(2), mode="overwrite")
    found, _ = pull(lake.source().scan(ScanRequest(Partition(), None, position)))
    assert ids(found) == [1]


def test_a_version_that_never_was_or_was_cleaned_up_is_named(lake: Lake) -> None:
    for number in range(3):
        write_deltalake(lake.root, numbers(number), mode="append")
    refused(lake.source(version=7).describe, "SRC-252")
    lake.table().create_checkpoint()
    for version in range(3):
        (lake.root / "_delta_log" / f"{version:020}.json").unlink()
    assert "version 1" in str(refused(lake.source(version=1).describe, "SRC-252"))
    assert ids(lake.read(lake.source())) == [0, 1, 2]


def test_a_vacuumed_file_is_a_range_that_cannot_be_read_again(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    write_deltalake(lake.root, numbers(2), mode="overwrite")
    lake.table().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    error = refused(lambda: lake.read(lake.source(version=0)), "SRC-110", DataError)
    assert "gone" in str(error)


def test_a_cut_file_is_a_range_that_cannot_be_read_again(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    (path,) = lake.root.glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    refused(lambda: lake.read(lake.source()), "SRC-110", DataError)


# ---------------------------------------------------------------- partitions


@pytest.mark.parametrize(
    ("predicate", "kept"),
    [
        ("region = 'a/b'", [1, 5]),
        ("region = '..'", [2]),
        ("region is null", [3]),
        ("region is not null and region <> 'a/b'", [2, 4]),
        ("region in ('x=1', 'none')", [4]),
        ("day >= DATE '1970-01-02'", [2, 3, 5]),
        ("day = DATE '1970-01-02' or region = 'x=1'", [2, 4, 5]),
        ("region = 'nowhere'", []),
    ],
)
def test_a_condition_on_partitions_chooses_files(lake: Lake, predicate: str, kept: list[int]) -> None:
    write_deltalake(lake.root, parts(), partition_by=["region", "day"])
    source = lake.source()
    tree = parse_one(predicate, dialect="duckdb")
    assert source.takes(tree)
    assert ids(lake.read(source, predicate=tree)) == kept


@pytest.mark.parametrize(
    "predicate", ["id = 1", "region = 'a' or id = 1", "upper(region) = 'A'", "1 = 1", "region = (select 'a')"]
)
def test_other_conditions_are_left_to_the_engine(lake: Lake, predicate: str) -> None:
    write_deltalake(lake.root, parts(), partition_by=["region"])
    assert not lake.source().takes(parse_one(predicate, dialect="duckdb"))


def test_a_condition_on_both_prunes_by_its_part_on_partitions(lake: Lake) -> None:
    write_deltalake(lake.root, parts(), partition_by=["region"])
    source = lake.source()
    request = ScanRequest(
        Partition(), None, source.latest(Partition()), None, parse_one("region = 'a/b' and id = 5", dialect="duckdb")
    )
    scanned = source.scan(request)
    assert isinstance(scanned, Files)
    assert len(scanned.paths) == 1
    assert ids(pull(scanned)[0]) == [1, 5]


def test_values_of_partitions_are_columns_in_their_place_and_type(lake: Lake) -> None:
    write_deltalake(lake.root, parts(), partition_by=["region", "day"])
    found = lake.read(lake.source(), columns=("day", "id", "region"))
    assert found.column_names == ["day", "id", "region"]
    expected = sorted(parts().select(["day", "id", "region"]).to_pylist(), key=lambda row: row["id"])
    assert sorted(found.to_pylist(), key=lambda row: row["id"]) == expected


def test_a_column_that_hides_the_engines_count_of_files_moves_no_partition(lake: Lake) -> None:
    table = parts().append_column("FILE_INDEX", pa.array([1] * 5, pa.int64()))
    write_deltalake(lake.root, table, partition_by=["region"])
    found = {row["id"]: row["region"] for row in lake.read(lake.source()).to_pylist()}
    assert found == {1: "a/b", 2: "..", 3: None, 4: "x=1", 5: "a/b"}
    source = lake.source()
    assert isinstance(source.scan(ScanRequest(Partition(), None, source.latest(Partition()))), Batches)


def test_columns_that_older_files_lack_are_null(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    write_deltalake(lake.root, numbers(2).append_column("name", pa.array(["b"])), mode="append", schema_mode="merge")
    source = lake.source()
    scanned = source.scan(ScanRequest(Partition(), None, source.latest(Partition())))
    assert isinstance(scanned, Files)
    with native.connection() as database:
        found = database.sql(files_query(scanned).sql("duckdb")).fetchall()
    assert sorted(found) == [(1, None), (2, "b")]


# ---------------------------------------------------------------- features of other writers


def protocol(**features: Any) -> dict[str, Any]:
    return {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}}


def test_a_reader_feature_that_nobody_here_knows_is_named(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    lake.append_to_log(protocol(readerFeatures=["typeWidening"], writerFeatures=["typeWidening"]))
    assert "typeWidening" in str(refused(lambda: lake.read(lake.source()), "SRC-253"))


def test_a_table_with_deletion_vectors_in_name_only_is_read_natively(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    lake.append_to_log(protocol(readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors"]))
    source = lake.source()
    assert isinstance(source.scan(ScanRequest(Partition(), None, source.latest(Partition()))), Files)


def test_rows_that_a_deletion_vector_deletes_are_not_read(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(10, 11, 12))
    (added,) = [line["add"] for line in lake.log(0) if "add" in line]
    # A roaring bitmap array with row 1, in Z85 (Delta protocol, "Deletion Vector Format").
    vector = {"storageType": "i", "pathOrInlineDv": inline_vector(1), "sizeInBytes": 34, "cardinality": 1}
    features = protocol(readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors"])
    removed = {"path": added["path"], "dataChange": True, "deletionTimestamp": 1}
    lake.append_to_log(features, {"remove": removed}, {"add": {**added, "deletionVector": vector}})
    source = lake.source()
    scanned = source.scan(ScanRequest(Partition(), None, source.latest(Partition())))
    assert isinstance(scanned, Batches)
    assert ids(pull(scanned)[0]) == [10, 12]
    assert not source.takes(parse_one("id = 1"))


def inline_vector(row: int) -> str:
    """One deleted row below 2^16: magic, one bitmap of one array container, Z85."""
    magic = (1681511377).to_bytes(4, "little")
    bitmap = (12346).to_bytes(4, "little") + (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    bitmap += (16).to_bytes(4, "little") + row.to_bytes(2, "little")
    raw = magic + (1).to_bytes(8, "little") + (0).to_bytes(4, "little") + bitmap
    raw += b"\0" * (-len(raw) % 4)
    letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    text = ""
    for at in range(0, len(raw), 4):
        value = int.from_bytes(raw[at : at + 4], "big")
        digits = [letters[value // 85**power % 85] for power in (4, 3, 2, 1, 0)]
        text += "".join(digits)
    return text


# ---------------------------------------------------------------- what is refused


def test_no_table_is_a_named_error(lake: Lake) -> None:
    error = refused(lake.source().describe, "SRC-250")
    assert '"table"' in str(error)
    lake.root.mkdir()
    refused(lake.source(version=0).describe, "SRC-250")
    refused(lake.source(timestamp="2024-01-01").describe, "SRC-250")


def test_names_that_differ_only_in_case_are_refused_by_name(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    metadata = next(line["metaData"] for line in lake.log(0) if "metaData" in line)
    schema = json.loads(metadata["schemaString"])
    schema["fields"].append({**schema["fields"][0], "name": "ID"})
    lake.append_to_log({"metaData": {**metadata, "schemaString": json.dumps(schema)}})
    with pytest.raises(ConfigError) as caught:
        lake.source().describe()
    assert caught.value.code == "SRC-251"
    assert "ID" in str(caught.value).upper()


@pytest.mark.parametrize("text", ["", "{", "{}\n", "\x00\xff", '{"add": {"path": 3}}', "[" * 5000])
def test_a_damaged_log_is_a_named_error(lake: Lake, text: str) -> None:
    log = lake.root / "_delta_log"
    log.mkdir(parents=True)
    (log / f"{0:020}.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        lake.source().describe()
    assert caught.value.code in ("SRC-250", "SRC-251", "SRC-253")


def test_a_log_cut_in_the_middle_is_damaged(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    entry = lake.root / "_delta_log" / f"{0:020}.json"
    entry.write_bytes(entry.read_bytes()[:-40])
    refused(lake.source().describe, "SRC-251")


@pytest.mark.parametrize("path", ["../secret.parquet", "a/../../secret.parquet", "/etc/passwd", "file:///etc/passwd"])
def test_a_file_outside_the_table_is_never_read(lake: Lake, path: str) -> None:
    write_deltalake(lake.root, numbers(1))
    shutil.copy(next(lake.root.glob("*.parquet")), lake.folder / "secret.parquet")
    (added,) = [line["add"] for line in lake.log(0) if "add" in line]
    lake.append_to_log({"add": {**added, "path": path}})
    refused(lambda: lake.read(lake.source()), "SRC-254", DataError)


def test_a_link_out_of_the_table_is_never_followed(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    (path,) = lake.root.glob("*.parquet")
    shutil.move(path, lake.folder / "secret.parquet")
    path.symlink_to(lake.folder / "secret.parquet")
    refused(lambda: lake.read(lake.source()), "SRC-254", DataError)


@pytest.mark.parametrize("position", [{}, {"v": 2, "version": 0}, {"v": 1, "version": "0"}])
def test_a_position_of_another_form_is_refused(lake: Lake, position: dict[str, Any]) -> None:
    write_deltalake(lake.root, numbers(1))
    refused(lambda: lake.source().scan(ScanRequest(Partition(), None, position)), "SRC-255")


def test_between_a_version_and_itself_there_is_nothing(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1))
    at = {"v": 1, "version": 0}
    found = lake.source().scan(ScanRequest(Partition(), at, at))
    assert isinstance(found, Batches)
    assert list(found.open()) == []


def test_the_missing_library_is_named(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert "pip install" in str(refused(lake.source().describe, "SRC-256"))


def test_a_path_with_marks_of_patterns_is_taken_as_it_is(lake: Lake) -> None:
    for number, name in enumerate(("a*b", "a?b", "axb")):
        write_deltalake(lake.folder / name, numbers(number))
    assert ids(lake.read(lake.source(path="a*b"))) == [0]
    assert ids(lake.read(lake.source(path="a?b"))) == [1]


@pytest.mark.parametrize("name", ["a[1]b", "a%20b", "a|b", "a^b", "a\\b", "a\nb"])
def test_a_path_that_the_library_cannot_take_is_refused(lake: Lake, name: str) -> None:
    (lake.folder / name).mkdir()
    refused(lake.source(path=name).describe, "SRC-257")
