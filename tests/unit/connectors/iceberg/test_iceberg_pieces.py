"""An Iceberg table in pieces: many small files, partitions, files that delete rows of others, snapshots that expire."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyiceberg.expressions import EqualTo
from test_iceberg_source import SCHEMA, deleting, loaded

from penstock.connectors.api import Batches, Partition, ScanRequest, Size
from penstock.errors import DataError
from penstock.testing.delivery import pull

if TYPE_CHECKING:
    from iceberg_tables import Lake
    from penstock.connectors.api import Position


def some(*ids: int) -> pa.Table:
    return pa.table({"id": ids, "name": [str(number) for number in ids]}, schema=SCHEMA)


def pieces(lake: Lake, upto: Position, size: Size, after: Position | None = None) -> list[list[int]]:
    """The ids of each, read by a source of its own, as after a kill."""
    found, part = [], Partition()
    while after != upto:
        source = lake.source()
        end = source.cut(part, after, upto, size)
        rows, rejects = pull(source.scan(ScanRequest(part, after, end, ("id",))))
        assert not rejects
        found.append(sorted(rows.column("id").to_pylist()))
        after = end
        source.close()
    return found


def latest(lake: Lake) -> Position:
    return lake.source().latest(Partition())


def test_many_small_files_and_what_comes_meanwhile(lake: Lake) -> None:
    loaded(lake, *(some(number * 2, number * 2 + 1) for number in range(6)))
    upto = latest(lake)
    lake.add(some(100))
    lake.table().delete(EqualTo("id", 3))
    found = pieces(lake, upto, Size(rows=5))
    assert [len(piece) for piece in found] == [4, 4, 4]
    assert sorted(chain(*found)) == list(range(12))


def test_partitions(lake: Lake) -> None:
    lake.create(SCHEMA)
    with lake.table().update_spec() as change:
        change.add_identity("name")
    lake.add(some(1, 2, 3))
    lake.add(some(1, 4))
    assert sorted(pieces(lake, latest(lake), Size(rows=1))) == [[1], [1], [2], [3], [4]]


def test_files_that_delete_rows_are_applied_to_their_piece(lake: Lake) -> None:
    loaded(lake, some(1, 2), some(3), some(4, 5))
    (path,) = (t.file.file_path for t in lake.table().scan().plan_files() if t.file.record_count == 1)
    deleting(lake, path, 0)
    source, upto = lake.source(), latest(lake)
    assert isinstance(source.scan(ScanRequest(Partition(), None, upto)), Batches)
    found = pieces(lake, upto, Size(rows=1))
    assert len(found) == 3
    assert sorted(found) == [[], [1, 2], [4, 5]]


def test_what_later_snapshots_added_in_pieces(lake: Lake) -> None:
    loaded(lake, some(1))
    after = latest(lake)
    for number in (2, 3):
        lake.add(some(number))
    upto = latest(lake)
    lake.add(some(4))
    assert sorted(pieces(lake, upto, Size(rows=1), after)) == [[2], [3]]


def test_from_a_table_that_never_had_rows(lake: Lake) -> None:
    lake.create(SCHEMA)
    after = latest(lake)
    assert pieces(lake, after, Size(rows=1)) == [[]]
    for number in (1, 2):
        lake.add(some(number))
    assert sorted(pieces(lake, latest(lake), Size(rows=1), after)) == [[1], [2]]


@pytest.mark.parametrize("gone", ["file", "snapshot"])
def test_a_snapshot_that_is_gone_in_the_midst_of_it(gone: str, lake: Lake) -> None:
    loaded(lake, some(1), some(2), some(3))
    upto = latest(lake)
    first = lake.source().cut(Partition(), None, upto, Size(rows=1))
    lake.table().overwrite(some(9))
    if gone == "snapshot":
        lake.table().maintenance.expire_snapshots().by_ids([upto["snapshot"]]).commit()  # type: ignore[list-item]
    else:
        live = {task.file.file_path.rpartition("/")[2] for task in lake.table().scan().plan_files()}
        for path in lake.root.rglob("*.parquet"):
            if path.name not in live:
                path.unlink()
    with pytest.raises(DataError) as caught:
        pieces(lake, upto, Size(rows=1), first)
    assert caught.value.code == "SRC-370"
