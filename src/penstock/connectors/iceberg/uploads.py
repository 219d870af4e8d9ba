"""What a writer leaves in an object store before the commit: files where the table will name them.

As in a folder (``staging``), files lie in the attempt's own part of the table's data and stay there; what a lock and notes in
the folder are on a disk is the attempt's claim (``lake.claims``) below ``_penstock/<sink>/<attempt>/``, gone when the commit
is there.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final

from penstock.connectors.commits import clearing_up, fingerprint
from penstock.connectors.iceberg.layout import epoch_in, fence_in, key_of, keys_of
from penstock.connectors.iceberg.staging import ROWS, Attempt, area_of, gone, named_in
from penstock.connectors.lake.claims import Claims, Purpose
from penstock.connectors.objects.keys import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pyiceberg.table import Table

    from penstock.connectors.api import Epoch, SinkId
    from penstock.connectors.iceberg.in_store import StorePlace

_CLAIMS: Final = "_penstock"


class BucketAttempt(Attempt):
    """``folder`` is below the mirror as its objects are below the connection's prefix."""

    place: StorePlace

    def __init__(self, place: StorePlace, root: Path, folder: Path, claims: Claims) -> None:
        super().__init__(place, root, folder)
        self._claims = claims

    @classmethod
    def begin(cls, place: StorePlace, root: Path, epoch: Epoch) -> BucketAttempt:
        area = area_of(root, epoch.sink_id)
        area.mkdir(parents=True, exist_ok=True)
        named = fingerprint(*epoch.sink_id.parts, str(epoch.number), epoch.attempt)
        folder = Path(mkdtemp(prefix=f"{epoch.number:06}-{named}-", dir=area))  # other machines have writers of it, too
        (folder / ROWS).mkdir()
        made = cls(place, root, folder, _claims(place, root, epoch.sink_id))
        made._claims.begin(folder.name, _purpose(epoch))
        return made

    @classmethod
    def claim(cls, place: StorePlace, root: Path, sink_id: SinkId, name: str) -> BucketAttempt | None:
        claims = _claims(place, root, sink_id)
        if not claims.take(name):
            return None
        return cls(place, root, area_of(root, sink_id) / name, claims)

    @classmethod
    def left(cls, place: StorePlace, root: Path, sink_id: SinkId, upto: Epoch | None) -> list[BucketAttempt]:
        claims = _claims(place, root, sink_id)
        names = claims.names() if upto is None else claims.over_after(_purpose(upto))
        return [cls(place, root, area_of(root, sink_id) / name, claims) for name in names]

    def release(self) -> None:
        """It holds nothing."""

    # ------------------------------------------------------------ before the commit

    def stage(self, paths: Sequence[Path]) -> None:
        """Not those without rows. Raises FatalError SNK-258 where another has thrown the attempt away."""
        import pyarrow.parquet as pq

        self.take(path for path in paths if pq.read_metadata(path).num_rows)
        if self._claims.is_void(self.folder.name):
            with clearing_up():
                self._remove_but(())
                self._claims.drop(self.folder.name)
            raise gone(self.folder.name)

    def take(self, paths: Iterable[Path]) -> None:
        self.place.bucket.write_all({self.place.key_at(path): path for path in paths})

    def rows(self) -> list[Path]:
        """Where they are not here, they were staged by a writer on another machine."""
        here = self.folder / ROWS
        if not here.exists():
            here.mkdir(parents=True)
            for item in self.place.bucket.list(self.place.key_at(here)):
                self.place.fetched(item.key).replace(here / item.key.rpartition("/")[2])
            self.place.copies.remove()
        return sorted(here.iterdir())

    def commits(self, base: int | None) -> None:
        """The claim says so."""

    # ------------------------------------------------------------ the end

    def keep(self, sources: Iterable[str]) -> None:
        kept = set(sources)
        with clearing_up():
            self._remove_but(kept)
            self._claims.drop(self.folder.name)
        self._ended()

    def remove(self, find: Callable[[], Table | None]) -> None:
        """Stays where a commit has it that may yet come."""
        name = self.folder.name
        void = self._claims.void(name)
        purpose = self._claims.purpose(name)
        stays: Collection[str] | None = ()
        if purpose is None:  # who committed it, or threw it away, has done all but the last
            stays = None
        elif not void:
            table = find()
            if table is None or not _is_over(table.metadata.properties, purpose):
                return
            stays = named_in(self.place, table, self.folder)
        with clearing_up():
            if stays is not None:
                self._remove_but(stays)
            self._claims.drop(name)
        self._ended()

    def abandon(self, find: Callable[[], Table | None]) -> None:
        self.remove(find)

    def _remove_but(self, sources: Collection[str]) -> None:
        home = self.place.key_at(self.folder)
        keys = [item.key for item in self.place.bucket.list(home)]
        self.place.bucket.delete([key for key in keys if key[len(home) + 1 :].partition("/")[0] not in sources])

    def _ended(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.place.ended(self.folder.name)


def _claims(place: StorePlace, root: Path, sink_id: SinkId) -> Claims:
    return Claims(place.bucket, joined(place.key_at(root), _CLAIMS, fingerprint(*sink_id.lasting)))


def _purpose(epoch: Epoch) -> Purpose:
    return Purpose(key_of(epoch.sink_id), epoch.number, keys_of(epoch.sink_id), epoch.fence)


def _is_over(properties: Mapping[str, str], purpose: Purpose) -> bool:
    epoch, fence = epoch_in(properties, purpose.marker), fence_in(properties, purpose.sink)
    return purpose.is_over(epoch=epoch, fence=fence)
