"""Local copies of objects, for the engine's own readers: whole ones, or outlines with a beginning and an end alone."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Final

from penstock.connectors.objects.bucket import ObjectChangedError, ObjectGoneError
from penstock.connectors.resilience.parallel import in_order
from penstock.errors import ConfigError, DataError, FatalError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from penstock.connectors.objects.bucket import Bucket, StoredObject
    from penstock.connectors.objects.outlines import Outline
    from penstock.connectors.resilience.cancel import Cancellation

_PIECE_BYTES: Final = 8 * 2**20
_LONGEST_NAME: Final = 100
_FOOTER_LENGTH: Final = 8  # of Parquet: four bytes that say how long the footer before them is, and its mark
_FOOTER_MARK: Final = b"PAR1"


class _Piece(Frozen):
    found: StoredObject
    path: Path
    start: int
    end: int


class Copies:
    """Copies in a private folder, each under a path of its own that goes by key and content. What a scan does not ask for
    is removed when the next one needs the room; all of it goes with the folder.
    """

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self._bucket = bucket
        self._folder = folder
        self._whole: dict[Path, int] = {}
        self._outlined: set[Path] = set()

    def path_of(self, found: StoredObject) -> Path:
        """Where its copy is, or will be: the file's name is the object's as far as a file can be called so."""
        import xxhash

        identity = f"{found.key}\0{found.size}\0{found.modified_ns}\0{found.tag}"
        name = found.key.rpartition("/")[2][-_LONGEST_NAME:]
        name = "_" if name in {"", ".", ".."} else name
        return self._folder / xxhash.xxh3_64_hexdigest(identity.encode()) / name

    def outline(self, objects: Sequence[StoredObject], outline: Outline | None) -> None:
        """Files of the objects' sizes with what describes them; small ones, and all of them where there is no such
        outline, are whole.
        """
        if outline is None:
            self.fetch(objects)
            return
        missing = [item for item in objects if not self._is_there(item)]
        small = [item for item in missing if item.size <= outline.head + outline.tail]
        large = [item for item in missing if item.size > outline.head + outline.tail]
        self._load(small)
        self._read([piece for item in large for piece in self._ends(item, outline)])
        self._read([piece for item in large for piece in self._longer_footer(item, outline)])
        self._outlined.update(self.path_of(item) for item in large)

    def fetch(self, objects: Sequence[StoredObject]) -> None:
        """Whole copies. Raises ConfigError SRC-145 where they take more than the connection allows; DataError SRC-110 where
        an object is gone or has changed; FatalError SRC-146 where the disk is full.
        """
        needed = sum(item.size for item in objects)
        limit = self._bucket.cache
        if needed > limit:
            raise ConfigError(
                "SRC-145",
                f'copies of {len(objects)} objects of "{self._bucket.url}" take {needed} bytes, and {limit} are allowed',
                hint="cut the load into epochs, `run: {epoch: …}`, or allow more: `cache` of the connection",
                about=("connection",),
            )
        wanted = {self.path_of(item) for item in objects}
        held = sum(self._whole.values()) + sum(item.size for item in objects if self.path_of(item) not in self._whole)
        if held > limit:
            self._remove(path for path in list(self._whole) if path not in wanted)
        self._load([item for item in objects if self.path_of(item) not in self._whole])

    def remove(self) -> None:
        """All of them. Idempotent."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._whole.clear()
        self._outlined.clear()

    # ------------------------------------------------------------ pieces

    def _is_there(self, item: StoredObject) -> bool:
        path = self.path_of(item)
        return path in self._whole or path in self._outlined

    def _load(self, objects: Sequence[StoredObject]) -> None:
        self._read([piece for item in objects for piece in self._pieces(item)])
        for item in objects:
            path = self.path_of(item)
            self._outlined.discard(path)
            self._whole[path] = item.size

    def _pieces(self, item: StoredObject) -> Iterator[_Piece]:
        path = self._room_for(item)
        for start in range(0, item.size, _PIECE_BYTES):
            yield _Piece(item, path, start, min(start + _PIECE_BYTES, item.size))

    def _ends(self, item: StoredObject, outline: Outline) -> Iterator[_Piece]:
        path = self._room_for(item)
        yield _Piece(item, path, 0, outline.head)
        if outline.tail:
            yield _Piece(item, path, item.size - outline.tail, item.size)

    def _longer_footer(self, item: StoredObject, outline: Outline) -> Iterator[_Piece]:
        """What a Parquet file's footer has before the end that was read."""
        if outline.tail < _FOOTER_LENGTH:
            return
        path = self.path_of(item)
        with path.open("rb") as file:
            file.seek(item.size - _FOOTER_LENGTH)
            length, mark = int.from_bytes(file.read(4), "little"), file.read(4)
        start = item.size - length - _FOOTER_LENGTH
        if mark == _FOOTER_MARK and 0 <= start < item.size - outline.tail:
            yield _Piece(item, path, start, item.size - outline.tail)

    def _room_for(self, item: StoredObject) -> Path:
        """An empty file of the object's size, which takes no room yet."""
        path = self.path_of(item)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(item.size)
        except OSError as error:
            raise _no_room(error) from None
        return path

    def _read(self, pieces: Sequence[_Piece]) -> None:
        with closing(in_order(self._one, pieces, concurrency=self._bucket.parallel)) as done:
            for _ in done:
                pass

    def _one(self, piece: _Piece, cancelled: Cancellation) -> None:
        cancelled.check()
        try:
            content = self._bucket.read_range(piece.found, piece.start, piece.end)
        except (ObjectGoneError, ObjectChangedError) as error:
            what = "is gone" if isinstance(error, ObjectGoneError) else "has changed"
            raise DataError(
                "SRC-110",
                f'the object "{self._bucket.url_of(piece.found.key)}" {what} since it was listed',
                hint="run again, so that the epoch is planned anew",
                about=("path",),
            ) from None
        try:
            descriptor = os.open(piece.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                _write_all(descriptor, memoryview(content), piece.start)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _no_room(error) from None

    def _remove(self, paths: Iterator[Path]) -> None:
        for path in paths:
            shutil.rmtree(path.parent, ignore_errors=True)
            del self._whole[path]


def _write_all(descriptor: int, content: memoryview, at: int) -> None:
    while content:
        written = os.pwrite(descriptor, content, at)
        content, at = content[written:], at + written


def _no_room(error: OSError) -> FatalError:
    return FatalError("SRC-146", "a copy of an object could not be written", detail=error.strerror)
