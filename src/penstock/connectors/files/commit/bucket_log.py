"""The log of a target in an object store: versions made by conditional create, each by one writer alone.

A version is a commit, or a claim: a runner that takes a sink over, or attempts that are thrown away. Since both take the
next version, whoever lost a sink or an attempt finds that its next version is taken, reads on, and learns of it: the fence
is as atomic as the commit. Source of the idea: the log of Delta Lake, whose commits are put-if-absent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from penstock.connectors.commits import check_fence
from penstock.connectors.files.commit.names import key_folder, sink_folder, version_name, version_of
from penstock.connectors.files.commit.records import BucketState, Claim, Logged, decode, encode
from penstock.structs import Mutable, field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.files.commit.records import Manifest
    from penstock.connectors.objects.bucket import Bucket

SNAPSHOT_EVERY: Final = 32  # cold readers ask for so many versions, one after the other


class BucketLog(Mutable):
    """The log below one home; ``manifests`` are the commits since the snapshot that was read last."""

    bucket: Bucket
    home: str
    _every: int = SNAPSHOT_EVERY
    _known: BucketState = field(default_factory=BucketState)
    _commits: list[Manifest] = field(default_factory=list)

    def read(self) -> BucketState:
        """After the newest entry. Raises FatalError SNK-131."""
        while True:
            while (logged := self._logged(self._known.state.version + 1)) is not None:
                self._known = self._known.after(logged)
                if logged.manifest is not None:
                    self._commits.append(logged.manifest)
            # Versions are only removed below a snapshot: a newer one means that some were missed.
            newest = self._newest_snapshot()
            if newest <= self._known.state.version:
                return self._known
            key = self._snapshot_key(newest)
            content = self.bucket.read(key)
            if content is not None:
                self._known, self._commits = decode(content, BucketState, key), []

    def manifests(self, upto: int | None = None) -> list[Manifest]:
        """Commits since the snapshot, oldest first: the others are published."""
        return [item for item in self._commits if upto is None or item.version <= upto]

    def take_over(self, epoch: Epoch) -> bool:
        """Whether the epoch's runner is new here. Raises FatalError SNK-120 where a newer one has been here."""
        sink = sink_folder(epoch.sink_id)
        while True:
            known = self.read()
            fence = known.fences.get(sink, -1)
            check_fence(fence, epoch)
            if fence == epoch.fence:
                return False
            claim = Claim(version=known.state.version + 1, sink=sink, fence=epoch.fence)
            if self._create(claim.version, Logged(claim=claim)):
                self.read()
                return True

    def void(self, sink_id: SinkId, attempts: Sequence[str]) -> None:
        """From now on none of these attempts is committed, unless it has been."""
        sink = sink_folder(sink_id)
        while True:
            known = self.read()
            new = tuple(name for name in attempts if name not in known.voids.get(sink, ()))
            if not new:
                return
            fence = known.fences.get(sink, -1)
            claim = Claim(version=known.state.version + 1, sink=sink, fence=fence, voids=new)
            if self._create(claim.version, Logged(claim=claim)):
                self.read()
                return

    def append(self, manifest: Manifest) -> bool:
        """**The commit**, where the version is still free; the caller has read all versions before it.

        Raises FileNotFoundError where the attempt has been thrown away.
        """
        if manifest.attempt in self._known.voids.get(key_folder(manifest.sink_id), ()):
            raise FileNotFoundError(manifest.attempt)
        return self._create(manifest.version, Logged(manifest=manifest))

    def snapshot(self, version: int) -> bool:
        """Now and then, once all up to this version, which was read last, is published."""
        if version < self._newest_snapshot() + self._every or version != self._known.state.version:
            return False
        self.bucket.write(self._snapshot_key(version), encode(self._known))
        self._prune(version)
        return True

    def _prune(self, version: int) -> None:
        """Removes what the snapshot holds. Idempotent."""
        for folder, upto in ((f"{self.home}/log", version), (f"{self.home}/snapshots", version - 1)):
            keys = [item.key for item in self.bucket.list(folder)]
            self.bucket.delete([key for key in keys if 0 < version_of(key.rpartition("/")[2]) <= upto])
        self._commits = [item for item in self._commits if item.version > version]

    def _create(self, version: int, logged: Logged) -> bool:
        if not self.bucket.create(self._key(version), encode(logged)):
            return False
        # A version below a snapshot was taken once, and its object has gone since: this one is void.
        if self._newest_snapshot() >= version:
            self.bucket.delete([self._key(version)])
            return False
        return True

    def _logged(self, version: int) -> Logged | None:
        content = self.bucket.read(self._key(version))
        return None if content is None else decode(content, Logged, self._key(version))

    def _newest_snapshot(self) -> int:
        found = self.bucket.list(f"{self.home}/snapshots")
        return max((version_of(item.key.rpartition("/")[2]) for item in found), default=0)

    def _key(self, version: int) -> str:
        return f"{self.home}/log/{version_name(version)}"

    def _snapshot_key(self, version: int) -> str:
        return f"{self.home}/snapshots/{version_name(version)}"
