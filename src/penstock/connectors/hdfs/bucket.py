"""A folder of HDFS as a bucket: what is written comes under a name of its own, and is renamed to its key once it is whole.

A file of HDFS is seen while it is written, and what a writer that died has written stays. So nothing is ever written under
a key itself. A rename is atomic, and fails where its goal is there: that is the conditional create of an object store.
"""

from __future__ import annotations

import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

from penstock.connectors.hdfs.answers import RemoteError, classified, unanswered
from penstock.connectors.hdfs.namenode import Namenode, Renamed
from penstock.connectors.objects.bucket import Bucket, ObjectChangedError, ObjectGoneError, StoredObject
from penstock.connectors.objects.keys import joined
from penstock.connectors.resilience.parallel import in_order
from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.ward import Ward, Wards
from penstock.errors import PenstockError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from penstock.clock import Clock
    from penstock.connectors.hdfs.config import HdfsConnection
    from penstock.connectors.hdfs.namenode import Status
    from penstock.connectors.resilience.cancel import Cancellation

T = TypeVar("T")
_TRIES: Final = 10  # where others remove empty folders, or what is half written, at the same time
_NS_PER_MS: Final = 1_000_000


class HdfsBucket(Bucket):
    """Every method raises ConfigError NET-103 (an address that is not called), NET-104, NET-171 to NET-174, NET-176 and
    NET-177,
    TransientError NET-175 once its retries are spent and NET-160 while the cluster is left alone; the first call also
    NET-170.
    """

    def __init__(self, connection: HdfsConnection, clock: Clock, wards: Wards | None = None) -> None:
        self.url = connection.url
        self.cache = connection.cache
        self.parallel = connection.parallel
        self._connection = connection
        self._clock = clock
        self._ward = (wards or Wards()).of(connection, lambda: Ward(self.url, connection, clock=clock))
        self._hidden = () if connection.token is None else tuple(connection.token.hidden())
        self._opened: Namenode | None = None

    # ------------------------------------------------------------ reading

    def list(self, prefix: str, *, after: str | None = None) -> list[StoredObject]:
        found = list(self._below(prefix))
        return found if after is None else [item for item in found if item.key > after]

    def _below(self, folder: str) -> Iterator[StoredObject]:
        folders = [folder]
        while folders:
            with closing(in_order(self._in, folders, concurrency=self.parallel)) as listed:
                inside = [(at, status) for at, statuses in zip(folders, listed, strict=True) for status in statuses]
            folders = [joined(at, status.name) for at, status in inside if not status.is_file]
            yield from (_stored(joined(at, status.name), status) for at, status in inside if status.is_file)

    def _in(self, folder: str, cancelled: Cancellation) -> Sequence[Status]:
        cancelled.check()
        return self._call(f'listing "{folder}"', lambda namenode: namenode.below(self._path(folder)))

    def find(self, key: str) -> StoredObject | None:
        status = self._call(f'looking for "{key}"', lambda namenode: namenode.status(self._path(key)))
        return _stored(key, status) if status is not None and status.is_file else None

    def read(self, key: str) -> bytes | None:
        return self._call(f'reading "{key}"', lambda namenode: namenode.read(self._path(key)))

    def read_range(self, found: StoredObject, start: int, end: int) -> bytes:
        path, length = self._path(found.key), min(end, found.size) - start

        def got(namenode: Namenode) -> bytes:
            content = namenode.read(path, start, length)
            now = namenode.status(path)  # the file that it still is, it was all the time
            if content is None or now is None:
                raise ObjectGoneError(found.key)
            if now.tag != found.tag:
                raise ObjectChangedError(found.key)
            if len(content) != length:
                raise unanswered(self.url, f'reading "{found.key}"', "less came than was asked for")
            return content

        return self._call(f'reading "{found.key}"', got)

    # ------------------------------------------------------------ writing

    def write(self, key: str, content: Path | bytes) -> None:
        for _ in range(_TRIES):
            partial = self._upload(key, content)
            if self._rename(partial, key, over=True) is Renamed.DONE:
                return
        raise self._in_the_way(f'writing "{key}"')

    def create(self, key: str, content: bytes) -> bool:
        """What others have left half written for the same key is removed: they come too late, or are no more."""
        for _ in range(_TRIES):
            partial = self._upload(key, content)
            outcome = self._rename(partial, key, over=False)
            if outcome is Renamed.DONE:
                self._remove_partials(key)
                return True
            # Taken by another, or by our own try whose answer was lost; gone also where another has removed what is partial.
            there = self.read(key)
            self._remove_partials(key)
            if there is not None or outcome is Renamed.TAKEN:
                return there == content
        raise self._in_the_way(f'creating "{key}"')

    def place(self, found: str, size: int, to: str) -> None:  # noqa: ARG002 -- a rename moves any size at once
        """By a rename: ``found`` is no longer there, nor are folders that it leaves empty."""
        for _ in range(_TRIES):
            self._call(f'making the folder of "{to}"', lambda namenode: namenode.make_folder(self._path(_folder(to))))
            if self._rename(found, to, over=True) is Renamed.DONE:
                self._remove_empty(found)
                return
            if self.find(found) is None:
                self._remove_empty(found)
                raise ObjectGoneError(found)
        raise self._in_the_way(f'placing "{to}"')

    def delete(self, keys: Sequence[str]) -> None:
        """Nor are folders left that nothing lies in any longer."""

        def away(key: str, cancelled: Cancellation) -> None:
            cancelled.check()
            self._call(f'deleting "{key}"', lambda namenode: namenode.delete(self._path(key)))

        with closing(in_order(away, list(keys), concurrency=self.parallel)) as done:
            for _ in done:
                pass
        for key in {_folder(key): key for key in keys}.values():
            self._remove_empty(key)

    def _upload(self, key: str, content: Path | bytes) -> str:
        """Beside where it belongs, under a name that no other writer has."""
        partial = joined(_folder(key), f"{_begins(key)}{uuid.uuid4().hex[:16]}")
        self._call(f'writing "{key}"', lambda namenode: namenode.write(self._path(partial), content))
        return partial

    def _rename(self, found: str, to: str, *, over: bool) -> Renamed:
        return self._call(
            f'renaming to "{to}"', lambda namenode: namenode.rename(self._path(found), self._path(to), over=over)
        )

    def _remove_partials(self, key: str) -> None:
        folder, begins = _folder(key), _begins(key)
        there = self._call(f'listing "{folder}"', lambda namenode: namenode.below(self._path(folder)))
        self.delete([joined(folder, status.name) for status in there if status.name.startswith(begins)])

    def _remove_empty(self, key: str) -> None:
        """The folders above a key, as far as they are empty; never the prefix itself."""
        folder = _folder(key)
        while folder and self._call("deleting", lambda namenode: namenode.delete(self._path(folder))):  # noqa: B023
            folder = _folder(folder)

    # ------------------------------------------------------------ calls

    def _path(self, key: str) -> str:
        return "/" + joined(self._connection.prefix, key)

    def _call(self, doing: str, call: Callable[[Namenode], T]) -> T:
        def attempt(_: int) -> T | Again:
            with self._ward.slot():
                return self._once(doing, call)

        if self._opened is None:
            self._opened = Namenode(self._connection, self._clock)
        return self._ward.call(attempt)

    def _once(self, doing: str, call: Callable[[Namenode], T]) -> T | Again:
        from requests import RequestException

        assert self._opened is not None
        try:
            return call(self._opened)
        except RemoteError as error:
            found = classified(error, place=self.url, doing=doing, hidden=self._hidden)
        except TransientError as error:
            found = error
        except (PenstockError, ObjectGoneError, ObjectChangedError):
            raise
        except RequestException as error:  # its words hold the URL, and that the token
            found = unanswered(self.url, doing, type(error).__name__)
        if isinstance(found, TransientError):
            return Again(found)
        raise found from None

    def _in_the_way(self, doing: str) -> TransientError:
        return unanswered(self.url, doing, "others are in the way, again and again")


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _begins(key: str) -> str:
    """With what the names begin under which a key's content is written."""
    return f".{key.rpartition('/')[2]}.penstock-"


def _stored(key: str, status: Status) -> StoredObject:
    return StoredObject(key, status.size, status.modified_ms * _NS_PER_MS, status.tag)
