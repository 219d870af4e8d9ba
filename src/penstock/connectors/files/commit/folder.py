"""A target on a local disk: the log beside the data, and the one rename that commits."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.connectors.files.commit import disk
from penstock.connectors.files.commit.log import PARTS, Log
from penstock.connectors.files.commit.names import HOME, attempt_folder, file_home
from penstock.connectors.files.commit.publish import publish
from penstock.connectors.files.commit.target import Target
from penstock.disk import ensure_folder, remove_empty, sync_folder
from penstock.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.files.commit.records import Entry, Manifest, State


class Folder(Target):
    """``root`` is the target's folder, that of the one file where it is one; ``named`` what the document calls it."""

    def __init__(self, root: Path, one_file: str | None, named: str) -> None:
        self._root = root
        self.one_file = one_file
        self._named = named
        home = root / HOME
        self.log = Log(home / file_home(one_file) if one_file else home)

    @classmethod
    def of(cls, path: Path, named: str, *, one_file: bool) -> Folder:
        if not one_file:
            return cls(path, None, named)
        path = path.resolve()  # a link stays, and what it leads to is replaced
        return cls(path.parent, path.name, named)

    def classified(self) -> AbstractContextManager[None]:
        return disk.classified(self._root)

    def prepare(self) -> None:
        if self.one_file and (self._root / self.one_file).is_dir():
            raise ConfigError("SNK-132", f'"{self._named}" cannot be written', detail="it is a folder")
        ensure_folder(self.log.home)

    def state(self) -> State:
        return self.log.state()

    def unpublished(self, state: State) -> list[Manifest]:
        return self.log.unpublished(state)

    def publish(self, manifest: Manifest, reached: Callable[[str], None]) -> None:
        publish(self.log, self._root, manifest=manifest, reached=reached)

    def names(self) -> list[str]:
        found: list[str] = []
        for at, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if name != HOME]
            found += [str((Path(at) / name).relative_to(self._root)) for name in names]
        return sorted(found)

    def read(self, entries: Sequence[Entry]) -> list[Path]:
        for entry in entries:
            check_size(entry, self._size(entry.path), self._named)
        return [self._root / entry.path for entry in entries]

    def _size(self, path: str) -> int | None:
        try:
            return (self._root / path).stat().st_size
        except OSError:
            return None

    def raise_fence(self, epoch: Epoch) -> None:
        self.log.raise_fence(epoch)

    def check_fence(self, epoch: Epoch) -> None:
        self.log.check_fence(epoch)

    def attempt(self, epoch: Epoch) -> Path:
        return self.log.staging(epoch.sink_id) / attempt_folder(epoch)

    def new_part(self, attempt: Path) -> Path:
        return self.log.new_part(attempt)

    def keep(self, folder: Path, files: Sequence[Path]) -> None:
        for made in {folder, *(path.parent for path in files)}:
            sync_folder(made)

    def lacking(self, attempt: Path, paths: Collection[str]) -> int:
        return sum(not (attempt / PARTS / path).is_file() for path in paths)

    def drop(self, epoch: Epoch, part: Path | None = None) -> None:
        attempt = self.attempt(epoch)
        if part is not None:
            self.log.discard(part)
            remove_empty(attempt / PARTS, self.log.home)
        elif attempt.is_dir():
            self.log.discard(attempt)

    def clean(self, sink_id: SinkId, *, keep: Collection[str] = ()) -> None:
        self.log.clean(sink_id, keep=keep)

    def ready(self, attempt: Path, manifest: Manifest) -> None:
        self.log.write_manifest(attempt, manifest)

    def append(self, attempt: Path, manifest: Manifest) -> bool:
        """Looks once more: whoever threw the attempt away before its manifest was written left a folder without its files."""
        if self.lacking(attempt, [item.staged for item in manifest.added]):
            self.log.discard(attempt)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(attempt))
        return self.log.append(attempt, manifest.version)

    def snapshot(self, state: State) -> bool:
        return self.log.snapshot(state)


def check_size(entry: Entry, size: int | None, named: str) -> None:
    """``size`` is that of the file in the entry's place, None where there is none. Raises DataError SRC-110."""
    if size != entry.bytes:
        raise DataError(
            "SRC-110",
            f'a file of "{named}" is not as it was committed',
            detail=f"{entry.path}: {'it is gone' if size is None else f'{size} bytes instead of {entry.bytes}'}",
        )
