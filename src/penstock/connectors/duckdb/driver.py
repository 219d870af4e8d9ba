"""Connections to a DuckDB file, and the one table of what DuckDB's errors mean.

| DuckDB says | writing | reading |
|---|---|---|
| the file's lock is held, or it is open here with other settings | TransientError SNK-321 | TransientError SRC-331 |
| no database, or a damaged one | FatalError SNK-322 | FatalError SRC-332 |
| a newer DuckDB wrote it | ConfigError SNK-327 | ConfigError SRC-335 |
| no room on disk or in memory | FatalError SNK-323 | FatalError SRC-336 |
| cannot be opened | ConfigError SNK-320 | ConfigError SRC-330 |
| a value or a constraint | DataError SNK-325 | DataError SRC-337 |
| another failure of the file system, or another writer in the way | TransientError SNK-324 | TransientError SRC-333 |
| all else: the statement | ConfigError SNK-326 | ConfigError SRC-334 |
"""

from __future__ import annotations

import os
import re
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from penstock import embedded
from penstock.connectors.database import memory_of
from penstock.disk import sync_folder
from penstock.errors import ConfigError, DataError, FatalError, PenstockError, TransientError
from penstock.structs import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    import duckdb
    import pyarrow as pa
    from sqlglot import exp

    from penstock.connectors.api import Context

_TICK_S: Final = 0.1
_DETAIL_CHARACTERS: Final = 300
# What the text begins with, the code when writing and when reading, and what is told of the file.
_TABLE: Final[tuple[tuple[re.Pattern[str], type[PenstockError], str, str, str], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), kind, writing, reading, words)
    for pattern, kind, writing, reading, words in (
        (r"IO Error: Could not set lock", TransientError, "SNK-321", "SRC-331", "is held by another process"),
        (
            r"Connection Error: Can't open|Resource In Use Error",
            TransientError,
            "SNK-321",
            "SRC-331",
            "is open in this process with other settings",
        ),
        (r"IO Error: .*storage version number", ConfigError, "SNK-327", "SRC-335", "is of another version of DuckDB"),
        (
            (
                r"(?:\w+ Error: )?(?:Corrupt database|Failure while replaying WAL)|(?:Serialization|FATAL|INTERNAL) Error|"
                r"IO Error: .*(?:not a valid DuckDB|Could not read enough)"
            ),
            FatalError,
            "SNK-322",
            "SRC-332",
            "is no DuckDB file, or a damaged one",
        ),
        (r"IO Error: .*No space left|Out of Memory Error", FatalError, "SNK-323", "SRC-336", "leaves no room to work"),
        (
            r"IO Error: .*(?:Cannot open file|Permission denied|Is a directory|read-only|Could not read from file)",
            ConfigError,
            "SNK-320",
            "SRC-330",
            "cannot be opened",
        ),
        (
            r"(?:Conversion|Constraint|Out of Range|Invalid Input|Mismatch Type) Error",
            DataError,
            "SNK-325",
            "SRC-337",
            "does not go with a value",
        ),
        (r"(?:IO|TransactionContext) Error", TransientError, "SNK-324", "SRC-333", "did not do its work"),
        (r"", ConfigError, "SNK-326", "SRC-334", "refuses a statement"),
    )
)


def _classified(text: str, named: str, *, writes: bool) -> PenstockError:
    said = " ".join(text.partition("\n\nLINE ")[0].split())[:_DETAIL_CHARACTERS]
    for pattern, kind, writing_code, reading_code, words in _TABLE:
        if pattern.match(text):
            code = writing_code if writes else reading_code
            return kind(code, f'the DuckDB file "{named}" {words}', detail=said)
    raise AssertionError(text)


@contextmanager
def writing(named: str) -> Iterator[None]:
    """No exception of the driver leaves this block."""
    with _classifying(named, writes=True):
        yield


@contextmanager
def reading(named: str) -> Iterator[None]:
    """No exception of the driver leaves this block."""
    with _classifying(named, writes=False):
        yield


@contextmanager
def _classifying(named: str, *, writes: bool) -> Iterator[None]:
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise _classified(str(error), named, writes=writes) from None


