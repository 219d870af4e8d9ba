"""Connections to a SQLite file, and the one table of what SQLite's errors mean.

| SQLite says | writing | reading |
|---|---|---|
| BUSY, LOCKED | TransientError SNK-171 | TransientError SRC-174 |
| NOTADB, CORRUPT, FORMAT | FatalError SNK-172 | FatalError SRC-175 |
| READONLY, CANTOPEN, PERM, AUTH | ConfigError SNK-170 | ConfigError SRC-173 |
| FULL | FatalError SNK-173 | - |
| IOERR, NOMEM and others | TransientError SNK-174 | TransientError SRC-174 |
| CONSTRAINT, TOOBIG, MISMATCH | DataError SNK-175 | - |
| ERROR (the statement) | ConfigError SNK-176 | ConfigError SRC-177 |
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlglot import exp

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT})
_REFUSED: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}
)
_ROWS: Final = frozenset({sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH})
_PRIMARY: Final = 0xFF
# What no query of a document may do, whatever else it is: open another file.
_DENIED: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


def _primary(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY


def writing_failed(error: sqlite3.Error, named: str) -> PenstockError:
    """The error of a sink, to be raised."""
    code, reason = _primary(error), str(error)
    if code in _BUSY:
        return TransientError("SNK-171", f'the SQLite file "{named}" is locked by another process', detail=reason)
    if code in _DAMAGED:
        return FatalError("SNK-172", f'"{named}" is no SQLite file, or a damaged one', detail=reason)
    if code in _REFUSED:
        return ConfigError("SNK-170", f'the SQLite file "{named}" cannot be opened or written', detail=reason)
    if code == sqlite3.SQLITE_FULL:
        return FatalError("SNK-173", f'there is no room to write the SQLite file "{named}"', detail=reason)
    if code in _ROWS:
        return DataError("SNK-175", f'a table of "{named}" does not take the rows', detail=reason)
    if code == sqlite3.SQLITE_ERROR:
        return ConfigError("SNK-176", f'SQLite refused a statement on "{named}"', detail=reason)
    return TransientError("SNK-174", f'writing the SQLite file "{named}" failed', detail=reason)


def reading_failed(error: sqlite3.Error, named: str) -> PenstockError:
    """The error of a source, to be raised."""
    code, reason = _primary(error), str(error)
    if code in _DAMAGED:
        return FatalError("SRC-175", f'"{named}" is no SQLite file, or a damaged one', detail=reason)
    if code in _REFUSED:
        return ConfigError("SRC-173", f'the SQLite file "{named}" cannot be read', detail=reason)
    if code == sqlite3.SQLITE_ERROR:
        return ConfigError("SRC-177", f'SQLite refused to read from "{named}"', detail=reason, about=("query",))
    return TransientError("SRC-174", f'reading the SQLite file "{named}" failed', detail=reason)


@contextmanager
def writing(named: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise writing_failed(error, named) from None
    except OverflowError:
        raise DataError(
            "SNK-175", f'a table of "{named}" does not take the rows', detail="a value is too large"
        ) from None


@contextmanager
def reading(named: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise reading_failed(error, named) from None


def is_there(path: Path) -> bool:
    """Raises ConfigError SNK-170 where the system takes no such path."""
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(
            "SNK-170", f'the SQLite file "{path.name}" cannot be opened or written', detail=error.strerror
        ) from error


@cache
def most_columns() -> int:
    """How many a table may have, as this SQLite was built."""
    with closing(sqlite3.connect(":memory:")) as connection:
        return connection.getlimit(sqlite3.SQLITE_LIMIT_COLUMN)


def open_for_writing(path: Path, *, wait_s: float) -> sqlite3.Connection:
    """A connection without transactions of its own; ``wait_s`` is how long it waits for other writers' locks.

    Makes the folders above the file. Raises ConfigError SNK-170 where that is refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise ConfigError("SNK-170", f'the folder of "{path.name}" cannot be made', detail=detail) from error
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def open_for_reading(path: Path, *, wait_s: float) -> sqlite3.Connection:
    """A connection that cannot write; text arrives as its bytes. Raises ConfigError SRC-173 where no file is there."""
    if not path.is_file():
        raise ConfigError("SRC-173", f'the SQLite file "{path.name}" cannot be read', detail="there is no such file")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes
    connection.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in _DENIED else sqlite3.SQLITE_OK)
    return connection


def run(connection: sqlite3.Connection, tree: exp.Expr, values: Sequence[object] = ()) -> sqlite3.Cursor:
    """Execute one statement."""
    return connection.execute(tree.sql(dialect="sqlite"), tuple(values))


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything inside or nothing; the write lock is taken at once, so that what is read inside stays true."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
