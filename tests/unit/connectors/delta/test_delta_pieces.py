"""A Delta table in pieces: real tables of many small files, empty ones, partitions, files without statistics, deletions."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from sqlglot import parse_one
from test_delta_source import inline_vector, numbers, parts, protocol

from penstock.connectors.api import Partition, ScanRequest, Size
from penstock.errors import DataError
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from delta_lake import Lake
    from penstock.connectors.api import Position


def pieces(
    lake: Lake, upto: Position, size: Size, after: Position | None = None, where: str | None = None
) -> list[list[int]]:
    """The ids of each, read by a source of its own, as after a kill."""
    found, part = [], Partition()
    predicate = parse_one(where, dialect="duckdb") if where else None
    while after != upto:
        source = lake.source()
        end = source.cut(part, after, upto, size)
        rows, rejects = pull(source.scan(ScanRequest(part, after, end, ("id",), predicate)))
        assert not rejects
        found.append(sorted(rows.column("id").to_pylist()))
        after = end
    return found


def test_many_small_files_are_read_in_pieces_of_about_the_size(lake: Lake) -> None:
    for number in range(12):
        write_deltalake(lake.root, numbers(number * 2, number * 2 + 1), mode="append")
    found = pieces(lake, lake.source().latest(Partition()), Size(rows=7))
    assert [len(piece) for piece in found] == [6, 6, 6, 6]
    assert sorted(chain(*found)) == list(range(24))


def test_what_is_written_meanwhile_is_not_in_it(lake: Lake) -> None:
    for number in range(4):
        write_deltalake(lake.root, numbers(number), mode="append")
    upto = lake.source().latest(Partition())
    first = lake.source().cut(Partition(), None, upto, Size(rows=1))
    write_deltalake(lake.root, numbers(100), mode="append")
    lake.table().optimize.compact()
    write_deltalake(lake.root, numbers(200), mode="overwrite")
    rows, _ = pull(lake.source().scan(ScanRequest(Partition(), None, first)))
    rest = pieces(lake, upto, Size(rows=2), first)
    assert sorted([*rows.column("id").to_pylist(), *chain(*rest)]) == [0, 1, 2, 3]


def test_partitions_and_conditions_on_them(lake: Lake) -> None:
    write_deltalake(lake.root, parts(), partition_by=["region", "day"])
    upto = lake.source().latest(Partition())
    assert sorted(chain(*pieces(lake, upto, Size(bytes=1)))) == [1, 2, 3, 4, 5]
    assert sorted(chain(*pieces(lake, upto, Size(rows=2), where="region = 'a/b'"))) == [1, 5]


def test_files_without_rows_and_without_statistics(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(1, 2))
    for name, table in ("empty", numbers()), ("more", numbers(3, 4, 5)), ("most", numbers(6)):
        pq.write_table(table, lake.root / f"{name}.parquet")
        size = (lake.root / f"{name}.parquet").stat().st_size
        told = {
            "path": f"{name}.parquet",
            "partitionValues": {},
            "size": size,
            "modificationTime": 1,
            "dataChange": True,
        }
        lake.append_to_log({"add": told})
    found = pieces(lake, lake.source().latest(Partition()), Size(rows=3))
    assert sorted(chain(*found)) == [1, 2, 3, 4, 5, 6]
    assert all(len(piece) <= 3 for piece in found)
    (lake.root / "more.parquet").write_bytes(b"x" * (lake.root / "more.parquet").stat().st_size)
    with pytest.raises(DataError) as caught:
        pieces(lake, lake.source().latest(Partition()), Size(rows=3))
    assert caught.value.code in {"SRC-110", "SRC-370"}


def test_a_table_with_deletion_vectors_comes_whole(lake: Lake) -> None:
    write_deltalake(lake.root, numbers(10, 11, 12))
    assert lake.source().undivided() is None
    (added,) = [line["add"] for line in lake.log(0) if "add" in line]
    vector = {"storageType": "i", "pathOrInlineDv": inline_vector(1), "sizeInBytes": 34, "cardinality": 1}
    features = protocol(readerFeatures=["deletionVectors"], writerFeatures=["deletionVectors"])
    lake.append_to_log(
        features,
        {"remove": {"path": added["path"], "dataChange": True, "deletionTimestamp": 1}},
        {"add": {**added, "deletionVector": vector}},
    )
    write_deltalake(lake.root.parent / "other", numbers(7))
    (more,) = (lake.root.parent / "other").glob("*.parquet")
    more.rename(lake.root / "more.parquet")
    told = {"path": "more.parquet", "partitionValues": {}, "modificationTime": 1, "dataChange": True}
    lake.append_to_log({"add": {**told, "size": (lake.root / "more.parquet").stat().st_size}})
    why = lake.source().undivided()
    assert why is not None
    assert "deletion vectors" in why.because
    assert pieces(lake, lake.source().latest(Partition()), Size(rows=1)) == [[7, 10, 12]]


def test_what_later_versions_added_in_pieces(lake: Lake) -> None:
    for number in range(3):
        write_deltalake(lake.root, numbers(number), mode="append")
    after = {"v": 1, "version": 0}
    upto = lake.source().latest(Partition())
    write_deltalake(lake.root, numbers(9), mode="append")
    assert sorted(pieces(lake, upto, Size(rows=1), after)) == [[1], [2]]


@pytest.mark.parametrize("gone", ["file", "log"])
def test_a_version_that_is_gone_in_the_midst_of_it(gone: str, lake: Lake) -> None:
    for number in range(4):
        write_deltalake(lake.root, numbers(number), mode="append")
    upto = lake.source().latest(Partition())
    first = lake.source().cut(Partition(), None, upto, Size(rows=1))
    write_deltalake(lake.root, numbers(9), mode="overwrite")
    if gone == "file":
        lake.table().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    else:
        lake.table().create_checkpoint()
        for entry in (lake.root / "_delta_log").glob("*.json"):
            entry.unlink()
    with pytest.raises(DataError) as caught:
        pieces(lake, upto, Size(rows=1), first)
    assert caught.value.code == "SRC-370"
    assert "SRC-110" in str(caught.value) or "SRC-252" in str(caught.value)


def test_a_piece_of_a_file_that_is_cut_off_is_a_piece_of_nothing(lake: Lake) -> None:
    """An empty table, and one of a single file, come in one piece."""
    write_deltalake(lake.root, pa.table({"id": pa.array([], pa.int64())}))
    assert pieces(lake, lake.source().latest(Partition()), Size(rows=1)) == [[]]
    write_deltalake(lake.root, numbers(*range(9)), mode="append")
    assert list(chain(*pieces(lake, lake.source().latest(Partition()), Size(rows=1)))) == list(range(9))
