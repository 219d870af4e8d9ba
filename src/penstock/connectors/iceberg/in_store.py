"""Tables in an object store: their metadata is read and written there by the connection's credentials, data files are
copied from there, or written here and taken there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, assert_never

from penstock.connectors.iceberg.places import Place
from penstock.connectors.iceberg.uploads import BucketAttempt
from penstock.connectors.lake.copied import copied
from penstock.connectors.objects.bucket import ObjectGoneError, StoredObject
from penstock.connectors.objects.config import AzureConnection, GcsConnection, S3Connection
from penstock.connectors.objects.copies import Copies
from penstock.connectors.objects.keys import checked_key, joined
from penstock.connectors.objects.store import ObjectBucket
from penstock.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from penstock.connectors.api import Context, Epoch, SinkId
    from penstock.connectors.iceberg.staging import Attempt
    from penstock.connectors.lake.tables import DataFile
    from penstock.connectors.objects.config import ObjectConnection

_IO: Final = "penstock.connectors.iceberg.bucket_storage.BucketIO"
PLACE: Final = "penstock.place"


class StorePlace(Place):
    """``root``, below a private folder, mirrors what is below the connection's prefix."""

    def __init__(self, bucket: ObjectBucket, folder: Path) -> None:
        self.bucket = bucket
        self.root = folder / "store"
        self._folder = folder
        self.copies = Copies(bucket, folder / "objects")
        self.io = {"py-io-impl": _IO, PLACE: self}
        self._begins, self._location = _roots(bucket.connection)
        self._own: set[str] = set()  # attempts that are being written here

    @classmethod
    def of(cls, connection: ObjectConnection, context: Context, own: str) -> StorePlace:
        return cls(ObjectBucket(connection, context.clock, context.wards), context.scratch.resolve() / own)

    # ------------------------------------------------------------ locations

    def key_of(self, location: str) -> str:
        """Relative to the connection's prefix. Raises ConfigError SRC-360."""
        found = self._begins.match(location)
        key = location[found.end() :] if found else ""
        prefix = self.bucket.connection.prefix
        inside = not prefix or key == prefix or key.startswith(f"{prefix}/")
        if found is None or not inside or ".." in key.split("/"):
            raise ConfigError(
                "SRC-360",
                f'an Iceberg table names files outside of "{self.bucket.url}"',
                detail=f"it names {location!r}",
                hint="the `store` of the connection is the bucket, and the prefix, that the table lies in",
                about=("connection",),
            )
        return key[len(prefix) :].strip("/")

    def path_of(self, location: str) -> Path:
        return self.root / self.key_of(location)

    def location_of(self, path: Path) -> str:
        return self._location + joined(self.bucket.connection.prefix, self.key_at(path))

    def key_at(self, path: Path) -> str:
        """Of a file or folder below the mirror."""
        return path.relative_to(self.root).as_posix()

    def folder_of(self, location: str) -> Path:
        return self.path_of(location)

    def home(self, warehouse: str, table: str) -> str:
        key = joined(checked_key(warehouse), *table.split("."))
        return self._location + joined(self.bucket.connection.prefix, key)

    # ------------------------------------------------------------ files

    def local(self, root: Path, title: str, files: Sequence[DataFile]) -> list[Path]:
        return copied(self.copies, self.key_at(root), title, files)

    def fetched(self, key: str) -> Path:
        """A copy of an object. Raises ObjectGoneError, and what ``Copies.fetch`` does."""
        found = self.bucket.find(key)
        if found is None:
            raise ObjectGoneError(key)
        item = StoredObject(key, found.size, 0, None)
        self.copies.fetch([item])
        return self.copies.path_of(item)

    def check(self, root: Path, title: str, files: Sequence[DataFile]) -> None:
        """Each is looked for when it is read."""

    def room(self, root: Path) -> Path:  # noqa: ARG002 -- the copies are not below it
        return self._folder

    def lacking(self, root: Path, paths: Iterable[str]) -> int:
        wanted = {joined(self.key_at(root), path) for path in paths}
        return len(wanted - {item.key for item in self.bucket.list(self.key_at(root))}) if wanted else 0

    # ------------------------------------------------------------ attempts

    def begin(self, root: Path, epoch: Epoch) -> Attempt:
        made = BucketAttempt.begin(self, root, epoch)
        self._own.add(made.folder.name)
        return made

    def claim(self, root: Path, sink_id: SinkId, name: str) -> Attempt | None:
        return BucketAttempt.claim(self, root, sink_id, name)

    def left(self, root: Path, sink_id: SinkId, upto: Epoch | None = None) -> list[Attempt]:
        found = BucketAttempt.left(self, root, sink_id, upto)
        return [attempt for attempt in found if upto is not None or attempt.folder.name not in self._own]

    def ended(self, name: str) -> None:
        """An attempt is not being written here any more."""
        self._own.discard(name)

    def close(self) -> None:
        self.copies.remove()


def _roots(connection: ObjectConnection) -> tuple[re.Pattern[str], str]:
    """What locations in the bucket begin with, and what those begin with that are written."""
    match connection:
        case S3Connection(bucket=bucket):
            return re.compile(rf"s3[an]?://{re.escape(bucket)}/+"), f"s3://{bucket}/"
        case GcsConnection(bucket=bucket):
            return re.compile(rf"gs://{re.escape(bucket)}/+"), f"gs://{bucket}/"
        case AzureConnection(account=account, container=container):
            at = f"{container}@{account}.dfs.core.windows.net"
            host = rf"{re.escape(f'{container}@{account}')}\.(?:dfs|blob)\.[a-z.]+"
            return re.compile(rf"(?:abfss?|wasbs?)://{host}/+"), f"abfss://{at}/"
        case _:
            assert_never(connection)
