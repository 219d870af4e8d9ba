"""The server's locks by name: a session holds one until it lets go or ends, whatever it commits meanwhile.

So they outlast the statements that change tables, which end every transaction; and they tell whom to end.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from penstock.connectors.mariadb.driver import rows_of, run
from penstock.connectors.mariadb.sql import literal, sql

if TYPE_CHECKING:
    from pymysql.connections import Connection


def lock(connection: Connection[Any], name: str, wait_s: int) -> bool:
    """Whether the session has it, after waiting that long for another's. Names have at most 64 characters."""
    return bool(rows_of(connection, sql("SELECT GET_LOCK({}, {})", literal(name), literal(wait_s)))[0][0])


def unlock(connection: Connection[Any], name: str) -> None:
    rows_of(connection, sql("SELECT RELEASE_LOCK({})", literal(name)))


def end_holder(connection: Connection[Any], name: str) -> None:
    """End the session that holds the lock, if one does. It lets go once what it executes has come to its end."""
    import pymysql

    holder = rows_of(connection, sql("SELECT IS_USED_LOCK({})", literal(name)))[0][0]
    if holder is not None:
        with suppress(pymysql.err.OperationalError):  # it ended by itself
            run(connection, sql("KILL {}", literal(int(holder))))
