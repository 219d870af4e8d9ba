"""The ledger in one SQLite file, through the standard library's driver: every run opens it, and every import counts."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from penstock.clock import SystemClock
from penstock.errors import FatalError, InternalError, TransientError
from penstock.ledger import records, tables
from penstock.ledger.api import Health
from penstock.ledger.tabular import TabularLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from penstock.clock import Clock
    from penstock.ledger.api import Lease, PipelineKey
    from penstock.ledger.records import Row

Answer = TypeVar("Answer")
_BUSY_S: Final = 30


class SqliteLedger(TabularLedger):
    """Implements ``ledger.api.Ledger``. The file is made readable for its owner only. Leases go by ``clock``, the machine's
    where none is given.
    """

    TYPES: ClassVar[Mapping[str, str]] = {
        "integer": "integer",
        "time": "text",
        "structure": "text",
        "identity": "integer",
    }
    WEEKDAY: ClassVar[str] = "cast(strftime('%w', planned_at) as integer)"

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._locks: dict[PipelineKey, int] = {}
        self._alone = threading.RLock()  # one connection serves all threads, one at a time
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._connection = _connect(path)
        except OSError as error:
            raise _refused(error, path) from None
        except sqlite3.Error as error:
            raise _classified(error, path) from None
        try:
            self._transact(self._migrate)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        for key in list(self._locks):
            self._unlock(key)
        with self._alone:
            self._connection.close()

    # ------------------------------------------------------------ the database

    @property
    def _name(self) -> str:
        return self._path.name

    def _transact(self, work: Callable[[], Answer]) -> Answer:
        """The write lock is taken at once: no reader's lock has to be raised half-way."""
        with self._alone:
            try:
                self._connection.execute("begin immediate")
                try:
                    answer = work()
                except BaseException:
                    self._connection.execute("rollback")
                    raise
                self._connection.execute("commit")
            except sqlite3.Error as error:
                raise _classified(error, self._path) from None
        return answer

    def _write(self, statement: str, row: Mapping[str, Any]) -> None:
        self._connection.execute(statement, _bound(row))

    def _rows(self, statement: str, **values: object) -> list[Row]:
        return [_read(row) for row in self._connection.execute(statement, _bound(values))]

    def _now(self) -> datetime:
        return self._clock.now()

    def _version(self) -> int:
        (version,) = self._connection.execute("pragma user_version").fetchone()
        return int(version)

    def _become(self, version: int) -> None:
        self._connection.execute(f"pragma user_version = {version:d}")  # which takes no bound value

    # ------------------------------------------------------------ locks

    def _is_free(self, pipeline: Row) -> bool:
        return self._lock(records.to_key(pipeline)) or super()._is_free(pipeline)

    def _health(self, pipeline: Row) -> Health:
        """As the lock tells, which is let go of at once: taking a pipeline is a transaction of its own, as this one is."""
        key = records.to_key(pipeline)
        if key not in self._locks and self._lock(key):
            self._unlock(key)
            return Health.DEAD
        return super()._health(pipeline)

    def _lock(self, key: PipelineKey) -> bool:
        """Whether no living process on this machine runs the pipeline: a lease of a killed one need not expire."""
        if key in self._locks:
            return True
        name = hashlib.sha256(str(key).encode()).hexdigest()[:16]
        try:
            handle = os.open(self._path.with_name(f"{self._path.name}.{name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:  # such as of a state folder that is gone
            raise _refused(error, self._path) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._locks[key] = handle
        return True

    def _unlock(self, key: PipelineKey) -> None:
        handle = self._locks.pop(key, None)
        if handle is not None:
            os.close(handle)

    def release(self, lease: Lease) -> None:
        super().release(lease)
        self._unlock(lease.key)


# ---------------------------------------------------------------- connection


def _connect(path: Path) -> sqlite3.Connection:
    """WAL with full syncs is durable and lets readers read; transactions are begun by hand."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        with _alone_in(path.parent):
            connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = full")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """A new file becomes one with WAL without waiting: SQLite refuses at once where another connection does the same."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _bound(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row's values as SQLite keeps them."""
    return {name: _kept(name, value) for name, value in row.items()}


def _kept(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in tables.TIMES:
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return json.dumps(value, ensure_ascii=False) if name in tables.STRUCTURES else value


def _read(row: sqlite3.Row) -> Row:
    return {name: _restored(name, row[name]) for name in row.keys()}  # noqa: SIM118 -- iterating a Row gives its values


def _restored(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in tables.TIMES:
        return datetime.fromisoformat(value)
    return json.loads(value) if name in tables.STRUCTURES else value


def _refused(error: OSError, path: Path) -> FatalError:
    detail = f"{error.strerror} ({error.filename})."
    return FatalError("LED-103", f'the ledger "{path.name}" cannot be written', detail=detail)


def _classified(error: sqlite3.Error, path: Path) -> FatalError | TransientError | InternalError:
    words = str(error)
    match words:
        case _ if "locked" in words or "busy" in words:
            return TransientError("LED-150", f'the ledger "{path.name}" is busy', detail=words)
        case _ if "not a database" in words or "malformed" in words or "file is encrypted" in words:
            return FatalError(
                "LED-101",
                f'the ledger "{path.name}" is damaged',
                detail=words,
                hint=f"restore it from a copy; or remove it ({path}*), and run each pipeline of the project with "
                "--full-refresh, which replaces the sinks' contents",
            )
        case _ if "full" in words or "readonly" in words or "unable to open" in words or "I/O" in words:
            return FatalError("LED-103", f'the ledger "{path.name}" cannot be written', detail=f"{words} ({path})")
        case _:
            return InternalError("INT-900", "the ledger refused a statement", detail=words)
