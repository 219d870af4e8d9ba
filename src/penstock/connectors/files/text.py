"""Text of files: compression, encodings, samples, and private copies of what the engine's readers cannot take as it is."""

from __future__ import annotations

import codecs
import io
import os
import shutil
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from penstock.connectors.api import Origin
from penstock.connectors.files.listing import unreadable
from penstock.connectors.files.text_pieces import Quoting, copy_piece
from penstock.errors import ConfigError, DataError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penstock.connectors.files.listing import FoundFile

Compression = Literal["none", "gzip", "zstd"]

SAMPLE_BYTES: Final = 2**20
_PLACES: Final = 8
_PLACE_BYTES: Final = 16 * 2**10
_BLOCK_BYTES: Final = 2**20
_MAGIC: Final[tuple[tuple[bytes, Compression], ...]] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_UNDECODABLE: Final = "penstock.undecodable"
# What cannot be decoded becomes a byte that is no UTF-8 anywhere, so that the record it stands in becomes a reject.
_NO_UTF8: Final = "\udcff"


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _NO_UTF8, error.end


codecs.register_error(_UNDECODABLE, _mark)


def check_encoding(name: str) -> str:
    """The codec's own name. Raises ConfigError SRC-133 for one that is none of text."""
    try:
        codec = codecs.lookup(name)
        "".encode(name)
    except (LookupError, UnicodeError, ValueError):
        raise ConfigError(
            "SRC-133",
            f'there is no text encoding "{name}"',
            hint="name it as IANA does, such as utf-8, latin-1, windows-1252, utf-16",
            about=("encoding",),
        ) from None
    return codec.name


def compression_of(path: Path, asked: Compression | None) -> Compression:
    """What is asked for, else what the first bytes say. Raises ConfigError SRC-132."""
    if asked is not None:
        return asked
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise unreadable(path, error) from None
    return next((codec for magic, codec in _MAGIC if head.startswith(magic)), "none")


def opened(path: Path, compression: Compression) -> BinaryIO:
    """The bytes, decompressed."""
    if compression == "none":
        return path.open("rb")
    import pyarrow as pa

    return io.BufferedReader(pa.CompressedInputStream(pa.OSFile(str(path)), compression))


def head_of(path: Path, compression: Compression, *, encoding: str, most: int = SAMPLE_BYTES) -> tuple[str, bool]:
    """The first bytes as text without a byte order mark, what is no text in its place as U+FFFD; and whether that is
    the whole file. Raises ConfigError SRC-132, DataError SRC-138.
    """
    data = b""
    try:
        with opened(path, compression) as stream:
            while len(data) <= most and (block := stream.read(most + 1 - len(data))):
                data += block
    except OSError as error:
        raise broken(path, error) from None
    whole = len(data) <= most
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    text = decoder.decode(data[:most], final=whole)
    return text.removeprefix("\ufeff"), whole


