"""What stands behind a Pipe: queries in one snapshot, each written into a pipe by a thread."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, suppress
from fcntl import F_SETPIPE_SZ, fcntl
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from penstock.connectors.mariadb.driver import run, translated
from penstock.connectors.mariadb.frames import Frames, RowIsNullError, ServerError
from penstock.connectors.mariadb.sql import sql
from penstock.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pymysql.connections import Connection

    from penstock.connectors.mariadb.pool import Connections
    from penstock.connectors.mariadb.sql import Sql

PIPE_BYTES: Final = 1 << 20
_SNAPSHOT: Final = (
    sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
    sql("START TRANSACTION WITH CONSISTENT SNAPSHOT"),
)


class ReaderGoneError(Exception):
    """The engine closed its end of the pipe: it wants no more rows."""


class RowPipe:
    """``open`` and ``finish`` may be called again one after the other, each pair a new snapshot: one, whatever the number
    of ``queries``, which are parts of ``table``. ``check`` runs in the snapshot before anything is read.
    """

    def __init__(
        self,
        connections: Connections,
        queries: Sequence[Sql],
        *,
        table: Sql,
        check: Callable[[Connection[Any]], None] | None = None,
    ) -> None:
        self._connections = connections
        self._queries = queries
        self._table = table
        self._check = check
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def open(self) -> Sequence[int]:
        """The read ends, for the engine to close. Raises what connecting, locking and the queries raise."""
        taken: list[Connection[Any]] = []
        try:
            # All of them before the table is locked: whoever waits for one keeps nobody from writing meanwhile.
            for _ in self._queries:
                taken.append(self._connections.take())  # noqa: PERF401 -- those taken before one fails are given up below
            with self._unchanging():
                for connection in taken:
                    with translated(self._connections.place, "opening a snapshot"):
                        for statement in _SNAPSHOT:
                            run(connection, statement)
            with translated(self._connections.place, "opening a snapshot"):
                if self._check is not None:
                    self._check(taken[0])
            with translated(self._connections.place, "reading rows"):
                for connection, query in zip(taken, self._queries, strict=True):
                    _ask(connection, query)
        except BaseException:
            for connection in taken:
                self._connections.discard(connection)
            raise
        self._errors = []
        return [self._started(connection) for connection in taken]

    @contextmanager
    def _unchanging(self) -> Iterator[None]:
        """While the block runs nobody commits to the table, so that snapshots which are taken in it are the same."""
        if len(self._queries) == 1:
            yield
            return
        with self._connections.connection("locking the table for its parts") as connection:
            run(connection, sql("LOCK TABLES {} READ", self._table))
            yield
            run(connection, sql("UNLOCK TABLES"))

    def _started(self, connection: Connection[Any]) -> int:
        read_end, write_end = os.pipe()
        with suppress(OSError):  # an account's limit on pipe memory: the default size serves as well
            fcntl(write_end, F_SETPIPE_SZ, PIPE_BYTES)
        thread = threading.Thread(
            target=self._produce, args=(connection, write_end), name="penstock-mariadb-rows", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return read_end

    def finish(self) -> None:
        """Waits for the producers, which end where the read ends are closed; raises the first error of one."""
        while self._threads:
            self._threads.pop().join()
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def _produce(self, connection: Any, write_end: int) -> None:
        try:
            with translated(self._connections.place, "reading rows"):
                _drain(connection, Frames(partial(_write, write_end)))
        except ReaderGoneError:
            pass
        except RowIsNullError:
            self._errors.append(
                DataError(
                    "SRC-241",
                    f'a row from "{self._connections.place.name}" is longer than the server sends',
                    hint="raise max_allowed_packet on the server, or select fewer columns",
                )
            )
        except BaseException as error:  # noqa: BLE001 -- handed to the thread that calls finish
            self._errors.append(error)
        finally:
            os.close(write_end)
            # It has sent what nobody read; the server ends what it still does.
            connection._force_close()  # noqa: SLF001 -- `close` would say goodbye in the midst of a result


def _ask(connection: Any, query: Sql) -> None:
    """Send the query, and take what comes before its rows: how many columns, which, an end."""
    from pymysql.constants import COMMAND

    connection._execute_command(COMMAND.COM_QUERY, query)  # noqa: SLF001 -- as ``frames`` says
    for _ in range(3):
        connection._read_packet()  # noqa: SLF001


def _drain(connection: Any, frames: Frames) -> None:
    import pymysql
    from pymysql.err import raise_mysql_exception

    while not frames.ended:
        space = frames.space
        found = connection._rfile.read1(len(space))  # noqa: SLF001 -- what is there already, else one read
        if not found:
            raise pymysql.OperationalError(2013, "the server closed the connection within a result")
        try:
            space[: len(found)] = found
            frames.received(len(found))
        except ServerError as error:
            raise_mysql_exception(error.args[0])


def _write(write_end: int, data: memoryview) -> None:
    left = data
    try:
        while left:
            left = left[os.write(write_end, left) :]
    except BrokenPipeError:
        raise ReaderGoneError from None
