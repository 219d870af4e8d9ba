"""A table in an object store: its log, and the files that are read, mirrored in a folder of this machine.

deltalake works on the mirror as on any folder; a log entry that it writes there is then made the table's by a conditional
create, so that commits are decided by the store, and by nobody's credentials but the connection's. Data files are copies in
a bounded folder of their own.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Final

from penstock.connectors.delta.layout import log_file
from penstock.connectors.delta.places import Place
from penstock.connectors.delta.uploads import BucketAttempt
from penstock.connectors.lake.copied import copied
from penstock.connectors.objects.copies import Copies
from penstock.connectors.objects.keys import checked_key, joined
from penstock.connectors.objects.store import ObjectBucket
from penstock.disk import ensure_folder
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from deltalake import DeltaTable

    from penstock.connectors.api import Context, Epoch, SinkId
    from penstock.connectors.delta.staging import Attempt
    from penstock.connectors.lake.tables import DataFile
    from penstock.connectors.objects.bucket import StoredObject
    from penstock.connectors.objects.config import ObjectConnection

_LOG: Final = "_delta_log"
_ANY: Final = 1 << 63
_HINT: Final = "_last_checkpoint"
_TELLS: Final = re.compile(r"\d{20}\.(?:json$|checkpoint\.[\w.-]+$)|_sidecars/[\w-][\w.-]*$")
_CHECKPOINT: Final = re.compile(
    r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?(?:\.[0-9a-fA-F-]{36})?\.(?:parquet|json)"
)


class Mirror(Place):
    """``key`` is the table's in the bucket; ``root`` a private folder."""

    def __init__(self, bucket: ObjectBucket, key: str, root: Path) -> None:
        self.root = root
        self.name = self.shown = bucket.url_of(key)
        self.bucket = bucket
        self.key = key
        self._files = Copies(bucket, root / "objects")
        self._entries = Copies(bucket, root / "entries")
        self._held: dict[str, StoredObject] = {}
        self._oldest: int | None = None  # a version that is asked for, where it is not the newest
        self._everything = False
        self._own: set[str] = set()  # attempts that are being written here

    @classmethod
    def of(cls, connection: ObjectConnection, path: str, *, context: Context, own: str) -> Mirror:
        """Raises ConfigError DOC-231."""
        return cls(
            ObjectBucket(connection, context.clock, context.wards), checked_key(path), context.scratch.resolve() / own
        )

    # ------------------------------------------------------------ the log

    def look(self) -> bool:
        after = self._known()
        found = self._listed(after)
        if after is not None and not _checkpoints(found):  # it is another table by now
            after, found = None, self._listed(None)
        start = self._start(found)
        wanted = {name: item for name, item in found.items() if _version(name) >= start}
        self._forget(found, after)
        self._fetch({name: item for name, item in wanted.items() if name not in self._held})
        return bool(wanted)

    def _known(self) -> int | None:
        """The last checkpoint that is known of: what comes before it need not be looked at."""
        if self._everything or self._oldest is not None:
            return None
        known = max(_checkpoints(self._held), default=0) if self._held else self._hinted()
        return known or None

    def _hinted(self) -> int:
        """What the log says of its last checkpoint."""
        hint = self.bucket.read(joined(self.key, _LOG, _HINT))
        try:
            return int(json.loads(hint or b"{}").get("version", 0))
        except (ValueError, AttributeError, TypeError):
            return 0

    def _listed(self, after: int | None) -> dict[str, StoredObject]:
        """What counts in the log, by its name there, from version ``after`` on."""
        log = joined(self.key, _LOG)
        past = None if after is None else joined(log, f"{after - 1:020}.~")
        found = {item.key[len(log) + 1 :]: item for item in self.bucket.list(log, after=past)}
        return {name: item for name, item in found.items() if _TELLS.match(name)}

    def _start(self, found: Mapping[str, StoredObject]) -> int:
        """The version from which on entries are needed: of the last checkpoint that is whole."""
        if self._everything:
            return 0
        upto = self._oldest if self._oldest is not None else float("inf")
        return max((version for version in _checkpoints(found) if version <= upto), default=0)

    def _forget(self, found: Mapping[str, StoredObject], after: int | None) -> None:
        """Remove what is not, or not so, in the log, as far as it was listed."""
        log = self.root / _LOG
        names = [path.relative_to(log).as_posix() for path in log.rglob("*") if path.is_file()]
        for name in names:
            unlisted = after is not None and name in self._held and _version(name) < after
            if not unlisted and (name not in self._held or self._held[name] != found.get(name)):
                (log / name).unlink()
                self._held.pop(name, None)

    def _fetch(self, missing: Mapping[str, StoredObject]) -> None:
        log = self.root / _LOG
        log.mkdir(parents=True, exist_ok=True)
        self._entries.fetch(list(missing.values()))
        for name, item in missing.items():
            path = log / name
            path.parent.mkdir(exist_ok=True)
            self._entries.path_of(item).replace(path)
            os.utime(path, ns=(item.modified_ns, item.modified_ns))  # by which versions are found by their time
            self._held[name] = item
        self._entries.remove()

    def reach(self, version: int | None) -> None:
        if version is None:
            self._everything = True
        elif self._oldest is None or version < self._oldest:
            self._oldest = version

    def entry(self, version: int) -> str | None:
        path = log_file(self.root, version)
        if path.exists():
            return path.read_text(encoding="utf-8")
        content = self.bucket.read(self._key_of(path))
        return None if content is None else content.decode()

    def publish(self, version: int) -> bool:
        path = log_file(self.root, version)
        content = path.read_bytes()
        path.unlink()  # it comes back with the log, as it is there
        return self.bucket.create(self._key_of(path), content)

    def settle(self, version: int) -> None:
        """A store answers when it is."""

    def checkpointed(self, handle: DeltaTable, *, cleans: bool) -> None:  # noqa: ARG002 -- what it mirrors is not all
        log = self.root / _LOG
        for part in (*sorted(log.glob(f"{handle.version():020}.checkpoint*")), log / _HINT):
            self.bucket.write(self._key_of(part), part)

    def _key_of(self, path: Path) -> str:
        return joined(self.key, path.relative_to(self.root).as_posix())

    # ------------------------------------------------------------ data files

    def local(self, title: str, files: Sequence[DataFile]) -> list[Path]:
        return copied(self._files, self.key, title, files)

    def check_scanned(self, title: str) -> None:
        raise ConfigError(
            "SRC-361",
            f"{title} cannot be read from an object store",
            detail="it uses deletion vectors, column mapping, or a column file_index beside partitions",
            hint="have the system that wrote the table rewrite it without them",
        )

    def lacking(self, paths: Sequence[str]) -> int:
        if not paths:
            return 0
        there = {item.key for item in self.bucket.list(self.key)}
        return sum(joined(self.key, path) not in there for path in paths)

    # ------------------------------------------------------------ writing

    def check_writable(self) -> None:
        """The store says so when it is written to."""

    def begin(self, epoch: Epoch) -> Attempt:
        ensure_folder(self.root)
        made = BucketAttempt.begin(self, epoch)
        self._own.add(made.folder.name)
        return made

    def claim(self, sink_id: SinkId, name: str) -> Attempt | None:
        return BucketAttempt.claim(self, sink_id, name)

    def clear(self, sink_id: SinkId) -> None:
        BucketAttempt.clear(self, sink_id, but=self._own)

    def tidy(self, epoch: Epoch) -> None:
        BucketAttempt.clear(self, epoch.sink_id, upto=epoch)

    def ended(self, name: str) -> None:
        """An attempt is not being written here any more."""
        self._own.discard(name)

    def close(self) -> None:
        self._files.remove()


def _version(name: str) -> int:
    """Of what a file of the log tells; a sidecar belongs to any."""
    digits = name.partition(".")[0]
    return int(digits) if digits.isdigit() else _ANY


def _checkpoints(names: Collection[str]) -> set[int]:
    """The versions of which a checkpoint is there with all its parts."""
    parts: dict[tuple[int, int], int] = {}
    for told in filter(None, map(_CHECKPOINT.fullmatch, names)):
        at = (int(told[1]), int(told[3] or 1))
        parts[at] = parts.get(at, 0) + 1
    return {version for (version, count), there in parts.items() if there >= count}
