"""The one door to psycopg: its import, connecting, and its exceptions as ours.

| what happened | SQLSTATE | class and code (SRC where it happened while reading, SNK while writing, LED in the ledger) |
|---|---|---|
| not reachable, connection lost, server going down | none, 08, 57P | TransientError 201 |
| login refused, no such database | 28, 3D | ConfigError 202 |
| statement refused: names, rights, what is not supported | 0A, 2F, 3F, 42, 54, and any other | ConfigError 204 |
| busy: locks, deadlock, serialization, timeouts, memory, disk, connections | 25P, 40, 53, 55, 57014, 58 | TransientError 205 |
| a value is refused: conversion, range, constraint | 21, 22, 23, 44 | DataError 206 |
| the server's data or programs are damaged | F0, XX | FatalError 207 |
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError, TransientError
from penstock.secret import MASK
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import psycopg

    from penstock.connectors.postgres.params import PostgresConnection

Area = Literal["SRC", "SNK", "LED"]


class Fault(Enum):
    """What went wrong: the code's number, its class, and how the message goes on after the server's name."""

    value: tuple[str, type[PenstockError], str]

    UNREACHABLE = ("201", TransientError, "cannot be reached, or the connection was lost,")
    LOGIN = ("202", ConfigError, "refuses the login")
    REFUSED = ("204", ConfigError, "refuses a statement")
    BUSY = ("205", TransientError, "is busy or out of a resource")
    VALUE = ("206", DataError, "refuses a value")
    BROKEN = ("207", FatalError, "reports an internal failure")


_BY_STATE: Final = (
    (("08", "57P"), Fault.UNREACHABLE),
    (("28", "3D"), Fault.LOGIN),
    (("25P", "40", "53", "55", "57014", "58"), Fault.BUSY),
    (("21", "22", "23", "44"), Fault.VALUE),
    (("F0", "XX"), Fault.BROKEN),
)
# libpq has no SQLSTATE for a failed connect, only the server's words.
_LOGIN_WORDS: Final = (
    "authentication failed",
    "no password supplied",
    "pg_hba.conf",
    "does not exist",
    "not permitted to log in",
    "permission denied for database",
    "does not support SSL",
    "certificate",
)
_DETAIL_LIMIT: Final = 500


class Place(Frozen):
    """Who is spoken to, for messages: never with a secret in it. ``hidden`` are texts that no message may show."""

    name: str
    area: Area
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: PostgresConnection, area: Area) -> Place:
        database = f"/{connection.database}" if connection.database else ""
        hidden = connection.password.hidden() if connection.password else ()
        return cls(f"{connection.host}:{connection.port}{database}", area, hidden)

    def error(self, fault: Fault, doing: str, detail: str | None) -> PenstockError:
        number, kind, words = fault.value
        shown = detail and self.redacted(detail)
        about = ("query", "table") if fault is Fault.REFUSED else ()
        return kind(
            f"{self.area}-{number}", f'the server "{self.name}" {words} while {doing}', detail=shown, about=about
        )

    def redacted(self, text: str) -> str:
        for secret in self.hidden:
            text = text.replace(secret, MASK)
        return text[:_DETAIL_LIMIT]


def require(area: Area) -> None:
    """ConfigError 200 where the optional dependencies are not installed."""
    try:
        import psycopg  # noqa: F401 -- only whether it is there
    except ImportError as missing:
        raise _absent(area, str(missing)) from None
    if find_spec("numpy") is None:  # imported when rows arrive, while the server goes on
        raise _absent(area, "No module named 'numpy'")


def _absent(area: Area, detail: str) -> ConfigError:
    return ConfigError(
        f"{area}-200",
        "PostgreSQL needs the optional dependencies that are not installed",
        detail=detail,
        hint="pip install 'penstock[postgres]'",
    )


def connect(
    settings: PostgresConnection, place: Place, session: Mapping[str, str] = MappingProxyType({})
) -> psycopg.Connection:
    """A new connection in autocommit, with the session settings that reading and writing rely on, and with ``session``
    over them.
    """
    require(place.area)
    import psycopg
    from psycopg import sql

    made: psycopg.Connection
    try:
        made = psycopg.connect(
            host=settings.host,
            port=settings.port,
            dbname=settings.database,
            user=settings.user,
            password=settings.password.reveal() if settings.password else None,
            sslmode=settings.sslmode,
            sslrootcert=settings.sslrootcert,
            connect_timeout=max(2, round(settings.connect_timeout.total_seconds())),
            application_name=settings.application_name,
            client_encoding="UTF8",
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        raise _connect_error(error, place) from None
    pairs = [
        sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
        for name, value in {**_session(settings), **session}.items()
    ]
    try:
        with translated(place, "setting up the session"):
            made.execute(sql.SQL("SELECT {}").format(sql.SQL(", ").join(pairs)))
    except BaseException:
        made.close()
        raise
    return made


def _session(settings: PostgresConnection) -> dict[str, str]:
    values = {
        "TimeZone": "UTC",
        "DateStyle": "ISO, YMD",
        "IntervalStyle": "postgres",
        "bytea_output": "hex",
        "extra_float_digits": "1",
        "standard_conforming_strings": "on",
        "idle_in_transaction_session_timeout": "0",
        "lock_timeout": _milliseconds(settings.lock_timeout.total_seconds()),
    }
    if settings.statement_timeout is not None:
        values["statement_timeout"] = _milliseconds(settings.statement_timeout.total_seconds())
    return values


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))


def _connect_error(error: psycopg.Error, place: Place) -> PenstockError:
    words = str(error)
    known = fault_of(error.sqlstate) if error.sqlstate else None
    fault = known or (Fault.LOGIN if any(text in words for text in _LOGIN_WORDS) else Fault.UNREACHABLE)
    return place.error(fault, "connecting", " ".join(words.split()))


def fault_of(sqlstate: str) -> Fault:
    """The table at the top of this module."""
    return next((fault for prefixes, fault in _BY_STATE if sqlstate.startswith(prefixes)), Fault.REFUSED)


@contextmanager
def translated(place: Place, doing: str) -> Iterator[None]:
    """No exception of the driver leaves this block. The server's DETAIL and CONTEXT stay behind: they show rows."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise classified(error, place, doing) from None


def classified(error: psycopg.Error, place: Place, doing: str) -> PenstockError:
    """The named error for one of psycopg's."""
    import psycopg

    state = error.sqlstate
    if state is None and not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return InternalError("INT-900", f"psycopg was misused while {doing}", detail=place.redacted(str(error)))
    if state is None:
        return place.error(Fault.UNREACHABLE, doing, " ".join(str(error).split()))
    return place.error(fault_of(state), doing, described(error))


def described(error: psycopg.Error) -> str:
    """The server's first line, and the names of the column or constraint it speaks of."""
    diag = error.diag
    parts = [diag.message_primary or str(error).split("\n", 1)[0]]
    parts += [f'column "{diag.column_name}"'] if diag.column_name else []
    parts += [f'constraint "{diag.constraint_name}"'] if diag.constraint_name else []
    return "; ".join(parts) + f" (SQLSTATE {error.sqlstate})"
