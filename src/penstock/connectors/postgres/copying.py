"""COPY ... TO STDOUT into pipes: one connection and one thread per part, all of them in one snapshot."""

from __future__ import annotations

import os
import select
import socket
import threading
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl
from functools import partial
from typing import TYPE_CHECKING, Final

from penstock.connectors.postgres.driver import translated
from penstock.connectors.postgres.frames import Frames
from penstock.errors import PenstockError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import psycopg
    from psycopg import sql
    from psycopg.pq.abc import PGconn, PGresult

    from penstock.connectors.postgres.pool import Connections

PIPE_BYTES: Final = 1 << 20
WRITE_BYTES: Final = 1 << 18
MOMENT_MS: Final = 1
# What each row of an unchecked copy begins with: a value of no meaning, as long as the header it is written over.
FILLER: Final = b"0000\t"
# From here on the server says which connections are encrypted by GSSAPI.
GSSAPI_VERSION: Final = 120_000
_BEGIN: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class ReaderGoneError(Exception):
    """The engine closed its end of a pipe: it wants no more rows."""


class CopyPipes:
    """What stands behind a Pipe: ``open`` and ``finish`` may be called again one after the other, each pair a new snapshot.

    ``statements`` give checked values as CSV, one statement per part; ``unchecked`` the same rows in PostgreSQL's own text.
    ``check`` runs in the snapshot before anything is read.
    """

    def __init__(
        self,
        connections: Connections,
        statements: Sequence[sql.Composable],
        *,
        unchecked: Sequence[sql.Composable] = (),
        check: Callable[[psycopg.Connection], None] | None = None,
    ) -> None:
        self._connections = connections
        self._statements = statements
        self._unchecked = unchecked
        self._check = check
        self._leader: psycopg.Connection | None = None
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._running = 0
        self._rows: list[int | None] = []  # by part, None until it has ended
        self._lock = threading.Lock()

    def open(self) -> Sequence[int]:
        """The read ends, for the engine to close. Raises what the first connection raises."""
        return self._opened(self._statements, b"")

    def open_unchecked(self) -> Sequence[int]:
        return self._opened(self._unchecked, FILLER)

    def _opened(self, statements: Sequence[sql.Composable], filler: bytes) -> Sequence[int]:
        self._errors = []
        leader = self._leader = self._connections.take()
        try:
            with translated(self._connections.place, "opening a snapshot"):
                leader.execute(_BEGIN)
                if self._check is not None:
                    self._check(leader)
                snapshot = _exported(leader) if len(statements) > 1 else None
        except BaseException:
            self._drop_leader()
            raise
        ends = [_pipe() for _ in statements]
        self._running = len(ends)
        self._rows = [None] * len(ends)
        self._threads = [
            threading.Thread(
                target=self._produce,
                args=(_Copy(part, statement, write_end, filler), snapshot),
                name="penstock-postgres-copy",
                daemon=True,
            )
            for part, (statement, (_, write_end)) in enumerate(zip(statements, ends, strict=True))
        ]
        for thread in self._threads:
            thread.start()
        return [read_end for read_end, _ in ends]

    def copied(self) -> int | None:
        """Rows of all parts, None where one did not come to its end."""
        ended = [rows for rows in self._rows if rows is not None]
        return sum(ended) if len(ended) == len(self._rows) else None

    def finish(self) -> None:
        """Waits for the producers, which end at once where the read ends are closed; raises the first of their errors."""
        for thread in self._threads:
            thread.join()
        self._threads = []
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    def _drop_leader(self) -> None:
        leader, self._leader = self._leader, None
        if leader is not None:
            self._connections.give_back(leader)

    def _produce(self, copy: _Copy, snapshot: str | None) -> None:
        try:
            if snapshot is None and self._leader is not None:
                self._copy(self._leader, copy)
            else:
                self._copy_in(snapshot or "", copy)
        except ReaderGoneError:
            pass
        except BaseException as error:  # noqa: BLE001 -- handed to the thread that calls finish
            self._errors.append(error)
        finally:
            os.close(copy.write_end)
            self._ended()

    def _ended(self) -> None:
        """The last producer ends the snapshot, whether or not anyone comes to ``finish``."""
        with self._lock:
            self._running -= 1
            last = self._running == 0
        if last:
            self._drop_leader()

    def _copy_in(self, snapshot: str, copy: _Copy) -> None:
        import psycopg
        from psycopg import errors, sql

        connection = self._connections.take()
        try:
            with translated(self._connections.place, "joining a snapshot"):
                connection.execute(_BEGIN)
                try:
                    connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot)))
                except errors.InvalidParameterValue as gone:  # the connection that holds it was lost
                    raise psycopg.OperationalError(str(gone)) from None
            self._copy(connection, copy)
        except BaseException:
            self._connections.discard(connection)
            raise
        self._connections.give_back(connection)

    def _copy(self, connection: psycopg.Connection, copy: _Copy) -> None:
        """Whole rows only: what a failure leaves in the pipe ends at a row's end."""
        try:
            with translated(self._connections.place, "reading rows"):
                rows = drain(connection, copy.statement.as_bytes(connection), copy.write_end, filler=copy.filler)
            self._rows[copy.part] = rows
        except (ReaderGoneError, PenstockError):
            _cancel(connection)
            raise


