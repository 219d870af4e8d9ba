"""Where a text of records may be cut: behind whole records alone, whatever stands in them."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.connectors.api import Size
from penstock.connectors.files.listing import START, FoundFile, Piece, Place
from penstock.connectors.files.pieces import Budget
from penstock.connectors.files.text_pieces import Quoting, copy_piece, divide_text

if TYPE_CHECKING:
    from pathlib import Path

CSV = Quoting(",", '"', header=True)


def pieces(folder: Path, data: bytes, size: Size, quoting: Quoting = CSV) -> list[bytes]:
    """What is copied of each piece."""
    path = folder / "text.csv"
    path.write_bytes(data)
    whole = FoundFile(str(path), "text.csv", len(data), 0)
    found, place = [], START
    while True:
        end = divide_text(whole, place, Budget(size), quoting)
        assert end is None or end.at > place.at
        piece = FoundFile(str(path), "text.csv", len(data), 0, Piece(place, end))
        origin = copy_piece(piece, folder / "copy", quoting, mark=0)
        found.append((folder / "copy").read_bytes())
        assert origin.skipped is not None
        begin = place.at - origin.skipped  # the header's length, where it is there a second time
        assert found[-1][begin:] == data[place.at : end.at if end else None]
        assert origin.records == place.records - bool(begin)
        if end is None:
            return found
        place = end


TEXTS = st.text(st.sampled_from('a,"\n é'), max_size=6)


@given(
    rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=30),
    rows_each=st.one_of(st.none(), st.integers(1, 7)),
    bytes_each=st.one_of(st.none(), st.integers(1, 60)),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_every_record_is_in_one_piece(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], rows_each: int, bytes_each: int, ending: str
) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator=ending).writerows([("c", "d"), *rows])
    data = written.getvalue().encode()
    found: list[list[str]] = []
    for piece in pieces(tmp_path_factory.mktemp("pieces"), data, Size(rows_each, bytes_each)):
        header, *records = csv.reader(io.StringIO(piece.decode(), newline=""))
        assert header == ["c", "d"]
        found += records
    assert found == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"c\n1\n2\n3\n", 3),
        (b"c\n1\n2\n3", 3),
        (b"c\n1\n\n3\n", 3),
        (b'c\n"a\nb"\n2\n3\n', 3),
        (b'c\n5" disk\n2\n3\n', 1),  # a quote that is none
        (b'c\n1\n5" disk\n2\n3\n', 2),
        (b'c\n "a"\n2\n3\n', 1),
        (b'c\n"a"b\n2\n3\n', 1),
        (b'c\n"never closed\n2\n3\n', 1),
        (b"c\r\n1\n2\r\n3\r\n", 1),  # line breaks of two kinds
        (b"c\r1\r2\r3\r", 1),  # of a kind that is not cut at
        (b"", 1),
        (b"c", 1),
    ],
)
def test_what_readers_could_see_otherwise_is_not_divided(data: bytes, count: int, tmp_path: Path) -> None:
    found = pieces(tmp_path, data, Size(rows=1))
    assert len([piece for piece in found if piece != b"c\n"]) == count


def test_lines_without_quotes_and_header(tmp_path: Path) -> None:
    found = pieces(tmp_path, b'{"a": "\\""}\n{"b": 2}\n{"c', Size(rows=1), Quoting())
    assert found == [b'{"a": "\\""}\n', b'{"b": 2}\n', b'{"c']


def test_a_record_larger_than_a_block(tmp_path: Path) -> None:
    long = b'"' + b"x\n" * 5_000_000 + b'"\n'
    found = pieces(tmp_path, b"c\n" + long + b"2\n", Size(bytes=10))
    assert [len(piece) for piece in found] == [2, 2 + len(long), 4]


def test_places_are_counted_in_records(tmp_path: Path) -> None:
    path = tmp_path / "text.csv"
    path.write_bytes(b'c\n"1\n1"\n2\n3\n')
    assert divide_text(FoundFile(str(path), "text.csv", 13, 0), START, Budget(Size(rows=2)), CSV) == Place(10, 3)
