"""Pieces of a version of a table: together they are all of it, each file is in one, and each is about as large as asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.api import Size
from penstock.connectors.lake.pieces import Pieces, Reached, is_piece, of_series, reached
from penstock.connectors.lake.tables import DataFile
from penstock.errors import ConfigError, DataError
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.api import Position

UNTOLD = 7  # rows of a file of which the table does not say how many it has


@dataclass(frozen=True)
class Table:
    files: tuple[DataFile, ...]
    title: str = "the table"
    schema: Schema = field(default_factory=lambda: Schema(()))
    partition_by: tuple[str, ...] = ()
    field_ids: dict[str, int] = field(default_factory=dict)

    def local(self, files: Sequence[DataFile]) -> list[Path]:
        raise AssertionError(files)

    def bounds(self, column: str) -> dict[str, tuple[object, object]]:
        raise AssertionError(column)


def a_file(name: str, rows: int | None = 1, size: int = 1) -> DataFile:
    return DataFile(name, size, rows, {})


def pieces_of(*versions: Sequence[DataFile], plain: bool = True) -> Pieces[Table]:
    tables = [Table(tuple(files)) for files in versions]
    return Pieces("version", lambda number: tables[number or 0], lambda _: plain)


def walk(pieces: Pieces[Table], after: Position | None, upto: Position, size: Size) -> list[frozenset[str]]:
    """Every position goes through JSON, as in the ledger."""
    found = []
    while after != upto:
        end = json.loads(json.dumps(pieces.cut(after, upto, size, lambda _: UNTOLD)))
        found.append(pieces.chosen(after, end))
        assert pieces.chosen(after, end) == found[-1]
        after = end
    return found


names = st.lists(st.text("abc/=", min_size=1, max_size=4), unique=True, max_size=8)
told = st.tuples(st.none() | st.integers(0, 20), st.integers(0, 20))
sizes = st.builds(Size, st.none() | st.integers(1, 30), st.none() | st.integers(1, 30))


@given(st.data(), names, sizes, st.integers(0, 8))
def test_the_pieces_are_the_whole_and_have_no_file_twice(
    data: st.DataObject, paths: list[str], size: Size, before: int
) -> None:
    files = [a_file(path, *data.draw(told)) for path in paths]
    pieces = pieces_of(files[:before], files)
    for after, every in (None, files), ({"v": 1, "version": 0}, files[before:]):
        found = walk(pieces, after, {"v": 1, "version": 1}, size)
        listed = [path for piece in found for path in piece]
        assert sorted(listed) == sorted(file.path for file in every)
        assert all(max(one) < min(other) for one, other in pairwise(found))
        by_path = {file.path: file for file in files}
        for piece in found:
            rows = sum(UNTOLD if by_path[path].rows is None else by_path[path].rows or 0 for path in piece)
            length = sum(by_path[path].size for path in piece)
            assert len(piece) <= 1 or size.rows is None or rows <= size.rows
            assert len(piece) <= 1 or size.bytes is None or length <= size.bytes
        assert not any(piece == frozenset() for piece in found[1:])


def test_as_much_as_fits_is_in_one_piece() -> None:
    pieces = pieces_of([a_file(name, 5, 100) for name in "abcde"])
    found = walk(pieces, None, {"v": 1, "version": 0}, Size(rows=10))
    assert found == [{"a", "b"}, {"c", "d"}, {"e"}]
    assert walk(pieces, None, {"v": 1, "version": 0}, Size(rows=100, bytes=300)) == [{"a", "b", "c"}, {"d", "e"}]
    assert walk(pieces, None, {"v": 1, "version": 0}, Size()) == [{"a", "b", "c", "d", "e"}]


def test_a_position_says_how_many_files_and_no_names() -> None:
    pieces = pieces_of([a_file("a")], [a_file(name) for name in "abc"])
    upto = {"v": 1, "version": 1}
    assert pieces.cut(None, upto, Size(rows=1), lambda _: 1) == {"v": 1, "version": 1, "files": 1}
    midst = pieces.cut({"v": 1, "version": 0}, upto, Size(rows=1), lambda _: 1)
    assert midst == {"v": 1, "version": 1, "since": 0, "files": 1}
    assert pieces.chosen(None, midst) == {"a", "b"}  # all up to there, from the beginning
    assert pieces.chosen(midst, upto) == {"c"}
    assert (is_piece(None, midst), is_piece(None, upto)) == (True, False)


def test_where_rows_were_changed_nothing_is_new() -> None:
    pieces = pieces_of([a_file("a")], [a_file("b")])
    for act in (pieces.chosen, lambda after, upto: pieces.cut(after, upto, Size(rows=1), lambda _: 1)):
        with pytest.raises(DataError) as caught:
            act({"v": 1, "version": 0}, {"v": 1, "version": 1})
        assert caught.value.code == "SRC-266"
    with pytest.raises(DataError):
        pieces_of([a_file("a")], [a_file("a"), a_file("b")], plain=False).chosen(
            {"v": 1, "version": 0}, {"v": 1, "version": 1}
        )


@pytest.mark.parametrize(
    "position", [{"v": 2, "version": 1}, {"v": 1}, {"v": 1, "version": "1"}, {"v": 1, "version": 1, "files": "2"}]
)
def test_a_position_of_another_form_is_refused(position: Position) -> None:
    with pytest.raises(ConfigError) as caught:
        reached(position, "version")
    assert caught.value.code == "SRC-255"


def test_a_series_over_another_version_is_not_gone_on_with() -> None:
    pieces = pieces_of([a_file("a")], [a_file("a")])
    with pytest.raises(ConfigError) as caught:
        pieces.chosen(Reached(0, None, 1).to_json("version"), {"v": 1, "version": 1})
    assert caught.value.code == "SRC-255"


def test_only_in_a_series_has_a_version_that_is_gone_another_way_out() -> None:
    def gone(code: str) -> None:
        raise DataError(code, "a file is gone", detail="part-1")

    for is_one, code, told in (
        (True, "SRC-110", "SRC-370"),
        (False, "SRC-110", "SRC-110"),
        (True, "SRC-254", "SRC-254"),
    ):
        with pytest.raises(DataError) as caught, of_series(is_one):
            gone(code)
        assert caught.value.code == told
    with pytest.raises(DataError, match="version of a table") as caught, of_series(True):
        gone("SRC-110")
    (problem,) = caught.value.problems
    assert problem.detail == "SRC-110: a file is gone; part-1."
    assert "--full-refresh" in str(problem.hint)
