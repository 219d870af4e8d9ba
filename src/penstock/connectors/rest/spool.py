"""The file that is a range: pages one after another as they came, then an index; checksums over all of it.

Layout: the bytes of page 1, of page 2, …; then one JSON object, the index. The position names the file and where the
index begins, and holds the index's checksum; the index holds each page's end, checksum, shape and number of records. The
file is written under another name, private (0600), synced, and renamed: a file of its final name is whole.
"""

from __future__ import annotations

import json
import os
from array import array
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.rest.shape import Shape
from penstock.disk import sync_folder
from penstock.errors import ConfigError, DataError, TransientError
from penstock.structs import Frozen, Selective
from penstock.types import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias

    from penstock.connectors.api import Position
    from penstock.connectors.rest.inspection import ReadPage

    SchemaOf: TypeAlias = Callable[[ReadPage], Schema]

_GROUP_BYTES: Final = 8 * 1024 * 1024
_GROUP_PAGES: Final = 512
_BUFFER: Final = 1024 * 1024


class Entry(Frozen):
    """One page in the file: ``start`` and ``end`` of its bytes."""

    number: int
    start: int
    end: int
    checksum: str
    shape: Shape
    records: int


class Group(Selective):
    """Neighbouring pages of one shape: their bytes, and where each ends in them (the first number is 0)."""

    entries: tuple[Entry, ...]
    content: bytes
    ends: array[int]
    unprinted = frozenset({"content", "ends"})

    @property
    def shape(self) -> Shape:
        return self.entries[0].shape

    @property
    def last(self) -> int:
        return self.entries[-1].number


def write_spool(path: Path, pages: Iterable[ReadPage], schema_of: SchemaOf) -> Position:
    """Write all pages and say where they are. Nothing is left where this raises.

    ``schema_of`` is asked once, with the first page. Raises TransientError SRC-278 where the file system refuses, and
    what ``pages`` raises.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with _private(part) as file:
            position = _write(file, pages, schema_of)
        with _refusals():
            part.replace(path)
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return {"v": 1, "file": str(path), **position}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            "SRC-278", "the fetched pages could not be written to the spool", detail=str(error)
        ) from None


class _File:
    """Bytes to the file, every refusal as ours."""

    def __init__(self, path: Path) -> None:
        with _refusals():
            path.unlink(missing_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            self._raw = os.fdopen(descriptor, "wb", buffering=_BUFFER)

    def write(self, content: bytes) -> None:
        with _refusals():
            self._raw.write(content)

    def close(self, *, synced: bool) -> None:
        try:
            with _refusals():
                self._raw.flush()
                if synced:
                    os.fsync(self._raw.fileno())
        finally:
            with suppress(OSError):
                self._raw.close()


@contextmanager
def _private(path: Path) -> Iterator[_File]:
    file = _File(path)
    try:
        yield file
    except BaseException:
        with suppress(TransientError):
            file.close(synced=False)
        raise
    file.close(synced=True)


def _write(file: _File, pages: Iterable[ReadPage], schema_of: SchemaOf) -> dict[str, Any]:
    import xxhash

    end = records = 0
    entries: list[list[Any]] = []
    schema: Schema | None = None
    for read in pages:
        if schema is None:
            schema = schema_of(read)
        end += len(read.page.body)
        file.write(read.page.body)
        contents = read.contents
        entries.append([end, xxhash.xxh3_128_hexdigest(read.page.body), contents.shape.value, contents.records])
        records += contents.records
    index = {"v": 1, "schema": schema.to_json() if schema else [], "pages": entries}
    text = json.dumps(index, separators=(",", ":")).encode()
    file.write(text)
    return {
        "index_at": end,
        "checksum": xxhash.xxh3_128_hexdigest(text),
        "pages": len(entries),
        "records": records,
    }


class Spool:
    """A spooled range, read. Raises DataError SRC-110 where the file is gone or is not what was written."""

    def __init__(self, position: Position) -> None:
        match position:
            case {
                "v": 1,
                "file": str() as file,
                "index_at": int() as index_at,
                "checksum": str() as checksum,
                "pages": int() as pages,
            }:
                pass
            case _:
                raise ConfigError("SRC-270", "a position was not written by this version of the rest source")
        self._path = Path(file)
        self._index_at = index_at
        index = self._read_index(checksum)
        self.schema = Schema.from_json(index["schema"])
        self.entries = tuple(_entries(index["pages"]))[:pages]

    def _read_index(self, checksum: str) -> dict[str, Any]:
        import xxhash

        try:
            with self._path.open("rb") as file:
                file.seek(self._index_at)
                text = file.read()
        except OSError as error:
            raise _damaged(self._path, error.strerror or "it cannot be opened") from None
        if xxhash.xxh3_128_hexdigest(text) != checksum:
            raise _damaged(self._path, "its index has another checksum")
        found: dict[str, Any] = json.loads(text)
        return found

    @property
    def most_groups(self) -> int:
        """No more groups than this, as long as pages are of one shape and not huge."""
        return 1 + max(self._index_at // _GROUP_BYTES, len(self.entries) // _GROUP_PAGES)

    def groups(self, after_page: int = 0) -> Iterator[Group]:
        """Pages after that one, in order, in groups of a bounded size; each page's checksum is compared first.

        Pages without records are left out.
        """
        full = [entry for entry in self.entries if entry.number > after_page and entry.records]
        with _opened(self._path) as file:
            for entries in _grouped(full):
                yield self._group(file, entries)

    def _group(self, file: Any, entries: tuple[Entry, ...]) -> Group:
        import xxhash

        start = entries[0].start
        file.seek(start)
        content: bytes = file.read(entries[-1].end - start)
        view = memoryview(content)
        for entry in entries:
            if xxhash.xxh3_128_hexdigest(view[entry.start - start : entry.end - start]) != entry.checksum:
                raise _damaged(self._path, f"page {entry.number} has another checksum")
        return Group(entries, content, array("q", [0, *(entry.end - start for entry in entries)]))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be opened") from None
    with file:
        yield file


def _grouped(entries: Iterable[Entry]) -> Iterator[tuple[Entry, ...]]:
    group: list[Entry] = []
    for entry in entries:
        full = len(group) >= _GROUP_PAGES or (group and entry.end - group[0].start > _GROUP_BYTES)
        if group and (full or entry.shape is not group[0].shape or entry.start != group[-1].end):
            yield tuple(group)
            group = []
        group.append(entry)
    if group:
        yield tuple(group)


def _entries(pages: list[list[Any]]) -> Iterator[Entry]:
    start = 0
    for number, (end, checksum, shape, records) in enumerate(pages, start=1):
        yield Entry(number, start, end, checksum, Shape(shape), records)
        start = end


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        "SRC-110",
        "the spooled pages of a range can no longer be read as they were written",
        detail=f"{path}: {reason}",
    )
