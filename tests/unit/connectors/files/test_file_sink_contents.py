"""What lies in the files: options of each format, rows counted by the writer itself, hostile partitions, versions."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from file_sinks import file_sink, ids

from penstock.connectors.api import Allowance, CsvFormat, JsonFormat, ParquetFormat, Partition, ScanRequest
from penstock.connectors.files.counting import count_rows
from penstock.errors import DataError, InternalError
from penstock.testing import data, native
from penstock.testing.compare import assert_same
from penstock.testing.delivery import pull
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import read_table, stage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

TABLE = rows((1, "plain"), (2, None), (3, ""), (4, 'quo"te\nand break'), (5, "a,b"))


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


# ---------------------------------------------------------------- formats


def test_csv_tells_null_from_the_empty_text(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, "csv"), epoch(1), TABLE)
    text = only(tmp_path, "out/*.csv").read_text()
    assert text == 'id,name\n1,plain\n2,\n3,""\n4,"quo""te\nand break"\n5,"a,b"\n'


def test_a_value_that_looks_like_the_null_text_is_quoted(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, "csv", null_text="NULL", delimiter=";", quote="'", header=False)
    table = rows((1, "NULL"), (2, None), (3, "it's"), (4, ""))
    deliver(sink, epoch(1), table)
    assert only(tmp_path, "out/*.csv").read_text() == "1;'NULL'\n2;NULL\n3;'it''s'\n4;\n"
    assert_same(read_table(sink), table)


@pytest.mark.parametrize(
    ("kind", "given", "pattern"),
    [
        ("csv", {"compression": "gzip"}, "out/*.csv.gz"),
        ("csv", {"path": "out/rows.csv.gz", "mode": "overwrite"}, "out/rows.csv.gz"),
        ("csv", {"path": "out/rows.csv.zst", "mode": "overwrite"}, "out/rows.csv.zst"),
        ("json", {"compression": "zstd"}, "out/*.ndjson.zst"),
        ("json", {"layout": "array"}, "out/*.json"),
        ("json", {"path": "out/rows.json", "mode": "overwrite", "layout": "array"}, "out/rows.json"),
        ("parquet", {"compression": "lz4", "version": "v1", "bloom_filter": False}, "out/*.parquet"),
    ],
)
def test_every_form_of_file_is_read_back(tmp_path: Path, kind: str, given: dict[str, object], pattern: str) -> None:
    sink = file_sink(tmp_path, kind, **given)
    deliver(sink, epoch(1), TABLE)
    path = only(tmp_path, pattern)
    assert_same(read_table(sink), TABLE)
    if path.suffix == ".gz":
        assert gzip.decompress(path.read_bytes()).startswith(b"id,name\n")
    if path.suffix == ".json":
        assert [row["id"] for row in json.loads(path.read_text())] == [1, 2, 3, 4, 5]


def test_parquet_files_are_sorted_and_compressed_as_asked(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, sort_by=["name", "id"], compression="snappy")
    deliver(sink, epoch(1), rows((3, "b"), (2, "a"), (1, "b"), (4, None)))
    path = only(tmp_path, "out/*.parquet")
    assert pq.read_table(path)["id"].to_pylist() == [2, 1, 3, 4]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "SNAPPY"


def test_partition_columns_are_in_the_folders_and_not_in_the_files(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, partition_by=["a/b", "name"])
    table = rows((1, "x/y", ".."), (2, None, "x=1"), names=("id", "a/b", "name"))
    deliver(sink, epoch(1), table)
    places = sorted(str(p.parent.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.parquet"))
    assert places == ["a%2Fb=__HIVE_DEFAULT_PARTITION__/name=x%3D1", "a%2Fb=x%2Fy/name=.."]
    files = sorted((tmp_path / "out").rglob("*.parquet"))
    assert all(pq.read_schema(path).names == ["id"] for path in files)
    assert_same(read_table(sink), table)


def test_hostile_names_of_partition_columns_are_one_folder_each_and_come_back(tmp_path: Path) -> None:
    names = [*data.NAMES, "a=b", "..", "a/b", "%2F", "x=1/y=2"]
    for start in range(0, len(names), 8):
        place = tmp_path / str(start)
        chosen = names[start : start + 8]
        table = pa.table({"id": pa.array([1, 2]), **{name: pa.array(["v", None]) for name in chosen}})
        sink = file_sink(place, partition_by=chosen)
        deliver(sink, epoch(1), table)
        assert_same(read_table(sink), table)
        depths = {len(path.relative_to(place / "out").parts) for path in (place / "out").rglob("*.parquet")}
        assert depths == {len(chosen) + 1}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_hostile_partitions_are_counted_by_the_writer_and_read_back(tmp_path: Path, kind: str) -> None:
    table = rows(*enumerate(data.PARTITION_VALUES), names=("id", "part"))
    sink = file_sink(tmp_path, kind, partition_by=["part"])
    assert deliver(sink, epoch(1), table).rows == len(data.PARTITION_VALUES)
    assert_same(read_table(sink), table)


def test_typed_partition_values_come_back_with_their_type(tmp_path: Path) -> None:
    columns = {
        "id": pa.array([1, 2, 3]),
        "day": data.column("date").values[:3],
        "at": data.column("timestamptz").values[4:7],
        "price": data.column("decimal(38,10)").values[:3],
        "yes": pa.array([True, False, None]),
    }
    table = pa.table(columns)
    sink = file_sink(tmp_path, partition_by=["day", "at", "price", "yes"])
    deliver(sink, epoch(1), table)
    assert_same(read_table(sink).select(table.column_names), table)


# ---------------------------------------------------------------- counting


@pytest.mark.parametrize(
    "form",
    [
        CsvFormat(delimiter=";", header=True, compression="gzip"),
        CsvFormat(header=False),
        JsonFormat(),
        JsonFormat(layout="array", compression="zstd"),
        ParquetFormat(),
    ],
    ids=repr,
)
def test_rows_are_counted_exactly_whatever_they_hold(
    tmp_path: Path, form: CsvFormat | JsonFormat | ParquetFormat
) -> None:
    table = data.table_of(pa.array([*data.STRINGS, data.HUGE_STRING, None]))
    full, empty = tmp_path / "a[1]*.staged", tmp_path / "empty.staged"
    native.copy(table, str(full), form)
    native.copy(table.slice(0, 0), str(empty), form)
    assert count_rows(form, [full, empty], width=2, allowance=Allowance()) == {full: table.num_rows, empty: 0}


def test_a_writer_whose_engine_counted_nothing_counts_for_itself(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    writer = sink.writer(epoch(1), _schema(TABLE))
    native.copy(TABLE, str(writer.target().folder / "0.staged"), writer.target().format)
    assert writer.stage().rows == 5


def _schema(table: pa.Table):
    from penstock.types.arrow import from_arrow

    return from_arrow(table.schema)


# ---------------------------------------------------------------- epochs


def test_an_empty_overwrite_leaves_one_file_with_the_columns(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(1), TABLE)
    receipt = deliver(file_sink(tmp_path, mode="overwrite", allow_empty=True), epoch(2), TABLE.slice(0, 0))
    assert (receipt.rows, receipt.deleted) == (0, 5)
    path = only(tmp_path, "out/*.parquet")
    assert pq.read_table(path).num_rows == 0
    assert pq.read_schema(path).names == ["id", "name"]


def test_an_empty_append_leaves_no_file(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path), epoch(1), TABLE.slice(0, 0))
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert read_table(file_sink(tmp_path)).num_rows == 0


def test_one_file_takes_one_writer_with_rows(tmp_path: Path) -> None:
    sink = file_sink(tmp_path, path="rows.parquet", mode="overwrite")
    sink.prepare(_schema(TABLE))
    staged = [stage(sink, epoch(1), table) for table in (TABLE.slice(0, 0), TABLE)]
    assert sink.commit(epoch(1), staged).rows == 5
    with pytest.raises(InternalError):
        sink.commit(epoch(2), [stage(sink, epoch(2), TABLE), stage(sink, epoch(2), TABLE)])
    assert sum(ids(tmp_path, "rows.parquet").values()) == 5


@pytest.mark.parametrize("kind", ["avro", "csv", "excel", "json", "orc", "parquet"])
@pytest.mark.parametrize("is_there", [True, False])
def test_one_file_at_a_link_is_written_where_the_link_leads(tmp_path: Path, kind: str, *, is_there: bool) -> None:
    name = f"rows.{'xlsx' if kind == 'excel' else kind}"
    link, real = tmp_path / name, tmp_path / "elsewhere" / "real"
    real.parent.mkdir()
    if is_there:
        real.write_text("old")
    link.symlink_to(real)
    table = rows((1, "plain"))
    for number in (1, 2):
        deliver(file_sink(tmp_path, kind, path=name, mode="overwrite"), epoch(number), table)
        assert link.is_symlink()
        assert real.is_file()
        assert real.read_bytes() != b"old"
    assert not (tmp_path / "_penstock").exists()
    assert (real.parent / "_penstock").is_dir()


def test_versions_of_an_append_stay_readable_until_files_are_replaced(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        deliver(file_sink(tmp_path, every=2), epoch(number), rows((number, "a")))
    table = file_sink(tmp_path).table()
    found, _ = pull(table.scan(ScanRequest(Partition(), None, {"v": 1, "version": 2})))
    assert found["id"].to_pylist() == [1, 2]
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(4), rows((4, "a")))
    with pytest.raises(DataError) as caught:
        table.scan(ScanRequest(Partition(), None, {"v": 1, "version": 3}))
    assert caught.value.code == "SRC-110"


def test_columns_of_an_older_version_are_those_it_had(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path), epoch(1), rows((1, "a")))
    evolving = file_sink(tmp_path, on_schema_change="evolve")
    deliver(evolving, epoch(2), rows((2, "b", 5), names=("id", "name", "size")))
    table = evolving.table()
    old, _ = pull(table.scan(ScanRequest(Partition(), None, {"v": 1, "version": 1})))
    assert old.column_names == ["id", "name"]
    new, _ = pull(table.scan(ScanRequest(Partition(), None, {"v": 1, "version": 2}, ("size", "id"))))
    assert sorted(new.to_pylist(), key=lambda row: row["id"]) == [{"size": None, "id": 1}, {"size": 5, "id": 2}]


def test_an_overwrite_may_change_format_and_partitions(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path), epoch(1), rows((1, "a")))
    deliver(file_sink(tmp_path, mode="overwrite", partition_by=["name"]), epoch(2), rows((2, "b")))
    deliver(file_sink(tmp_path, "json", mode="overwrite"), epoch(3), rows((3, "c")))
    assert [path.suffix for path in (tmp_path / "out").rglob("part-*")] == [".ndjson"]
    assert_same(read_table(file_sink(tmp_path, "json", mode="overwrite")), rows((3, "c")))


def test_an_overwrite_has_the_columns_of_its_rows_only(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(1), rows((1, "a")))
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(2), rows((2,), names=("id",)))
    described = file_sink(tmp_path).describe()
    assert described is not None
    assert described.names == ("id",)
