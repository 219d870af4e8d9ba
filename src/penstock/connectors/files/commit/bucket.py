"""A target in an object store: staged and published by copies, committed by an entry of its log (``bucket_log``).

Below the target's key, as on a disk, ``_penstock/`` (of one file: ``_penstock/file-<name>-<hash>/`` beside it)::

    log/<version>                                   a commit's manifest, or a runner that takes over
    staging/<sink>/<fence>-<attempt>/parts/         the files of an attempt, until they are published
    snapshots/<version>                             all that the versions up to this one left

A store has no rename: publishing copies each file, within the store, to where readers look, and then removes what was
staged, all of it before the next commit. That something is staged for a commit says that it is not published.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from penstock.connectors.commits import check_fence, clearing_up
from penstock.connectors.files.commit import disk
from penstock.connectors.files.commit.bucket_log import BucketLog
from penstock.connectors.files.commit.folder import check_size
from penstock.connectors.files.commit.names import (
    HOME,
    attempt_folder,
    fence_of,
    file_home,
    key_folder,
    sink_folder,
)
from penstock.connectors.files.commit.target import Target
from penstock.connectors.files.places import open_bucket
from penstock.connectors.objects.bucket import ObjectGoneError
from penstock.connectors.objects.copies import Copies
from penstock.connectors.objects.keys import checked_key, joined
from penstock.connectors.resilience.parallel import in_order
from penstock.disk import ensure_folder, remove_empty
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractContextManager

    from penstock.connectors.api import Context, Epoch, SinkId
    from penstock.connectors.files.commit.records import Entry, Manifest, Placed, State
    from penstock.connectors.files.places import FileConnection
    from penstock.connectors.objects.bucket import Bucket, StoredObject
    from penstock.connectors.resilience.cancel import Cancellation

PARTS: Final = "parts"


class BucketTarget(Target):
    """``root`` is the key that entries are relative to; ``scratch`` a private folder of this machine."""

    def __init__(self, bucket: Bucket, root: str, *, one_file: str | None, named: str, scratch: Path) -> None:
        self.one_file = one_file
        self._bucket = bucket
        self._root = root
        self._named = named
        home = joined(root, HOME, file_home(one_file) if one_file else "")
        self._staging = f"{home}/staging"
        self.log = BucketLog(bucket, home)
        self._scratch = scratch / "staging"
        self._copies = Copies(bucket, scratch / "objects")

    @classmethod
    def of(cls, connection: FileConnection, path: str, *, context: Context, one_file: bool) -> BucketTarget:
        """Raises ConfigError DOC-231."""
        key = checked_key(path)
        root, _, name = key.rpartition("/") if one_file else (key, "", "")
        bucket = open_bucket(connection, context.clock, context.wards)
        return cls(bucket, root, one_file=name or None, named=path, scratch=context.scratch)

    def classified(self) -> AbstractContextManager[None]:
        return disk.classified(self._scratch)

    def prepare(self) -> None:
        if self.one_file and self._bucket.list(joined(self._root, self.one_file)):
            raise ConfigError("SNK-132", f'"{self._named}" cannot be written', detail="it is a folder")
        ensure_folder(self._scratch)

    # ------------------------------------------------------------ what is committed

    def state(self) -> State:
        return self.log.read().state

    def unpublished(self, state: State) -> list[Manifest]:
        found = self.log.manifests(state.version)
        if not found:
            return []
        staged = self._staged()
        return [manifest for manifest in found if (key_folder(manifest.sink_id), manifest.attempt) in staged]

    def publish(self, manifest: Manifest, reached: Callable[[str], None]) -> None:
        placed = {item.entry.path for item in manifest.added}
        self._bucket.delete([joined(self._root, path) for path in manifest.removed if path not in placed])
        reached("files.old_removed")
        staged = f"{self._staging}/{key_folder(manifest.sink_id)}/{manifest.attempt}"

        def place(item: Placed, cancelled: Cancellation) -> None:
            cancelled.check()
            self._place(f"{staged}/{PARTS}/{item.staged}", item.entry)

        with closing(in_order(place, manifest.added, concurrency=self._bucket.parallel)) as done:
            for _ in done:
                reached("files.part_placed")
        reached("files.placed")
        self._remove(staged)
        reached("files.published")

    def _place(self, staged: str, entry: Entry) -> None:
        try:
            self._bucket.place(staged, entry.bytes, joined(self._root, entry.path))
        except ObjectGoneError:
            return  # another publisher was here

    def names(self) -> list[str]:
        return sorted(self._found())

    def _found(self) -> dict[str, StoredObject]:
        start = len(self._root) + 1 if self._root else 0
        found = {item.key[start:]: item for item in self._bucket.list(self._root)}
        return {name: item for name, item in found.items() if HOME not in name.split("/")}

    def read(self, entries: Sequence[Entry]) -> list[Path]:
        found = self._found() if entries else {}
        for entry in entries:
            check_size(entry, found[entry.path].size if entry.path in found else None, self._named)
        objects = [found[entry.path] for entry in entries]
        self._copies.fetch(objects)
        return [self._copies.path_of(item) for item in objects]

    # ------------------------------------------------------------ fences

    def raise_fence(self, epoch: Epoch) -> None:
        """An entry of the log: whoever had the sink before can append nothing behind it."""
        if self.log.take_over(epoch):
            self._forsake(
                epoch.sink_id, [name for name in self._attempts(epoch.sink_id) if fence_of(name) < epoch.fence]
            )

    def check_fence(self, epoch: Epoch) -> None:
        check_fence(self.log.read().fences.get(sink_folder(epoch.sink_id), -1), epoch)

    # ------------------------------------------------------------ attempts

    def attempt(self, epoch: Epoch) -> Path:
        return self._scratch / sink_folder(epoch.sink_id) / attempt_folder(epoch)

    def new_part(self, attempt: Path) -> Path:
        ensure_folder(attempt / PARTS)
        return Path(
            mkdtemp(prefix="w", dir=attempt / PARTS)
        )  # on other machines, too, there are writers of the attempt

    def keep(self, folder: Path, files: Sequence[Path]) -> None:
        """Into the store; what is there needs no room here any longer."""
        self._bucket.write_all({self._key(path): path for path in files})
        for path in files:
            path.unlink()
            remove_empty(path.parent, folder)

    def lacking(self, attempt: Path, paths: Collection[str]) -> int:
        if not paths:
            return 0
        staged = f"{self._key(attempt)}/{PARTS}"
        there = {item.key[len(staged) + 1 :] for item in self._bucket.list(staged)}
        return len(set(paths) - there)

    def drop(self, epoch: Epoch, part: Path | None = None) -> None:
        """What is in the store goes as a whole: a commit of it may still be under way."""
        attempt = self.attempt(epoch)
        shutil.rmtree(part or attempt, ignore_errors=True)
        remove_empty(attempt / PARTS, self._scratch)
        if self._bucket.list(self._key(part or attempt)):
            self._throw_away(epoch.sink_id, [attempt.name])

    def clean(self, sink_id: SinkId, *, keep: Collection[str] = ()) -> None:
        found = [name for name in self._attempts(sink_id) if name not in keep]
        if found:
            self._throw_away(sink_id, found)

    def _throw_away(self, sink_id: SinkId, attempts: Sequence[str]) -> None:
        """They are first said to be void in the log: their runner may live, and have them committed."""
        self.log.void(sink_id, attempts)
        self._forsake(sink_id, attempts)

    def _forsake(self, sink_id: SinkId, attempts: Sequence[str]) -> None:
        """Attempts that can no longer be committed; of those that have been, what is staged is still to be published."""
        folder = sink_folder(sink_id)
        committed = {item.attempt for item in self.log.manifests() if key_folder(item.sink_id) == folder}
        for name in attempts:
            if name in committed:
                continue
            with clearing_up():
                self._remove(f"{self._staging}/{folder}/{name}")

    def _attempts(self, sink_id: SinkId) -> list[str]:
        folder = sink_folder(sink_id)
        return sorted(name for at, name in self._staged() if at == folder)

    def _staged(self) -> set[tuple[str, str]]:
        """The sinks' folders, and in them the attempts, of which something lies in the store."""
        start = len(self._staging) + 1
        parts = (item.key[start:].split("/") for item in self._bucket.list(self._staging))
        return {(sink, attempt) for sink, attempt, *_ in parts}

    # ------------------------------------------------------------ committing

    def ready(self, attempt: Path, manifest: Manifest) -> None:
        """Nothing: the manifest is the commit."""

    def append(self, attempt: Path, manifest: Manifest) -> bool:
        shutil.rmtree(attempt, ignore_errors=True)
        return self.log.append(manifest)

    def snapshot(self, state: State) -> bool:
        return self.log.snapshot(state.version)

    def close(self) -> None:
        self._copies.remove()

    def _key(self, path: Path) -> str:
        """Of a file or folder of this machine, where it lies in the store."""
        return f"{self._staging}/{path.relative_to(self._scratch).as_posix()}"

    def _remove(self, folder: str) -> None:
        self._bucket.delete([item.key for item in self._bucket.list(folder)])
