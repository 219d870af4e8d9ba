"""The one door to SQLAlchemy: its import, connecting, and its exceptions as ours.

| what happened | class and code |
|---|---|
| SQLAlchemy or the driver is not installed, the dialect is not known | ConfigError SRC-380 |
| the URL or an option is refused | ConfigError SRC-381 |
| not reachable, connection lost, locked, busy | TransientError SRC-382 |
| statement refused: names, rights, what is not supported | ConfigError SRC-384 |
| a value that the driver cannot hand over | DataError SRC-386 |
| damaged, or an error within the database | FatalError SRC-390 |
| login refused | ConfigError SRC-391 |
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from penstock.connectors.sqlalchemy.dialects import dialect_named
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.fields import reveal
from penstock.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    from penstock.connectors.sqlalchemy.dialects import Dialect
    from penstock.connectors.sqlalchemy.params import SqlalchemyConnection


class Fault(Enum):
    """What went wrong: code, class, how the message goes on after the database's name, and what to do."""

    value: tuple[str, type[PenstockError], str, str | None]

    UNREACHABLE = ("SRC-382", TransientError, "cannot be reached, or is busy,", None)
    REFUSED = ("SRC-384", ConfigError, "refuses a statement", None)
    VALUE = ("SRC-386", DataError, "holds a value that its driver cannot hand over", "cast it to text in a query")
    BROKEN = ("SRC-390", FatalError, "reports an error of its own", "look into its log")
    LOGIN = ("SRC-391", ConfigError, "refuses the login", "check user and password of the connection")


_DETAIL_LIMIT: Final = 500
# Drivers tell a refused login from a server that is not there in words alone.
_LOGIN_WORDS: Final = (
    *("password authentication failed", "access denied for user", "login failed for user", "ora-01017"),
    *("authentication failed", "incorrect username or password", "no password supplied"),
)
_SQLITE_LOCKED: Final = frozenset({5, 6})  # BUSY, LOCKED
_SQLITE_BROKEN: Final = frozenset({11, 24, 26})  # CORRUPT, FORMAT, NOTADB
_SQLITE_REFUSED: Final = frozenset({1, 3, 8, 14, 23})  # ERROR, PERM, READONLY, CANTOPEN, AUTH
_PRIMARY: Final = 0xFF


