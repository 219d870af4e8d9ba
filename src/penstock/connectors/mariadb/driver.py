"""The one door to PyMySQL: its import, connecting, and its exceptions as ours.

| what happened | class and code (SRC where it happened while reading, SNK while writing) |
|---|---|
| not reachable, connection lost, server going down | TransientError 231 |
| login refused | ConfigError 232 |
| no such database | ConfigError 238 |
| a right is missing | ConfigError 237 |
| the server does not allow LOAD DATA LOCAL | ConfigError 246 (SNK only) |
| the server wants a primary key of every table | ConfigError 342 (SNK only) |
| statement refused: names, what is not supported, and any other | ConfigError 234 |
| busy: locks, deadlock, timeouts, memory, disk, connections | TransientError 235 |
| a value is refused: conversion, range, constraint | DataError 236 |
| a table is damaged | FatalError 239 |
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

from penstock.connectors.mariadb.sql import Sql, joined, literal, sql
from penstock.errors import ConfigError, DataError, FatalError, InternalError, PenstockError, TransientError
from penstock.secret import MASK
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pymysql
    from pymysql.connections import Connection

    from penstock.connectors.mariadb.params import MariadbConnection

Area = Literal["SRC", "SNK"]


class Fault(Enum):
    """What went wrong: the code's number, its class, how the message goes on after the server's name, and what to do."""

    value: tuple[str, type[PenstockError], str, str | None]

    UNREACHABLE = ("231", TransientError, "cannot be reached, or the connection was lost,", None)
    LOGIN = ("232", ConfigError, "refuses the login", "check user, password and tls of the connection")
    REFUSED = ("234", ConfigError, "refuses a statement", None)
    BUSY = ("235", TransientError, "is busy or out of a resource", None)
    VALUE = ("236", DataError, "refuses a value", None)
    RIGHT = ("237", ConfigError, "does not give the user a right that is needed", "grant it to the user")
    DATABASE = ("238", ConfigError, "has no such database", "check database in the connection, or create it")
    BROKEN = ("239", FatalError, "reports a damaged table", "look into its log; repair the table")
    LOCAL = (
        "246",
        ConfigError,
        "does not take rows from its clients",
        "set local_infile to ON in the server's configuration: rows are sent by LOAD DATA LOCAL",
    )
    KEYLESS = (
        "342",
        ConfigError,
        "takes no table without a primary key",
        "state keys, so that the table is created with one, or create it with a key that fills itself",
    )


_NUMBERS: Final = {
    Fault.UNREACHABLE: (1053, 1077, 1078, 1079, 1152, *range(1156, 1162), 1927, 2002, 2003, 2006, 2013, 2055),
    Fault.LOGIN: (1045, 1130, 1251, 1275, 1524, 1698, 1820, 1862, 2026, 2059, 2061, 3118, 3159, 4151),
    Fault.DATABASE: (1046, 1049),
    Fault.RIGHT: (1044, 1142, 1143, 1227, 1370),
    Fault.LOCAL: (1148, 3948, 4166),
    Fault.KEYLESS: (3098, 3750),
    Fault.BUSY: (
        *(
            1020,
            1021,
            1037,
            1038,
            1040,
            1041,
            1099,
            1114,
            1203,
            1205,
            1206,
            1213,
            1226,
            1317,
            1412,
            1969,
            3024,
            3058,
            3572,
        ),
    ),
    Fault.VALUE: (
        *(1048, 1062, 1169, 1216, 1217, 1264, 1265, 1292, 1364, 1365, 1366, 1367, 1406, 1411, 1416, 1451, 1452, 1525),
        *(1557, 1586, 1644, 1690, 1761, 1762, 3140, 3819, 3903, 4025),
    ),
    Fault.BROKEN: (1033, 1034, 1035, 1194, 1195, 1877),
}
_BY_NUMBER: Final = {number: fault for fault, numbers in _NUMBERS.items() for number in numbers}
_DETAIL_LIMIT: Final = 500
# What a value is shown in: "Duplicate entry 'x' for key 'k'", "Incorrect integer value: 'x' for column 'c' at row 1".
_SHOWN_VALUE: Final = re.compile(
    r"(entry) '.*'(?= for key '[^']*'$)|(value:?) '.*'(?= for (?:column|function) |$)", re.IGNORECASE
)
# How long the server waits for the next rows while the engine, or another sink, is busy.
_PATIENCE_S: Final = 86_400
# What LOAD DATA LOCAL complains of is looked up afterwards; with none kept it would have changed values in silence.
_COMPLAINTS: Final = 8
_MODES: Final = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,"
    "NO_AUTO_VALUE_ON_ZERO"
)


class Place(Frozen):
    """Who is spoken to, for messages: never with a secret in it. ``hidden`` are texts that no message may show."""

    name: str
    area: Area
    hidden: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: MariadbConnection, area: Area) -> Place:
        database = f"/{connection.database}" if connection.database else ""
        hidden = connection.password.hidden() if connection.password else ()
        return cls(f"{connection.host}:{connection.port}{database}", area, hidden)

    def error(self, fault: Fault, doing: str, detail: str | None) -> PenstockError:
        number, kind, words, hint = fault.value
        shown = detail and self.redacted(detail)
        about = ("query", "table") if fault is Fault.REFUSED else ()
        message = f'the server "{self.name}" {words} while {doing}'
        return kind(f"{self.area}-{number}", message, detail=shown, hint=hint, about=about)

    def redacted(self, text: str) -> str:
        for secret in self.hidden:
            text = text.replace(secret, MASK)
        return text[:_DETAIL_LIMIT]


def connect(settings: MariadbConnection, place: Place) -> Connection[Any]:
    """A new connection in autocommit, with the session settings that reading and writing rely on.

    Raises ConfigError 230 where the driver is not installed.
    """
    if find_spec("pymysql") is None:
        raise ConfigError(
            f"{place.area}-230",
            "MariaDB and MySQL need the optional dependencies that are not installed",
            hint="pip install 'penstock[mariadb]'",
        )
    import pymysql

    writes = place.area == "SNK"
    with translated(place, "connecting"):
        made: Connection[Any] = pymysql.connect(
            host=settings.host,
            port=settings.port,
            unix_socket=settings.socket,
            database=settings.database,
            user=settings.user,
            password=settings.password.reveal().encode() if settings.password else b"",  # text would be Latin-1
            charset="utf8mb4",
            connect_timeout=max(1, round(settings.connect_timeout.total_seconds())),
            autocommit=True,
            local_infile=writes,
            program_name="penstock",
            **_tls(settings),
        )
    # The protocol knows now that rows may be sent; the driver itself must never open a file that a server asks for.
    wire: Any = made
    wire._local_infile = False  # noqa: SLF001 -- no other way to say so
    try:
        with translated(place, "setting up the session"):
            run(made, _session(settings, is_mariadb=is_mariadb(made)))
    except BaseException:
        made.close()
        raise
    return made


def _tls(settings: MariadbConnection) -> dict[str, Any]:
    match settings.tls:
        case "disable":
            return {"ssl_disabled": True}
        case "prefer":
            return {}
        case "require":
            return {"ssl": {"check_hostname": False, "verify_mode": "none"}}
        case "verify":
            return {"ssl": {"ca": settings.tls_ca, "check_hostname": True, "verify_mode": "required"}}


def is_mariadb(connection: Any) -> bool:
    """Whether it is MariaDB; else it is MySQL."""
    return "mariadb" in str(connection.server_version).lower()


def version_of(connection: Any) -> tuple[int, ...]:
    """The numbers that MySQL's version begins with: (8, 0, 15)."""
    found = re.match(r"\d+(?:\.\d+)*", str(connection.server_version))
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def _session(settings: MariadbConnection, *, is_mariadb: bool) -> Sql:
    lock_s = max(1, round(settings.lock_timeout.total_seconds()))
    values: dict[str, str | int] = {
        "sql_mode": _MODES,
        "time_zone": "+00:00",
        "sql_auto_is_null": 0,
        "foreign_key_checks": 1,
        "unique_checks": 1,
        "lock_wait_timeout": lock_s,
        "innodb_lock_wait_timeout": lock_s,
        "net_read_timeout": _PATIENCE_S,
        "net_write_timeout": _PATIENCE_S,
        "wait_timeout": _PATIENCE_S,
        "max_error_count": _COMPLAINTS,
    }
    if settings.statement_timeout is not None:
        seconds = max(1, round(settings.statement_timeout.total_seconds()))
        values |= {"max_statement_time": seconds} if is_mariadb else {"max_execution_time": seconds * 1000}
    pairs = [sql("SESSION {} = {}", Sql(name), literal(value)) for name, value in values.items()]
    return sql("SET {}", joined(", ", pairs))


