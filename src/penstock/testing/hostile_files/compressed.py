"""Hostile files of text, compressed: those of the corpus, cut off, altered, or growing without bound."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

from penstock.structs import replace
from penstock.testing.hostile_files.cases import Bad, FileCase, Hazard, Refused, Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from penstock.testing.hostile_files.cases import Expected

_ENDINGS: Final = {"gzip": "gz", "zstd": "zst"}
_MB: Final = 2**20
_ROWS: Final = 200_000
_BOMB: Final = 48  # MB of one record
# Where compression meets the readers' own ways: records, breaks, encodings, and the end of the file.
_SHARED: Final = frozenset(
    {Hazard.TRUNCATED, Hazard.LINE_BREAKS, Hazard.ENCODING, Hazard.EMPTY_FILE, Hazard.HUGE_FIELD}
)


def compressed(source: str, cases: Iterable[FileCase]) -> Iterator[FileCase]:
    """Those of the source's cases that compression may matter to, in each codec, and what can be wrong with compressed
    files.
    """
    for case in cases:
        if case.hazard in _SHARED and not case.heavy:
            yield from (_packed(case, codec) for codec in _ENDINGS)
    for codec in _ENDINGS:
        yield _bomb(source, codec)
        yield _spoiled(source, "cut", codec, _cut)
    yield _spoiled(source, "altered", "gzip", _altered)  # a frame of zstd need not have a check sum


def _packed(case: FileCase, codec: str) -> FileCase:
    def write(path: Path) -> None:
        case.write(path)
        path.write_bytes(_pack(path.read_bytes(), codec))

    name = f"{case.name}_{codec}"
    return replace(case, name=name, ending=f"{case.ending}.{_ENDINGS[codec]}", write=write)


def _pack(data: bytes, codec: str) -> bytes:
    import pyarrow as pa

    if codec == "gzip":
        return gzip.compress(data, mtime=0)
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(data)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _bomb(source: str, codec: str) -> FileCase:
    """A thousand times as large as it looks, and one record: it must not be held whole."""
    long = "y" * (_BOMB * _MB)
    expected: Expected = Refused("ENG-332")
    match source:
        case "csv":
            text = f"k,v\n1,a\n2,{long}\n3,c\n"
            expected = Taken(((1, "a"), (3, "c")), (Bad(3, "record_too_long"),))
        case "ndjson":
            text = f'{{"k":1,"v":"a"}}\n{{"k":2,"v":"{long}"}}\n{{"k":3,"v":"c"}}\n'
            expected = Taken(((1, "a"), (3, "c")), (Bad(2, "record_too_long"),))
        case _:
            text = f'[{{"k":1,"v":"a"}},{{"k":2,"v":"{long}"}}]'

    def write(path: Path) -> None:
        path.write_bytes(_pack(text.encode(), codec))
        assert path.stat().st_size < _MB

    return _case(source, f"bomb_{codec}", Hazard.BOMB, codec, write=write, expected=expected)


def _spoiled(source: str, name: str, codec: str, spoil: Callable[[bytes], bytes]) -> FileCase:
    """Enough rows that a reader may have taken many before it sees what is wrong."""

    def write(path: Path) -> None:
        pairs = ((number, number * 7919 % 1_000_003) for number in range(_ROWS))
        if source == "csv":
            text = "k,v\n" + "".join(f"{key},{value}\n" for key, value in pairs)
        else:
            objects = (f'{{"k":{key},"v":"{value}"}}' for key, value in pairs)
            text = "\n".join(objects) if source == "ndjson" else "[" + ",\n".join(objects) + "]"
        path.write_bytes(spoil(_pack(text.encode(), codec)))

    # An array that ends too early is broken, whichever is seen first.
    code = "ENG-332" if (source, name, codec) == ("json", "cut", "zstd") else "ENG-304"
    return _case(source, f"{name}_{codec}", Hazard.TRUNCATED, codec, write=write, expected=Refused(code))


def _case(
    source: str, name: str, hazard: Hazard, codec: str, *, write: Callable[[Path], None], expected: Expected
) -> FileCase:
    ending = f"{source}.{_ENDINGS[codec]}"
    return FileCase(name, hazard, source, ending, write, expected, {"k": "int64", "v": "string"})


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _altered(data: bytes) -> bytes:
    """The check sum at the end."""
    return data[:-8] + bytes(byte ^ 255 for byte in data[-8:-4]) + data[-4:]