class Database:
    """One database, and who speaks to it. Every look at it is a connection of its own. Thread-safe.

    Raises ConfigError SRC-380 and SRC-381 when made; what a block of ``transaction`` raises stands above.
    """

    def __init__(self, settings: SqlalchemyConnection, resolve: Callable[[str], Path]) -> None:
        if find_spec("sqlalchemy") is None:
            raise ConfigError(
                "SRC-380",
                "databases behind SQLAlchemy need the optional dependencies that are not installed",
                hint="pip install 'penstock[sqlalchemy]', and the driver that the URL names",
            )
        url = _url_of(settings)
        self.name: Final = _shown(url)
        self.dialect: Final = dialect_named(url.get_backend_name())
        self.backend: Final = url.get_backend_name()
        self._hidden = tuple(filter(None, (*_hidden(settings), url.password and str(url.password))))
        self._engine = self._made(url, settings, resolve)

    def _made(self, url: sa.URL, settings: SqlalchemyConnection, resolve: Callable[[str], Path]) -> sa.Engine:
        from sqlalchemy import create_engine, event, exc
        from sqlalchemy.pool import NullPool

        if self.backend == "duckdb":  # its dialect is no longer kept, and a query there could read any file
            raise ConfigError(
                "SRC-380", "DuckDB's files are not read by SQLAlchemy", hint="use `type: duckdb`", about=("connection",)
            )
        try:
            driver = url.get_driver_name()
            given = {
                name: reveal(value) if isinstance(value, Secret) else value for name, value in settings.options.items()
            }
            engine = create_engine(
                _within(url, resolve, self.dialect),
                poolclass=NullPool,
                hide_parameters=True,
                connect_args={**self.dialect.arguments.get(driver, {}), **given},
                **(
                    {"isolation_level": self.dialect.snapshot}
                    if self.dialect.snapshot and url.get_backend_name() != "sqlite"
                    else {}
                ),
            )
        except (exc.NoSuchModuleError, ImportError) as error:
            raise ConfigError(
                "SRC-380",
                f'the driver of "{url.drivername}" is not installed',
                detail=self._redacted(str(error)),
                hint="install the package that has the dialect, and the driver that the URL names",
            ) from None
        except (exc.ArgumentError, TypeError, ValueError) as error:
            raise _refused_url(self._redacted(str(error))) from None
        event.listen(engine, "connect", self._begin_session)
        if self.backend == "sqlite":  # whose driver begins no transaction for what only reads
            event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
        return engine

    def _begin_session(self, connection: Any, _: object) -> None:
        if self.backend == "sqlite":
            connection.isolation_level = None
        for statement in self.dialect.session:
            cursor = connection.cursor()
            cursor.execute(statement)
            cursor.close()
        if self.dialect.session:
            connection.commit()

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sa.Connection]:
        """One connection in one transaction while the block runs, rolled back at its end: nothing is written. No exception
        of SQLAlchemy or a driver leaves the block.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with self._engine.connect().execution_options(**self.dialect.options) as connection:
                yield connection
        except SQLAlchemyError as error:
            raise self._classified(error, doing) from None
        except (ArithmeticError, UnicodeError) as error:  # what a driver makes values with
            raise self._error(Fault.VALUE, doing, type(error).__name__) from None
        except OSError as error:
            raise self._error(Fault.UNREACHABLE, doing, str(error)) from None

    def abandon(self, connection: sa.Connection, result: sa.CursorResult[Any] | None) -> None:
        """End a connection in the midst of its rows, without waiting for those that nobody wants. Raises nothing."""
        if self.dialect.drains:  # closing its cursor would read all that is left: the server is left in the midst of it
            with suppress(Exception):
                _hang_up(connection.connection.dbapi_connection)
        if result is not None:
            with suppress(Exception):
                result.close()
        with suppress(Exception):
            connection.invalidate()

    def close(self) -> None:
        self._engine.dispose()

    # ------------------------------------------------------------ errors

    def _classified(self, error: SQLAlchemyError, doing: str) -> PenstockError:
        from sqlalchemy import exc

        fault = _fault_of(error)
        words = str(error.orig) if isinstance(error, exc.DBAPIError) else str(error)
        # The driver's words may hold the value.
        detail = type(getattr(error, "orig", error)).__name__ if fault is Fault.VALUE else words
        return self._error(fault, doing, detail)

    def _error(self, fault: Fault, doing: str, detail: str) -> PenstockError:
        code, kind, words, hint = fault.value
        about = ("query", "table") if fault is Fault.REFUSED else ()
        shown = self._redacted(detail)
        return kind(code, f'the database "{self.name}" {words} while {doing}', detail=shown, hint=hint, about=about)

    def _redacted(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_DETAIL_LIMIT]


def _hang_up(driver: Any) -> None:
    """Of PyMySQL: shut its socket, and have it forget the rows that it would read. Others are closed as they close themselves."""
    wire, result = getattr(driver, "_sock", None), getattr(driver, "_result", None)
    if wire is not None and result is not None:
        wire.shutdown(socket.SHUT_RDWR)
        result.unbuffered_active = False
        driver._result = None  # noqa: SLF001 -- PyMySQL has no other way to say so


def _fault_of(error: SQLAlchemyError) -> Fault:
    from sqlalchemy import exc

    if not isinstance(error, exc.DBAPIError):
        return Fault.UNREACHABLE if isinstance(error, exc.TimeoutError) else Fault.REFUSED
    words = str(error.orig).lower()
    number = getattr(error.orig, "sqlite_errorcode", None)
    if number is not None:
        return _of_sqlite(number & _PRIMARY)
    if "could not decode" in words:  # SQLite's driver, of text that is none
        return Fault.VALUE
    if any(word in words for word in _LOGIN_WORDS):
        return Fault.LOGIN
    match error:
        case exc.DataError():
            return Fault.VALUE
        case exc.InternalError():
            return Fault.BROKEN
        case exc.OperationalError() | exc.InterfaceError():
            return Fault.UNREACHABLE
        case _:
            return Fault.UNREACHABLE if error.connection_invalidated else Fault.REFUSED


def _of_sqlite(number: int) -> Fault:
    if number in _SQLITE_LOCKED:
        return Fault.UNREACHABLE
    if number in _SQLITE_BROKEN:
        return Fault.BROKEN
    return Fault.REFUSED if number in _SQLITE_REFUSED else Fault.UNREACHABLE


# ---------------------------------------------------------------- URLs


def _url_of(settings: SqlalchemyConnection) -> sa.URL:
    from sqlalchemy import exc, make_url

    try:
        url = make_url(reveal(settings.url))
    except (exc.ArgumentError, ValueError):
        raise _refused_url(None) from None
    if settings.user is not None:
        url = url.set(username=settings.user)
    return url.set(password=settings.password.reveal()) if settings.password is not None else url


def _refused_url(reason: str | None) -> ConfigError:
    return ConfigError(
        "SRC-381",
        "the URL or the options of a connection are refused",
        detail=reason,
        hint="SQLAlchemy's URLs are dialect+driver://user@host:port/database; special characters need percent-encoding",
        about=("connection",),
    )


def _hidden(settings: SqlalchemyConnection) -> Iterator[str]:
    for value in (settings.url, settings.password, *settings.options.values()):
        if isinstance(value, Secret):
            yield from value.hidden()


def _shown(url: sa.URL) -> str:
    """Where it is, without who logs in and how."""
    host = f"{url.host}:{url.port}" if url.host and url.port else url.host or ""
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"


def _within(url: sa.URL, resolve: Callable[[str], Path], dialect: Dialect) -> sa.URL:
    """A database in a file lies within the project, and is opened to be read alone."""
    if not dialect.in_file or url.database in (None, "", ":memory:"):
        return url
    if url.database.startswith("file:") or url.query:
        raise _refused_url("a database in a file is named by its path alone")
    path = resolve(url.database)
    if not path.is_file():
        raise ConfigError("SRC-384", f'there is no file "{url.database}"', about=("connection",))
    if url.get_backend_name() != "sqlite":
        return url.set(database=str(path))
    return url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
