"""Connections of one source or sink that are used again; made when asked for, given back when closed."""

from __future__ import annotations

import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.driver import Fault, Place, connect, run, translated
from penstock.connectors.mariadb.sql import sql
from penstock.connectors.resilience.loans import Loans
from penstock.connectors.resilience.ward import Ward, Wards

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection

    from penstock.clock import Clock
    from penstock.connectors.mariadb.driver import Area
    from penstock.connectors.mariadb.params import MariadbConnection

# What was read stays as it was until the end, whatever the server's default.
BEGIN: Final = (sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"), sql("START TRANSACTION"))


class Connections:
    """Thread-safe. Holds at most as many connections as were in use at the same time."""

    def __init__(self, settings: MariadbConnection, area: Area, clock: Clock, wards: Wards | None = None) -> None:
        self.place: Final = Place.of(settings, area)
        self._settings = settings
        self._lock = threading.Lock()
        ward = (wards or Wards()).of(settings, lambda: Ward(self.place.name, settings, clock=clock))
        self._loans: Loans[Connection[Any]] = Loans(ward, busy=Fault.BUSY.value[0])
        self._idle: list[Connection[Any]] = []
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> Connection[Any]:
        """A connection in autocommit without a transaction; ``give_back`` or ``discard`` it. Raises, besides what connecting
        raises, TransientError NET-160 while the server is left alone, and NET-161.
        """
        return self._loans.take(self._found)

    def _found(self) -> Connection[Any]:
        import pymysql

        while True:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            if found is None:
                return self._loans.connected(lambda: connect(self._settings, self.place))
            try:
                found.ping(reconnect=False)
            except (pymysql.Error, OSError):
                self.discard(found)
            else:
                return found

    def give_back(self, connection: Connection[Any]) -> None:
        """For the next ``take``; no transaction may be open on it."""
        self._loans.returned(connection)
        with self._lock:
            self._idle.append(connection)

    def discard(self, connection: Connection[Any]) -> None:
        """Close it; the server rolls back what it had open. Raises nothing."""
        self._loans.returned(connection)
        import pymysql

        with suppress(pymysql.Error, OSError):
            connection.close()

    @contextmanager
    def connection(self, doing: str) -> Iterator[Connection[Any]]:
        """One connection while the block runs; the driver's exceptions leave it classified."""
        connection = self.take()
        try:
            with translated(self.place, doing):
                yield connection
        except BaseException:
            self.discard(connection)
            raise
        self.give_back(connection)

    def close(self) -> None:
        """Close what is idle. Idempotent; connections that are out are closed when they come back or are discarded."""
        with self._lock:
            _close_all(self._idle)


def begin(connection: Connection[Any]) -> None:
    """Start a transaction."""
    for statement in BEGIN:
        run(connection, statement)


def _close_all(idle: list[Connection[Any]]) -> None:
    import pymysql

    while idle:
        with suppress(pymysql.Error, OSError):
            idle.pop().close()
