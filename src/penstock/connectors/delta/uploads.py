"""What a writer leaves in an object store before the commit: files where the log will name them, and notes of them.

Readers of Delta read what the log names and nothing else, so files lie at once where they will stay. Below
``_penstock/<sink>/<attempt>/`` are the attempt's claim (``lake.claims``), the notes of files that it places, each there
before the first of them, and rows that a merge is to read. All of that goes when the commit is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from penstock.connectors.commits import clearing_up
from penstock.connectors.delta.layout import app_id, fence_id, file_stem, sink_folder
from penstock.connectors.delta.staging import PLACED, ROWS, Attempt, committed, gone, note
from penstock.connectors.delta.table import newest
from penstock.connectors.lake.claims import Claims, Purpose
from penstock.connectors.objects.bucket import StoredObject
from penstock.connectors.objects.copies import Copies
from penstock.connectors.objects.keys import joined

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.delta.mirror import Mirror
    from penstock.connectors.delta.staging import NewFile
    from penstock.connectors.delta.table import Snapshot


class BucketAttempt(Attempt):
    """``folder`` is below the mirror's root as its objects are below the table's key."""

    place: Mirror

    def __init__(self, place: Mirror, folder: Path, claims: Claims) -> None:
        super().__init__(place, folder)
        self._claims = claims
        self._rows = Copies(place.bucket, folder.with_name(f"{folder.name}-copies"))

    @classmethod
    def begin(cls, place: Mirror, epoch: Epoch) -> BucketAttempt:
        area = sink_folder(place.root, epoch.sink_id)
        area.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f"{file_stem(epoch)}-", dir=area))  # other machines have writers of it, too
        (folder / ROWS).mkdir()
        made = cls(place, folder, _claims(place, epoch.sink_id))
        made._claims.begin(folder.name, _purpose(epoch))
        return made

    @classmethod
    def claim(cls, place: Mirror, sink_id: SinkId, name: str) -> BucketAttempt | None:
        """To commit it; None where it is void, or gone."""
        claims = _claims(place, sink_id)
        if not claims.take(name):
            return None
        return cls(place, sink_folder(place.root, sink_id) / name, claims)

    @classmethod
    def clear(cls, place: Mirror, sink_id: SinkId, *, but: Collection[str] = (), upto: Epoch | None = None) -> None:
        """``upto``: this epoch is committed, and only what is over with it goes."""
        claims = _claims(place, sink_id)
        for name in claims.names() if upto is None else claims.over_after(_purpose(upto)):
            if name not in but:
                cls(place, sink_folder(place.root, sink_id) / name, claims).remove()

    def release(self) -> None:
        """It holds nothing."""

    # ------------------------------------------------------------ before the commit

    def keep(self, files: Sequence[NewFile], source: str, *, final: bool) -> None:
        """Those of the table go where they will stay. Raises FatalError SNK-258 where another has thrown them away."""
        if final:
            self._upload(files, self.finals(files, source), source)
        else:
            self.place.bucket.write_all(
                {self._key(source, file.path): self.folder / source / file.path for file in files}
            )
        if self._claims.is_void(self.folder.name):
            with clearing_up():
                for noted in self._noted():
                    self.unplace(noted)
                self._claims.drop(self.folder.name)
            raise gone(self.folder.name)

    def rows(self, files: Sequence[NewFile], source: str) -> list[Path]:
        """Where they are not here, they were staged by a writer on another machine."""
        paths = [self.folder / source / file.path for file in files]
        if all(path.exists() for path in paths):
            return paths
        objects = [StoredObject(self._key(source, file.path), file.size, 0, None) for file in files]
        self._rows.fetch(objects)
        return [self._rows.path_of(item) for item in objects]

    # ------------------------------------------------------------ placing

    def place_files(self, files: Sequence[NewFile], epoch: Epoch, *, source: str = ROWS) -> list[NewFile]:  # noqa: ARG002
        """They lie there since they were staged; those of a commit of its own go there now."""
        if not files:
            return []
        finals = self.finals(files, source)
        if (self.folder / source / files[0].path).exists():
            self._upload(files, finals, source)
        return finals

    def _upload(self, files: Sequence[NewFile], finals: Sequence[NewFile], source: str) -> None:
        if not files:
            return
        purpose = self._claims.purpose(self.folder.name)
        if purpose is None:  # another has thrown it away
            with clearing_up():
                self._claims.drop(self.folder.name)
            raise gone(self.folder.name)
        self.place.bucket.write(self._note_key(source), note(purpose.marker, purpose.epoch, finals))
        pairs = zip(files, finals, strict=True)
        self.place.bucket.write_all(
            {joined(self.place.key, new.path): self.folder / source / old.path for old, new in pairs}
        )
        shutil.rmtree(self.folder / source)

    def unplace(self, source: str) -> None:
        self._remove_placed(self._read(source))
        self.place.bucket.delete([self._note_key(source)])

    def _read(self, source: str) -> dict[str, Any] | None:
        content = self.place.bucket.read(self._note_key(source))
        if content is None:
            return None
        told: dict[str, Any] = json.loads(content)
        return told

    def _remove_placed(self, told: dict[str, Any] | None) -> None:
        if told is not None:
            self.place.bucket.delete([joined(self.place.key, path) for path in told["files"]])

    def _note_key(self, source: str) -> str:
        return self._key(f"{source}.{PLACED}")

    def _key(self, *parts: str) -> str:
        return self._claims.key(self.folder.name, *parts)

    # ------------------------------------------------------------ the end

    def finish(self) -> None:
        with clearing_up():
            self._claims.drop(self.folder.name)
        self._ended()

    def remove(self) -> None:
        """Stays where a commit has it that may yet come."""
        name = self.folder.name
        void = self._claims.void(name)
        purpose = None if void else self._claims.purpose(name)
        table = None if purpose is None else newest(self.place)
        if purpose is not None and (table is None or not _is_over(table, purpose)):
            return
        with clearing_up():
            for source in self._noted():
                placed = self._read(source)
                if placed is not None and (void or not committed(table, placed, self.note_of(source))):
                    self._remove_placed(placed)
            self._claims.drop(name)
        self._ended()

    def _noted(self) -> list[str]:
        """The subfolders from which files were placed."""
        names = [item.key.rpartition("/")[2] for item in self.place.bucket.list(self._key())]
        return sorted(name.removesuffix(f".{PLACED}") for name in names if name.endswith(f".{PLACED}"))

    def abandon(self) -> None:
        self.remove()

    def _ended(self) -> None:
        self._rows.remove()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.place.ended(self.folder.name)


def _claims(place: Mirror, sink_id: SinkId) -> Claims:
    area = sink_folder(place.root, sink_id).relative_to(place.root).as_posix()
    return Claims(place.bucket, joined(place.key, area))


def _purpose(epoch: Epoch) -> Purpose:
    return Purpose(app_id(epoch.sink_id), epoch.number, fence_id(epoch.sink_id), epoch.fence)


def _is_over(table: Snapshot, purpose: Purpose) -> bool:
    last_of = table.handle.transaction_version
    return purpose.is_over(epoch=last_of(purpose.marker) or 0, fence=last_of(purpose.sink) or 0)
