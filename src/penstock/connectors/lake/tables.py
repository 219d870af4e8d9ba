"""What a table of files tells of itself at one version, for who rewrites or reads its files."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any, Protocol

from penstock.errors import DataError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from penstock.types import Schema


class DataFile(Frozen):
    """A live file: ``path`` relative to the table's folder as it lies on disk, ``rows`` where the table says so.

    ``partition`` holds the values of the partition columns as Python values.
    """

    path: str
    size: int
    rows: int | None
    partition: Mapping[str, Any]


class LakeTable(Protocol):
    """One version of a table.

    ``partition_by`` are the columns whose values the table tells by file; whether the files hold them too is nobody's
    affair. ``title`` names the table in messages: ``the Delta table "prices"``.
    """

    @property
    def title(self) -> str: ...
    @property
    def schema(self) -> Schema: ...
    @property
    def partition_by(self) -> tuple[str, ...]: ...
    @property
    def field_ids(self) -> Mapping[str, int]:
        """By which the columns are found in the files; empty: by their names."""

    @property
    def files(self) -> Sequence[DataFile]: ...

    def local(self, files: Sequence[DataFile]) -> list[Path]:
        """Where these files of the table can be read on this machine, in their order: each is there, and as large as the
        table says. Raises DataError SRC-110, SRC-254; where they are fetched for that, what ``Copies.fetch`` raises.
        """

    def bounds(self, column: str) -> Mapping[str, tuple[Any, Any]]:
        """By path of a file, the least and the greatest value that may be in it; None, or no entry, where unknown."""


def added(before: LakeTable, now: LakeTable, *, is_plain: bool) -> frozenset[str]:
    """The paths of the files that a later version of a table has more. ``is_plain``: both have the rows of their files, no
    more and no fewer. Raises DataError SRC-266 where the earlier version's files are not all among them.
    """
    earlier, later = ({file.path for file in table.files} for table in (before, now))
    if not is_plain or not earlier <= later:
        gone = len(earlier - later)
        raise DataError(
            "SRC-266",
            f"rows of {now.title} were not only added since they were read",
            detail=f"{gone:,} of {len(earlier):,} files were rewritten or removed."
            if gone
            else "rows were deleted in place.",
            hint="read it by a `cursor`, or in full into a sink that merges; a table that was only compacted can be begun "
            "anew with --full-refresh",
        )
    return frozenset(later - earlier)


def present(root: Path, title: str, files: Iterable[DataFile]) -> list[Path]:
    """As ``LakeTable.local``, of a table in a folder of this machine, absolute and free of links."""
    trusted = {root}
    paths = []
    for file in files:
        full = root / file.path
        if full.parent not in trusted:
            _check_links(root, title, full.parent, file.path)
            trusted.add(full.parent)
        try:
            found = full.lstat()
            if stat.S_ISLNK(found.st_mode):
                _check_links(root, title, full, file.path)
                found = full.stat()
            length = found.st_size
        except OSError:
            length = -1
        if length != file.size:
            reason = "it is gone" if length < 0 else f"{length} bytes instead of {file.size}"
            raise not_as_told(title, file.path, reason)
        paths.append(full)
    return paths


def not_as_told(title: str, path: str, reason: str) -> DataError:
    """SRC-110, to be raised."""
    return DataError(
        "SRC-110",
        f"a file of {title} is not as the table says",
        detail=f"{path}: {reason}",
        hint="read the newest version: maintenance removes the files of old ones",
    )


def _check_links(root: Path, title: str, path: Path, named: str) -> None:
    if not path.resolve().is_relative_to(root):
        raise outside(title, named)


def outside(title: str, path: str) -> DataError:
    """SRC-254, to be raised."""
    return DataError("SRC-254", f"{title} names a file outside its folder", detail=f"{path!r} is not read")
