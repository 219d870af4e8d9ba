"""CSV files whose records end now in LF, now in CRLF or CR: DuckDB's strict reader gives up on the whole of such a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penstock.connectors.api import CsvFormat

_BLOCK_BYTES: Final = 4 * 2**20


def evened(path: str, form: CsvFormat, scratch: Path) -> str:
    """The path itself where all records end alike, else that of a private copy in which all end in LF.

    Breaks within quotes stay as they are. The copy is not compressed. Pipes are left alone.
    """
    if path.startswith("/dev/fd/") or not _differ(path, form):
        return path
    copy = scratch / "evened.csv"
    with stream(path, form.compression) as source, copy.open("wb") as target:
        for piece in _evened(_blocks(source), form):
            target.write(piece)
    return str(copy)


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


def _differ(path: str, form: CsvFormat) -> bool:
    """Whether more than one kind of break is there, within quotes or not."""
    pairs = returns = feeds = 0
    with stream(path, form.compression) as source:
        for block in _blocks(source):
            both = block.count(b"\r\n")
            pairs += both
            returns += block.count(b"\r") - both
            feeds += block.count(b"\n") - both
    return sum(count > 0 for count in (pairs, returns, feeds)) > 1


def _evened(blocks: Iterator[bytes], form: CsvFormat) -> Iterator[bytes]:
    """Quotes are followed as the reader does: one opens only at the beginning of a value, two within one are one."""
    quote = ('"' if form.quote is None else form.quote).encode()
    opens_after = (b"", b"\n", b"\r", (form.delimiter or ",").encode())
    if not quote:
        yield from (_plain(block) for block in blocks)
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
        yield b"".join(pieces)


def _plain(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


__all__ = ["evened", "stream"]
