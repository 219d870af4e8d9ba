"""Connections of one source or sink that are used again; made when asked for, given back when closed."""

from __future__ import annotations

import select
import threading
import weakref
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from penstock.connectors.postgres.driver import Fault, Place, connect, translated
from penstock.connectors.resilience.loans import Loans
from penstock.connectors.resilience.ward import Ward, Wards

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from penstock.clock import Clock
    from penstock.connectors.postgres.driver import Area
    from penstock.connectors.postgres.params import PostgresConnection

# A connection that was unused for longer is asked whether it still stands before it is handed out.
TRUSTED_SECONDS: Final = 20.0


class Connections:
    """Thread-safe. Holds at most as many connections as were in use at the same time."""

    def __init__(self, settings: PostgresConnection, area: Area, clock: Clock, wards: Wards | None = None) -> None:
        self.place: Final = Place.of(settings, area)
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        ward = (wards or Wards()).of(settings, lambda: Ward(self.place.name, settings, clock=clock))
        self._loans: Loans[psycopg.Connection] = Loans(ward, busy=Fault.BUSY.value[0])
        self._idle: list[tuple[psycopg.Connection, float]] = []
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> psycopg.Connection:
        """A connection in autocommit without a transaction; ``give_back`` or ``discard`` it. Raises, besides what connecting
        raises, TransientError NET-160 while the server is left alone, and NET-161.
        """
        return self._loans.take(self._found)

    def _found(self) -> psycopg.Connection:
        while True:
            with self._lock:
                found = self._idle.pop() if self._idle else None
            if found is None:
                return self._loans.connected(lambda: connect(self._settings, self.place))
            connection, since = found
            if self._stands(connection, since):
                return connection
            self.discard(connection)

    def _stands(self, connection: psycopg.Connection, since: float) -> bool:
        import psycopg

        if connection.closed:
            return False
        if self._clock.monotonic() - since < TRUSTED_SECONDS and not _says_something(connection):
            return True
        try:
            connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def give_back(self, connection: psycopg.Connection) -> None:
        """For the next ``take``; a transaction that is still open is rolled back."""
        import psycopg
        from psycopg.pq import TransactionStatus

        try:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.rollback()
        except psycopg.Error:
            self.discard(connection)
            return
        self._loans.returned(connection)
        if connection.closed:
            return
        with self._lock:
            self._idle.append((connection, self._clock.monotonic()))

    def discard(self, connection: psycopg.Connection) -> None:
        """Close it; the server rolls back what it had open. Raises nothing."""
        self._loans.returned(connection)
        import psycopg

        with suppress(psycopg.Error):
            connection.close()

    @contextmanager
    def connection(self, doing: str) -> Iterator[psycopg.Connection]:
        """One connection while the block runs; the driver's exceptions leave it classified."""
        connection = self.take()
        try:
            with translated(self.place, doing):
                yield connection
        except BaseException:
            self.discard(connection)
            raise
        self.give_back(connection)

    @contextmanager
    def transaction(self, doing: str) -> Iterator[psycopg.Connection]:
        """As ``connection``, with a transaction around the block: committed at its end, rolled back by an exception."""
        with self.connection(doing) as connection, connection.transaction():
            yield connection

    def close(self) -> None:
        """Close what is idle. Idempotent; connections that are out are closed when they come back or are discarded."""
        with self._lock:
            _close_all(self._idle)


def _says_something(connection: psycopg.Connection) -> bool:
    """Whether the server sent what nobody asked for, such as its goodbye."""
    look = select.poll()
    look.register(connection.fileno(), select.POLLIN)
    return bool(look.poll(0))


def _close_all(idle: list[tuple[psycopg.Connection, float]]) -> None:
    import psycopg

    while idle:
        with suppress(psycopg.Error):
            idle.pop()[0].close()
