"""What a writer leaves before the commit: a folder that one process at a time holds, and a note of what it placed.

Soundness of cleaning up: whoever writes into an attempt, places its files or commits them holds the lock on its folder,
and so does whoever removes it. So files that a commit is about to name can not be removed by another run, and a commit
finds its files there or says that they are gone (SNK-258). A lock ends with its process, however that ends.

Files are placed (renamed to where the log will name them) only after ``placed.json`` says so durably, and the attempt's
folder goes only after the log entry is durable: at any time the log and that note tell which files nobody names.
"""

from __future__ import annotations

import json
import os
import shutil
import weakref
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.delta.layout import STAGING, app_id, file_stem, sink_folder
from penstock.connectors.delta.log import commit_of
from penstock.connectors.delta.table import newest
from penstock.connectors.lake.locks import lock
from penstock.disk import ensure_folder, remove_empty, sync_folder, write_durably
from penstock.errors import FatalError
from penstock.structs import Frozen, asdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from penstock.connectors.api import Epoch
    from penstock.connectors.delta.places import Place
    from penstock.connectors.delta.table import Snapshot

PLACED: Final = "placed.json"
ROWS: Final = "rows"  # where the engine writes


class NewFile(Frozen):
    """A data file that is written and not yet named by the log.

    ``path`` is relative to the folder it lies in now or, once placed, to the table's. ``partition`` and ``stats`` are as
    the log takes them.
    """

    path: str
    size: int
    rows: int
    partition: Mapping[str, str | None]
    stats: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Attempt(ABC):
    """What one writer of one attempt leaves before the commit: ``folder``, below the place's root, where it writes."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place = place
        self.folder = folder

    @property
    def root(self) -> Path:
        return self.place.root

    # ------------------------------------------------------------ before the commit

    @abstractmethod
    def keep(self, files: Sequence[NewFile], source: str, *, final: bool) -> None:
        """Files of a subfolder are staged. ``final``: the table's own, not only rows to be merged."""

    @abstractmethod
    def rows(self, files: Sequence[NewFile], source: str) -> list[Path]:
        """Where they can be read, rows to be merged."""

    def fresh(self, source: str) -> Path:
        """A present, empty subfolder; what an earlier try placed from it, and the log does not name, is removed.

        Only for an epoch that the log does not have. Raises OSError.
        """
        self.unplace(source)
        folder = self.folder / source
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    # ------------------------------------------------------------ placing

    @abstractmethod
    def place_files(self, files: Sequence[NewFile], epoch: Epoch, *, source: str = ROWS) -> list[NewFile]:
        """Take the files of a subfolder to where the log will name them, durably; as they then are.

        May be called again after a failure, or for another subfolder. Raises OSError, FatalError SNK-258.
        """

    @abstractmethod
    def unplace(self, source: str) -> None:
        """Remove what was placed from a subfolder and is in no log. Raises OSError."""

    def finals(self, files: Sequence[NewFile], source: str) -> list[NewFile]:
        """The attempt's folder has a name that no other has, so have its files."""
        finals = []
        for number, file in enumerate(files):
            place = file.path.rpartition("/")[0]
            name = f"{self.note_of(source)}-{number:04}.parquet"
            path = f"{place}/{name}" if place else name
            finals.append(NewFile(path, file.size, file.rows, file.partition, file.stats))
        return finals

    def note_of(self, source: str = ROWS) -> str:
        """Names, in the log, what was placed from a subfolder."""
        return f"{self.folder.name}-{source}"

    # ------------------------------------------------------------ the end

    @abstractmethod
    def release(self) -> None:
        """Idempotent."""

    @abstractmethod
    def finish(self) -> None:
        """Remove the folder of an attempt whose commit is durable; releases. Raises OSError."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the folder, and files that it placed and the table's log does not name; releases. Raises OSError,
        ConfigError SRC-251.
        """

    @abstractmethod
    def abandon(self) -> None:
        """As ``remove``, but where a commit has taken it over. Errors as ``remove``."""


