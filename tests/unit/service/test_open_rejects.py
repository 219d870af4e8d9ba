"""Which rows of a reject file are open: all but those that were settled as rows of some group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from penstock.errors import DataError
from penstock.graph.replayed import SOURCE
from penstock.ledger.api import PipelineKey, Range, RejectFile
from penstock.ledger.rejects import RejectFiles, left_of, open_rows, read
from penstock.run.replays import Replay, columns_kept, part_of, replay_of

if TYPE_CHECKING:
    from pathlib import Path

# By row, its causes: code and column.
ROWS = [[("a", "x")], [("a", "x"), ("b", None)], [("b", None)], [("a", "y"), ("a", "y")], [("a", None)]]


MOST_OF_A_BATCH = 65_536
KEY = PipelineKey("p", "default", "x")


def rejected(rows: list[str], causes: list[list[tuple[str, str | None]]]) -> pa.RecordBatch:
    told = [[{"code": code, "column": name, "message": "m"} for code, name in row] for row in causes]
    kind = pa.list_(pa.struct(dict.fromkeys(("code", "column", "message"), pa.string())))
    return pa.record_batch({"row": rows, "causes": pa.array(told, kind)})


@pytest.fixture
def file(tmp_path: Path) -> RejectFile:
    files = RejectFiles(tmp_path, KEY, 1, "a", {}, places={"n": {"": "x.yml:1:1"}})
    for part in (ROWS[:2], ROWS[2:]):
        files.write("n", rejected([str(row) for row in part], part))
    (found,) = files.finish()
    return found


@pytest.mark.parametrize(
    ("settled", "left"),
    [
        ([], [0, 1, 2, 3, 4]),
        ([("a", "x")], [2, 3, 4]),
        ([("b", None)], [0, 3, 4]),
        ([("a", None)], [0, 1, 2, 3]),
        ([("a", "x"), ("b", None), ("a", "y")], [4]),
        ([("c", "x")], [0, 1, 2, 3, 4]),
    ],
)
def test_a_row_is_settled_with_any_of_its_groups(tmp_path, file, settled, left):
    found = [row for batch in read(tmp_path, file) for row in open_rows(batch, settled).column("row").to_pylist()]
    assert found == [str(ROWS[number]) for number in left]
    rows, groups = left_of(tmp_path, file, settled)
    assert rows == len(left)
    expected = {group: sum(group in ROWS[number] for number in left) for row in ROWS for group in row}
    assert groups == {group: number for group, number in expected.items() if number}


def test_a_part_is_what_is_open_of_a_group(tmp_path, file):
    part = part_of(tmp_path, file, [("b", None)], ("a", "x"))
    assert (part.rows, part.left_rows, part.left) == (1, 2, {("a", "y"): 1, ("a", None): 1})


def test_a_replay_is_told_from_its_range(tmp_path, file):
    part = part_of(tmp_path, file, [("b", None)], ("a", "x"))
    replay = Replay("n", "a", "x", "node", "record", {"x": "1"}, (part,), ("rejects/r.parquet", "c0ffee"))
    again = replay_of([Range("s", "", None, {"v": 1}), Range(SOURCE, "", None, replay.position())])
    assert again is not None
    assert again.position() == replay.position()
    assert (again.rows, again.group, again.parts[0].left) == (1, ("a", "x"), part.left)
    assert replay_of([Range("s", "", None, {"v": 1})]) is None


def test_the_columns_of_a_group_are_found_behind_any_number_of_rows_of_other_groups(tmp_path):
    files = RejectFiles(tmp_path, KEY, 1, "a", {})
    files.write("n", rejected(["{}"] * MOST_OF_A_BATCH, [[("a", "x")]] * MOST_OF_A_BATCH))
    files.write("n", rejected(['{"x": 1, "y": 2}'], [[("b", None)]]))
    part = part_of(tmp_path, files.finish()[0], [], ("b", None))
    assert columns_kept(tmp_path, Replay("n", "b", None, "node", "record", {}, (part,))) == {"x", "y"}


def test_files_of_nodes_whose_names_are_alike_stay_apart_whatever_is_cleared_meanwhile(tmp_path):
    files = RejectFiles(tmp_path, KEY, 1, "a", {})
    for node in ("first", "a.b"):
        files.write(node, rejected([node], [[("a", "x")]]))
    files.clear("first")
    files.write("a_b", rejected(["a_b"], [[("a", "x")]]))
    found = [batch.column("row").to_pylist() for file in files.finish() for batch in read(tmp_path, file)]
    assert found == [["a.b"], ["a_b"]]


@pytest.mark.parametrize("harm", ["gone", "cut", "one bit"])
def test_a_file_that_is_not_what_was_written_is_named(tmp_path, file, harm):
    path = tmp_path / file.path
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(bytes(content[:-9] if harm == "cut" else content))
    with pytest.raises(DataError) as caught:
        list(read(tmp_path, file))
    assert caught.value.code == "LED-120"
