"""CSV files that DuckDB would read wrongly, made ready in a private copy: mixed line breaks, at which its strict reader
gives up; quotes that are never closed, whose record it drops at the end of a file; a long last record without a line
break, which it takes, rejects or drops.
"""

from __future__ import annotations

import codecs
import io
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, BinaryIO, Final

from penstock.engines.duckdb.long_ends import is_long_end
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.api import CsvFormat

_BLOCK_BYTES: Final = 4 * 2**20


class Prepared(Frozen):
    """What is read in place of a file. ``size`` are the bytes of its own text in it, and ``sentinel`` what follows them;
    ``mark`` are the bytes of a byte order mark that it lacks. ``fed``: records that ended now so, now so, all end in LF;
    ``places_in_file`` tells where they stood.
    """

    path: str
    size: int = 0
    sentinel: str = ""
    mark: int = 0
    fed: bool = False


def prepared(path: str, form: CsvFormat, scratch: Path) -> Prepared:
    """The file itself, or a private copy, not compressed, of one that DuckDB would read wrongly.

    Where records end now so, now so, all of them end in LF in the copy; breaks within quotes stay as they are.
    Where there are quotes, the copy has a sentinel at its end: a quote, an x, a break. DuckDB drops a record at the end
    whose quote is never closed, without a word; behind such a record the sentinel closes the quote and spoils the value,
    so that the record becomes a reject, and behind any other it is itself what is dropped. A last record without a break
    gets one.
    """
    seen = _looked_at(path, form)
    if not seen.mixed and not seen.quoted and not seen.long_open:
        return Prepared(path)
    quote = _quote(form)
    copy = scratch / "prepared.csv"
    size, last, mark = 0, b"", 0
    with stream(path, form.compression) as source, copy.open("wb") as target:
        blocks = (evened for _, evened in _evened(_blocks(source), form)) if seen.mixed else _blocks(source)
        for place, block in enumerate(blocks):
            piece = block.removeprefix(codecs.BOM_UTF8) if place == 0 else block
            mark += len(block) - len(piece)
            target.write(piece)
            size, last = size + len(piece), piece[-1:] or last
        lead = b"" if last in (b"\n", b"\r", b"") else seen.line_break
        sentinel = lead + (quote + b"x" + seen.line_break if quote else b"")
        target.write(sentinel)
    return Prepared(str(copy), size, sentinel.decode(), mark, fed=seen.mixed)


def places_in_file(path: str, form: CsvFormat, ready: Prepared, places: Sequence[int]) -> list[int]:
    """Where bytes of a copy stand in the file itself, decompressed. Both are counted from 0; ``places`` ascend."""
    found: list[int] = []
    # The bytes of the copy before a block, and those that the copy lacks of them.
    before, gone = -ready.mark, ready.mark
    with stream(path, form.compression) as source:
        for block, evened in _evened(_blocks(source), form):
            if len(found) == len(places):
                break
            here = places[len(found) : bisect_left(places, before + len(evened), lo=len(found))]
            cuts = _cuts(block, evened) if here else ()
            found += [place + gone + bisect_left(cuts, place - before) for place in here]
            before, gone = before + len(evened), gone + len(block) - len(evened)
    return found


def bytes_at(ready: Prepared, form: CsvFormat, places: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """The bytes of records that begin (from 0) and are as long as ``places`` say, in ascending order; no sentinel."""
    at = 0
    with stream(ready.path, form.compression) as source:
        for start, length in places:
            while at < start and (passed := source.read(min(start - at, _BLOCK_BYTES))):
                at += len(passed)
            found = source.read(min(length, ready.size - start) if ready.sentinel else length)
            at += len(found)
            yield found


def _cuts(block: bytes, evened: bytes) -> list[int]:
    """Where in an evened block an LF stands for a CR LF of the block."""
    cuts: list[int] = []
    for pair in re.finditer(rb"\r\n", block):
        place = pair.start() - len(cuts)
        if evened[place : place + 1] == b"\n":
            cuts.append(place)
    return cuts


def _quote(form: CsvFormat) -> bytes:
    return ('"' if form.quote is None else form.quote).encode()


def stream(path: str, compression: str | None) -> BinaryIO:
    """The bytes of a file, decompressed."""
    import pyarrow as pa

    if compression in ("gzip", "zstd"):
        return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(path), compression))
    return open(path, "rb")  # noqa: PTH123 -- the caller closes it; a hostile path is no Path


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    """Blocks that never end between CR and LF."""
    while block := source.read(_BLOCK_BYTES):
        if block.endswith(b"\r"):
            block += source.read(1)
        yield block


class _Seen(Frozen):
    """``mixed``: more than one kind of break is there, within quotes or not. ``long_open``: the last record is longer than
    one may be, and no break follows it. ``line_break``: the one of the copy.
    """

    mixed: bool
    quoted: bool
    long_open: bool
    line_break: bytes


def _looked_at(path: str, form: CsvFormat) -> _Seen:
    pairs = returns = feeds = 0
    quote, quoted = _quote(form), False
    before = last = b""
    with stream(path, form.compression) as source:
        for block in _blocks(source):
            both = block.count(b"\r\n")
            pairs += both
            returns += block.count(b"\r") - both
            feeds += block.count(b"\n") - both
            quoted = quoted or bool(quote and quote in block)
            before, last = last, block
    long_open = not last.endswith((b"\n", b"\r")) and is_long_end(before + last)
    kinds = [kind for kind, count in ((b"\r\n", pairs), (b"\r", returns), (b"\n", feeds)) if count]
    return _Seen(len(kinds) > 1, quoted, long_open, kinds[0] if len(kinds) == 1 else b"\n")


def _evened(blocks: Iterator[bytes], form: CsvFormat) -> Iterator[tuple[bytes, bytes]]:
    """Each block, and what becomes of it. Quotes are followed as the reader does: one opens only at the beginning of a
    value, two within one are one.
    """
    quote = _quote(form)
    opens_after = (b"", b"\n", b"\r", (form.delimiter or ",").encode())
    if not quote:
        yield from ((block, _plain(block)) for block in blocks)
        return
    inside, just_closed, before = False, False, b""
    for block in blocks:
        pieces: list[bytes] = []
        for place, part in enumerate(block.split(quote)):
            if place:
                inside, just_closed = not inside and (just_closed or before in opens_after), inside
                pieces.append(quote)
            just_closed = just_closed and not part
            pieces.append(part if inside else _plain(part))
            before = part[-1:] or (quote if place else before)
        yield block, b"".join(pieces)


def _plain(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


__all__ = ["Prepared", "bytes_at", "places_in_file", "prepared", "stream"]