def lines_behind(path: Path) -> str:
    """Whole lines of UTF-8 behind what ``head_of`` reads: from eight places as far from one another, and the last ones. Raises
    ConfigError SRC-132.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            step = (size - SAMPLE_BYTES) // (_PLACES + 1)
            if step <= 0:
                return ""
            starts = [SAMPLE_BYTES + place * step for place in range(1, _PLACES + 1)]
            return "".join(_whole_lines(stream, start) for start in (*starts, size - _PLACE_BYTES))
    except OSError as error:
        raise broken(path, error) from None


def _whole_lines(stream: BinaryIO, start: int) -> str:
    """Of the bytes there, without the line that they begin in and the one that they cut through."""
    stream.seek(start)
    data = stream.read(_PLACE_BYTES)
    is_last = len(data) < _PLACE_BYTES or not stream.read(1)
    _, _, lines = data.partition(b"\n")
    if not is_last:
        lines = lines[: lines.rfind(b"\n") + 1]
    return lines.decode("utf-8", "replace") + "\n"


def broken(path: Path, error: OSError) -> ConfigError | DataError:
    """A file that the system does not give, or whose compression is broken."""
    if error.errno is not None and error.strerror:
        return unreadable(path, error)
    return DataError("SRC-138", f'the compressed file "{path.name}" is broken', detail=str(error)[:300])


def cut_to_lines(text: str, *, whole: bool) -> str:
    """Without the line at the end that a sample cuts through."""
    if whole:
        return text
    cut = max(text.rfind("\n"), text.rfind("\r"))
    return text[: cut + 1] if cut >= 0 else text


class Readable(Frozen):
    """What the engine is given for a file: the file, or a private copy of its text in UTF-8, which has an origin."""

    path: str
    compression: Compression
    origin: Origin | None = None


def readable(
    files: Sequence[tuple[FoundFile, Compression]],
    encoding: str,
    scratch: Path,
    *,
    strips_mark: bool,
    quoting: Quoting | None = None,
) -> list[Readable]:
    """What the engine's reader is given, all with one compression. ``strips_mark``: it takes no byte order mark.

    A copy is made where the text is not UTF-8, where it begins with such a mark, where the engine cannot be told the
    file's name (a wildcard and a backslash in one path), of compressed files beside others, and of pieces of files, which
    ``quoting`` tells apart. Raises as ``head_of``.
    """
    copied = [_needs_copy(file, codec, encoding, strips_mark=strips_mark) for file, codec in files]
    if len({"none" if copies else codec for copies, (_, codec) in zip(copied, files, strict=True)}) > 1:
        copied = [copies or codec != "none" for copies, (_, codec) in zip(copied, files, strict=True)]
    return [
        _copy(file, codec, encoding=encoding, scratch=scratch, strips_mark=strips_mark, quoting=quoting or Quoting())
        if copies
        else Readable(file.place, codec)
        for copies, (file, codec) in zip(copied, files, strict=True)
    ]


def _needs_copy(file: FoundFile, compression: Compression, encoding: str, *, strips_mark: bool) -> bool:
    odd_name = "\\" in file.place and any(mark in file.place for mark in "*?[")
    return (
        file.piece is not None or encoding != "utf-8" or odd_name or (strips_mark and _has_mark(file.path, compression))
    )


def _copy(
    file: FoundFile, compression: Compression, *, encoding: str, scratch: Path, strips_mark: bool, quoting: Quoting
) -> Readable:
    import xxhash

    target = scratch / f"{xxhash.xxh3_64_hexdigest(file.place.encode())}.utf8"
    if file.piece is not None:  # of plain text in UTF-8
        mark = len(codecs.BOM_UTF8) if strips_mark and _has_mark(file.path, compression) else 0
        return Readable(str(target), "none", copy_piece(file, target, quoting, mark=mark))
    try:
        with opened(file.path, compression) as source, target.open("wb") as copy:
            if encoding == "utf-8":
                skipped: int | None = _without_mark(source, copy)
            else:
                skipped = None
                _recode(source, copy, encoding)
    except OSError as error:
        raise broken(file.path, error) from None
    return Readable(str(target), "none", Origin(file.shown, skipped))


def _has_mark(path: Path, compression: Compression) -> bool:
    try:
        with opened(path, compression) as stream:
            return stream.read(3) == codecs.BOM_UTF8
    except OSError as error:
        raise broken(path, error) from None


def _without_mark(source: BinaryIO, target: BinaryIO) -> int:
    """How many bytes the mark has that is left out."""
    head = source.read(len(codecs.BOM_UTF8))
    kept = head.removeprefix(codecs.BOM_UTF8)
    target.write(kept)
    shutil.copyfileobj(source, target, _BLOCK_BYTES)
    return len(head) - len(kept)


def _recode(source: BinaryIO, target: BinaryIO, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)(_UNDECODABLE)
    first = True
    while True:
        block = source.read(_BLOCK_BYTES)
        text = decoder.decode(block, final=not block)
        target.write((text.removeprefix("\ufeff") if first else text).encode("utf-8", "surrogateescape"))
        first = first and not text
        if not block:
            return
