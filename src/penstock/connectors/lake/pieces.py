"""Pieces of one version of a table of files, for a load that is cut into a series of epochs.

The version is fixed when the series begins. Its files are taken in the order of their paths, each as a whole: a position
says how many of them were, so that it stays as small as the table is large. What the version of a position is called is the
connector's affair (``key``).

Position: ``{"v": 1, key: version}``, all rows of it; in the midst of a series ``{"v": 1, key: version, "files": count}`` with,
where it began behind an earlier version, ``"since"``: of the files that the version has more than that one, so many.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from penstock.connectors.lake.tables import LakeTable, added
from penstock.errors import ConfigError, DataError, PenstockError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from penstock.connectors.api import Json, Position, Size
    from penstock.connectors.lake.tables import DataFile

AnyTable = TypeVar("AnyTable", bound=LakeTable)
# A file, or what the log says of a version, is gone.
_GONE: Final = frozenset({"SRC-110", "SRC-252", "SRC-260"})


class Reached(Frozen):
    """A position. ``files`` None: the whole version; ``since`` None: there was no version before."""

    version: int | None
    since: int | None = None
    files: int | None = None

    def to_json(self, key: str) -> Position:
        found: dict[str, Json] = {"v": 1, key: self.version}
        if self.files is not None:
            found |= {"since": self.since, "files": self.files} if self.since is not None else {"files": self.files}
        return found


def reached(position: Position, key: str) -> Reached:
    """Raises ConfigError SRC-255."""
    version, since, files = position.get(key), position.get("since"), position.get("files")
    if (
        position.get("v") == 1
        and key in position
        and isinstance(version, int | None)
        and isinstance(since, int | None)
        and isinstance(files, int | None)
    ):
        return Reached(version, since, files)
    raise foreign(key)


def foreign(key: str) -> ConfigError:
    """SRC-255, to be raised."""
    return ConfigError(
        "SRC-255", f"a position, which should tell of a {key}, was not written by this version of Penstock"
    )


class Pieces(Frozen, Generic[AnyTable]):
    """``at`` opens a version; ``is_plain``: it has the rows of its files, no more and no fewer."""

    key: str
    at: Callable[[int | None], AnyTable]
    is_plain: Callable[[AnyTable], bool]

    def chosen(self, after: Position | None, upto: Position) -> frozenset[str]:
        """The paths of the files of (after, upto]. Raises ConfigError SRC-255, DataError SRC-266, and what ``at`` raises."""
        end = reached(upto, self.key)
        found = self._taken(end)
        if after is None:
            return found
        start = reached(after, self.key)
        if start.version == end.version:
            return found - self._taken(start)
        if start.files is not None:
            raise foreign(self.key)  # it is in the midst of a series over another version
        return found & self._new(start.version, end.version)

    def cut(self, after: Position | None, upto: Position, size: Size, count: Callable[[DataFile], int]) -> Position:
        """As ``Source.cut``. ``count``: the rows of a file of which the table does not say how many it has. Errors as
        ``chosen``.
        """
        end, start = reached(upto, self.key), reached(after, self.key) if after is not None else None
        if start == end:
            return upto
        since, done = None, 0
        if start is not None:
            since, done = (start.version, 0) if start.files is None else (start.since, start.files)
        by_path = {file.path: file for file in self.at(end.version).files}
        order = [by_path[path] for path in sorted(self._new(since, end.version))]
        ends = _end(order, done, size, count)
        return upto if ends == len(order) else Reached(end.version, since, ends).to_json(self.key)

    def _taken(self, position: Reached) -> frozenset[str]:
        """Of the files of its version those that it has passed."""
        every = frozenset(file.path for file in self.at(position.version).files)
        if position.files is None:
            return every
        new = self._new(position.since, position.version)
        return (every - new).union(sorted(new)[: position.files])

    def _new(self, since: int | None, version: int | None) -> frozenset[str]:
        now = self.at(version)
        if since is None:
            return frozenset(file.path for file in now.files)
        before = self.at(since)
        return added(before, now, is_plain=self.is_plain(before) and self.is_plain(now))


def _end(files: Sequence[DataFile], done: int, size: Size, count: Callable[[DataFile], int]) -> int:
    """How many files there are up to the end of the next piece: as many as ``size`` allows, one at least."""
    rows = length = 0
    for place, file in enumerate(files[done:], start=done):
        if size.rows is not None:
            rows += file.rows if file.rows is not None else count(file)
        length += file.size
        over = (size.rows is not None and rows > size.rows) or (size.bytes is not None and length > size.bytes)
        if over and place > done:
            return place
    return len(files)


def counted(table: LakeTable, file: DataFile) -> int:
    """The rows of a Parquet file of the table, as its own footer says. Errors as ``LakeTable.local``, and DataError SRC-110."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (path,) = table.local([file])
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "SRC-110", f"a file of {table.title} cannot be read", detail=f"{file.path}: {str(error)[:300]}"
        ) from None


def is_piece(*positions: Position | None) -> bool:
    """Whether one of them is in the midst of a series."""
    return any(position is not None and position.get("files") is not None for position in positions)


@contextmanager
def of_series(is_one: bool) -> Iterator[None]:  # noqa: FBT001 -- it reads as a sentence
    """In the midst of a series a version that is gone has another way out than elsewhere. Raises DataError SRC-370."""
    try:
        yield
    except PenstockError as error:
        if not is_one or error.code not in _GONE:
            raise
        raise DataError(
            "SRC-370",
            "the version of a table that a series of epochs reads is gone",
            detail=f"{error.code}: {error.problems[0].message}; {error.problems[0].detail or ''}".rstrip("; "),
            hint="begin anew with --full-refresh, which reads the table as it stands now; and have maintenance keep old "
            "versions for as long as a load takes",
        ) from None


__all__ = ["Pieces", "Reached", "counted", "foreign", "is_piece", "of_series", "reached"]