class _Copy(Frozen):
    """One part of a read: what is asked for, and where it goes."""

    part: int
    statement: sql.Composable
    write_end: int
    filler: bytes


def _exported(leader: psycopg.Connection) -> str:
    row = leader.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
    return str(row[0]) if row else ""


def _pipe() -> tuple[int, int]:
    read_end, write_end = os.pipe()
    with suppress(OSError):  # an account's limit on pipe memory: the default size serves as well
        fcntl(write_end, F_SETPIPE_SZ, PIPE_BYTES)
    return read_end, write_end


def _cancel(connection: psycopg.Connection) -> None:
    """End what the server still does, then the connection."""
    import psycopg

    with suppress(psycopg.Error, PenstockError):
        connection.cancel_safe(timeout=5.0)
    with suppress(psycopg.Error):
        connection.close()


# ---------------------------------------------------------------- one stream


def drain(connection: psycopg.Connection, statement: bytes, write_end: int, *, filler: bytes = b"") -> int:
    """Run COPY TO STDOUT and write what it gives into the pipe, each row behind the filler; how many rows the server says
    that they were. A connection without encryption is closed afterwards.

    Raises psycopg.Error and ReaderGoneError.
    """
    pgconn = connection.pgconn
    plain = _is_plain(connection)
    wait = _Wait(pgconn.socket, write_end)
    pgconn.send_query(statement)
    while pgconn.flush():
        wait(select.POLLIN | select.POLLOUT)
    if not plain:
        return _drain_driver(pgconn, wait, write_end, filler)
    frames = Frames(partial(_write, write_end), filler=filler)
    _drain_socket(pgconn.socket, wait, frames)
    connection.close()
    return frames.rows


def _is_plain(connection: psycopg.Connection) -> bool:
    """Whether what the socket gives is the protocol itself."""
    if connection.pgconn.ssl_in_use or connection.info.server_version < GSSAPI_VERSION:
        return False
    row = connection.execute(
        "SELECT encrypted FROM pg_catalog.pg_stat_gssapi WHERE pid = pg_catalog.pg_backend_pid()"
    ).fetchone()
    return row is not None and not row[0]


def _drain_socket(descriptor: int, wait: _Wait, frames: Frames) -> None:
    """See ``frames``."""
    import psycopg

    waiting = 0
    with socket.socket(fileno=os.dup(descriptor)) as server:
        while not frames.ended:
            try:
                count = server.recv_into(frames.space[waiting:])
            except BlockingIOError:
                count = -1
            except OSError as error:
                raise psycopg.OperationalError(str(error)) from None
            if count == 0:
                raise psycopg.OperationalError("the server closed the connection within a COPY")
            waiting += max(count, 0)
            if count > 0 and waiting < len(frames.space):
                wait.a_moment()
            elif waiting:
                frames.received(waiting)
                waiting = 0
            else:
                wait()


def _drain_driver(pgconn: PGconn, wait: _Wait, write_end: int, filler: bytes) -> int:
    """By way of libpq: one call per row."""
    from psycopg import pq

    rows = 0
    result = _result(pgconn, wait)
    if result is not None and result.status == pq.ExecStatus.COPY_OUT:
        while _pump(pgconn, wait, write_end, filler):
            pass
        result = _result(pgconn, wait)
    while result is not None:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise _error(result)
        rows += result.command_tuples or 0
        result = _result(pgconn, wait)
    return rows


class _Wait:
    """Waits until the server sent something, and notices that the reader of the pipe is gone."""

    def __init__(self, server: int, write_end: int) -> None:
        self._poll = select.poll()
        self._server = server
        self._poll.register(write_end, 0)
        self._write_end = write_end

    def a_moment(self) -> None:
        """Lets more arrive: the server sends 8 KiB at a time, and looking at each piece costs more than it holds."""
        self._look(0, MOMENT_MS)

    def __call__(self, events: int = select.POLLIN) -> None:
        self._look(events, None)

    def _look(self, events: int, timeout_ms: int | None) -> None:
        self._poll.register(self._server, events)
        for descriptor, event in self._poll.poll(timeout_ms):
            if descriptor == self._write_end and event & (select.POLLERR | select.POLLHUP):
                raise ReaderGoneError


def _result(pgconn: PGconn, wait: _Wait) -> PGresult | None:
    while pgconn.is_busy():
        wait()
        pgconn.consume_input()
    return pgconn.get_result()


def _pump(pgconn: PGconn, wait: _Wait, write_end: int, filler: bytes) -> bool:
    """What has arrived, in large pieces; False at the end of the copy."""
    get, size = pgconn.get_copy_data, 1
    while size > 0:
        taken: list[bytes | memoryview] = []
        held = 0
        while held < WRITE_BYTES:
            size, message = get(1)
            if size <= 0:
                break
            taken += (filler, message)
            held += size
        _write(write_end, b"".join(taken))
    if size == 0:
        wait()
        pgconn.consume_input()
    return size == 0


def _write(write_end: int, data: bytes | memoryview) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(write_end, left) :]
    except BrokenPipeError:
        raise ReaderGoneError from None


def _error(result: PGresult) -> psycopg.Error:
    from psycopg import errors

    return errors.error_from_result(result)