def is_there(path: Path) -> bool:
    """Raises ConfigError SNK-320 where the system takes no such path."""
    try:
        return path.exists()
    except OSError as error:
        raise ConfigError(
            "SNK-320", f'the DuckDB file "{path.name}" cannot be opened', detail=error.strerror
        ) from error


class Answer(Frozen):
    """All rows of a statement: DuckDB starts no other one while some are left."""

    rows: list[Any]

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> list[Any]:
        return self.rows


class Opened(Frozen):
    """A connection to the file."""

    connection: duckdb.DuckDBPyConnection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Answer:
        return Answer(self.connection.execute(statement, list(values)).fetchall())

    def run(self, tree: exp.Expr) -> Answer:
        """Execute one statement; of one that writes, the only row says how many rows."""
        return self.execute(tree.sql(dialect="duckdb"))

    def row(self, tree: exp.Expr) -> tuple[int, ...]:
        """The one row of whole numbers that a statement gives."""
        return tuple(int(value) for value in self.run(tree).fetchone())

    @contextmanager
    def arriving(self, name: str, rows: pa.RecordBatchReader) -> Iterator[None]:
        """Rows in Arrow as a relation of that name, to be read once."""
        import duckdb

        self.connection.register(name, rows)
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # in a transaction that has failed nothing more is done
                self.connection.unregister(name)

    def batches(self, tree: exp.Expr, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query by and by. What goes wrong after the first ones reaches Arrow as the text of a broken stream:
        it is raised as the driver's own.
        """
        import duckdb
        import pyarrow as pa

        reader = self.connection.sql(tree.sql(dialect="duckdb")).to_arrow_reader(rows)
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except (OSError, pa.ArrowException) as error:
                raise duckdb.Error(str(error)) from None
            yield batch


@contextmanager
def opened(path: Path, context: Context, wait: timedelta, *, only_reads: bool = False) -> Iterator[Opened]:
    """A connection of its own to the file, which must be there, in UTC and closed to all other files; ``wait`` is how long
    it waits for another process's lock. ``only_reads``: beside others that read too, where this process does not write.
    """
    import duckdb

    end = context.clock.monotonic() + wait.total_seconds()
    while True:
        try:
            made = _connect(path, context, only_reads=only_reads)
            break
        except duckdb.ConnectionException:
            if not only_reads:
                raise
            only_reads = False  # this process has it open to write
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error) or context.clock.monotonic() >= end:
                raise
            context.clock.sleep(_TICK_S)
    with closing(made):
        yield Opened(made)


def _connect(path: Path, context: Context, *, only_reads: bool) -> duckdb.DuckDBPyConnection:
    """What is set while connecting must be the same for all of a run: they share one database."""
    import duckdb

    allowance = context.allowance
    made = embedded.connect(
        {"threads": allowance.threads, "memory_limit": f"{memory_of(allowance)}B"}, path, read_only=only_reads
    )
    with suppress(duckdb.PermissionException):  # this process has it open, and said so
        spill = "" if allowance.spill is None else str(allowance.spill / "duckdb-file")
        made.execute("SET temp_directory = ?", [spill])  # beside the file, else
    made.execute("SET enable_external_access = false")
    if allowance.spill_bytes is not None:
        made.execute("SET max_temp_directory_size = ?", [f"{allowance.spill_bytes}B"])
    made.execute("SET arrow_lossless_conversion = true")
    return made


def make_file(path: Path) -> None:
    """An empty database, unless there is a file: whole or not at all. Makes the folders above it.

    Raises ConfigError SNK-320, duckdb.Error.
    """
    if is_there(path):
        return
    new = path.with_name(f"{path.name}.penstock-new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        embedded.connect({}, new).close()
        with suppress(FileExistsError):  # another run was first
            os.link(new, path)
        new.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise ConfigError("SNK-320", f'the DuckDB file "{path.name}" cannot be made', detail=detail) from error


@contextmanager
def transaction(connection: Opened) -> Iterator[None]:
    """Everything inside or nothing."""
    import duckdb

    connection.execute("BEGIN TRANSACTION")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # the error itself may have ended it
            connection.execute("ROLLBACK")
        raise
