"""What a writer leaves before the commit: a folder beside the table's data, which one process at a time holds.

``<table>/data/penstock-<sink>/<epoch>-<attempt>-<n>/`` is one attempt: ``open`` stands in it until its commit is
durable; the engine writes below ``rows``, a commit that writes files itself below a folder of its own. Files are
committed where they lie: no reader of Iceberg looks into folders, so what no snapshot names is not there.

Soundness of cleaning up: whoever writes into an attempt or commits its files holds the lock on its folder, and so does
whoever removes it. So files that a commit is about to name cannot be removed by another run, and a commit finds its
files there or says that they are gone (SNK-258). An attempt that still has its ``open`` is kept as far as a snapshot
names its files, and as a whole while its commit may yet be taken: until the table has left the snapshot that it follows.
"""

from __future__ import annotations

import os
import shutil
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from penstock.connectors.commits import fingerprint
from penstock.connectors.lake.locks import lock
from penstock.disk import ensure_folder, remove_empty, sync_file, sync_folder, write_durably
from penstock.errors import FatalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from pyiceberg.table import Table

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.iceberg.places import Place

ROWS: Final = "rows"  # where the engine writes
_OPEN: Final = "open"
_COMMITTING: Final = "committing"  # beside it once a commit may name files
_DATA: Final = "data"


class Attempt(ABC):
    """What one writer of one attempt leaves in its ``folder``. ``root`` is the table's folder."""

    def __init__(self, place: Place, root: Path, folder: Path) -> None:
        self.place = place
        self.root = root
        self.folder = folder

    @abstractmethod
    def release(self) -> None:
        """Idempotent."""

    @abstractmethod
    def stage(self, paths: Sequence[Path]) -> None:
        """The engine has written these files below ``rows``: make them last. Raises OSError."""

    @abstractmethod
    def take(self, paths: Iterable[Path]) -> None:
        """A commit is about to name these files, which it has written below the folder, durable here."""

    @abstractmethod
    def rows(self) -> list[Path]:
        """What was staged, in order."""

    def fresh(self, source: str) -> Path:
        """A present, empty subfolder, for an epoch that the table does not have. Raises OSError."""
        folder = self.folder / source
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    @abstractmethod
    def commits(self, base: int | None) -> None:
        """From now on a snapshot that follows ``base`` may name files of this attempt. Raises OSError."""

    @abstractmethod
    def keep(self, sources: Iterable[str]) -> None:
        """After a commit that is durable and took the files of these subfolders, of which there may be none; releases.

        Raises OSError.
        """

    @abstractmethod
    def remove(self, find: Callable[[], Table | None]) -> None:
        """Keep what a snapshot of the table names, and remove the rest; releases. ``find`` loads the table, now: whoever
        held the attempt before may have committed. Raises OSError and what ``find`` does.
        """

    @abstractmethod
    def abandon(self, find: Callable[[], Table | None]) -> None:
        """As ``remove``, but where a commit has taken it over. Errors as ``remove``."""


