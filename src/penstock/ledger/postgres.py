"""The ledger in one schema of a PostgreSQL database, for workers on many machines (ADR 0019).

Leases go by the server's clock and are taken under the lock of the pipeline's row, which every deed that a fence guards
takes first: whoever comes later sees what was committed. A transaction that failed for a moment is run again; of one whose
answer was lost the server is asked whether it was committed.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager, suppress
from functools import cache
from random import SystemRandom
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

from penstock.clock import SystemClock
from penstock.connectors.postgres.driver import Fault, Place, classified, connect, fault_of, translated
from penstock.connectors.resilience.retry import Again, RetryPolicy, call_with_retry
from penstock.errors import TransientError
from penstock.ledger import tables
from penstock.ledger.tabular import TabularLedger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    import psycopg

    from penstock.clock import Clock
    from penstock.connectors.postgres.params import PostgresConnection
    from penstock.errors import PenstockError
    from penstock.ledger.records import Row

Answer = TypeVar("Answer")
RETRY: Final = RetryPolicy(total_seconds=60)
_SESSION: Final = {
    "synchronous_commit": "on",  # durable when a method returns, whatever the server's habit is
    "idle_in_transaction_session_timeout": "20000",  # who is paused inside of a transaction lets go of the row
}
_DOING: Final = "using the ledger"
_VALUE: Final = re.compile(r":(\w+)")


class PostgresLedger(TabularLedger):
    """Implements ``ledger.api.Ledger``. One connection serves all threads, one at a time, and is made anew when it broke.

    ``clock`` is for the waits between attempts alone. Every method raises, besides its own, LED-2xx as the driver
    classifies: TransientError where the server stayed away.
    """

    TYPES: ClassVar[Mapping[str, str]] = {
        "integer": "bigint",
        "time": "timestamptz",
        "structure": "json",  # kept as it was written; jsonb refuses texts with NUL
        "identity": "bigint generated always as identity",
    }
    WEEKDAY: ClassVar[str] = "extract(dow from planned_at at time zone 'UTC')"
    LOCK: ClassVar[str] = " for update"

    def __init__(self, settings: PostgresConnection, schema: str, clock: Clock | None = None) -> None:
        """Asks nothing of the server yet: ``open`` and ``find`` do."""
        self._settings = settings
        self._schema = schema
        self._clock = clock or SystemClock()
        self._place = Place.of(settings, "LED")
        self._alone = threading.RLock()
        self._connection: psycopg.Connection[Row] | None = None

    @classmethod
    def open(cls, settings: PostgresConnection, schema: str, clock: Clock | None = None) -> PostgresLedger:
        """The ledger, made where there is none; an older one becomes one of this version. Raises FatalError LED-102."""
        ledger = cls(settings, schema, clock)
        ledger._transact(ledger._migrate)
        return ledger

    @classmethod
    def find(cls, settings: PostgresConnection, schema: str, clock: Clock | None = None) -> PostgresLedger | None:
        """As ``open``; None where there is none."""
        ledger = cls(settings, schema, clock)
        if ledger._transact(ledger._version):
            ledger._transact(ledger._migrate)
            return ledger
        ledger.close()
        return None

    def close(self) -> None:
        import psycopg

        with self._alone:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()

    # ------------------------------------------------------------ transactions

    @property
    def _name(self) -> str:
        return f"{self._place.name}, schema {self._schema}"

    def _transact(self, work: Callable[[], Answer]) -> Answer:
        return self._retried(lambda: self._once(work))

    def _retried(self, work: Callable[[], Answer]) -> Answer:
        def attempt(_: int) -> Answer | Again:
            try:
                return work()
            except TransientError as error:
                return Again(error)

        return call_with_retry(attempt, RETRY, clock=self._clock, random=SystemRandom())

    def _once(self, work: Callable[[], Answer]) -> Answer:
        with self._talking(_DOING) as connection:
            connection.execute("BEGIN")
            answer = work()
            number = _number(connection)
            lost = self._commit(connection)
        if lost is not None and (number is None or not self._retried(lambda: self._is_committed(number))):
            raise lost
        return answer

    @contextmanager
    def _talking(self, doing: str) -> Iterator[psycopg.Connection[Row]]:
        """The connection, for this thread alone. It is closed where the block fails: then the server rolls back."""
        with self._alone, translated(self._place, doing):
            try:
                yield self._connected()
            except BaseException:
                self.close()
                raise

    def _connected(self) -> psycopg.Connection[Row]:
        from psycopg import sql
        from psycopg.rows import dict_row

        if self._connection is None:
            path = f"{sql.Identifier(self._schema).as_string()}, pg_temp"
            made = connect(self._settings, self._place, {**_SESSION, "search_path": path})
            self._connection = cast("psycopg.Connection[Row]", made)
            self._connection.row_factory = dict_row
        return self._connection

    def _commit(self, connection: psycopg.Connection[Row]) -> PenstockError | None:
        """What happened where the connection was lost before the answer came."""
        import psycopg

        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            if error.sqlstate and fault_of(error.sqlstate) is not Fault.UNREACHABLE:
                raise
            self.close()
            return classified(error, self._place, "committing to the ledger")
        return None

    def _is_committed(self, number: str) -> bool:
        """What became of a transaction whose answer was lost, as the server remembers it."""
        doing = "asking what became of a commit to the ledger"
        with self._talking(doing) as connection:
            row = connection.execute("SELECT pg_xact_status(%s::xid8) AS status", (number,)).fetchone()
        status = row["status"] if row is not None else None
        if status == "in progress":
            raise self._place.error(Fault.BUSY, doing, "the transaction is still going on")
        return bool(status == "committed")

    # ------------------------------------------------------------ statements

    def _write(self, statement: str, row: Mapping[str, Any]) -> None:
        self._connected().execute(_in_postgres(statement), _bound(row))

    def _rows(self, statement: str, **values: object) -> list[Row]:
        return self._connected().execute(_in_postgres(statement), _bound(values)).fetchall()

    def _now(self) -> datetime:
        """The server's, at this moment: waiting for a lock takes time."""
        (row,) = self._rows("select clock_timestamp() as now")
        return cast("datetime", row["now"])

    # ------------------------------------------------------------ versions

    def _migrate(self) -> None:
        """Of two that do it at the same time one waits, and finds it done."""
        from psycopg import sql

        if self._version() == tables.VERSION:
            return
        self._rows("select pg_advisory_xact_lock(hashtextextended(:name, 0))", name=f"penstock ledger {self._schema}")
        if not self._rows("select from pg_namespace where nspname = :schema", schema=self._schema):
            self._connected().execute(sql.SQL("create schema {}").format(sql.Identifier(self._schema)))
        super()._migrate()

    def _version(self) -> int:
        if self._rows("select to_regclass('ledger') as found")[0]["found"] is None:
            return 0
        return int(self._rows("select version from ledger")[0]["version"])

    def _become(self, version: int) -> None:
        self._write("create table if not exists ledger (version bigint not null)", {})
        self._write("delete from ledger", {})
        self._write("insert into ledger (version) values (:version)", {"version": version})


def _number(connection: psycopg.Connection[Row]) -> str | None:
    """By which the server knows the transaction that is open; None of one that wrote nothing."""
    row = connection.execute("SELECT pg_current_xact_id_if_assigned()::text AS number").fetchone()
    return row["number"] if row is not None else None


@cache
def _in_postgres(statement: str) -> bytes:
    """With its values as psycopg names them."""
    return _VALUE.sub(r"%(\1)s", statement).encode()


def _bound(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value, ensure_ascii=False) if name in tables.STRUCTURES and value is not None else value
        for name, value in row.items()
    }