def run(connection: Connection[Any], statement: Sql) -> int:
    """Execute one statement; how many rows it changed or found."""
    with connection.cursor() as cursor:
        return int(cursor.execute(statement))


def rows_of(connection: Connection[Any], statement: Sql) -> list[tuple[Any, ...]]:
    """What a query of few rows finds."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def fault_of(error: pymysql.Error) -> Fault:
    """The table at the top of this module."""
    number = error.args[0] if error.args else 0
    return _BY_NUMBER.get(number, Fault.REFUSED) if isinstance(number, int) and number else Fault.UNREACHABLE


@contextmanager
def translated(place: Place, doing: str) -> Iterator[None]:
    """No exception of the driver leaves this block."""
    import pymysql

    try:
        yield
    except (pymysql.Error, OSError) as error:
        raise classified(error, place, doing) from None


def classified(error: pymysql.Error | OSError, place: Place, doing: str) -> PenstockError:
    """The named error for one of the driver's; values of rows are not shown."""
    import pymysql

    if isinstance(error, OSError):
        return place.error(Fault.UNREACHABLE, doing, str(error))
    if isinstance(error, pymysql.ProgrammingError) and not isinstance(error.args[0], int):
        return InternalError("INT-900", f"PyMySQL was misused while {doing}", detail=place.redacted(str(error)))
    return place.error(fault_of(error), doing, described(error))


def described(error: pymysql.Error) -> str:
    """The server's words and number."""
    number, *words = error.args
    return f"{without_values(' '.join(map(str, words)))} (error {number})"


def without_values(words: str) -> str:
    """The server's words without the values of rows that they show."""
    return _SHOWN_VALUE.sub(r"\1\2 '***'", " ".join(words.split()))
