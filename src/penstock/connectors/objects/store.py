"""A bucket below its connection's prefix: the one door to obstore. Keys are relative to that prefix everywhere else."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeVar

from penstock.connectors.objects.bucket import Bucket, ObjectChangedError, ObjectGoneError, StoredObject
from penstock.connectors.objects.config import AssumedRole, url_of
from penstock.connectors.objects.faults import classified, is_no_bucket
from penstock.connectors.objects.opening import open_store
from penstock.connectors.objects.roles import role_of
from penstock.connectors.resilience.parallel import in_order
from penstock.connectors.resilience.retry import Again
from penstock.connectors.resilience.ward import Ward, Wards
from penstock.errors import PenstockError, TransientError
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from obstore.store import ObjectStore

    from penstock.clock import Clock
    from penstock.connectors.objects.config import ObjectConnection
    from penstock.connectors.resilience.cancel import Cancellation

T = TypeVar("T")
_PART_BYTES: Final = 8 * 2**20  # of an upload; larger where there would be more than a store takes
_MOST_PARTS: Final = 9_000
_UPLOADS: Final = 4
_COPY_LIMIT: Final = 5 * 2**30  # what S3 copies in one request


class ObjectBucket(Bucket):
    """Every method raises ConfigError NET-151 to NET-155, TransientError NET-156 once its retries are spent and NET-160
    while the store is left alone; the first call also what ``open_store`` raises, and where a role is taken on what
    ``RoleSession.renew`` does.
    """

    def __init__(self, connection: ObjectConnection, clock: Clock, wards: Wards | None = None) -> None:
        self.connection = connection
        self.url = url_of(connection)
        self.cache = connection.cache
        self.parallel = connection.parallel
        self._clock = clock
        self._ward = (wards or Wards()).of(connection, lambda: Ward(self.url, connection, clock=clock))
        self._hidden = _secrets_of(connection)
        self._opened: ObjectStore | None = None
        self._role = role_of(connection, clock)

    # ------------------------------------------------------------ reading

    def list(self, prefix: str, *, after: str | None = None) -> list[StoredObject]:
        return self._call(f'listing "{prefix}"', lambda: list(self._listed(prefix, after)))

    def _listed(self, prefix: str, after: str | None) -> Iterator[StoredObject]:
        import obstore

        root = len(self.connection.prefix) + 1 if self.connection.prefix else 0
        offset = None if after is None else self._key(after)
        for chunk in obstore.list(self._store, self._key(prefix) or None, offset=offset):
            for meta in chunk:
                if not meta["path"].endswith("/") and (offset is None or meta["path"] > offset):  # some give it as well
                    yield _stored(meta["path"][root:], meta)

    def find(self, key: str) -> StoredObject | None:
        import obstore
        from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

        def looked() -> StoredObject:
            try:
                return _stored(key, obstore.head(self._store, self._key(key)))
            except (PermissionDeniedError, UnauthenticatedError):  # to HEAD no store says why
                return _stored(key, obstore.get(self._store, self._key(key)).meta)

        try:
            return self._call(f'looking for "{key}"', looked)
        except ObjectGoneError:
            return None

    def read(self, key: str) -> bytes | None:
        import obstore

        try:
            return self._call(f'reading "{key}"', lambda: bytes(obstore.get(self._store, self._key(key)).bytes()))
        except ObjectGoneError:
            return None

    def read_range(self, found: StoredObject, start: int, end: int) -> bytes:
        import obstore

        options: Any = {"range": (start, end)}
        if found.tag is not None:
            options["if_match"] = found.tag

        def got() -> bytes:
            content = bytes(obstore.get(self._store, self._key(found.key), options=options).bytes())
            if len(content) != min(end, found.size) - start:
                raise ObjectChangedError(found.key)
            return content

        return self._call(f'reading "{found.key}"', got)

    # ------------------------------------------------------------ writing

    def write(self, key: str, content: Path | bytes) -> None:
        import obstore

        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        part = _part_bytes(size)
        self._call(
            f'writing "{key}"',
            lambda: obstore.put(self._store, self._key(key), content, chunk_size=part, max_concurrency=_UPLOADS),
        )

    def create(self, key: str, content: bytes) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def made() -> bool:
            try:
                obstore.put(self._store, self._key(key), content, mode="create", use_multipart=False)
            except (AlreadyExistsError, PreconditionError):
                return False
            return True

        return self._call(f'creating "{key}"', made) or self.read(key) == content

    def place(self, found: str, size: int, to: str) -> None:
        """By a copy within the store; an object larger than it copies at once goes through this machine."""
        import obstore

        doing = f'copying "{found}"'
        if size <= _COPY_LIMIT:
            self._call(doing, lambda: obstore.copy(self._store, self._key(found), self._key(to)))
            return

        large = self.find(found)
        if large is None:
            raise ObjectGoneError(found)
        part = _part_bytes(size)

        def piece(start: int, cancelled: Cancellation) -> bytes:
            cancelled.check()
            return self.read_range(large, start, min(start + part, size))

        def through() -> None:
            # The driver cannot be asked on the thread on which it asks for a piece: they come from threads of their own.
            with closing(in_order(piece, range(0, size, part), concurrency=_UPLOADS)) as pieces:
                obstore.put(self._store, self._key(to), pieces, chunk_size=part, max_concurrency=_UPLOADS)

        self._ward.call(lambda _: self._once(doing, through))  # its pieces take their turns by themselves

    def delete(self, keys: Sequence[str]) -> None:
        import obstore

        if keys:
            try:
                self._call("deleting", lambda: obstore.delete(self._store, [self._key(key) for key in keys]))
            except ObjectGoneError:  # some stores say so
                for key in keys if len(keys) > 1 else ():
                    self.delete([key])

    # ------------------------------------------------------------ calls

    @property
    def _store(self) -> ObjectStore:
        if self._opened is None:
            self._opened = open_store(self.connection, self._clock, self._role)
        return self._opened

    def _key(self, key: str) -> str:
        return "/".join(filter(None, (self.connection.prefix, key)))

    def _call(self, doing: str, call: Callable[[], T]) -> T:
        def attempt(_: int) -> T | Again:
            with self._ward.slot():
                return self._once(doing, call)

        if self._role is not None:
            self._role.renew()
        return self._ward.call(attempt)

    def _once(self, doing: str, call: Callable[[], T]) -> T | Again:
        from obstore.exceptions import BaseError, PreconditionError

        try:
            return call()
        except (PenstockError, ObjectChangedError):
            raise
        except PreconditionError:
            raise ObjectChangedError from None
        except FileNotFoundError as error:
            if not is_no_bucket(error):
                raise ObjectGoneError from None
            raise self._classified(error, doing) from None
        except (BaseError, OSError) as error:
            found = self._classified(error, doing)
            if isinstance(found, TransientError):
                return Again(found)
            raise found from None

    def _classified(self, error: Exception, doing: str) -> PenstockError:
        return classified(error, store=self.url, doing=doing, hidden=self._hidden)


def _secrets_of(connection: ObjectConnection) -> tuple[str, ...]:
    values = [value for _, value in connection]
    values += [value for part in values if isinstance(part, AssumedRole) for _, value in part]
    return tuple(text for value in values if isinstance(value, Secret) for text in value.hidden() if text)


def _part_bytes(size: int) -> int:
    return max(_PART_BYTES, -(-size // _MOST_PARTS))


def _stored(key: str, meta: Any) -> StoredObject:
    modified = int(meta["last_modified"].timestamp()) * 1_000_000_000
    return StoredObject(key, meta["size"], modified, meta["e_tag"] or meta["version"])
