"""The log of a target: its state, the one rename that commits, fences, snapshots."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from penstock.connectors.commits import check_fence
from penstock.connectors.files.commit import disk
from penstock.connectors.files.commit.names import fence_of, sink_folder, version_name, version_of
from penstock.connectors.files.commit.records import Manifest, State, decode, encode
from penstock.disk import ensure_folder, sync_folder, write_durably

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from penstock.connectors.api import Epoch, SinkId

MANIFEST: Final = "manifest"
PARTS: Final = "parts"
SNAPSHOT_EVERY: Final = 64


class Log:
    """The log below one home. Makes nothing before the first write; holds no open files."""

    def __init__(self, home: Path, *, snapshot_every: int = SNAPSHOT_EVERY) -> None:
        self.home = home
        self._log = home / "log"
        self._snapshots = home / "snapshots"
        self._staging = home / "staging"
        self._fences = home / "fences"
        self._trash = home / "trash"
        self._every = snapshot_every
        self._known = State()

    # ------------------------------------------------------------ reading

    def state(self) -> State:
        """The target after the newest commit. Raises FatalError SNK-131."""
        while True:
            state = self._known
            newest = self._newest_snapshot()
            if newest > state.version:
                content = self._read(self._snapshots / version_name(newest))
                if content is None:
                    continue
                state = decode(content, State, self._snapshots / version_name(newest))
            while (manifest := self.manifest(state.version + 1)) is not None:
                state = state.after(manifest)
            # Versions are only removed below a snapshot: a newer one means that some were missed.
            if self._newest_snapshot() <= state.version:
                self._known = state
                return state

    def manifest(self, version: int) -> Manifest | None:
        path = self.folder(version) / MANIFEST
        content = self._read(path)
        return None if content is None else decode(content, Manifest, path)

    def folder(self, version: int) -> Path:
        return self._log / version_name(version)

    def unpublished(self, state: State) -> list[Manifest]:
        """Commits whose files are not, or not all, where readers look; oldest first."""
        found = []
        for name in disk.names_in(self._log):
            if 0 < version_of(name) <= state.version and (self._log / name / PARTS).is_dir():
                manifest = self.manifest(version_of(name))
                if manifest is not None:
                    found.append(manifest)
        return found

    def _newest_snapshot(self) -> int:
        return max((version_of(name) for name in disk.names_in(self._snapshots)), default=0)

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    # ------------------------------------------------------------ attempts

    def staging(self, sink_id: SinkId) -> Path:
        return self._staging / sink_folder(sink_id)

    def new_part(self, attempt: Path) -> Path:
        """An empty folder for one more writer of the attempt."""
        ensure_folder(attempt / PARTS)
        place = len(disk.names_in(attempt / PARTS))
        while True:
            made = attempt / PARTS / f"w{place:04d}"
            try:
                made.mkdir()
            except FileExistsError:
                place += 1
            else:
                sync_folder(made.parent)
                return made

    def discard(self, folder: Path) -> None:
        disk.discard(folder, self._trash)

    def clean(self, sink_id: SinkId, *, keep: Collection[str] = ()) -> None:
        """Remove attempts of this sink id but those kept, and finish deletions that a crash interrupted."""
        staging = self.staging(sink_id)
        for name in disk.names_in(staging):
            if name not in keep:
                self.discard(staging / name)
        with suppress(OSError):
            staging.rmdir()
        if self._trash.is_dir():
            shutil.rmtree(self._trash, ignore_errors=True)

    # ------------------------------------------------------------ fences

    def raise_fence(self, epoch: Epoch) -> None:
        """From now on no older runner commits for this sink, under whatever incarnation; what it has staged is thrown away.

        Raises FatalError SNK-120 where a newer runner has been here.
        """
        folder = self._fences / sink_folder(epoch.sink_id)
        mine = folder / str(epoch.fence)
        if not mine.exists():
            self.check_fence(epoch)
            ensure_folder(folder)
            mine.touch()
            sync_folder(folder)
            self._throw_out_older(epoch)
        self.check_fence(epoch)

    def check_fence(self, epoch: Epoch) -> None:
        """Raises FatalError SNK-120 where a newer runner has been here."""
        newest = max(map(version_of, disk.names_in(self._fences / sink_folder(epoch.sink_id))), default=-1)
        check_fence(newest, epoch)

    def _throw_out_older(self, epoch: Epoch) -> None:
        staging = self.staging(epoch.sink_id)
        for name in disk.names_in(staging):
            if fence_of(name) < epoch.fence:
                self.discard(staging / name)
        for name in disk.names_in(self._fences / sink_folder(epoch.sink_id)):
            if version_of(name) < epoch.fence:
                (self._fences / sink_folder(epoch.sink_id) / name).unlink(missing_ok=True)

    # ------------------------------------------------------------ committing

    def write_manifest(self, attempt: Path, manifest: Manifest) -> None:
        """The attempt is whole and durable afterwards, and still nothing but an attempt."""
        ensure_folder(attempt / PARTS)
        write_durably(attempt / MANIFEST, encode(manifest))
        ensure_folder(self._log)

    def append(self, attempt: Path, version: int) -> bool:
        """**The commit**: the attempt becomes this version of the log. False where another commit has taken it.

        Raises FileNotFoundError where a newer runner has thrown the attempt away.
        """
        place = self.folder(version)
        if not disk.claim(attempt, place):
            return False
        # A version below a snapshot was taken once, and its folder has gone since: this claim is void.
        if self._newest_snapshot() >= version:
            place.rename(attempt)
            return False
        return True

    def settle(self, version: int) -> None:
        """A commit is published: its parts are moved, what it replaced is gone, all of it is durable."""
        self.discard(self.folder(version) / PARTS)
        sync_folder(self.folder(version))

    def snapshot(self, state: State) -> bool:
        """Now and then, once all is published: keep the state as one file and remove the versions it holds."""
        if state.version < self._newest_snapshot() + self._every:
            return False
        ensure_folder(self._snapshots)
        write_durably(self._snapshots / version_name(state.version), encode(state))
        self.prune()
        return True

    def prune(self) -> None:
        """Remove what the newest snapshot holds. Idempotent."""
        newest = self._newest_snapshot()
        for name in disk.names_in(self._log):
            if 0 < version_of(name) <= newest:
                self.discard(self._log / name)
        for name in disk.names_in(self._snapshots):
            if version_of(name) != newest:
                (self._snapshots / name).unlink(missing_ok=True)
