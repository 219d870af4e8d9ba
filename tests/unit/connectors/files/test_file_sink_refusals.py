"""What a sink of files refuses, by code: paths, folders of others, layouts, and reading what cannot be read exactly."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from file_sinks import DESCRIPTORS, file_sink, ids
from pydantic import ValidationError

from penstock.connectors.api import Partition, ScanRequest
from penstock.connectors.files.commit.disk import classified
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.testing.sinks import deliver, epoch, rows
from penstock.types import Schema
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penstock.connectors.api import Sink

TABLE = rows((1, "a"), (2, None))


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(PenstockError) as caught:
        act()
    assert type(caught.value) in (ConfigError, DataError)
    return caught.value.code


def prepare(sink: Sink, **columns: str) -> None:
    sink.prepare(Schema.of(columns) if columns else from_arrow(TABLE.schema))


# ---------------------------------------------------------------- paths


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert refusal(lambda: prepare(file_sink(tmp_path))) == "SNK-132"
    assert (tmp_path / "out").read_text() == "a file"


def test_a_folder_where_one_file_is_meant_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").mkdir()
    assert refusal(lambda: prepare(file_sink(tmp_path, path="rows.parquet", mode="overwrite"))) == "SNK-132"


def test_a_link_that_leads_nowhere_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("nowhere")
    assert refusal(lambda: prepare(file_sink(tmp_path))) == "SNK-132"


def test_a_name_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    assert refusal(lambda: prepare(file_sink(tmp_path, path="x" * 300))) == "SNK-132"


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        (errno.EACCES, "SNK-132", "ConfigError"),
        (errno.EROFS, "SNK-132", "ConfigError"),
        (errno.ENOSPC, "SNK-133", "FatalError"),
        (errno.EDQUOT, "SNK-133", "FatalError"),
        (errno.EIO, "SNK-134", "TransientError"),
        (errno.ESTALE, "SNK-134", "TransientError"),
    ],
)
def test_an_error_of_the_disk_says_what_to_do_next(number: int, code: str, kind: str) -> None:
    with pytest.raises(PenstockError) as caught, classified("out"):
        raise OSError(number, "the disk's own words")
    assert (caught.value.code, type(caught.value).__name__) == (code, kind)
    assert "the disk's own words" in str(caught.value)


# ---------------------------------------------------------------- folders of others


@pytest.mark.parametrize("mode", ["overwrite", "overwrite_partitions"])
def test_files_of_others_stop_an_overwrite_and_are_kept(tmp_path: Path, mode: str) -> None:
    place = tmp_path / "out" / "deep" / "theirs.parquet"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"theirs")
    options = {"partition_by": ["name"]} if mode == "overwrite_partitions" else {}
    assert refusal(lambda: prepare(file_sink(tmp_path, mode=mode, **options))) == "SNK-135"
    assert place.read_bytes() == b"theirs"


def test_files_of_others_do_not_matter_to_an_append_nor_with_another_ending(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("theirs")
    deliver(file_sink(tmp_path, mode="overwrite"), epoch(1), TABLE)
    (tmp_path / "out" / "theirs.parquet").write_bytes(b"theirs")
    prepare(file_sink(tmp_path))


def test_one_file_of_others_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"theirs")
    deliver(file_sink(tmp_path, path="rows.parquet", mode="overwrite"), epoch(1), TABLE)
    assert ids(tmp_path, "rows.parquet") == {1: 1, 2: 1}


# ---------------------------------------------------------------- layouts


def test_another_format_or_partition_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path), epoch(1), TABLE)
    assert refusal(lambda: prepare(file_sink(tmp_path, "json"))) == "SNK-136"
    assert refusal(lambda: prepare(file_sink(tmp_path, partition_by=["name"]))) == "SNK-136"


def test_partitions_must_leave_a_column_for_the_files(tmp_path: Path) -> None:
    assert refusal(lambda: prepare(file_sink(tmp_path, partition_by=["id", "name"]))) == "SNK-137"


def test_columns_to_partition_or_sort_by_must_be_there(tmp_path: Path) -> None:
    assert refusal(lambda: prepare(file_sink(tmp_path, partition_by=["nam"]))) == "SNK-112"
    assert refusal(lambda: prepare(file_sink(tmp_path, sort_by=["nam"]))) == "SNK-112"


def test_files_without_a_header_take_columns_in_their_order_only(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, "csv", header=False), epoch(1), TABLE)
    turned = from_arrow(TABLE.select(["name", "id"]).schema)
    assert refusal(lambda: file_sink(tmp_path, "csv", header=False).preview(turned)) == "SNK-138"
    with_more = Schema.of({"id": "int64", "name": "string?", "more": "string?"})
    file_sink(tmp_path, "csv", header=False, on_schema_change="evolve").preview(with_more)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("csv", {"x": "list<int64>"}),
        ("csv", {"x": "interval"}),
        ("json", {"x": "list<binary>"}),
        ("json", {"x": "decimal(4,4)"}),
        ("json", {"x": "map<string,interval?>"}),
        ("parquet", {"x": "struct<a: interval>"}),
    ],
)
def test_a_type_without_an_exact_form_is_refused(tmp_path: Path, kind: str, columns: dict[str, str]) -> None:
    assert refusal(lambda: prepare(file_sink(tmp_path, kind), id="int64", **columns)) == "SNK-110"


# ---------------------------------------------------------------- reading back


def test_a_table_that_was_never_committed_has_no_columns(tmp_path: Path) -> None:
    assert refusal(lambda: file_sink(tmp_path).table().describe()) == "SRC-170"


def test_a_position_of_another_version_is_refused(tmp_path: Path) -> None:
    sink = file_sink(tmp_path)
    deliver(sink, epoch(1), TABLE)
    assert refusal(lambda: sink.table().scan(ScanRequest(Partition(), None, {"v": 2}))) == "SRC-171"


@pytest.mark.parametrize("column", ["decimal(18,4)?", "json?", "list<decimal(16,0)?>?"])
def test_json_is_not_read_back_where_the_reader_would_change_it(tmp_path: Path, column: str) -> None:
    sink = file_sink(tmp_path, "json")
    schema = Schema.of({"id": "int64", "x": column})
    sink.prepare(schema)
    sink.commit(epoch(1), [])
    assert (
        refusal(lambda: sink.table().scan(ScanRequest(Partition(), None, sink.table().latest(Partition()))))
        == "SRC-172"
    )


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_committed_file_that_changed_is_not_read(tmp_path: Path, harm: str) -> None:
    sink = file_sink(tmp_path)
    deliver(sink, epoch(1), TABLE)
    (path,) = (tmp_path / "out").glob("*.parquet")
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    assert refusal(lambda: sink.table().scan(ScanRequest(Partition(), None, {"v": 1, "version": 1}))) == "SRC-110"


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("parquet", {"mode": "merge", "keys": ["id"]}, "for tables"),
        ("parquet", {"keys": ["id"]}, "mode merge"),
        ("parquet", {"mode": "overwrite_partitions"}, "needs partition_by"),
        ("parquet", {"partition_by": ["a", "a"]}, "twice"),
        ("parquet", {"path": "out/rows.parquet"}, "one file"),
        ("parquet", {"path": "out/rows.parquet", "mode": "overwrite", "partition_by": ["a"]}, "one file"),
        ("parquet", {"path": "o.parquet", "mode": "overwrite", "max_file_size": "1 MiB"}, "max_file_size"),
        ("parquet", {"compression": "snappy", "compression_level": 3}, "zstd"),
        ("parquet", {"compression": "gzip"}, "zstd"),
        ("parquet", {"sort_by": ["a", "a"]}, "twice"),
        ("csv", {"delimiter": ";;"}, "at most 1"),
        ("csv", {"delimiter": "\n"}, "line break"),
        ("csv", {"delimiter": "é"}, "ASCII"),
        ("csv", {"delimiter": '"'}, "same character"),
        ("csv", {"null_text": "a,b"}, "null_text"),
        ("json", {"layout": "pretty"}, "lines"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(kind: str, given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DESCRIPTORS[kind].params.model_validate({"type": kind, "from": "rows", "path": "out", **given})


def test_names_with_a_dot_and_a_number_are_folders(tmp_path: Path) -> None:
    deliver(file_sink(tmp_path, path="out/v1.2"), epoch(1), pa.table({"id": pa.array([1], pa.int64())}))
    assert (tmp_path / "out" / "v1.2").is_dir()
