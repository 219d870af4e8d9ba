"""Where a text of records, one per line, may be cut, and private copies of what lies between two cuts.

A cut stands behind a line break outside of quotes. Where a quote is not what a quote is in a well-formed file (around a
whole value, or doubled in one), or line breaks are of several kinds, readers may see the lines otherwise: from there on
the file is not divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.connectors.api import Origin, Size
from penstock.connectors.files.listing import Place, unreadable
from penstock.connectors.files.pieces import Budget
from penstock.structs import Frozen

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from penstock.connectors.files.listing import FoundFile

_BLOCK_BYTES: Final = 4 * 2**20
_LONGEST: Final = 64 * 2**20  # what is longer is no record, whatever it is
_BREAK: Final = 10
_RETURN: Final = 13


class Quoting(Frozen):
    """``quote`` around values that may have line breaks, "" where there is none; ``header``: the first record names columns."""

    delimiter: str = ""
    quote: str = ""
    header: bool = False


def divide_text(file: FoundFile, start: Place, budget: Budget, quoting: Quoting) -> Place | None:
    """As ``pieces.Divide``. Raises ConfigError SRC-132."""
    try:
        with file.path.open("rb") as stream:
            ends_in_return = _ends_in_return(stream.readline(_LONGEST))
            stream.seek(start.at)
            if quoting.header and not start.at:
                budget.take(-1, 0)  # it is none of the rows
            return _divided(stream, start, budget, quoting, ends_in_return=ends_in_return)
    except OSError as error:
        raise unreadable(file.path, error) from None


def _divided(stream: BinaryIO, start: Place, budget: Budget, quoting: Quoting, *, ends_in_return: bool) -> Place | None:
    place, data = start, b""
    while block := stream.read(_BLOCK_BYTES):
        data += block
        found = _taken(data, budget, quoting, ends_in_return=ends_in_return)
        if found is None or (not found.seen and len(data) > _LONGEST):
            return None
        if found.seen and not found.records:
            if place != start:
                return place
            found = _taken(data, Budget(Size(rows=1)), quoting, ends_in_return=ends_in_return)
            assert found is not None
        budget.take(found.records, found.length)
        place = Place(place.at + found.length, place.records + found.records)
        data = data[found.length :]
        if budget.is_spent:
            return place if data or stream.read(1) else None
    budget.take(int(bool(data)), len(data))
    return None


class _Taken(Frozen):
    """Of some text the records that a budget allows, and their bytes; ``seen``: whether there is a whole record at all."""

    records: int
    length: int
    seen: bool


def _taken(data: bytes, budget: Budget, quoting: Quoting, *, ends_in_return: bool) -> _Taken | None:
    """None where the lines cannot be told for certain."""
    if not quoting.quote or quoting.quote.encode() not in data:  # every line break is the end of a record
        length = data.rfind(b"\n") + 1
        records = data.count(b"\n", 0, length)
        if _is_within(records, budget.rows_left) and _is_within(length, budget.bytes_left):
            return _Taken(records, length, bool(records)) if _is_plain(data, length, ends_in_return) else None
    ends = _ends(data, quoting, ends_in_return=ends_in_return)
    if ends is None or not len(ends):
        return None if ends is None else _Taken(0, 0, seen=False)
    cut = _cut(ends, budget)
    return _Taken(cut + 1, ends[cut].as_py() if cut >= 0 else 0, seen=True)


def _is_within(wanted: int, left: int | None) -> bool:
    return left is None or wanted <= left


def _is_plain(data: bytes, length: int, ends_in_return: bool) -> bool:  # noqa: FBT001 -- by place
    """Whether the lines end as the first one of the file does."""
    returns = data.count(b"\r\n", 0, length) if b"\r" in data else 0
    return returns == (data.count(b"\n", 0, length) if ends_in_return else 0)


def _cut(ends: pa.Array, budget: Budget) -> int:
    """Which of the records' ends is the last one that the budget allows; below 0: none of them."""
    import pyarrow.compute as pc

    cut = len(ends) - 1
    if budget.rows_left is not None:
        cut = min(cut, budget.rows_left - 1)
    if budget.bytes_left is not None:
        within = pc.sum(pc.less_equal(ends, budget.bytes_left)).as_py()
        cut = min(cut, (within or 0) - 1)
    return cut


