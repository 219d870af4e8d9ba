"""The container of Avro files (Avro 1.12, "Object Container Files"): a header, then blocks, each with a count and a size.

Blocks are taken one by one and decompressed here, so that memory is bounded by a block and an error names it.
"""

from __future__ import annotations

import bz2
import json
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, NoReturn, assert_never

from penstock.errors import DataError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock.connectors.api import Json

Codec = Literal["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]
CODECS: Final[tuple[Codec, ...]] = ("null", "deflate", "snappy", "zstandard", "bzip2", "xz")
MAGIC: Final = b"Obj\x01"
SYNC_BYTES: Final = 16
MOST_BLOCK_BYTES: Final = 512 * 2**20
_MOST_HEADER_BYTES: Final = 16 * 2**20
_LONGEST_VARINT: Final = 10
_CRC_BYTES: Final = 4


class Header(Frozen):
    """What stands before the first block; ``schema`` is parsed JSON, its names not yet resolved."""

    schema: Json
    codec: Codec
    sync: bytes


class Block(Frozen):
    """``number`` counts from 1; ``data`` is decompressed."""

    number: int
    rows: int
    data: bytes


class ContainerReader:
    """Reads one open file from its beginning. ``name`` is what errors call it.

    Raises DataError SRC-300 (no Avro file), SRC-301 (a block is cut off, or its marker is wrong), SRC-302 (a codec that
    is not known, or compressed data that is broken or too large).
    """

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self.header = self._read_header()

    def blocks(self) -> Iterator[Block]:
        """The blocks after the header, in order; call once."""
        number = 0
        while first := self._stream.read(1):
            number += 1
            rows = self._block_number(number, first)
            size = self._block_number(number)
            if rows < 0 or not 0 <= size <= MOST_BLOCK_BYTES:
                self._broken(number, f"it says to have {rows} records in {size} bytes")
            data = self._stream.read(size)
            marker = self._stream.read(SYNC_BYTES)
            if len(data) < size or len(marker) < SYNC_BYTES:
                self._broken(number, "the file ends within it")
            if marker != self.header.sync:
                self._broken(number, "the marker at its end is not the file's")
            yield Block(number, rows, self._decompressed(data, number))

    def _read_header(self) -> Header:
        if self._stream.read(len(MAGIC)) != MAGIC:
            self._foreign("it does not begin as Avro files do")
        try:
            metadata = self._metadata()
        except EOFError:
            self._foreign("it ends within its header")
        sync = self._stream.read(SYNC_BYTES)
        if len(sync) < SYNC_BYTES:
            self._foreign("it ends within its header")
        codec = metadata.get("avro.codec", b"null").decode("utf-8", "replace") or "null"
        known = next((one for one in CODECS if one == codec), None)
        if known is None:
            raise DataError(
                "SRC-302", f'"{self._name}" is compressed with "{codec}"', detail=f"known are {', '.join(CODECS)}"
            )
        try:
            schema: Json = json.loads(metadata["avro.schema"])
        except (KeyError, ValueError, RecursionError):
            self._foreign("its header holds no schema")
        return Header(schema, known, sync)

    def _metadata(self) -> Mapping[str, bytes]:
        """A map of bytes, in blocks of pairs; a negative count is followed by the block's size."""
        found: dict[str, bytes] = {}
        left = _MOST_HEADER_BYTES
        while count := self._long():
            if count < 0:
                self._long()
            for _ in range(abs(count)):
                key, value = self._bytes(left), self._bytes(left)
                left -= len(key) + len(value)
                found[key.decode("utf-8", "replace")] = value
        return found

    def _bytes(self, most: int) -> bytes:
        size = self._long()
        if not 0 <= size <= most:
            self._foreign("its header is broken")
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def _block_number(self, number: int, first: bytes = b"") -> int:
        try:
            return self._long(first)
        except EOFError:
            self._broken(number, "the file ends within it")

    def _long(self, first: bytes = b"") -> int:
        """A variable-length zig-zag number. Raises EOFError."""
        value = 0
        for place in range(_LONGEST_VARINT):
            byte = first if first and not place else self._stream.read(1)
            if not byte:
                raise EOFError
            value |= (byte[0] & 0x7F) << (7 * place)
            if not byte[0] & 0x80:
                return (value >> 1) ^ -(value & 1)
        raise EOFError

    def _decompressed(self, data: bytes, number: int) -> bytes:
        try:
            found = _decompress(data, self.header.codec)
        except (OSError, ValueError, EOFError, zlib.error, lzma.LZMAError) as error:
            self._unpacked(number, str(error)[:200])
        if len(found) > MOST_BLOCK_BYTES:
            self._unpacked(number, f"it grows beyond {MOST_BLOCK_BYTES} bytes")
        return found

    def _foreign(self, detail: str) -> NoReturn:
        raise DataError("SRC-300", f'"{self._name}" is no Avro file', detail=detail)

    def _broken(self, number: int, detail: str) -> NoReturn:
        raise DataError("SRC-301", f'block {number} of "{self._name}" is broken', detail=detail)

    def _unpacked(self, number: int, detail: str) -> NoReturn:
        raise DataError("SRC-302", f'block {number} of "{self._name}" cannot be decompressed', detail=detail)


def _decompress(data: bytes, codec: Codec) -> bytes:
    """At most one byte more than ``MOST_BLOCK_BYTES``, so that a small file cannot fill the memory."""
    most = MOST_BLOCK_BYTES + 1
    match codec:
        case "null":
            return data
        case "deflate":
            return _whole(inflater := zlib.decompressobj(-zlib.MAX_WBITS), inflater.decompress(data, most), most)
        case "bzip2":
            return _whole(bunzipper := bz2.BZ2Decompressor(), bunzipper.decompress(data, most), most)
        case "xz":
            return _whole(unpacker := lzma.LZMADecompressor(), unpacker.decompress(data, most), most)
        case "snappy":
            return _unsnapped(data, most)
        case "zstandard":
            return _unzstd(data, most)
    assert_never(codec)


def _whole(tool: object, found: bytes, most: int) -> bytes:
    if not getattr(tool, "eof", True) and len(found) < most:
        raise EOFError("the compressed data is cut off")
    return found


def _unsnapped(data: bytes, most: int) -> bytes:
    """Followed by the CRC-32 of what comes out, big-endian; what comes out begins with its own length."""
    import pyarrow as pa

    body, checksum = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    size, place = 0, 0
    for place, byte in enumerate(body[:5]):
        size |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            break
    if not body or size >= most:
        raise ValueError(f"it says to have {size} bytes")
    found: bytes = pa.Codec("snappy").decompress(body, decompressed_size=size, asbytes=True)
    if zlib.crc32(found) != int.from_bytes(checksum, "big"):
        raise ValueError("its checksum is wrong")
    return found


def _unzstd(data: bytes, most: int) -> bytes:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        found: bytes = stream.read(most)
    return found


# ---------------------------------------------------------------- writing


def encode_long(value: int) -> bytes:
    """Zig-zag, seven bits a byte."""
    left = (value << 1) ^ (value >> 63)
    found = bytearray()
    while left > 0x7F:  # noqa: PLR2004 -- seven bits
        found.append(left & 0x7F | 0x80)
        left >>= 7
    found.append(left)
    return bytes(found)


def header_bytes(schema: Json, codec: Codec, sync: bytes) -> bytes:
    """What a file begins with; blocks framed by ``block_bytes`` with the same marker may follow."""
    entries = {"avro.schema": json.dumps(schema, ensure_ascii=False).encode(), "avro.codec": codec.encode()}
    pairs = b"".join(_sized(name.encode()) + _sized(value) for name, value in entries.items())
    return MAGIC + encode_long(len(entries)) + pairs + encode_long(0) + sync


def block_bytes(rows: int, data: bytes, sync: bytes) -> bytes:
    """One block: how many rows, the size of the packed data, the data, the file's mark."""
    return encode_long(rows) + _sized(data) + sync


def _sized(data: bytes) -> bytes:
    return encode_long(len(data)) + data


def compress(data: bytes, codec: Codec) -> bytes:
    """The data of a block as the codec packs it."""
    match codec:
        case "null":
            return data
        case "deflate":
            deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            return deflater.compress(data) + deflater.flush()
        case "bzip2":
            return bz2.compress(data)
        case "xz":
            return lzma.compress(data)
        case "snappy":
            return _arrow_codec("snappy", data) + zlib.crc32(data).to_bytes(_CRC_BYTES, "big")
        case "zstandard":
            return _arrow_codec("zstd", data)
    assert_never(codec)


def _arrow_codec(name: str, data: bytes) -> bytes:
    import pyarrow as pa

    found: bytes = pa.Codec(name).compress(data, asbytes=True)
    return found
