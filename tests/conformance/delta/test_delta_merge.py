"""Merge: what changes, what is rewritten, what is left alone; exact to the row."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from penstock.connectors.delta import layout
from penstock.errors import DataError
from penstock.testing import data
from penstock.testing.sinks import deliver, epoch, rows
from penstock.testing.sinks.deliveries import SINK_ID, stage
from penstock.types.arrow import from_arrow

if TYPE_CHECKING:
    from delta_lake import Lake
    from penstock.connectors.api import Receipt

NAMES = ("id", "seen", "name")
MERGE: dict[str, Any] = {"mode": "merge", "keys": ["id"]}


def came(*values: tuple[Any, ...]) -> pa.Table:
    return rows(*values, names=NAMES)


def files(lake: Lake) -> set[str]:
    return {path.rpartition("/")[2] for path in lake.table().file_uris()}


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.inserted, receipt.updated, receipt.unchanged, receipt.ignored_older


def test_merging_what_is_there_writes_no_file_and_moves_the_marker(lake: Lake) -> None:
    table = came((1, 1, "a"), (2, None, None))
    deliver(lake.sink(**MERGE), epoch(1), table)
    before = files(lake)
    receipt = deliver(lake.sink(**MERGE), epoch(2), table)
    assert counts(receipt) == (0, 0, 2, 0)
    assert (receipt.bytes, receipt.version) == (0, "1")
    assert files(lake) == before
    assert not [line for line in lake.log(1) if "add" in line or "remove" in line]
    assert {path.name for path in lake.root.iterdir()} == {*before, "_delta_log"}


def test_only_files_that_hold_a_changed_row_are_rewritten(lake: Lake) -> None:
    for number, start in enumerate((0, 100, 200), start=1):
        deliver(lake.sink(**MERGE), epoch(number), came(*[(start + at, 1, "old") for at in range(3)]))
    before = files(lake)
    receipt = deliver(lake.sink(**MERGE), epoch(4), came((101, 1, "new"), (200, 1, "old"), (300, 1, "new")))
    assert counts(receipt) == (1, 1, 1, 0)
    assert len(before & files(lake)) == 2
    assert {row["id"]: row["name"] for row in lake.rows()} == {
        **{start + at: "old" for start in (0, 100, 200) for at in range(3)},
        101: "new",
        300: "new",
    }


def test_columns_that_did_not_come_are_kept_and_null_in_new_rows(lake: Lake) -> None:
    deliver(lake.sink(**MERGE), epoch(1), came((1, 7, "a"), (2, 8, "b")))
    receipt = deliver(lake.sink(**MERGE), epoch(2), rows((2, "B"), (3, "c")))
    assert counts(receipt) == (1, 1, 0, 0)
    assert [(row["id"], row["seen"], row["name"]) for row in lake.rows()] == [(1, 7, "a"), (2, 8, "B"), (3, None, "c")]


def test_a_row_that_is_only_a_key_changes_nothing(lake: Lake) -> None:
    deliver(lake.sink(**MERGE), epoch(1), came((1, 7, "a")))
    receipt = deliver(lake.sink(**MERGE), epoch(2), rows((1,), (2,), names=("id",)))
    assert counts(receipt) == (1, 0, 1, 0)
    assert [(row["id"], row["name"]) for row in lake.rows()] == [(1, "a"), (2, None)]


def test_a_changed_partition_moves_the_row(lake: Lake) -> None:
    options = {**MERGE, "partition_by": ["name"]}
    deliver(lake.sink(**options), epoch(1), came((1, 1, "a/b"), (2, 1, None), (3, 1, "c")))
    receipt = deliver(lake.sink(**options), epoch(2), came((1, 1, None), (2, 1, "..")))
    assert counts(receipt) == (0, 2, 0, 0)
    assert [(row["id"], row["name"]) for row in lake.rows()] == [(1, None), (2, ".."), (3, "c")]


def test_a_key_that_divides_the_table_leaves_other_partitions_unread(lake: Lake) -> None:
    options: dict[str, Any] = {"mode": "merge", "keys": ["id", "name"], "partition_by": ["name"]}
    deliver(lake.sink(**options), epoch(1), came((1, 1, "a"), (1, 1, "b"), (2, 1, "c")))
    for path in (lake.root / "name=c").iterdir():
        size = path.stat().st_size
        path.write_bytes(b"\0" * size)
    receipt = deliver(lake.sink(**options), epoch(2), came((1, 2, "a"), (9, 2, "b")))
    assert counts(receipt) == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("table", "detail"),
    [
        (came((1, 1, "a"), (1, 2, "b")), "2 rows have 1 keys"),
        (came((1, 1, "a"), (1, 1, "a")), "2 rows have 1 keys"),
    ],
)
def test_a_key_twice_is_refused_and_nothing_is_written(lake: Lake, table: pa.Table, detail: str) -> None:
    deliver(lake.sink(**MERGE), epoch(1), came((5, 1, "a")))
    with pytest.raises(DataError) as caught:
        deliver(lake.sink(**MERGE), epoch(2), table)
    assert caught.value.code == "SNK-254"
    assert detail in str(caught.value)
    assert len(lake.rows()) == 1
    lake.sink(**MERGE).marker(SINK_ID)
    assert not (lake.root / layout.STAGING).exists()


def test_a_null_key_is_refused(lake: Lake) -> None:
    table = pa.table({"id": pa.array([1, None], pa.int64()), "name": ["a", "b"]})
    with pytest.raises(DataError) as caught:
        deliver(lake.sink(**MERGE), epoch(1), table)
    assert caught.value.code == "SNK-254"
    assert "null" in str(caught.value)


def test_a_key_that_the_table_has_twice_is_refused(lake: Lake) -> None:
    write_deltalake(lake.root, pa.table({"id": [1, 1, 2], "name": ["a", "b", "c"]}))
    with pytest.raises(DataError) as caught:
        deliver(lake.sink(**MERGE), epoch(1), rows((1, "x")))
    assert caught.value.code == "SNK-254"
    assert "table" in str(caught.value)
    assert deliver(lake.sink(**MERGE), epoch(1), rows((2, "x"))).updated == 1


def test_rows_of_the_table_without_a_key_stay(lake: Lake) -> None:
    write_deltalake(lake.root, pa.table({"id": pa.array([None, 1], pa.int64()), "name": ["lost", "a"]}))
    deliver(lake.sink(**MERGE), epoch(1), rows((1, "A")))
    found = pa.table(lake.table().scan()).to_pylist()
    assert sorted((str(row["id"]), row["name"]) for row in found) == [("1", "A"), ("None", "lost")]


def test_columns_of_our_own_working_names_are_no_trouble(lake: Lake) -> None:
    names = ("id", "outcome", "number", "OUTCOME_", "c", "t", "j", "n", "came", "joined", "file_index")
    table = rows((1, *names[1:]), (2, *names[1:]), names=names)
    options = {**MERGE, "partition_by": ["t"]}
    deliver(lake.sink(**options), epoch(1), table)
    deliver(lake.sink(**options), epoch(2), rows((3, *names[1:3], "x", "y", "z", *names[6:]), names=names))
    receipt = deliver(lake.sink(**options), epoch(3), rows((2, *reversed(names[1:])), names=names))
    assert counts(receipt) == (0, 1, 0, 0)
    assert [(row["outcome"], row["t"]) for row in lake.rows()] == [
        ("outcome", "t"),
        ("file_index", "j"),
        ("outcome", "z"),
    ]


@pytest.mark.parametrize("kind", ["string", "float64", "decimal(38,10)", "date", "timestamptz", "uuid", "binary"])
def test_keys_of_every_type_find_their_rows(lake: Lake, kind: str) -> None:
    values = data.column(kind).values.drop_null()
    if kind == "float64":
        values = pa.array([value for value in values.to_pylist() if value != 0 or math.copysign(1, value) > 0])
    values = values.unique() if kind != "uuid" else values
    table = data.table_of(values, "key")
    options: dict[str, Any] = {"mode": "merge", "keys": ["key"]}
    deliver(lake.sink(**options), epoch(1), table)
    receipt = deliver(lake.sink(**options), epoch(2), table)
    assert counts(receipt) == (0, 0, table.num_rows, 0)
    changed = table.set_column(0, table.schema.field(0), pa.array([-1] * table.num_rows, pa.int64()))
    assert counts(deliver(lake.sink(**options), epoch(3), changed)) == (0, table.num_rows, 0, 0)


def test_several_writers_of_one_merge_are_one_batch(lake: Lake) -> None:
    sink = lake.sink(**MERGE)
    sink.prepare(from_arrow(came().schema))
    staged = [stage(sink, epoch(1), came((number, 1, "a"))) for number in range(3)]
    assert counts(sink.commit(epoch(1), staged)) == (3, 0, 0, 0)
    staged = [stage(sink, epoch(2), came((1, 1, "a"))), stage(sink, epoch(2), came((1, 1, "b")))]
    with pytest.raises(DataError) as caught:
        sink.commit(epoch(2), staged)
    assert caught.value.code == "SNK-254"


def test_nothing_that_came_merges_to_nothing(lake: Lake) -> None:
    deliver(lake.sink(**MERGE), epoch(1), came((1, 1, "a")))
    assert counts(deliver(lake.sink(**MERGE), epoch(2), came())) == (0, 0, 0, 0)
    sink = lake.sink(**MERGE)
    sink.prepare(from_arrow(came().schema))
    assert counts(sink.commit(epoch(3), [])) == (0, 0, 0, 0)
    assert len(lake.rows()) == 1


@pytest.mark.parametrize("seed", range(4))
def test_merges_at_random_agree_with_a_plain_reckoning(lake: Lake, seed: int) -> None:
    chance = random.Random(seed)
    partition_by = ["name"] if seed % 2 else []
    options = {**MERGE, "order_by": "seen", "partition_by": partition_by}
    there: dict[int, tuple[int | None, str | None]] = {}
    for number in range(1, 6):
        ids = chance.sample(range(30), chance.randrange(1, 15))
        batch = [(key, chance.choice([None, 1, 2, 3]), chance.choice(["a", "b", None])) for key in ids]
        expected = [0, 0, 0, 0]
        for key, seen, name in batch:
            expected[reckon(there, key, seen, name)] += 1
        receipt = deliver(lake.sink(**options), epoch(number), came(*batch))
        assert list(counts(receipt)) == expected
        assert {row["id"]: (row["seen"], row["name"]) for row in lake.rows()} == there


def reckon(there: dict[int, tuple[int | None, str | None]], key: int, seen: int | None, name: str | None) -> int:
    """Which of the four a row comes to; changes ``there``."""
    old = there.get(key)
    if old is not None and old[0] is not None and (seen is None or seen < old[0]):
        return 3
    if old == (seen, name):
        return 2
    there[key] = (seen, name)
    return 0 if old is None else 1