class FolderAttempt(Attempt):
    """On a disk: locked until ``release``."""

    def __init__(self, place: Place, folder: Path, descriptor: int) -> None:
        super().__init__(place, folder)
        # A writer that is dropped without a word gives its lock back too.
        self._held = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def begin(cls, place: Place, epoch: Epoch) -> FolderAttempt:
        """A new folder with an empty ``rows`` in it. Raises OSError."""
        area = sink_folder(place.root, epoch.sink_id)
        serial = 0
        while True:
            area.mkdir(parents=True, exist_ok=True)
            folder = area / f"{file_stem(epoch)}-{serial}"
            try:
                folder.mkdir()
            except FileExistsError:
                serial += 1
                continue
            except FileNotFoundError:  # another run removed the empty area
                continue
            descriptor = lock(folder)
            if descriptor is not None:
                (folder / ROWS).mkdir()
                return cls(place, folder, descriptor)
            serial += 1

    @classmethod
    def claim(cls, place: Place, folder: Path) -> FolderAttempt | None:
        """Take over what was staged; None where it is gone or somebody else holds it."""
        descriptor = lock(folder)
        return None if descriptor is None else cls(place, folder, descriptor)

    def release(self) -> None:
        self._held()

    def keep(self, files: Sequence[NewFile], source: str, *, final: bool) -> None:
        """They are."""

    def rows(self, files: Sequence[NewFile], source: str) -> list[Path]:
        return [self.folder / source / file.path for file in files]

    # ------------------------------------------------------------ placing

    def place_files(self, files: Sequence[NewFile], epoch: Epoch, *, source: str = ROWS) -> list[NewFile]:
        """By a rename."""
        if not files:
            return []
        finals = self.finals(files, source)
        known = self._note_path(source)
        if not known.exists():
            write_durably(known, note(app_id(epoch.sink_id), epoch.number, finals))
        folders = {(self.root / file.path).parent for file in finals}
        for folder in folders:
            ensure_folder(folder)
        for old, new in zip(files, finals, strict=True):
            self._move(self.folder / source / old.path, self.root / new.path)
        for folder in folders | {self.root}:
            sync_folder(folder)
        return finals

    def unplace(self, source: str) -> None:
        note = self._note_path(source)
        _remove_files(self.root, _files_of(note))
        note.unlink(missing_ok=True)

    def _note_path(self, source: str) -> Path:
        return self.folder / f"{source}.{PLACED}"

    def _move(self, old: Path, new: Path) -> None:
        if old.exists():
            old.replace(new)
        elif not new.exists():
            raise gone(self.folder.name)

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        shutil.rmtree(self.folder)
        self.release()
        remove_empty(self.folder.parent, self.root)

    def remove(self) -> None:
        """The log is read now, under the lock: whoever held it before may have committed."""
        notes = sorted(self.folder.glob(f"*.{PLACED}"))
        table = newest(self.place) if notes else None
        for found in notes:
            told = _read(found)
            if told is None or not committed(table, told, self.note_of(found.name.removesuffix(f".{PLACED}"))):
                _remove_files(self.root, _files_of(found))
        self.finish()

    def abandon(self) -> None:
        """Leaves what a commit has already placed to the next ``marker``, where another holds it."""
        self.release()
        claimed = FolderAttempt.claim(self.place, self.folder)
        if claimed is not None:
            claimed.remove()


def gone(name: str) -> FatalError:
    """SNK-258, to be raised."""
    return FatalError(
        "SNK-258",
        "what was staged for this commit is not there any more",
        detail=f"{STAGING}/…/{name}: another run of the pipeline removed it",
    )


def attempts_in(area: Path) -> Iterable[Path]:
    try:
        return sorted(area.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return ()


def note(app: str, epoch: int, files: Sequence[NewFile]) -> bytes:
    """What is known of placed files until the log names them."""
    return json.dumps({"app": app, "epoch": epoch, "files": [file.path for file in files]}).encode()


def committed(table: Snapshot | None, told: Mapping[str, Any], placed: str) -> bool:
    """Whether the files of a note, ``told``, are, or may be, named by the table's log. ``placed`` names the note there."""
    if table is None:
        return False
    last = table.handle.transaction_version(told["app"])
    if last is None or last < told["epoch"]:
        return False
    record = commit_of(table.place, table.version, told["app"], told["epoch"])
    # Without the log entry, which is cleaned up after weeks, nobody can tell: the files stay.
    return record is None or placed in record.placed


def _read(note: Path) -> dict[str, Any] | None:
    """None where it is not there or was cut off while it was written: nothing was placed then."""
    try:
        told: dict[str, Any] = json.loads(note.read_bytes())
    except (ValueError, FileNotFoundError):
        return None
    return told


def _files_of(note: Path) -> list[str]:
    told = _read(note)
    return list(told["files"]) if told else []


def _remove_files(root: Path, paths: Iterable[str]) -> None:
    for path in paths:
        full = root / path
        full.unlink(missing_ok=True)
        remove_empty(full.parent, root)