class FolderAttempt(Attempt):
    """On a disk: locked until ``release``."""

    def __init__(self, place: Place, root: Path, folder: Path, descriptor: int) -> None:
        super().__init__(place, root, folder)
        # A writer that is dropped without a word gives its lock back too.
        self._held = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def begin(cls, place: Place, root: Path, epoch: Epoch) -> FolderAttempt:
        """A new folder with an empty ``rows`` in it. Raises OSError."""
        area = area_of(root, epoch.sink_id)
        serial = 0
        named = fingerprint(*epoch.sink_id.parts, str(epoch.number), epoch.attempt)
        while True:
            ensure_folder(area)
            folder = area / f"{epoch.number:06}-{named}-{serial}"
            serial += 1
            try:
                folder.mkdir()
            except (FileExistsError, FileNotFoundError):  # the latter: another run removed the empty area
                continue
            descriptor = lock(folder)
            if descriptor is not None:
                (folder / _OPEN).touch()
                sync_folder(folder)
                (folder / ROWS).mkdir()
                return cls(place, root, folder, descriptor)

    @classmethod
    def claim(cls, place: Place, root: Path, sink_id: SinkId, name: str) -> FolderAttempt | None:
        """Take over what was staged; None where it is gone or somebody else holds it."""
        folder = area_of(root, sink_id) / name
        descriptor = lock(folder)
        if descriptor is None:
            return None
        claimed = cls(place, root, folder, descriptor)
        if (folder / _OPEN).exists():
            return claimed
        claimed.release()
        return None

    def release(self) -> None:
        self._held()

    def stage(self, paths: Sequence[Path]) -> None:
        for path in paths:
            sync_file(path)
        sync_folder(self.folder / ROWS)
        sync_folder(self.folder)

    def take(self, paths: Iterable[Path]) -> None:
        """They lie where they are named."""

    def rows(self) -> list[Path]:
        return sorted((self.folder / ROWS).iterdir())

    def commits(self, base: int | None) -> None:
        write_durably(self.folder / _COMMITTING, str(base).encode())

    # ------------------------------------------------------------ the end

    def keep(self, sources: Iterable[str]) -> None:
        kept = set(sources)
        for path in self.folder.iterdir():
            if path.is_dir() and path.name not in kept:
                shutil.rmtree(path)
        # In this order: an attempt that is open and names no commit was never committed, and is removed with its files.
        for name in (_OPEN, _COMMITTING):
            (self.folder / name).unlink(missing_ok=True)
        sync_folder(self.folder)
        remove_empty(self.folder, self.root)
        self.release()

    def remove(self, find: Callable[[], Table | None]) -> None:
        """Where the table still stands at the snapshot that a commit was to follow, its answer may be lost and it may yet
        come: all stays.
        """
        base = self._base()
        table = find() if base is not None else None
        named = named_in(self.place, table, self.folder) if table is not None else frozenset()
        if named:
            self.keep(named)
            return
        current = None if table is None else table.metadata.current_snapshot_id
        if base != str(current):
            shutil.rmtree(self.folder)
            remove_empty(self.folder.parent, self.root)
        self.release()

    def abandon(self, find: Callable[[], Table | None]) -> None:
        """Leaves what a commit may have taken to the next ``marker``."""
        self.release()
        descriptor = lock(self.folder)
        if descriptor is not None and (self.folder / _OPEN).exists():
            FolderAttempt(self.place, self.root, self.folder, descriptor).remove(find)
        elif descriptor is not None:
            os.close(descriptor)

    def _base(self) -> str | None:
        """The snapshot that a commit of this attempt was to follow; None where none was ever tried."""
        try:
            return (self.folder / _COMMITTING).read_text()
        except FileNotFoundError:
            return None


def gone(name: str) -> FatalError:
    """SNK-258, to be raised."""
    return FatalError(
        "SNK-258",
        "what was staged for this commit is not there any more",
        detail=f"{name}: another run of the pipeline removed it",
    )


def folders_of(place: Place, root: Path, sink_id: SinkId) -> list[FolderAttempt]:
    """What attempts of this sink left that no process holds, each locked now."""
    try:
        folders = sorted(path for path in area_of(root, sink_id).iterdir() if not _is_finished(path))
    except (FileNotFoundError, NotADirectoryError):
        return []
    locked = ((folder, lock(folder)) for folder in folders)
    return [FolderAttempt(place, root, folder, descriptor) for folder, descriptor in locked if descriptor is not None]


def _is_finished(folder: Path) -> bool:
    """Whether it holds files of a commit and nothing else; one that was begun and got no further holds nothing."""
    begun = (folder / _OPEN).exists() or (folder / _COMMITTING).exists()
    return not begun and any(folder.iterdir())


def area_of(root: Path, sink_id: SinkId) -> Path:
    """The same for all incarnations of a sink."""
    return root / _DATA / f"penstock-{fingerprint(*sink_id.lasting)}"


def named_in(place: Place, table: Table, folder: Path) -> frozenset[str]:
    """The subfolders of an attempt that have files which any snapshot names."""
    lists = {
        manifest.manifest_path: manifest
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
    }
    paths = (
        place.path_of(entry.data_file.file_path)
        for manifest in lists.values()
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
    )
    return frozenset(path.relative_to(folder).parts[0] for path in paths if path.is_relative_to(folder))