def _ends(data: bytes, quoting: Quoting, *, ends_in_return: bool) -> pa.Array | None:
    """Behind the line break of each whole record (int64, ascending); None where the lines cannot be told for certain."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
    breaks = pc.cast(pc.indices_nonzero(pc.equal(text, _BREAK)), pa.int64())
    if quoting.quote and quoting.quote.encode() in data:
        is_quote = pc.equal(text, ord(quoting.quote))
        before = pc.cumulative_sum(pc.cast(is_quote, pa.int32()))
        outside = pc.equal(pc.bit_wise_and(pc.take(before, breaks), 1), 0)
        breaks = pc.filter(breaks, outside)
        known = breaks[-1].as_py() + 1 if len(breaks) else 0
        if not _is_regular(text.slice(0, known), is_quote.slice(0, known), before.slice(0, known), quoting):
            return None
    if not len(breaks):
        return breaks
    return pc.add(breaks, 1) if _is_plain(data, breaks[-1].as_py() + 1, ends_in_return) else None


def _is_regular(text: pa.Array, is_quote: pa.Array, before: pa.Array, quoting: Quoting) -> bool:
    """Whether each quote that opens stands behind a delimiter, a line break or a quote, each that closes before one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quotes = pc.cast(pc.indices_nonzero(is_quote), pa.int64())
    opens = pc.equal(pc.bit_wise_and(pc.take(before, quotes), 1), 1)
    around = pa.array([ord(quoting.delimiter), _BREAK, _RETURN, ord(quoting.quote)], pa.uint8())

    def beside(places: pa.Array) -> bool:
        return pc.all(pc.is_in(pc.take(text, places), value_set=around)).as_py() is not False

    opening, closing = pc.filter(quotes, opens), pc.filter(quotes, pc.invert(opens))
    return beside(pc.filter(pc.subtract(opening, 1), pc.greater(opening, 0))) and beside(pc.add(closing, 1))


def _ends_in_return(line: bytes) -> bool:
    return line.endswith(b"\r\n")


# ---------------------------------------------------------------- copies


def copy_piece(file: FoundFile, target: Path, quoting: Quoting, *, mark: int) -> Origin:
    """The file's piece as a file of its own, which begins with the header where there is one; without the first ``mark``
    bytes of the file. Raises ConfigError SRC-132.
    """
    piece = file.piece
    assert piece is not None
    end = piece.end.at if piece.end is not None else file.size
    try:
        with file.path.open("rb") as source, target.open("wb") as copy:
            head = _head(source, quoting) if piece.start.at else b""
            copy.write(head[mark:])
            begin = max(piece.start.at, mark)
            source.seek(begin)
            _copy(source, copy, end - begin)
    except OSError as error:
        raise unreadable(file.path, error) from None
    kept = len(head[mark:])
    return Origin(file.shown, begin - kept, piece.start.records - bool(head))


def _head(source: BinaryIO, quoting: Quoting) -> bytes:
    """The header, to its line break."""
    if not quoting.header:
        return b""
    data = b""
    while block := source.read(_BLOCK_BYTES):
        data += block
        ends = _ends(data, quoting, ends_in_return=_ends_in_return(data[: data.find(b"\n") + 1]))
        if ends is not None and len(ends):
            return data[: ends[0].as_py()]
    return data


def _copy(source: BinaryIO, target: BinaryIO, size: int) -> None:
    while size > 0 and (block := source.read(min(size, _BLOCK_BYTES))):
        target.write(block)
        size -= len(block)
